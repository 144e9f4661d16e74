//! Checks that a request's timestamp is close to the server's clock.

/// The largest accepted difference between a timestamp and now, in seconds, in both directions.
pub(crate) const TOLERANCE: u64 = 30;

/// Returns `None` if the timestamp is fresh. Otherwise returns its difference from now in seconds, which is negative if
/// the timestamp is in the past.
///
/// A timestamp in the future is refused too, because it would lengthen the time in which the request can be replayed.
pub(super) fn staleness(timestamp: u64, now: u64) -> Option<i128> {
    let difference = i128::from(timestamp) - i128::from(now);
    (difference.unsigned_abs() > u128::from(TOLERANCE)).then_some(difference)
}

#[cfg(test)]
mod tests {
    use super::staleness;

    #[test]
    fn at_most_thirty_seconds_in_both_directions_are_fresh() {
        assert_eq!(staleness(1_000, 1_030), None);
        assert_eq!(staleness(1_030, 1_000), None);
        assert_eq!(staleness(1_000, 1_031), Some(-31));
        assert_eq!(staleness(1_031, 1_000), Some(31));
        assert_eq!(staleness(u64::MAX, 0), Some(i128::from(u64::MAX)));
        assert_eq!(staleness(0, u64::MAX), Some(-i128::from(u64::MAX)));
    }
}
