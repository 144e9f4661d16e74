//! Tests of the store in memory: the contract, its limit, and its count of allocated bytes.

mod limits;

use std::borrow::Cow;

use bytes::Bytes;

use super::*;
use crate::clock::ManualClock;
use crate::record::Settlement;
use crate::store::{Audit, Fingerprint, Origin, Response, State, contract};

fn store(limit: usize) -> (Arc<ManualClock>, MemoryStore) {
    let clock = Arc::new(ManualClock::at(Duration::from_secs(1_000_000)));
    (clock.clone(), MemoryStore::with(limit, clock))
}

#[tokio::test]
async fn the_contract_is_kept() {
    let (clock, store) = store(usize::MAX);
    contract::check(&store, async |by| clock.advance(by)).await;
    crate::support::proof::Row::of_the_contract("memory").record();
}

#[tokio::test]
async fn a_full_store_refuses_new_operations_until_a_sweep() {
    const MOST: usize = 100_000;
    /// The bytes by which a small table grows.
    const GROWTH: usize = 100;
    let record = Arc::new(Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default()));
    let (clock, store) = store(MOST);
    let claim = |key: usize| {
        let id = OperationId::new("tenant", &key.to_string());
        store.swap_now(Proposal {
            id,
            expected: None,
            new: Arc::clone(&record),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
    };
    let taken = (0..).find(|key| claim(*key).is_err()).unwrap();
    assert!(store.used.load(Ordering::Relaxed) <= MOST + GROWTH);
    let refused = claim(taken).unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }));
    let said = refused.to_string();
    assert!(
        said.contains("100000 bytes") && said.contains("OPERATOR_STORE"),
        "{said}"
    );
    assert!(
        matches!(claim(0), Ok(Swap::Held { .. })),
        "a full store must still answer with the records it holds"
    );
    clock.advance(Duration::from_secs(2));
    assert_eq!(
        store.sweep(Duration::from_secs(1), u32::MAX).await.unwrap() as usize,
        taken
    );
    // Fewer may fit than before, because a table grows before all slots of removed records are reused.
    let again = (0..).find(|key| claim(*key).is_err()).unwrap();
    assert!(
        again > taken * 9 / 10,
        "{again} fit after the sweep, and {taken} before it"
    );
}

/// Every kind of state, with responses of different sizes.
fn state(kind: usize, number: usize) -> State {
    let body = |length| Bytes::from(vec![b'x'; length].into_boxed_slice());
    let completed = |content_type, body| {
        State::Completed(Response {
            status: http::StatusCode::OK,
            content_type,
            body,
        })
    };
    match kind {
        0 => State::InProgress,
        1 => completed(Cow::Borrowed("application/json"), body(40 + number % 100)),
        2 => completed(Cow::Borrowed("application/json"), body(2_000 + number % 6_000)),
        3 => completed(
            Cow::Owned(format!("text/plain; charset=utf-8; part={number}")),
            body(200),
        ),
        4 => completed(Cow::Borrowed("application/json"), Bytes::new()),
        5 => State::Released,
        _ => State::Unknown,
    }
}

fn fill(store: &MemoryStore, kind: usize, numbers: std::ops::Range<usize>) {
    let fingerprint = || Fingerprint::from_bytes([7; 32]);
    for number in numbers {
        let key = format!("{number:032x}");
        let id = OperationId::new("tenant", &key);
        let origin = || Origin::new("refund_order", &key, "shop");
        let first = Record::first(fingerprint(), origin());
        let claimed = store.swap_now(Proposal {
            id,
            expected: None,
            new: Arc::new(first.clone()),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        });
        let Ok(Swap::Swapped(revision)) = claimed else {
            panic!("{claimed:?}")
        };
        let settlement = (kind == 6).then(|| {
            Arc::new(Settlement {
                by: format!("person {number}"),
                at: UNIX_EPOCH + Duration::from_secs(17),
            })
        });
        let ended = Record {
            state: state(kind, number),
            origin: origin(),
            settlement,
            ..first
        };
        let written = store.swap_now(Proposal {
            id,
            expected: Some(revision),
            new: Arc::new(ended),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        });
        assert!(matches!(written, Ok(Swap::Swapped(_))));
        // A replay shares the body.
        let held = store.swap_now(Proposal {
            id,
            expected: None,
            new: Arc::new(Record::first(fingerprint(), origin())),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        });
        if let Ok(Swap::Held { record, .. }) = held
            && let State::Completed(response) = &record.state
        {
            drop(response.body.clone());
        }
    }
}

