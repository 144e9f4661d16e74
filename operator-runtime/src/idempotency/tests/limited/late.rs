//! Attempts that go on in a later step, perhaps after their leases have run out.

use std::future::ready;

use super::super::reference::Ending;
use super::super::simulation::call::outcome;
use super::steps::Ends;
use super::{History, LEASE};
use crate::idempotency::lease::{Lease, LeaseError};

/// An attempt whose handler still runs.
pub(super) struct Late {
    pub(super) key: usize,
    pub(super) lease: Lease,
    /// Which parts are not given back if the attempt ends with "not now".
    pub(super) kept: [bool; 2],
    /// The number of the attempt among those of its key.
    pub(super) attempt: u32,
}

impl History<'_> {
    /// An attempt that has waited reserves. If another attempt has claimed the operation meanwhile, nothing may change.
    pub(super) async fn go_on(&mut self, ends: Ends) {
        let Some((key, mut lease)) = self.waiting.pop_front() else {
            return;
        };
        // The clock of the timers stands still.
        lease.held_at -= LEASE;
        if self.is_still_claimed(key, &lease).await {
            self.reach("reserved late");
            return self.run(key, lease, ends).await;
        }
        // A later attempt that is late makes the window of what an earlier one has reserved begin anew, and changes nothing
        // else. The naive rules do not know that.
        let operation = lease.record.serial.unwrap();
        let now = self.now();
        if lease.epoch() > 1 && self.reserved.iter().any(|one| one.is_held(operation, now)) {
            return;
        }
        match lease.reserve(ready(Ok(self.needs(key).to_vec()))).await {
            Err(LeaseError::Lost) => {
                self.reach("lost its lease before it reserved");
                lease.abandon();
            }
            Ok(Some(over)) => assert!(matches!(lease.complete(over).await, Err(LeaseError::Lost))),
            other => panic!("a lost attempt went on: {other:?}"),
        }
        // What was reserved is given back in the background.
        self.operations.settle_doubts().await;
    }

    async fn is_still_claimed(&self, key: usize, lease: &Lease) -> bool {
        let id = self.id(key);
        let page = self.operations.store().list(id..=id, None, 1).await.unwrap();
        page.records
            .iter()
            .any(|listed| listed.record.as_ref() == Ok(&*lease.record))
    }

    /// An attempt that was still running ends. If another attempt has begun meanwhile, nothing may change.
    pub(super) async fn end_late(&mut self, ending: Ending) {
        let Some(Late {
            key,
            lease,
            kept,
            attempt,
        }) = self.late.pop_front()
        else {
            return;
        };
        let operation = lease.record.serial.unwrap();
        let is_last = self.begun[&key] == attempt;
        match lease.complete(outcome(ending, 1)).await {
            Ok(_) => {
                assert!(is_last, "an attempt ended after another one had begun");
                self.reach("ended late");
                self.ended(operation, attempt, ending, kept);
            }
            Err(LeaseError::Lost) => self.reach("lost its lease"),
            Err(error) => panic!("{error}"),
        }
    }
}
