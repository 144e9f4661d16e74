//! The progress of a transactional call, so that an error can say what the call was waiting for.

use std::sync::atomic::{AtomicU8, Ordering};

/// The furthest stage that one call has reached. It never goes back, even if the handler runs again.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

/// What a call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Waiting for a transaction.
    Queued,
    /// Has a transaction, and waits for the record of its operation.
    Claiming,
    /// The handler has begun.
    Running,
}

impl Progress {
    pub(crate) fn reach(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::AcqRel);
    }

    pub(crate) fn stage(&self) -> Stage {
        let reached = self.0.load(Ordering::Acquire);
        let later = [Stage::Running, Stage::Claiming];
        later
            .into_iter()
            .find(|stage| *stage as u8 == reached)
            .unwrap_or(Stage::Queued)
    }
}
