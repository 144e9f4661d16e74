//! The checks of a store that counts limits.

use std::num::NonZeroU64;
use std::time::Duration;

use futures_util::future::join_all;

use super::{HOUR, OperationId, SECOND};
use crate::limit::window::Window;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::Limits;

/// The largest maximum of a limit.
const MOST: u64 = (1 << 53) - 1;

pub(super) async fn check(limits: &dyn Limits, advance: &impl AsyncFn(Duration)) {
    the_sum_stays_within_the_maximum(limits).await;
    an_operation_counts_once(limits).await;
    a_late_attempt_gives_nothing_back(limits).await;
    a_late_reservation_counts_only_for_a_time(limits).await;
    everything_of_an_operation_is_given_back(limits).await;
    the_largest_amounts_are_exact(limits).await;
    every_step_is_as_the_model_says(limits).await;
    of_many_at_once_only_some_are_granted(limits).await;
    a_reservation_ends_with_its_window(limits, advance).await;
    sums_stay_exact_while_a_part_is_swept(limits, advance).await;
}

fn value(name: &str) -> LimitedValue {
    LimitedValue::from_bytes(*OperationId::new("store contract, limits", name).as_bytes())
}

fn holder(operation: u64, epoch: u32) -> Holder {
    Holder {
        serial: NonZeroU64::MIN.saturating_add(operation),
        epoch,
    }
}

fn asked(value: LimitedValue, holder: Holder, amount: u64, max: u64) -> Reservation {
    Reservation {
        value,
        holder,
        amount,
        max,
        window: HOUR,
    }
}

async fn reserve(limits: &dyn Limits, asked: Reservation) -> Reserved {
    limits.reserve(asked).await.expect("a working store reserves")
}

async fn give_back(limits: &dyn Limits, holder: Holder, value: Option<LimitedValue>) {
    limits
        .give_back(holder, value)
        .await
        .expect("a working store gives back");
}

async fn used(limits: &dyn Limits, value: LimitedValue) -> u64 {
    limits.used(value).await.expect("a working store says how much is used")
}

fn is_granted(answer: Reserved, anew: bool) -> bool {
    answer == Reserved::Granted { anew }
}

async fn the_sum_stays_within_the_maximum(limits: &dyn Limits) {
    let (one, other) = (value("sum"), value("another sum"));
    assert_eq!(used(limits, one).await, 0, "of an unknown value nothing is used");
    for operation in 0..2 {
        let answer = reserve(limits, asked(one, holder(operation, 1), 4, 10)).await;
        assert!(
            is_granted(answer, true),
            "what is within the maximum is granted: {answer:?}"
        );
    }
    let answer = reserve(limits, asked(one, holder(2, 1), 3, 10)).await;
    let is_told = matches!(answer, Reserved::Over { used: 8, room_in } if room_in > Duration::ZERO && room_in <= HOUR);
    assert!(
        is_told,
        "what is over the maximum is refused, with the sum and the time until there is room: {answer:?}"
    );
    assert_eq!(used(limits, one).await, 8, "a refused reservation changes nothing");
    let answer = reserve(limits, asked(one, holder(2, 1), 2, 10)).await;
    assert!(is_granted(answer, true), "the maximum itself is granted: {answer:?}");
    let answer = reserve(limits, asked(one, holder(3, 1), 1, 5)).await;
    assert!(
        matches!(answer, Reserved::Over { used: 10, .. }),
        "a lower maximum applies to what is already reserved: {answer:?}"
    );
    let answer = reserve(limits, asked(other, holder(3, 1), 10, 10)).await;
    assert!(is_granted(answer, true), "values are counted separately: {answer:?}");
}

async fn an_operation_counts_once(limits: &dyn Limits) {
    let value = value("once");
    let answer = reserve(limits, asked(value, holder(1, 1), 5, 10)).await;
    assert!(is_granted(answer, true), "{answer:?}");
    for _ in 0..2 {
        let answer = reserve(limits, asked(value, holder(1, 2), 5, 10)).await;
        assert!(
            is_granted(answer, false),
            "a later attempt takes over, however often it asks: {answer:?}"
        );
    }
    assert_eq!(used(limits, value).await, 5, "an operation counts once");
    let answer = reserve(limits, asked(value, holder(1, 3), 2, 1)).await;
    assert!(
        is_granted(answer, false),
        "what is reserved is enough, whatever the maximum is now: {answer:?}"
    );
    assert_eq!(
        used(limits, value).await,
        5,
        "a reservation is not reduced, because an attempt may have acted"
    );
    let answer = reserve(limits, asked(value, holder(1, 4), 11, 10)).await;
    assert!(
        matches!(answer, Reserved::Over { used: 5, .. }),
        "more than the maximum is refused: {answer:?}"
    );
    let answer = reserve(limits, asked(value, holder(1, 4), 10, 10)).await;
    assert!(
        is_granted(answer, false),
        "an operation may need more than before: {answer:?}"
    );
    assert_eq!(used(limits, value).await, 10);
}

