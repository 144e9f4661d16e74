//! Whether a request's timestamp is near enough to now.

/// How far a timestamp may lie from now, either way, in seconds.
pub(crate) const TOLERANCE: u64 = 30;

/// How many seconds too far the stamp lies: ahead of now if positive, behind it if negative; `None` where it is fresh.
///
/// The caller's own logic only looks back; a stamp from the future would lengthen the time in which it can be replayed.
pub(super) fn staleness(timestamp: u64, now: u64) -> Option<i128> {
    let difference = i128::from(timestamp) - i128::from(now);
    (difference.unsigned_abs() > u128::from(TOLERANCE)).then_some(difference)
}

#[cfg(test)]
mod tests {
    use super::staleness;

    #[test]
    fn thirty_seconds_either_way_are_fresh_and_no_more() {
        assert_eq!(staleness(1_000, 1_030), None);
        assert_eq!(staleness(1_030, 1_000), None);
        assert_eq!(staleness(1_000, 1_031), Some(-31));
        assert_eq!(staleness(1_031, 1_000), Some(31));
        assert_eq!(staleness(u64::MAX, 0), Some(i128::from(u64::MAX)));
        assert_eq!(staleness(0, u64::MAX), Some(-i128::from(u64::MAX)));
    }
}
