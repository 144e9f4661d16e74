//! Limits: how often, or for how much, an endpoint may act within a window of time, and what its operations reserve of it.

pub(crate) mod sentence;
#[cfg(test)]
mod tests;
pub(crate) mod window;

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::record::operation::hash;

/// A limit of an endpoint, as `#[operator(limit(…))]` declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub counted: Counted,
    /// The largest count within the window: 1 to 2⁵³ − 1.
    pub max: u64,
    /// The names of the inputs with whose values the limit is counted separately.
    pub per: &'static [&'static str],
    /// How long an operation counts: 1 s to 31 days.
    pub window: Duration,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The calls.
    Calls,
    /// The values of the input with this name.
    Sum(&'static str),
}

impl Limit {
    /// The number that names what the limit counts for these callers.
    ///
    /// The largest count is not part of it, so that a changed maximum applies to what is already reserved. The window is,
    /// because the reservations of a limit all last equally long.
    pub(crate) fn value(&self, tenant: &str, endpoint: &str, per: &str) -> LimitedValue {
        let counted = match self.counted {
            Counted::Calls => "",
            Counted::Sum(input) => input,
        };
        let window = self.window.as_millis().to_string();
        LimitedValue(hash([tenant, endpoint, counted, &window, per].map(str::as_bytes)))
    }
}

/// Names what one limit counts: SHA-256 over tenant, endpoint, limit, and the values of the inputs in `per`. Its size
/// does not depend on the size of the inputs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitedValue([u8; 32]);

impl LimitedValue {
    /// The 32 bytes under which a store keeps the count.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The limited value that these bytes name.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for LimitedValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The attempt at an operation that reserves a part of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The number of the operation, from its record. A later operation with the same id has another number, because its
    /// reservations count in addition.
    pub serial: NonZeroU64,
    /// The number of the attempt. As with records, an earlier attempt changes nothing that a later one has reserved.
    pub epoch: u32,
}

/// A part of a limit that an operation needs before its handler may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// What is counted.
    pub value: LimitedValue,
    /// Who asks.
    pub holder: Holder,
    /// How much is asked for: 1 to `max`.
    pub amount: u64,
    /// The largest sum of all reservations that have not ended: at most 2⁵³ − 1, so that no sum overflows, not even in
    /// Lua.
    pub max: u64,
    /// How long the reservation lasts, by the store's clock.
    pub window: Duration,
}

/// The answer to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The operation may act.
    Granted {
        /// Whether nothing was reserved for the operation before. If an earlier attempt has reserved it, the attempt may
        /// also have acted.
        anew: bool,
    },
    /// Nothing has changed, because the sum would exceed the maximum.
    Over {
        /// How much is reserved.
        used: u64,
        /// The time until there is room for this reservation, at the latest.
        room_in: Duration,
    },
}
