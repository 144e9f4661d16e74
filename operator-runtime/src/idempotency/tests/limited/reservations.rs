//! The rules of one limit once more, without care for speed.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

/// What is reserved of one limit: by operation, the amount, and when the reservation ends. Nothing is removed because of
/// its age, and each query reads all entries.
#[derive(Default)]
pub(super) struct Reservations(pub(super) BTreeMap<NonZeroU64, (u64, Duration)>);

impl Reservations {
    pub(super) fn is_held(&self, operation: NonZeroU64, now: Duration) -> bool {
        self.0.get(&operation).is_some_and(|(_, ends)| *ends > now)
    }

    pub(super) fn used(&self, now: Duration) -> u64 {
        let live = self.0.values().filter(|(_, ends)| *ends > now);
        live.map(|(amount, _)| amount).sum()
    }
}
