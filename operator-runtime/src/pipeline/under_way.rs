//! Which operations this process has taken up and not ended: a duplicate is told from a first call, and waits for it
//! here; another request under the same key is told from both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::operation::{Fingerprint, OperationId};

/// The calls of each operation that are under way.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<OperationId, Calls>>>);

/// The calls of one operation.
struct Calls {
    fingerprint: Fingerprint,
    count: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One call of an operation, under way until it is dropped.
pub(crate) struct TakenUp {
    under_way: UnderWay,
    id: OperationId,
    is_duplicate: bool,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The only call of its operation that goes on in this process, until it is dropped.
pub(crate) struct Turn<'t>(
    #[expect(dead_code, reason = "it is held, and that is all")] tokio::sync::MutexGuard<'t, ()>,
);

impl UnderWay {
    /// `None` where another request is under way under the same key: the store may learn of neither, so it cannot tell.
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
        // Nothing that can panic runs while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenUp {
    /// Whether another call of the operation was under way when this one came.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.is_duplicate
    }

    /// Waits for the calls of the operation that came before, so that a duplicate takes up nothing that others need.
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
