//! How the numbers of the rules are set; `machine` has their defaults and checks them.

use std::time::Duration;

use super::machine::Settings;

impl Settings {
    /// How long after an operation was first seen its record counts: 23 h at most. One hour unless set.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// How long an attempt is taken to be alive after its last sign of life: twice
    /// [`renew_every`](Self::renew_every) or more, and 60 s at most. 15 s unless set.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How often a running attempt gives a sign of life. 5 s unless set.
    #[must_use]
    pub fn renew_every(self, renew_every: Duration) -> Self {
        Self { renew_every, ..self }
    }

    /// How long a duplicate waits for the running attempt, and any transactional call for its turn at the store before
    /// it is told that it has not begun: 60 s at most, and more than nothing. 10 s unless set.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The longest body, in bytes, that is kept for retries. 256 KiB unless set.
    #[must_use]
    pub fn response_limit(self, bytes: usize) -> Self {
        Self {
            response_limit: bytes,
            ..self
        }
    }
}
