//! The ages of a record, and whether a write resets them.

use std::time::Duration;

/// The ages of a record, by the clock of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Time since the record was last written, which is the last sign of life of its owner.
    pub since_written: Duration,
    /// Time since the operation was first seen.
    pub since_first_seen: Duration,
}

/// Whether a write resets the time at which the operation was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSeen {
    /// Keep the time in the record.
    Keep,
    /// The record had expired: the operation counts as first seen now.
    Reset,
}
