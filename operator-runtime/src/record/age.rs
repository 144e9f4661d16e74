//! How old a record is, and whether a write begins its time anew.

use std::time::Duration;

/// How old a record is, on the clock of the store that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Since it was last written: how long ago its owner last gave a sign of life.
    pub since_written: Duration,
    /// Since the operation was first seen.
    pub since_first_seen: Duration,
}

/// Whether a write begins the record's time anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSeen {
    /// The operation was first seen when the record says so.
    Keep,
    /// The record's time was over: the operation is first seen now.
    Reset,
}