async fn a_late_attempt_gives_nothing_back(limits: &dyn Limits) {
    let value = value("late");
    reserve(limits, asked(value, holder(1, 1), 5, 10)).await;
    reserve(limits, asked(value, holder(1, 2), 5, 10)).await;
    give_back(limits, holder(1, 1), Some(value)).await;
    give_back(limits, holder(2, 9), Some(value)).await;
    assert_eq!(
        used(limits, value).await,
        5,
        "an earlier attempt, or another operation, gives nothing back"
    );
    for _ in 0..2 {
        give_back(limits, holder(1, 2), Some(value)).await;
        assert_eq!(used(limits, value).await, 0, "what is given back does not count");
    }
    let answer = reserve(limits, asked(value, holder(2, 1), 10, 10)).await;
    assert!(is_granted(answer, true), "there is room again: {answer:?}");
}

/// A first attempt reserves after a later one. A store may count both until one of the two asks again.
async fn a_late_reservation_counts_only_for_a_time(limits: &dyn Limits) {
    let value = value("late reservation");
    for epoch in [1, 2, 3] {
        reserve(limits, asked(value, holder(1, 2), 5, 20)).await;
        reserve(limits, asked(value, holder(1, 1), 5, 20)).await;
        match epoch {
            3 => {
                let answer = reserve(limits, asked(value, holder(1, 3), 5, 20)).await;
                assert!(is_granted(answer, false), "a later attempt takes over: {answer:?}");
            }
            epoch => give_back(limits, holder(1, epoch), Some(value)).await,
        }
        let left = if epoch == 2 { 0 } else { 5 };
        assert_eq!(used(limits, value).await, left, "an operation counts once");
        let answer = reserve(limits, asked(value, holder(2, 1), 20 - left, 20)).await;
        assert!(is_granted(answer, true), "there is room for the rest: {answer:?}");
        let answer = reserve(limits, asked(value, holder(3, 1), 1, 20)).await;
        let is_told = matches!(answer, Reserved::Over { used: 20, .. });
        assert!(is_told, "there is no room for more: {answer:?}");
        for holder in [holder(1, 3), holder(2, 1)] {
            give_back(limits, holder, Some(value)).await;
        }
    }
}

async fn everything_of_an_operation_is_given_back(limits: &dyn Limits) {
    let values = [
        value("first of three"),
        value("second of three"),
        value("third of three"),
    ];
    for value in values {
        reserve(limits, asked(value, holder(70_000, 2), 3, 10)).await;
        reserve(limits, asked(value, holder(70_001, 1), 1, 10)).await;
    }
    give_back(limits, holder(70_000, 1), None).await;
    assert_eq!(
        used(limits, values[0]).await,
        4,
        "an earlier attempt gives nothing back"
    );
    give_back(limits, holder(70_000, 2), None).await;
    for value in values {
        assert_eq!(
            used(limits, value).await,
            1,
            "an operation gives back all that it has reserved, and nothing else"
        );
    }
}

async fn the_largest_amounts_are_exact(limits: &dyn Limits) {
    let value = value("large");
    let serial = NonZeroU64::MAX;
    let large = Holder {
        serial,
        epoch: u32::MAX,
    };
    assert!(is_granted(
        reserve(limits, asked(value, large, MOST - 1, MOST)).await,
        true
    ));
    assert!(is_granted(
        reserve(limits, asked(value, holder(1, 1), 1, MOST)).await,
        true
    ));
    let answer = reserve(limits, asked(value, holder(2, 1), 1, MOST)).await;
    assert!(
        matches!(answer, Reserved::Over { used: MOST, .. }),
        "the largest sum is exact: {answer:?}"
    );
    let answer = reserve(limits, asked(value, holder(2, 1), MOST, MOST)).await;
    assert!(
        matches!(answer, Reserved::Over { used: MOST, .. }),
        "no sum overflows: {answer:?}"
    );
    give_back(limits, large, Some(value)).await;
    assert_eq!(used(limits, value).await, 1);
}

/// A fixed history with many operations, attempts and amounts.
async fn every_step_is_as_the_model_says(limits: &dyn Limits) {
    let value = value("history");
    let mut model = Window::default();
    let mut seed = 1_u64;
    let mut below = |end: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % end
    };
    for step in 0..120 {
        // A first attempt asks once, because an operation with the same number would be the same operation.
        let (operation, epoch) = (below(12), 2 + u32::try_from(below(4)).unwrap_or(0));
        if below(4) == 0 {
            model.give_back(holder(operation, epoch));
            give_back(limits, holder(operation, epoch), Some(value)).await;
        } else {
            let asked = asked(value, holder(operation, epoch), 1 + below(6), 20);
            let (expected, answer) = (model.reserve(&asked, Duration::ZERO), reserve(limits, asked).await);
            let is_same = match (expected, answer) {
                (Reserved::Over { used: expected, .. }, Reserved::Over { used, .. }) => expected == used,
                (expected, answer) => expected == answer,
            };
            assert!(is_same, "step {step}: {answer:?} instead of {expected:?}");
        }
        assert_eq!(used(limits, value).await, model.used(Duration::ZERO), "step {step}");
    }
}

