//! The rules of a limit as a pure model: what is reserved of one limited value. The memory store keeps one model for each
//! value; the other stores follow the same rules in their own languages.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::time::Duration;

use super::{Holder, Reservation, Reserved};

/// What is reserved of one limited value.
///
/// The times are those of one clock that never goes back.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// The sum of `held`, also of what has ended and is not removed yet.
    used: u64,
    /// Ordered by their ends, because the reservations of a value all last equally long.
    held: VecDeque<Held>,
    /// The operations in `held`, so that a first attempt need not search it. Empty until the window holds more than
    /// [`FEW`], to save memory. A tree, because a hash table holds a call up while it grows.
    serials: BTreeSet<NonZeroU64>,
}

/// So many reservations take no longer to search than the tree.
const FEW: usize = 4;

/// At most how many ended reservations a call removes, unless it needs their room: other calls wait meanwhile. A call adds
/// one, so calls still remove more than they add.
const AT_ONCE: usize = 500;

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
        self.expire_some(AT_ONCE, now);
        let Holder { serial, epoch } = asked.holder;
        let own = self.place(serial).map(|place| self.held[place]);
        // What has ended cannot be taken over.
        let own = own.filter(|own| own.ends > now);
        let more = asked.amount.saturating_sub(own.map_or(0, |own| own.amount));
        let is_over = |used| more > asked.max.saturating_sub(used);
        // Before a call is refused, the sum must be exact.
        if is_over(self.used) {
            self.expire(now);
        }
        if is_over(self.used) {
            return Reserved::Over {
                used: self.used,
                // More than what is lacking if the maximum was lowered below what is used.
                room_in: self.room_in(self.used + more - asked.max, now),
            };
        }
        if own.is_none_or(|own| own.epoch < epoch || more > 0) {
            if let Some(place) = self.place(serial) {
                self.remove(place);
            }
            let amount = own.map_or(0, |own| own.amount) + more;
            self.used += amount;
            self.held.push_back(Held {
                serial,
                epoch: own.map_or(epoch, |own| own.epoch.max(epoch)),
                amount,
                ends: now.saturating_add(asked.window),
            });
            if !self.serials.is_empty() {
                self.serials.insert(serial);
            } else if self.held.len() > FEW {
                self.serials = self.held.iter().map(|held| held.serial).collect();
            }
        }
        Reserved::Granted { anew: own.is_none() }
    }

    /// The place of the operation's reservation. It is usually one of the newest.
    fn place(&self, serial: NonZeroU64) -> Option<usize> {
        let may_be_held = self.serials.is_empty() || self.serials.contains(&serial);
        may_be_held.then(|| self.held.iter().rposition(|held| held.serial == serial))?
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
        let place = self.place(holder.serial);
        if let Some(place) = place.filter(|place| self.held[*place].epoch <= holder.epoch) {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(held) = self.held.remove(place) {
            self.used -= held.amount;
            self.serials.remove(&held.serial);
        }
    }

    /// Removes the reservations that have ended.
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
            self.serials.remove(&held.serial);
            removed += 1;
        }
        removed
    }

    /// The sum of what is reserved and has not ended.
    pub(crate) fn used(&self, now: Duration) -> u64 {
        let ended = self.held.iter().take_while(|held| held.ends <= now);
        self.used - ended.map(|held| held.amount).sum::<u64>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The allocated memory, in bytes: at most, for the tree, whose nodes are at least half full.
    pub(crate) fn size(&self) -> usize {
        let capacity = self.held.capacity();
        let in_tree = if capacity > FEW { 2 * size_of::<NonZeroU64>() } else { 0 };
        capacity * (size_of::<Held>() + in_tree)
    }
}
