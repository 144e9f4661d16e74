//! The ages of a record, and whether a write resets them.

use std::time::Duration;

/// The ages of a record, by the clock of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Time since the record was last written. A running attempt writes the record to renew its lease.
    pub since_written: Duration,
    /// Time since the operation was first seen.
    pub since_first_seen: Duration,
}

/// Whether a write resets the time at which the operation was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSeen {
    /// Keep the stored time.
    Keep,
    /// The record had expired: the operation counts as first seen now.
    Reset,
}
