//! How far a transactional call has come, for whoever has to say why it waits.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far one call has come; it never goes back, also where its handler runs again.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// It waits for a transaction.
    Queued,
    /// It has one, and waits for the record of its operation.
    Claiming,
    /// Its handler has begun.
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
