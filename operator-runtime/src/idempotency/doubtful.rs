//! Doubtful claims: the store reported a failed write, but may have stored the claim nevertheless. No handler has run
//! under such a claim, so the claim is released.

use std::sync::Arc;
use std::time::Duration;

use super::lease::Lease;
use super::operations::Shared;
use crate::clock::timer_now;
use crate::record::operation::OperationId;
use crate::record::{FirstSeen, Record, State};
use crate::store::{Audit, Proposal, Revision, StoreError};

/// The pause after the first failed attempt to release a claim. The pause doubles after each further failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a call was not admitted: the store failed, so the call can neither run nor be replayed. No handler has started.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    pub(super) error: StoreError,
    pub(super) claim: Option<Box<DoubtfulClaim>>,
}

/// A claim that the store may have stored although no attempt runs. If the claim stayed in the store, the operation
/// would count as lost.
#[derive(Debug)]
pub(crate) struct DoubtfulClaim {
    operations: Arc<Shared>,
    id: OperationId,
    revision: Revision,
    released: Arc<Record>,
}

impl NotAdmitted {
    /// Returns the error for the caller, and releases a doubtful claim in the background.
    pub(crate) fn take_back(self) -> StoreError {
        if let Some(claim) = self.claim {
            let tracker = claim.operations.doubtful.clone();
            tracker.spawn(claim.take_back());
        }
        self.error
    }
}

impl DoubtfulClaim {
    /// Returns `None` if nothing was written, or if the write was not a claim but recorded the outcome as unknown.
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

    /// The claim of an attempt whose handler has not started and will not start.
    pub(super) fn of_lease(lease: Lease, released: Arc<Record>) -> Box<Self> {
        Box::new(Self {
            operations: lease.operations,
            id: lease.id,
            revision: lease.revision,
            released,
        })
    }

    /// Releases the operation if the store has this claim. No other write has this claim's revision, so a running
    /// attempt is never touched. While the store is unavailable, this function tries again for as long as one lease.
    pub(super) async fn take_back(self: Box<Self>) {
        let until = timer_now() + self.operations.settings.lease;
        let mut pause = PAUSE;
        loop {
            let Shared { store, .. } = &*self.operations;
            let released = Arc::clone(&self.released);
            let swap = store.swap(Proposal {
                id: self.id,
                expected: Some(self.revision),
                new: released,
                first_seen: FirstSeen::Keep,
                audit: Audit::Nothing,
            });
            match self.operations.timed(swap).await {
                Ok(_) => {
                    self.operations.ended(&self.id).notify_waiters();
                    return;
                }
                Err(error) if timer_now() + pause > until => {
                    tracing::warn!(operation = %self.id, %error, "a claim that may be in the store could not be released; its operation may count as lost");
                    return;
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
    }
}
