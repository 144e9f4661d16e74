//! Records in a Redis server, which the tests start, freeze, kill and restart.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod cluster;
mod demoted;
mod sentinel;
mod unconfirmed;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operator_runtime::http::StatusCode;
use operator_runtime::store::{
    Audit, Fingerprint, FirstSeen, Holder, LimitedValue, OperationId, Origin, Proposal, Record, RedisStore,
    Reservation, Reserved, Response, Revision, State, Store, StoreError, Swap, contract,
};
use tests::proof::Row;
use tests::services::{Redis, free_port};

const KEPT: &[(&str, &str)] = &[("appendonly", "yes"), ("appendfsync", "always")];

fn id(key: &str) -> OperationId {
    OperationId::new("tenant", key)
}

fn record(state: State) -> Arc<Record> {
    let mut record = Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default());
    record.state = state;
    Arc::new(record)
}

async fn claim(store: &RedisStore, key: &str) -> Result<Swap, StoreError> {
    store
        .swap(Proposal {
            id: id(key),
            expected: None,
            new: record(State::InProgress),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
        .wait()
        .await
}

/// Claims until enough replicas have confirmed the claim. The store itself waits only a second for them.
async fn confirmed(store: &RedisStore, key: &str) -> Swap {
    let begun = Instant::now();
    loop {
        match claim(store, key).await {
            Ok(swap) => return swap,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(15), "{error}"),
        }
    }
}

async fn release(store: &RedisStore, key: &str, expected: Revision) -> Result<Swap, StoreError> {
    store
        .swap(Proposal {
            id: id(key),
            expected: Some(expected),
            new: record(State::Released),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
        .wait()
        .await
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    // Redis uses its own clock, which a test cannot set. So the contract waits for real time to pass.
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
    Row::of_the_contract("Redis").record();
}

/// Otherwise the first call after a quiet day would block the server.
#[tokio::test]
async fn a_call_removes_only_a_part_of_what_has_ended_of_limits() {
    const WINDOW: Duration = Duration::from_secs(5);
    let redis = Redis::start(&[]);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let limits = store.limits().unwrap();
    let value = LimitedValue::from_bytes([b'v'; 32]);
    let asked = |operation: u64, amount, window| Reservation {
        value,
        holder: Holder {
            serial: NonZeroU64::new(operation).unwrap(),
            epoch: 1,
        },
        amount,
        max: 2_000,
        window,
    };
    for operation in 1..=1_200 {
        limits.reserve(asked(operation, 1, WINDOW)).await.unwrap();
    }
    // A key expires with its newest reservation, so this one keeps the others.
    limits.reserve(asked(2_000, 10, WINDOW * 1000)).await.unwrap();
    while limits.used(value).await.unwrap() > 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let held = || {
        let fields = redis.ask(&format!("HLEN operator-limit:{}", "v".repeat(32)));
        // Two fields for each reservation, and three for the value.
        (fields.trim_start_matches(':').parse::<i64>().unwrap() - 3) / 2
    };
    let before = held();
    let mut again = asked(1_200, 5, WINDOW * 1000);
    again.holder.epoch = 2;
    let answer = limits.reserve(again).await.unwrap();
    let is_anew = answer == Reserved::Granted { anew: true };
    assert!(
        is_anew,
        "what has ended cannot be taken over, removed or not: {answer:?}"
    );
    // The reservation that has ended is replaced, and 500 others are removed.
    assert_eq!((before - held(), limits.used(value).await.unwrap()), (500, 15));
    // Less than the rest is free before more of what has ended is removed.
    let answer = limits.reserve(asked(2_001, 1_986, WINDOW * 1000)).await.unwrap();
    assert!(matches!(answer, Reserved::Over { used: 15, .. }), "{answer:?}");
    assert_eq!((held(), limits.used(value).await.unwrap()), (2, 15));
    let answer = limits.reserve(asked(2_001, 1_985, WINDOW * 1000)).await.unwrap();
    assert!(matches!(answer, Reserved::Granted { .. }), "{answer:?}");
    for operation in [1_200, 2_000, 2_001] {
        let mut holder = asked(operation, 1, WINDOW).holder;
        holder.epoch = 2;
        limits.give_back(holder, Some(value)).await.unwrap();
    }
    assert_eq!(limits.used(value).await.unwrap(), 0);
    assert_eq!(redis.ask("DBSIZE"), ":0", "nothing is left of a value that is not used");
}

#[tokio::test]
async fn start_up_warns_of_records_that_are_lost_without_an_append_only_file() {
    let careless = Redis::start(&[("maxmemory", "50mb"), ("maxmemory-policy", "allkeys-lru")]);
    let warning = RedisStore::connect(&careless.url()).await.unwrap().warning().unwrap();
    assert!(
        warning.contains("appendonly yes") && warning.contains("noeviction"),
        "{warning}"
    );
    let by_the_second = Redis::start(&[("appendonly", "yes")]);
    let store = RedisStore::connect(&by_the_second.url()).await.unwrap();
    let warning = store.warning().unwrap();
    assert!(
        warning.contains("appendfsync everysec") && warning.contains("appendfsync always"),
        "{warning}"
    );
    let careful = Redis::start(KEPT);
    let store = RedisStore::connect(&careful.url()).await.unwrap();
    assert_eq!(store.warning(), None);
}

#[tokio::test]
async fn away_it_refuses_and_back_it_goes_on_with_what_it_kept() {
    let mut redis = Redis::start(KEPT);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let Ok(Swap::Swapped(revision)) = claim(&store, "kept").await else {
        panic!("not claimed")
    };
    redis.kill();
    let error = claim(&store, "refused").await.unwrap_err();
    // If the first call's write was sent before the connection was lost, its outcome is unconfirmed.
    assert!(
        matches!(error, StoreError::Unavailable { .. } | StoreError::Unconfirmed { .. }),
        "{error}"
    );
    let error = claim(&store, "refused").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    redis.restart();
    let again = claim(&store, "kept").await.unwrap();
    assert!(
        matches!(again, Swap::Held { revision: held, .. } if held == revision),
        "{again:?}"
    );
    assert!(matches!(claim(&store, "refused").await.unwrap(), Swap::Swapped(_)));
}

#[tokio::test]
async fn a_connection_that_was_cut_is_replaced_within_the_call() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    assert_eq!(redis.ask("SCRIPT FLUSH"), "+OK");
    assert!(
        matches!(claim(&store, "1").await.unwrap(), Swap::Swapped(_)),
        "the script is loaded again"
    );
    let _ = redis.ask("CLIENT KILL TYPE normal");
    assert!(
        matches!(claim(&store, "2").await.unwrap(), Swap::Swapped(_)),
        "the store connects again"
    );
}

#[tokio::test]
async fn a_frozen_server_is_given_up_on_in_time() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let frozen = redis.freeze();
    let answer = tokio::time::timeout(Duration::from_secs(20), claim(&store, "1")).await;
    drop(frozen);
    assert!(matches!(answer.unwrap(), Err(StoreError::Unconfirmed { .. })));
}

#[tokio::test]
async fn a_record_expires_when_it_no_longer_counts_and_reading_it_changes_nothing() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    store.keep_for(Duration::from_secs(6));
    let Ok(Swap::Swapped(revision)) = claim(&store, "1").await else {
        panic!("not claimed")
    };
    // This is well before the record expires.
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Held { .. }));
    tokio::time::sleep(Duration::from_millis(6_100)).await;
    assert_eq!(release(&store, "1", revision).await.unwrap(), Swap::Gone);
}

