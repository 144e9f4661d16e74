//! The rules of a limit as a pure model: what is reserved of one limited value. The memory store keeps one model for each
//! value; the other stores follow the same rules in their own languages.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use super::{Holder, Reservation, Reserved};

/// What is reserved of one limited value.
///
/// The times are those of one clock that never goes back.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// The sum of `held`.
    used: u64,
    /// Ordered by their ends, because the reservations of a value all last equally long.
    held: VecDeque<Held>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    serial: NonZeroU64,
    epoch: u32,
    amount: u64,
    ends: Duration,
}

impl Window {
    /// Reserves what is asked for if the sum stays within the maximum.
    ///
    /// A later attempt at the same operation takes over what an earlier one has reserved, and may reserve more. The
    /// earlier attempt may have acted, so its reservation is never reduced, and the window begins anew.
    pub(crate) fn reserve(&mut self, asked: &Reservation, now: Duration) -> Reserved {
        self.expire(now);
        let Holder { serial, epoch } = asked.holder;
        let place = self.held.iter().rposition(|held| held.serial == serial);
        let own = place.map(|place| self.held[place]);
        let more = asked.amount.saturating_sub(own.map_or(0, |own| own.amount));
        let room = asked.max.saturating_sub(self.used);
        if more > room {
            return Reserved::Over {
                used: self.used,
                // More than `more - room` if the maximum was lowered below what is used.
                room_in: self.room_in(self.used + more - asked.max, now),
            };
        }
        if own.is_none_or(|own| own.epoch < epoch || more > 0) {
            if let Some(place) = place {
                self.held.remove(place);
            }
            self.used += more;
            self.held.push_back(Held {
                serial,
                epoch: own.map_or(epoch, |own| own.epoch.max(epoch)),
                amount: own.map_or(0, |own| own.amount) + more,
                ends: now.saturating_add(asked.window),
            });
        }
        Reserved::Granted { anew: own.is_none() }
    }

    /// The time until reservations of this amount have ended. If all of them are less, the time until the last one has.
    fn room_in(&self, amount: u64, now: Duration) -> Duration {
        let mut freed = 0;
        let enough = self.held.iter().find(|held| {
            freed += held.amount;
            freed >= amount
        });
        let last = enough.or(self.held.back());
        last.map_or(Duration::ZERO, |held| held.ends.saturating_sub(now))
    }

    /// Ends the operation's reservation, unless a later attempt has taken it over.
    pub(crate) fn give_back(&mut self, holder: Holder) {
        let is_own = |held: &Held| held.serial == holder.serial && held.epoch <= holder.epoch;
        if let Some(held) = self
            .held
            .iter()
            .rposition(is_own)
            .and_then(|place| self.held.remove(place))
        {
            self.used -= held.amount;
        }
    }

    /// Removes the reservations that have ended. A call may do so for its own value, because a million take milliseconds.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.expire_some(usize::MAX, now);
    }

    /// Removes at most so many reservations that have ended, and returns how many it removed.
    pub(crate) fn expire_some(&mut self, most: usize, now: Duration) -> usize {
        let mut removed = 0;
        while removed < most
            && let Some(held) = self.held.pop_front_if(|held| held.ends <= now)
        {
            self.used -= held.amount;
            removed += 1;
        }
        removed
    }

    /// The sum of what is reserved.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The allocated memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.held.capacity() * size_of::<Held>()
    }
}
