//! The steps of one claim, without waiting: the next compare-and-swap, and what the store's answer to it means.

use std::sync::Arc;
use std::time::Duration;

use super::effect::Effect;
use super::machine::{self, Decision, Settings};
use super::outcome::Recorded;
use crate::record::FirstSeen;
use crate::record::Record;
use crate::store::{Revision, Swap};

/// A claim in progress, with the next compare-and-swap to ask for.
#[derive(Debug)]
pub(super) struct Claiming<'f> {
    pub(super) expected: Option<Revision>,
    /// The record to write, unless it is `first`.
    later: Option<Arc<Record>>,
    pub(super) first_seen: FirstSeen,
    /// The time since the operation was first seen. It is valid only if this claim succeeds.
    since_first_seen: Duration,
    /// Whether this claim, if it succeeds, replaces a lost attempt.
    takes_over: bool,
    /// The record that a first attempt writes.
    first: &'f Arc<Record>,
    effect: Effect,
}

/// The result of a claim.
#[derive(Debug)]
pub(super) enum Found {
    Ours {
        revision: Revision,
        record: Arc<Record>,
        since_first_seen: Duration,
        takes_over: bool,
    },
    /// This claim found a lost attempt that must not run again, and wrote that its outcome is unknown.
    GivenUp,
    Told(Recorded),
}

impl<'f> Claiming<'f> {
    /// Starts with the record of a first attempt, because most operations are new.
    pub(super) fn new(first: &'f Arc<Record>, effect: Effect) -> Self {
        Self {
            expected: None,
            later: None,
            first_seen: FirstSeen::Reset,
            since_first_seen: Duration::ZERO,
            takes_over: false,
            first,
            effect,
        }
    }

    /// The record to write.
    pub(super) fn record(&self) -> &Arc<Record> {
        self.later.as_ref().unwrap_or(self.first)
    }

    /// Evaluates the store's answer. Returns `None` if another compare-and-swap is needed.
    pub(super) fn answer(&mut self, answer: Swap, settings: &Settings) -> Option<Found> {
        let (revision, held, ages) = match answer {
            Swap::Swapped(_) if self.record().state == crate::record::State::Unknown => {
                return Some(Found::GivenUp);
            }
            Swap::Swapped(revision) => {
                return Some(Found::Ours {
                    revision,
                    record: Arc::clone(self.record()),
                    since_first_seen: self.since_first_seen,
                    takes_over: self.takes_over,
                });
            }
            Swap::Gone => {
                *self = Self::new(self.first, self.effect);
                return None;
            }
            Swap::Held { revision, record, ages } => (revision, record, ages),
        };
        let was_running = held.state == crate::record::State::InProgress;
        match machine::claim(Arc::unwrap_or_clone(held), ages, self.first, self.effect, settings) {
            Decision::Claim(record, first_seen) => {
                self.expected = Some(revision);
                self.later = Some(Arc::new(record));
                self.first_seen = first_seen;
                self.takes_over = was_running && first_seen == FirstSeen::Keep;
                self.since_first_seen = match first_seen {
                    FirstSeen::Keep => ages.since_first_seen,
                    FirstSeen::Reset => Duration::ZERO,
                };
                None
            }
            Decision::GiveUp(record) => {
                self.expected = Some(revision);
                self.later = Some(Arc::new(record));
                self.first_seen = FirstSeen::Keep;
                None
            }
            Decision::Tell(recorded) => Some(Found::Told(recorded)),
        }
    }
}
