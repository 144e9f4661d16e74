//! Limits in memory: their count is part of the store's limit, and a sweep makes room.

use std::num::NonZeroU64;

use super::*;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};

#[tokio::test]
async fn a_million_values_take_no_more_memory_than_the_store_may_have() {
    const MOST: usize = 1024 * 1024;
    let (clock, store) = store(MOST);
    let reserve = async |number: u64| {
        let mut value = [0; 32];
        value[24..].copy_from_slice(&number.to_be_bytes());
        let asked = Reservation {
            value: LimitedValue::from_bytes(value),
            holder: Holder {
                serial: NonZeroU64::MIN.saturating_add(number),
                epoch: 1,
            },
            amount: 1,
            max: 1,
            window: Duration::from_secs(60),
        };
        store.reserve(asked).await
    };
    let mut granted = 0;
    for number in 0..1_000_000 {
        match reserve(number).await {
            Ok(Reserved::Granted { anew: true }) => granted += 1,
            other => assert!(matches!(other, Err(StoreError::Full { .. })), "{other:?}"),
        }
    }
    assert!((1_000..100_000).contains(&granted), "{granted} values fit");
    clock.advance(Duration::from_secs(60));
    while store.remove_ended(500).await.unwrap() {}
    assert_eq!(store.used.load(Ordering::Relaxed), 0);
    assert!(reserve(1_000_000).await.is_ok());
}

#[tokio::test]
async fn a_value_with_many_ended_reservations_is_swept_in_parts() {
    let (clock, store) = store(1024 * 1024);
    let asked = |value, operation| Reservation {
        value: LimitedValue::from_bytes([value; 32]),
        holder: Holder {
            serial: NonZeroU64::MIN.saturating_add(operation),
            epoch: 1,
        },
        amount: 1,
        max: 100,
        window: Duration::from_secs(60),
    };
    for (value, operations) in [(1, 1), (2, 10), (3, 2)] {
        for operation in 0..operations {
            store.reserve(asked(value, operation)).await.unwrap();
        }
    }
    clock.advance(Duration::from_secs(60));
    let used = store.used.load(Ordering::Relaxed);
    for sweep in 1..=3 {
        assert!(store.remove_ended(4).await.unwrap(), "sweep {sweep} of 13 reservations");
    }
    assert!(
        store.used.load(Ordering::Relaxed) < used,
        "values that are empty are removed"
    );
    assert!(!store.remove_ended(4).await.unwrap(), "one has been left");
    assert_eq!(store.used.load(Ordering::Relaxed), 0);
}
