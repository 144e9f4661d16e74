//! Counts writings from a random place, so that programs which share a store never give two writings one revision.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Revision;

#[derive(Debug)]
pub(super) struct Revisions(AtomicU64);

impl Revisions {
    /// # Errors
    /// If the machine has no randomness to give.
    pub(super) fn from_a_random_place() -> std::io::Result<Self> {
        let place = getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self(AtomicU64::new(place)))
    }

    pub(super) fn next(&self) -> Revision {
        Revision(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
