//! One claim as a dialogue with a store, without the waiting: what to ask next, and what the answers come to.

use std::sync::Arc;
use std::time::Duration;

use super::effect::Effect;
use super::machine::{self, Decision, Settings};
use super::outcome::Recorded;
use crate::record::FirstSeen;
use crate::record::Record;
use crate::store::{Revision, Swap};

/// The next compare-and-swap to ask for.
#[derive(Debug)]
pub(super) struct Claiming<'f> {
    pub(super) expected: Option<Revision>,
    /// What to write, unless it is the record of a first attempt.
    later: Option<Arc<Record>>,
    pub(super) first_seen: FirstSeen,
    /// How long ago the operation was first seen, if this claim succeeds.
    since_first_seen: Duration,
    /// Whether it is taken over from an attempt that was lost, if this claim succeeds.
    takes_over: bool,
    /// The record of a first attempt.
    first: &'f Arc<Record>,
    effect: Effect,
}

/// What a claim has come to.
#[derive(Debug)]
pub(super) enum Found {
    Ours {
        revision: Revision,
        record: Arc<Record>,
        since_first_seen: Duration,
        takes_over: bool,
    },
    /// This very claim has written that nobody knows the outcome.
    GivenUp,
    Told(Recorded),
}

impl<'f> Claiming<'f> {
    /// Nobody has seen most operations before, so the first question is a first attempt's write.
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

    /// What to write.
    pub(super) fn record(&self) -> &Arc<Record> {
        self.later.as_ref().unwrap_or(self.first)
    }

    /// Takes an answer in; `None` means that there is more to ask.
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
        match machine::claim(&held, ages, self.first, self.effect, settings) {
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
