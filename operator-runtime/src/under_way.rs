//! Which operations this process has taken up and not ended, so that a duplicate is told from a first call, and from
//! another request under the same key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::idempotency::operation::{Fingerprint, OperationId};

/// What each operation that is under way is asked for, and by how many calls.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<OperationId, (Fingerprint, usize)>>>);

/// One call of an operation, under way until it is dropped.
pub(crate) struct TakenUp {
    under_way: UnderWay,
    id: OperationId,
    is_duplicate: bool,
}

impl UnderWay {
    /// `None` where another request is under way under the same key: the store may learn of neither, so it cannot tell.
    pub(crate) fn take_up(&self, id: OperationId, fingerprint: Fingerprint) -> Option<TakenUp> {
        let mut calls = self.lock();
        let (asked, of_this) = calls.entry(id).or_insert((fingerprint, 0));
        if *asked != fingerprint {
            return None;
        }
        let is_duplicate = *of_this > 0;
        *of_this += 1;
        Some(TakenUp {
            under_way: self.clone(),
            id,
            is_duplicate,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OperationId, (Fingerprint, usize)>> {
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
        if let Some((_, of_this)) = calls.get_mut(&self.id) {
            *of_this -= 1;
            if *of_this == 0 {
                calls.remove(&self.id);
            }
        }
    }
}
