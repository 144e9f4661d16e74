//! The lease: the right to run an operation, renewed while the handler runs, and completed with the handler's outcome.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::auditing::{self, Draft, Ending};
use super::effect::Effect;
use super::limiting;
use super::machine;
use super::operations::Shared;
use super::outcome::{Answer, HandlerOutcome};
use crate::clock::timer_now;
use crate::limit::LimitedValue;
use crate::record::operation::OperationId;
use crate::record::{FirstSeen, Record, State};
use crate::store::{Audit, Proposal, Revision, StoreError, Swap};

/// Why a renewal or the outcome of an attempt is not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("this attempt did not renew its lease in time, and another attempt has taken the operation over")]
    Lost,
    #[error("the attempt has taken longer than its endpoint's `timeout` allows, so its lease is no longer renewed")]
    Overdue,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The right to run an operation. Dropping a lease writes nothing: the operation counts as lost when the lease runs
/// out.
#[derive(Debug)]
#[must_use = "complete the lease: otherwise retries of the operation are blocked until it runs out"]
pub(crate) struct Lease {
    pub(super) operations: Arc<Shared>,
    pub(super) id: OperationId,
    pub(super) effect: Effect,
    pub(super) max_execution: Duration,
    pub(super) revision: Revision,
    /// The record with which the attempt claimed the operation.
    pub(super) record: Arc<Record>,
    /// A time before the record, or the last renewal, was written.
    pub(super) held_at: Instant,
    /// Whether the handler itself has begun, so that a refusal is the handler's. An extractor that has panicked, run out of
    /// time or failed with a 5xx counts as well, because it may have acted.
    pub(crate) handler_began: bool,
    pub(super) renewals: u32,
    /// A renewal was sent but not answered, so the store may have written the renewal.
    pub(super) in_doubt: bool,
    /// The store keeps the record until this time. Until then, the epoch in the record distinguishes the operation's
    /// attempts.
    pub(super) forgotten_at: Instant,
    /// What is reserved of limits, and given back if the operation has not acted.
    pub(super) reserved: Option<Box<Values>>,
    /// The call as the audit describes it.
    pub(super) draft: Draft,
}

/// The limited values of which the operation has reserved a part. They are boxed, so that a call without limits does not
/// reserve space for them.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Reserved by this attempt.
    pub(super) anew: Vec<LimitedValue>,
    /// Reserved by an earlier attempt, which may have acted.
    pub(super) taken_over: Vec<LimitedValue>,
    /// Whether the operation has ended, and gives back what any of its attempts has reserved.
    pub(super) everything: bool,
}

impl Lease {
    pub(crate) fn id(&self) -> OperationId {
        self.id
    }

    /// How often [`renew`](Self::renew) has to be called while the handler runs.
    pub(crate) fn renew_every(&self) -> Duration {
        self.operations.settings.renew_every
    }

    /// The number of the attempt, from 1.
    #[cfg(test)]
    pub(super) fn epoch(&self) -> u32 {
        self.record.epoch
    }

    /// Renews the lease.
    ///
    /// After an error, let the handler continue: the store may answer the next renewal.
    ///
    /// # Errors
    /// If the operation was taken over, if the handler has run for too long, or if the store cannot write.
    pub(crate) async fn renew(&mut self) -> Result<(), LeaseError> {
        if !machine::may_renew(self.renewals, self.max_execution, &self.operations.settings) {
            return Err(LeaseError::Overdue);
        }
        self.renew_now().await?;
        self.renewals += 1;
        Ok(())
    }

    async fn renew_now(&mut self) -> Result<(), LeaseError> {
        let now = timer_now();
        self.in_doubt = true;
        self.write(self.record(State::InProgress), Audit::Nothing).await?;
        self.in_doubt = false;
        self.held_at = now;
        Ok(())
    }

    /// When the lease has to be renewed.
    pub(crate) fn due_at(&self) -> Instant {
        self.held_at + self.renew_every()
    }

    /// Renews the lease if it is due, before the handler starts. Another attempt may have taken the operation over
    /// meanwhile, and may have given back what the operation has reserved of limits.
    ///
    /// # Errors
    /// If the operation was taken over, or the store cannot write. Then the handler must not start.
    pub(crate) async fn confirm(&mut self) -> Result<(), LeaseError> {
        if timer_now() < self.due_at() {
            return Ok(());
        }
        // Boxed, because hardly any call needs this.
        Box::pin(self.renew_now()).await
    }

