//! The calls in progress in this process, by operation. A duplicate waits here for the first call of its operation; a
//! different request with the same idempotency key is detected here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::operation::{Fingerprint, OperationId};

/// The calls in progress, by operation.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<OperationId, Calls>>>);

/// The calls in progress of one operation.
struct Calls {
    fingerprint: Fingerprint,
    count: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One call of an operation. The call counts as in progress until this value is dropped.
pub(crate) struct TakenUp {
    under_way: UnderWay,
    id: OperationId,
    is_duplicate: bool,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The right of one call to run: until this value is dropped, every other call of the operation in this process waits.
pub(crate) struct Turn<'t>(
    #[expect(dead_code, reason = "the guard is held and never read")] tokio::sync::MutexGuard<'t, ()>,
);

impl UnderWay {
    /// Returns `None` if a different request with the same idempotency key is in progress. The store cannot detect this
    /// case, because it may not have a record of either request yet.
    pub(crate) fn take_up(&self, id: OperationId, fingerprint: Fingerprint) -> Option<TakenUp> {
        let mut operations = self.lock();
        let calls = operations.entry(id).or_insert_with(|| Calls {
            fingerprint,
            count: 0,
            turn: Arc::default(),
        });
        if calls.fingerprint != fingerprint {
            return None;
        }
        calls.count += 1;
        Some(TakenUp {
            under_way: self.clone(),
            id,
            is_duplicate: calls.count > 1,
            turn: Arc::clone(&calls.turn),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OperationId, Calls>> {
        // A poisoned map is still valid, because nothing that can panic runs while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenUp {
    /// Whether another call of the operation was in progress when this call arrived.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.is_duplicate
    }

    /// Waits for the earlier calls of the operation, so that a waiting duplicate does not occupy a store connection.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn(self.turn.lock().await)
    }
}

impl Drop for TakenUp {
    fn drop(&mut self) {
        let mut operations = self.under_way.lock();
        if let Some(calls) = operations.get_mut(&self.id) {
            calls.count -= 1;
            if calls.count == 0 {
                operations.remove(&self.id);
            }
        }
    }
}
