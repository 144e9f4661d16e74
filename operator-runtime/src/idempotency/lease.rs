//! The right to run an operation: renewed while its handler runs, completed by how that ended, or lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::effect::Effect;
use super::machine;
use super::operations::Shared;
use super::outcome::{Answer, HandlerOutcome};
use crate::clock::timer_now;
use crate::record::operation::OperationId;
use crate::record::{FirstSeen, Record, State};
use crate::store::{Proposal, Revision, StoreError, Swap};

/// Why the end of an attempt is not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("another attempt has taken the operation over, because this one gave no sign of life for too long")]
    Lost,
    #[error("the handler has run for longer than its endpoint allows, so its lease is left to run out")]
    Overdue,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The right to run an operation. Dropped, it does nothing, and is lost when its time has run out.
#[derive(Debug)]
#[must_use = "an operation that is not completed blocks its retries until the lease runs out"]
pub(crate) struct Lease {
    pub(super) operations: Arc<Shared>,
    pub(super) id: OperationId,
    pub(super) effect: Effect,
    pub(super) max_execution: Duration,
    pub(super) revision: Revision,
    /// What the attempt has claimed the operation with.
    pub(super) record: Arc<Record>,
    pub(super) renewals: u32,
    /// A sign of life was sent, and its answer has not arrived: it may have been written.
    pub(super) in_doubt: bool,
    /// Until then the store keeps the operation, and so knows its attempts apart by their epochs.
    pub(super) forgotten_at: Instant,
}

impl Lease {
    /// How often [`renew`](Self::renew) has to be called while the handler runs.
    pub(crate) fn renew_every(&self) -> Duration {
        self.operations.settings.renew_every
    }

    /// Which attempt this is: 1, 2, ….
    #[cfg(test)]
    pub(super) fn epoch(&self) -> u32 {
        self.record.epoch
    }

    /// Gives a sign of life.
    ///
    /// A store that fails once may answer the next time, so the handler runs on.
    ///
    /// # Errors
    /// If the operation has been taken over, has run for too long, or the store cannot write.
    pub(crate) async fn renew(&mut self) -> Result<(), LeaseError> {
        if !machine::may_renew(self.renewals, self.max_execution, &self.operations.settings) {
            return Err(LeaseError::Overdue);
        }
        self.in_doubt = true;
        self.write(self.record(State::InProgress)).await?;
        self.in_doubt = false;
        self.renewals += 1;
        Ok(())
    }

    /// Records how the attempt ended, wakes waiting duplicates, and says what to tell the caller.
    ///
    /// # Errors
    /// If the operation has been taken over, or the store cannot write: then the caller must not be told of success.
    pub(crate) fn complete(
        mut self,
        outcome: HandlerOutcome,
    ) -> impl Future<Output = Result<Answer, LeaseError>> + Send {
        let (state, answer) = machine::finish(outcome, self.effect, &self.operations.settings);
        let record = self.record(state);
        async move {
            self.write(record).await?;
            self.operations.ended(&self.id).notify_waiters();
            Ok(answer)
        }
    }

    /// Writes a record, which only the last one to have written may: this attempt, too, where the answer to its last
    /// sign of life has not arrived.
    async fn write(&mut self, mut record: Arc<Record>) -> Result<(), LeaseError> {
        loop {
            let again = self.in_doubt.then(|| Arc::clone(&record));
            let Shared { store, .. } = &*self.operations;
            let swap = store.swap(Proposal {
                id: self.id,
                expected: Some(self.revision),
                new: record,
                first_seen: FirstSeen::Keep,
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
                    record = again;
                }
                (Swap::Held { .. } | Swap::Gone, _) => return Err(LeaseError::Lost),
            }
        }
    }

    fn record(&self, state: State) -> Arc<Record> {
        Arc::new(Record {
            state,
            ..Record::clone(&self.record)
        })
    }

    /// Whether it is what a sign of life of this attempt has written.
    fn is_own(&self, held: &Record) -> bool {
        *held == *self.record && timer_now() < self.forgotten_at
    }
}
