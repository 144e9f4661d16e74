//! The setters of `Settings`; `machine` has the defaults and the checks.

use std::time::Duration;

use super::machine::Settings;

impl Settings {
    /// How long a record is kept after the first call of its operation: 23 h at most. The default is one hour.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// How long an attempt counts as alive after it has last renewed its lease: at least twice
    /// [`renew_every`](Self::renew_every), and 60 s at most. The default is 15 s.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How often a running attempt renews its lease. The default is 5 s.
    #[must_use]
    pub fn renew_every(self, renew_every: Duration) -> Self {
        Self { renew_every, ..self }
    }

    /// How long a duplicate waits for the running attempt, and how long a transactional call waits for its transaction
    /// before its caller is told that the call has not begun: more than 0, and 60 s at most. The default is 10 s.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The longest body, in bytes, that is kept for retries. The default is 256 KiB.
    #[must_use]
    pub fn response_limit(self, bytes: usize) -> Self {
        Self {
            response_limit: bytes,
            ..self
        }
    }
}