#[tokio::test]
async fn a_write_that_no_replica_confirms_is_not_answered_as_done() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&format!("{}?wait=1", redis.url())).await.unwrap();
    let error = claim(&store, "1").await.unwrap_err();
    assert!(error.to_string().contains("0 of 1 replicas"), "{error}");
    let StoreError::Unconfirmed { revision, .. } = error else {
        panic!("the error should say that the record was written: {error}")
    };
    let unconfirmed = claim(&store, "1").await.unwrap_err().to_string();
    assert!(unconfirmed.contains("0 of 1 replicas"), "{unconfirmed}");
    let replica = redis.replica();
    let held = confirmed(&store, "1").await;
    assert!(
        matches!(held, Swap::Held { revision: held, .. } if held == revision),
        "{held:?}"
    );
    confirmed(&store, "2").await;
    // `WAIT` alone waits only for the writes of its own connection.
    let other = RedisStore::connect(&format!("{}?wait=1", redis.url())).await.unwrap();
    let frozen = replica.freeze();
    assert!(matches!(claim(&store, "3").await, Err(StoreError::Unconfirmed { .. })));
    let error = claim(&other, "3").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    drop(frozen);
    // Touching a record must not remove it, not even if it never expires.
    let persist = "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('PERSIST', key) end return 1";
    assert_eq!(redis.ask(&format!("EVAL \"{persist}\" 0")), ":1");
    for _ in 0..2 {
        assert!(matches!(confirmed(&other, "3").await, Swap::Held { .. }));
    }
}

#[tokio::test]
async fn counting_records_transfers_no_answers() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let answer = Response::new(StatusCode::OK, "text/plain", vec![b'a'; 200 * 1024].into());
    for key in 0..10 {
        let id = id(&key.to_string());
        let completed = record(State::Completed(answer.clone()));
        let swap = store
            .swap(Proposal {
                id,
                expected: None,
                new: completed,
                first_seen: FirstSeen::Keep,
                audit: Audit::Nothing,
            })
            .wait()
            .await;
        assert!(matches!(swap.unwrap(), Swap::Swapped(_)));
    }
    let sent = || {
        let figure = r#"EVAL "return string.match(redis.call('INFO', 'stats'), 'total_net_output_bytes:(%d+)')" 0"#;
        redis.ask(figure).parse::<u64>().unwrap()
    };
    let before = sent();
    assert_eq!(store.count(Duration::ZERO).await.unwrap().held, 10);
    let sent = sent() - before;
    assert!(sent < 10 * 1024, "{sent} bytes");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let redis = Redis::start(&[("requirepass", "right")]);
    let address = format!("redis://:hunter2@127.0.0.1:{}", redis.port);
    let error = RedisStore::connect(&address).await.unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    RedisStore::connect(&address.replace("hunter2", "right")).await.unwrap();
}

#[tokio::test]
async fn a_cluster_of_one_takes_it() {
    // The port of the cluster bus. By default it would be the server's port plus 10,000, which may not be free.
    let bus = free_port().to_string();
    let redis = Redis::start(&[("cluster-enabled", "yes"), ("cluster-port", &bus)]);
    assert_eq!(redis.ask("CLUSTER ADDSLOTSRANGE 0 16383"), "+OK");
    while redis.ask("SET ready 1") != "+OK" {
        tokio::task::yield_now().await;
    }
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Swapped(_)));
}
