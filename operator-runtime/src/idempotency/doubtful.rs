//! Doubtful claims: the store reported a failed write, but may have stored the claim nevertheless. No handler has run
//! under such a claim, so the claim is released.

use std::sync::Arc;
use std::time::Duration;

use super::lease::Lease;
use super::operations::Shared;
use crate::clock::timer_now;
use crate::record::operation::OperationId;
use crate::record::{FirstSeen, Record, State};
use crate::store::{Audit, Proposal, Revision, StoreError, Swap};

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
    /// Whether a renewal of this claim was not answered, so that the store may have another revision of it.
    is_renewed: bool,
    released: Arc<Record>,
}

impl NotAdmitted {
    /// Returns the error for the caller, and releases a doubtful claim in the background.
    pub(crate) fn take_back(self) -> StoreError {
        if let Some(claim) = self.claim {
            let tracker = claim.operations.unfinished.clone();
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
                is_renewed: false,
                released: Arc::new(Record {
                    state: State::Released,
                    ..written.clone()
                }),
            })
        })
    }

    /// The claim of an attempt whose handler has not started and will not start.
    pub(super) fn of_lease(lease: &Lease) -> Box<Self> {
        Box::new(Self {
            operations: Arc::clone(&lease.operations),
            id: lease.id,
            revision: lease.revision,
            is_renewed: lease.in_doubt,
            released: lease.record(State::Released),
        })
    }

    /// Releases the operation if the store has this claim, or a renewal of it. No other write has this claim's revision, so
    /// a running attempt is never touched. While the store is unavailable, this function tries again for as long as one
    /// lease.
    pub(super) async fn take_back(mut self: Box<Self>) {
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
                Ok(Swap::Held { revision, record, .. }) if self.is_renewed && self.is_own(&record) => {
                    (self.revision, self.is_renewed) = (revision, false);
                    continue;
                }
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

    /// Whether a renewal of this claim has written this record. No other operation has its serial number.
    fn is_own(&self, held: &Record) -> bool {
        let claimed = Record {
            state: State::InProgress,
            ..Record::clone(&self.released)
        };
        held.serial.is_some() && *held == claimed
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::idempotency::admission::{Asked, Claim};
    use crate::idempotency::effect::Effect;
    use crate::idempotency::machine::Settings;
    use crate::idempotency::operations::Operations;
    use crate::meter::CallMeter;
    use crate::record::operation::{Fingerprint, Origin};
    use crate::store::{MemoryStore, Store, Swap};

    /// Otherwise a person would have to find out what the operation has done, although its handler has not started.
    #[tokio::test]
    async fn an_abandoned_claim_is_released_even_if_the_answer_to_its_renewal_was_lost() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let operations = Operations::new(Arc::clone(&store), Settings::default());
        let id = OperationId::new("shop", "key");
        let first = Arc::new(Record {
            serial: Some(NonZeroU64::MIN),
            ..Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default())
        });
        let asked = Asked {
            id,
            first: &first,
            effect: Effect::AtMostOnce,
            max_execution: Duration::from_secs(30),
            longest_wait: Duration::ZERO,
            meter: &CallMeter::of("refund_order"),
            draft: &None,
        };
        let Claim::Run(mut lease) = operations.admit(&asked).await.unwrap() else {
            panic!("the first call runs");
        };
        let renewal = Proposal {
            id,
            expected: Some(lease.revision),
            new: lease.record(State::InProgress),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        };
        assert!(matches!(store.swap(renewal).wait().await, Ok(Swap::Swapped(_))));
        lease.in_doubt = true;
        lease.abandon();
        operations.settle_doubts().await;
        let listed = store.list(id..=id, None, 1).await.unwrap();
        assert_eq!(listed.records[0].record.as_ref().unwrap().state, State::Released);
    }
}