async fn of_many_at_once_only_some_are_granted(limits: &dyn Limits) {
    let value = value("at once");
    let asking = (0..24).map(|operation| reserve(limits, asked(value, holder(operation, 1), 3, 10)));
    let answers = join_all(asking).await;
    let granted = answers.into_iter().filter(|answer| is_granted(*answer, true)).count();
    assert_eq!(granted, 3, "each step on a value must be atomic");
    assert_eq!(used(limits, value).await, 9);
}

async fn a_reservation_ends_with_its_window(limits: &dyn Limits, advance: &impl AsyncFn(Duration)) {
    let (short, idle) = (value("short"), value("idle"));
    let brief = |value, operation| Reservation {
        window: SECOND * 4,
        ..asked(value, holder(operation, 1), 6, 10)
    };
    reserve(limits, brief(short, 1)).await;
    reserve(limits, brief(idle, 1)).await;
    let answer = reserve(limits, brief(short, 2)).await;
    assert!(
        matches!(answer, Reserved::Over { used: 6, room_in } if room_in <= SECOND * 4),
        "{answer:?}"
    );
    advance(SECOND * 5).await;
    assert_eq!(used(limits, short).await, 0, "what has ended does not count");
    let answer = reserve(limits, brief(short, 2)).await;
    assert!(is_granted(answer, true), "what has ended makes room: {answer:?}");
    let answer = reserve(limits, brief(idle, 1)).await;
    assert!(
        is_granted(answer, true),
        "a reservation that has ended cannot be taken over: {answer:?}"
    );
    advance(SECOND * 5).await;
    reserve(limits, brief(short, 3)).await;
    while limits.remove_ended(100).await.expect("a working store sweeps") {}
    assert_eq!(used(limits, short).await, 6, "a sweep removes nothing that counts");
    assert_eq!(used(limits, idle).await, 0);
    let answer = reserve(limits, brief(idle, 4)).await;
    assert!(is_granted(answer, true), "{answer:?}");
}

/// More of each value has ended than one sweep removes.
async fn sums_stay_exact_while_a_part_is_swept(limits: &dyn Limits, advance: &impl AsyncFn(Duration)) {
    const ENDED: u64 = 7;
    let values = ["one", "two", "three", "four"].map(|name| value(&format!("swept in parts, {name}")));
    for value in values {
        for operation in 1..=ENDED {
            let brief = Reservation {
                window: SECOND * 4,
                ..asked(value, holder(operation, 1), operation, 100)
            };
            let answer = reserve(limits, brief).await;
            assert!(is_granted(answer, true), "{answer:?}");
        }
        reserve(limits, asked(value, holder(ENDED + 1, 1), 10, 100)).await;
    }
    advance(SECOND * 5).await;
    let mut reserved = 0;
    let mut is_swept = false;
    while !is_swept {
        is_swept = !limits.remove_ended(3).await.expect("a working store sweeps");
        for (at, value) in values.into_iter().enumerate() {
            let expected = if at < reserved { 100 } else { 10 };
            assert_eq!(used(limits, value).await, expected, "a sweep changes no sum");
        }
        // Each part is swept before another value is asked for, because a reservation may end what has ended of its value.
        if let Some(value) = values.get(reserved) {
            is_exactly_used(limits, *value, 10).await;
            reserved += 1;
        }
    }
    for value in values.into_iter().skip(reserved) {
        is_exactly_used(limits, value, 10).await;
    }
    for value in values {
        for (operation, left) in [(20, 10), (ENDED + 1, 0)] {
            give_back(limits, holder(operation, 2), Some(value)).await;
            assert_eq!(
                used(limits, value).await,
                left,
                "what is left is exact after all is swept"
            );
        }
    }
}

/// Of 100, this much is used: the rest is granted, to operation 20, and no more than the rest.
async fn is_exactly_used(limits: &dyn Limits, value: LimitedValue, sum: u64) {
    let answer = reserve(limits, asked(value, holder(20, 1), 101 - sum, 100)).await;
    let is_told = matches!(answer, Reserved::Over { used, .. } if used == sum);
    assert!(is_told, "what has ended does not count, swept or not: {answer:?}");
    let answer = reserve(limits, asked(value, holder(20, 2), 100 - sum, 100)).await;
    assert!(
        is_granted(answer, true),
        "what has ended makes room, swept or not: {answer:?}"
    );
}
