//! Which operations this process has taken up and not ended, so that a duplicate is told from a first call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::idempotency::operation::OperationId;

/// How many calls of each operation are under way.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<OperationId, usize>>>);

/// One call of an operation, under way until it is dropped.
pub(crate) struct TakenUp {
    under_way: UnderWay,
    id: OperationId,
    is_duplicate: bool,
}

impl UnderWay {
    pub(crate) fn take_up(&self, id: OperationId) -> TakenUp {
        let mut calls = self.lock();
        let of_this = calls.entry(id).or_default();
        let is_duplicate = *of_this > 0;
        *of_this += 1;
        TakenUp {
            under_way: self.clone(),
            id,
            is_duplicate,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OperationId, usize>> {
        // Nothing that can panic runs while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenUp {
    /// Whether another call of the operation was under way when this one came.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.is_duplicate
    }
}

impl Drop for TakenUp {
    fn drop(&mut self) {
        let mut calls = self.under_way.lock();
        if let Some(of_this) = calls.get_mut(&self.id) {
            *of_this -= 1;
            if *of_this == 0 {
                calls.remove(&self.id);
            }
        }
    }
}