/// Tests all kinds of records, and tables that have just grown or are about to grow.
#[test]
fn the_counted_bytes_match_the_allocated_bytes() {
    let holds = |store: &MemoryStore, allocated: i64, what: &str| {
        let counted = i64::try_from(store.used.load(Ordering::Relaxed)).unwrap();
        assert_eq!(counted, allocated, "{what}: counted and allocated bytes");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sweep = |store: &MemoryStore, limit| runtime.block_on(store.sweep(Duration::from_secs(1), limit)).unwrap();
    // Run once before the measurement, because the first hash and the first sweep may allocate memory that belongs to no
    // record.
    let _ = OperationId::new("tenant", "first");
    sweep(&store(0).1, 1);
    for kind in 0..=7 {
        for amount in [1, 60, 1_700, 1_900, 3_500] {
            let (_, store) = store(usize::MAX);
            let allocated = allocation_counter::measure(|| {
                if kind < 7 {
                    fill(&store, kind, 0..amount);
                } else {
                    (0..7).for_each(|kind| fill(&store, kind, kind * amount..(kind + 1) * amount));
                }
            });
            holds(
                &store,
                allocated.bytes_current,
                &format!("kind {kind}, {amount} records"),
            );
        }
    }
    // Sweep and fill again, to test freed memory and reused slots.
    let (clock, store) = store(usize::MAX);
    let mut allocated = 0;
    for round in 0..6 {
        let filled = allocation_counter::measure(|| fill(&store, 1, round * 2_000..(round + 1) * 2_000));
        clock.advance(Duration::from_secs(2));
        allocated += filled.bytes_current;
        holds(&store, allocated, "filled again");
        let swept = allocation_counter::measure(|| assert_eq!(sweep(&store, 1_800), 1_800));
        allocated += swept.bytes_current;
        holds(&store, allocated, "swept");
    }
}

/// Tests tables that are nearly full, and tables that have just grown.
#[test]
fn records_take_at_most_1_3_times_their_bytes() {
    for amount in (20_000..120_000).step_by(20_000) {
        let (_, store) = store(usize::MAX);
        let mut bytes = 0;
        for number in 0..amount {
            let id = OperationId::new("tenant", &number.to_string());
            let origin = Origin::new("refund_order", &number.to_string(), "shop");
            let mut record = Record::first(Fingerprint::from_bytes([7; 32]), origin);
            record.state = state(1, 60);
            // With the id, the revision and two times.
            bytes += record.encode().len() + 32 + 8 + 8 + 8;
            let written = store.swap_now(Proposal {
                id,
                expected: None,
                new: Arc::new(record),
                first_seen: FirstSeen::Keep,
                audit: Audit::Nothing,
            });
            assert!(matches!(written, Ok(Swap::Swapped(_))));
        }
        let taken = store.used.load(Ordering::Relaxed);
        assert!(
            taken <= bytes * 13 / 10,
            "{amount} records of {bytes} bytes take {taken}"
        );
    }
}

#[tokio::test]
async fn sweeps_in_batches_reach_every_shard() {
    let (clock, store) = store(usize::MAX);
    fill(&store, 0, 0..10_000);
    clock.advance(Duration::from_secs(2));
    let mut batches = 0;
    while store.sweep(Duration::from_secs(1), 300).await.unwrap() == 300 {
        batches += 1;
    }
    assert_eq!(batches, 10_000 / 300);
    assert_eq!(store.count(Duration::ZERO).await.unwrap().held, 0);
}
