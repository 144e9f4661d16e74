//! The ages of a record, whether a write resets them, and the times that people read.

#[cfg(any(feature = "sqlite", feature = "redis"))]
use std::time::UNIX_EPOCH;
use std::time::{Duration, SystemTime};

/// The ages of a record, by the clock of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Time since the record was last written. A running attempt writes the record to renew its lease.
    pub since_written: Duration,
    /// Time since the operation was first seen.
    pub since_first_seen: Duration,
}

/// When a record was first seen and last written, for people. Each listing of an unchanged record has the same times, so
/// they are not computed from its ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When the operation was first seen.
    pub first_seen: SystemTime,
    /// When the record was last written.
    pub written: SystemTime,
}

/// The time of a store that counts milliseconds since 1970. A time that the machine cannot represent becomes 1970.
#[cfg(any(feature = "sqlite", feature = "redis"))]
pub(crate) fn at_milliseconds(milliseconds: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

/// Whether a write resets the time at which the operation was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSeen {
    /// Keep the stored time.
    Keep,
    /// The record had expired: the operation counts as first seen now.
    Reset,
}