    /// Waits for work that comes before the handler, and renews the lease when it is due. The work may wait for a locked
    /// table for longer than one lease lasts, and its operation must not count as lost, because nothing has run yet.
    ///
    /// Returns what the work returns, and an error if the operation was taken over meanwhile, or if the work has taken longer
    /// than the handler may run. Then the handler must not start. The work is awaited nevertheless: the store may still do
    /// what it was asked for, and only after that can it be undone.
    pub(super) async fn held_during<T>(&mut self, work: impl Future<Output = T>) -> (T, Result<(), LeaseError>) {
        let (mut work, mut is_overdue) = (pin!(work), false);
        // Both are polled together, so that the work makes progress while a renewal waits for the store.
        let ended = tokio::select! {
            biased;
            done = &mut work => Ok(done),
            lost = self.renewals(&mut is_overdue) => Err(lost),
        };
        match ended {
            Ok(done) if is_overdue => (done, Err(LeaseError::Overdue)),
            Ok(done) => (done, Ok(())),
            Err(lost) => (work.await, Err(lost)),
        }
    }

    /// Renews the lease until it is lost, and says when this has taken longer than the handler may run. Even then the lease
    /// is renewed, because an operation whose lease runs out counts as lost.
    async fn renewals(&mut self, is_overdue: &mut bool) -> LeaseError {
        let mut ticks = interval_at(self.due_at(), self.renew_every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // These renewals are not counted as the handler's.
        let mut renewals = 0_u32;
        loop {
            ticks.tick().await;
            *is_overdue |= !machine::may_renew(renewals, self.max_execution, &self.operations.settings);
            renewals = renewals.saturating_add(1);
            match self.renew_now().await {
                Err(LeaseError::Store(error)) => {
                    tracing::warn!(%error, "the lease of a call that waits for its limits was not renewed: check the store");
                }
                Err(lost) => return lost,
                Ok(()) => {}
            }
        }
    }

    /// Records the outcome, wakes waiting duplicates, and returns the answer for the caller.
    ///
    /// # Errors
    /// If the operation was taken over, or the store cannot write. Then the caller must not get a success. If the handler
    /// has not begun, the operation is released in the background.
    pub(crate) fn complete(
        mut self,
        outcome: HandlerOutcome,
    ) -> impl Future<Output = Result<Answer, LeaseError>> + Send {
        let (state, answer) = machine::finish(outcome, self.effect, &self.operations.settings);
        // Only the handler can find out what an earlier attempt has done, if there was one. Of an operation at most once, only
        // an attempt that has not acted is followed by another one.
        let is_known = self.handler_began || self.record.epoch == 1 || !self.effect.may_run_again();
        self.reserved = self
            .reserved
            .take()
            .and_then(|reserved| limiting::given_back(reserved, is_known, &state, &answer));
        let audit = auditing::row(&self.draft, Ending::of(&state, &answer), self.record.epoch);
        let gives_back = self.reserved.as_ref().is_some_and(|values| values.everything)
            && self.record.serial.is_some()
            && matches!(state, State::Completed(_));
        let record = Arc::new(Record {
            state,
            gives_back,
            ..Record::clone(&self.record)
        });
        async move {
            if let Err(error) = self.write(record, audit).await {
                if !self.handler_began {
                    self.abandon();
                }
                return Err(error);
            }
            if self.reserved.is_some() {
                // The reserved amount is given back only after the record is written: the lease of a handler may be lost, and a
                // later attempt may have acted. The future is boxed, so that a call without limits does not need space for it.
                Box::pin(self.give_back()).await;
            }
            self.operations.ended(&self.id).notify_waiters();
            Ok(answer)
        }
    }

    /// Writes a record if the stored record is still the one that this attempt wrote last. If a renewal was not
    /// answered, the store may have that renewal instead. Then this function writes the record over the renewal.
    async fn write(&mut self, mut record: Arc<Record>, mut audit: Audit) -> Result<(), LeaseError> {
        loop {
            let again = self.in_doubt.then(|| (Arc::clone(&record), audit.clone()));
            let Shared { store, .. } = &*self.operations;
            let swap = store.swap(Proposal {
                id: self.id,
                expected: Some(self.revision),
                new: record,
                first_seen: FirstSeen::Keep,
                audit,
            });
            match (self.operations.timed(swap).await?, again) {
                (Swap::Swapped(revision), _) => {
                    self.revision = revision;
                    return Ok(());
                }
                (
                    Swap::Held {
                        revision, record: held, ..
                    },
                    Some(again),
                ) if self.is_own(&held) => {
                    self.revision = revision;
                    (record, audit) = again;
                }
                (Swap::Held { .. } | Swap::Gone, _) => return Err(LeaseError::Lost),
            }
        }
    }

    pub(super) fn record(&self, state: State) -> Arc<Record> {
        Arc::new(Record {
            state,
            ..Record::clone(&self.record)
        })
    }

    /// Whether the stored record was written by a renewal of this attempt.
    fn is_own(&self, held: &Record) -> bool {
        *held == *self.record && timer_now() < self.forgotten_at
    }
}
