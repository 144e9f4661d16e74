//! Revisions counted from a random start, so that programs which share a store never use a revision twice.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Revision;

#[derive(Debug)]
pub(super) struct Revisions(AtomicU64);

impl Revisions {
    /// # Errors
    /// If the system provides no random numbers.
    pub(super) fn from_a_random_place() -> std::io::Result<Self> {
        let place = getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self(AtomicU64::new(place)))
    }

    pub(super) fn next(&self) -> Revision {
        Revision(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
