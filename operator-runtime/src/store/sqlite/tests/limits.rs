//! Limits in SQLite: many values are swept, and the time of the file goes on in spite of a wrong wall clock.

use std::num::NonZeroU64;

use super::*;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::Limits as _;

fn asked(number: u64, operation: u64, window: Duration) -> Reservation {
    let mut value = [0; 32];
    value[..8].copy_from_slice(&number.to_be_bytes());
    Reservation {
        value: LimitedValue::from_bytes(value),
        holder: Holder {
            serial: NonZeroU64::MIN.saturating_add(operation),
            epoch: 1,
        },
        amount: 1,
        max: 1,
        window,
    }
}

async fn is_granted(store: &SqliteStore, asked: Reservation) -> bool {
    let answer = store.reserve(asked).await.expect("a working store reserves");
    matches!(answer, Reserved::Granted { .. })
}

async fn rows(store: &SqliteStore) -> i64 {
    let rows = store
        .reader()
        .read(|connection| connection.query_row("SELECT count(*) FROM operator_reservations", [], |row| row.get(0)));
    rows.await.expect("counts")
}

#[tokio::test]
async fn values_that_nobody_uses_any_more_are_swept() {
    const VALUES: u64 = 2_000;
    let file = File::new();
    let store = file.open();
    for number in 0..VALUES {
        assert!(is_granted(&store, asked(number, number, MINUTE)).await);
    }
    assert!(is_granted(&store, asked(VALUES, VALUES, HOUR)).await);
    assert!(!store.remove_ended(500).await.expect("sweeps"), "nothing has ended");
    assert_eq!(rows(&store).await, 2_001);
    file.clock.advance(MINUTE);
    let mut batches = 1;
    while store.remove_ended(500).await.expect("sweeps") {
        batches += 1;
    }
    assert!(batches >= 4, "{batches} batches");
    assert_eq!(rows(&store).await, 1, "one value is still in use");
}

/// Otherwise the only writer would be busy for seconds when a million of them have ended.
#[tokio::test]
async fn a_value_with_many_ended_reservations_is_swept_in_parts() {
    let file = File::new();
    let store = file.open();
    let asked = |operation: u64| Reservation {
        max: 1_000,
        amount: operation,
        ..asked(1, operation, HOUR)
    };
    for operation in 1..=20 {
        if operation == 11 {
            file.clock.advance(MINUTE * 30);
        }
        assert!(is_granted(&store, asked(operation)).await);
    }
    file.clock.advance(MINUTE * 30);
    for left in [16, 12] {
        assert!(store.remove_ended(4).await.expect("sweeps"));
        assert_eq!(rows(&store).await, left);
        let used = store.used(asked(1).value).await.expect("reads");
        assert_eq!(used, (11..=20).sum::<u64>(), "what has ended does not count");
    }
    assert!(!store.remove_ended(4).await.expect("sweeps"), "two have been left");
    assert_eq!(rows(&store).await, 10);
    // 155 of 1,000 are used, and this operation asks for all the rest.
    let rest = |amount| Reservation { amount, ..asked(30) };
    assert!(!is_granted(&store, rest(846)).await);
    assert!(is_granted(&store, rest(845)).await);
}

/// The first call after a day without calls would otherwise keep the only writer busy.
#[tokio::test]
async fn a_call_removes_only_a_part_of_what_has_ended() {
    let file = File::new();
    let store = file.open();
    let asked = |operation: u64, epoch: u32, amount: u64| {
        let mut asked = asked(1, operation, HOUR);
        (asked.amount, asked.max, asked.holder.epoch) = (amount, 2_000, epoch);
        asked
    };
    let used = async || store.used(asked(1, 1, 1).value).await.expect("reads");
    for operation in 0..1_200 {
        assert!(is_granted(&store, asked(operation, 1, 1)).await);
    }
    file.clock.advance(MINUTE * 59);
    assert!(is_granted(&store, asked(2_000, 1, 10)).await);
    file.clock.advance(MINUTE);
    let room = Reserved::Granted { anew: true };
    let answer = store.reserve(asked(1_199, 2, 5)).await.expect("reserves");
    assert_eq!(answer, room, "what has ended cannot be taken over, removed or not");
    assert_eq!((rows(&store).await, used().await), (1_200 - 500 + 2, 15));
    // Less than the rest is free before more of what has ended is removed.
    let answer = store.reserve(asked(2_001, 1, 1_986)).await.expect("reserves");
    assert!(matches!(answer, Reserved::Over { used: 15, .. }), "{answer:?}");
    assert_eq!((rows(&store).await, used().await), (2, 15));
    assert!(is_granted(&store, asked(2_001, 1, 1_985)).await);
    assert_eq!((rows(&store).await, used().await), (3, 2_000));
}

#[tokio::test]
async fn a_wall_clock_that_jumps_neither_opens_a_limit_nor_keeps_it_closed() {
    let file = File::new();
    let store = file.open();
    assert!(is_granted(&store, asked(1, 1, HOUR)).await);
    for wall in [DAY * 20_001, DAY * 19_999] {
        file.clock.jump_to(wall);
        let other = file.open();
        assert!(!is_granted(&other, asked(1, 2, HOUR)).await, "the hour is not over");
    }
    file.clock.advance(HOUR);
    assert!(is_granted(&store, asked(1, 2, HOUR)).await);
}

#[tokio::test]
async fn a_limit_is_kept_in_the_file() {
    let file = File::new();
    let store = file.open();
    assert!(is_granted(&store, asked(1, 1, HOUR)).await);
    store.close().await;
    let store = file.open();
    assert!(!is_granted(&store, asked(1, 2, HOUR)).await);
}

#[tokio::test]
async fn what_has_ended_does_not_count_after_an_attempt_that_reserves_nothing_more() {
    let file = File::new();
    let store = file.open();
    let of_attempt = |operation, epoch| {
        let mut asked = asked(1, operation, MINUTE * 2);
        asked.holder.epoch = epoch;
        asked.max = 2;
        asked
    };
    assert!(is_granted(&store, of_attempt(1, 1)).await);
    file.clock.advance(MINUTE);
    assert!(is_granted(&store, of_attempt(2, 2)).await);
    file.clock.advance(MINUTE);
    assert!(
        is_granted(&store, of_attempt(2, 2)).await,
        "the first operation no longer counts"
    );
    assert!(is_granted(&store, of_attempt(3, 1)).await);
}
