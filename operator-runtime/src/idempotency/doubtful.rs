//! A claim that failed and may have been written all the same: nothing has run under it, so it is taken back.

use std::sync::Arc;
use std::time::Duration;

use super::operations::Shared;
use crate::clock::timer_now;
use crate::record::operation::OperationId;
use crate::record::{FirstSeen, Record, State};
use crate::store::{Revision, StoreError};

/// How soon a store that could not take a claim back is asked again, at first.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a call may neither run nor be answered; nothing has been started.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    pub(super) error: StoreError,
    pub(super) claim: Option<Box<DoubtfulClaim>>,
}

/// A claim that may be held by the store, though whoever made it does not run. Left there, it would be taken for an
/// attempt that was lost.
#[derive(Debug)]
pub(crate) struct DoubtfulClaim {
    operations: Arc<Shared>,
    id: OperationId,
    revision: Revision,
    released: Arc<Record>,
}

impl NotAdmitted {
    /// What the caller is told of; a claim that may be held is taken back behind that.
    pub(crate) fn take_back(self) -> StoreError {
        if let Some(claim) = self.claim {
            let tracker = claim.operations.doubtful.clone();
            tracker.spawn(claim.take_back());
        }
        self.error
    }
}

impl DoubtfulClaim {
    /// `None` where nothing is written, or where it is no claim but that nobody knows the outcome.
    pub(super) fn of(
        operations: &Arc<Shared>,
        id: OperationId,
        written: &Record,
        error: &StoreError,
    ) -> Option<Box<Self>> {
        let StoreError::Unconfirmed { revision, .. } = error else {
            return None;
        };
        (written.state == State::InProgress).then(|| {
            Box::new(Self {
                operations: Arc::clone(operations),
                id,
                revision: *revision,
                released: Arc::new(Record {
                    state: State::Released,
                    ..written.clone()
                }),
            })
        })
    }

    /// Releases the operation if this claim holds it. No other writing has its revision, so this changes nothing that
    /// anybody runs under. A store that is away is asked again for as long as retries are told to wait.
    pub(super) async fn take_back(self: Box<Self>) {
        let until = timer_now() + self.operations.settings.lease;
        let mut pause = PAUSE;
        loop {
            let Shared { store, .. } = &*self.operations;
            let released = Arc::clone(&self.released);
            let swap = store.swap(self.id, Some(self.revision), released, FirstSeen::Keep);
            match self.operations.timed(swap).await {
                Ok(_) => {
                    self.operations.ended(&self.id).notify_waiters();
                    return;
                }
                Err(error) if timer_now() + pause > until => {
                    tracing::warn!(operation = %self.id, %error, "a claim that may have been written could not be taken back, so its operation counts as an attempt that was lost");
                    return;
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
    }
}
