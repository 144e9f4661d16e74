//! The server behind one address becomes a replica, or freezes, and another server takes its place. Calls reach the new
//! primary without a restart of the program.

use std::time::{Duration, Instant};

use operator_runtime::store::{RedisStore, Store as _, StoreError, Swap};
use tests::moving::MovingAddress;
use tests::services::Redis;

use crate::{KEPT, claim, confirmed};

/// How soon a claim must succeed after a replica was promoted.
const SOON: Duration = Duration::from_secs(15);

/// Claims with new keys until a claim succeeds, and returns how long that took. Until then, each claim is refused
/// before it is written.
async fn until_claimed(store: &RedisStore, name: &str) -> Duration {
    let begun = Instant::now();
    for number in 0.. {
        match claim(store, &format!("{name}-{number}")).await {
            Ok(_) => break,
            Err(StoreError::Unavailable { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(begun.elapsed() < SOON, "no claim is made");
    }
    begun.elapsed()
}

/// Makes a replica the primary, and the old primary its replica.
fn change_roles(primary: &Redis, replica: &Redis) {
    assert_eq!(replica.ask("REPLICAOF NO ONE"), "+OK");
    assert_eq!(primary.ask(&format!("REPLICAOF 127.0.0.1 {}", replica.port)), "+OK");
}

async fn connect(address: &MovingAddress) -> RedisStore {
    let url = format!("redis://127.0.0.1:{}", address.port);
    RedisStore::connect(&url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_server_is_left_although_it_keeps_its_connections() {
    let first = Redis::start(KEPT);
    let second = first.replica();
    let address = MovingAddress::to(first.port);
    let store = connect(&address).await;
    let Ok(Swap::Swapped(revision)) = claim(&store, "before").await else {
        panic!("not claimed")
    };
    first.wait_until_copied_to(&second);
    change_roles(&first, &second);
    address.move_to(second.port);
    until_claimed(&store, "after").await;
    let held = claim(&store, "before").await.unwrap();
    assert!(
        matches!(held, Swap::Held { revision: held, .. } if held == revision),
        "{held:?}"
    );
    assert_eq!(second.ask("DBSIZE"), ":2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_lost_its_replicas_is_left_although_it_accepts_writes() {
    let first = Redis::start(KEPT);
    let second = first.replica();
    let address = MovingAddress::to(first.port);
    let url = format!("redis://127.0.0.1:{}?wait=1", address.port);
    let store = RedisStore::connect(&url).await.unwrap();
    confirmed(&store, "before").await;
    assert_eq!(second.ask("REPLICAOF NO ONE"), "+OK");
    let _third = second.replica();
    address.move_to(second.port);
    let begun = Instant::now();
    while let Err(error) = claim(&store, "after").await {
        assert!(begun.elapsed() < SOON, "no claim is made: {error}");
    }
    assert_eq!(second.ask("DBSIZE"), ":2");
}

/// Waits until a probe of the store succeeds, or until it fails.
async fn until_probed(store: &RedisStore, succeeds: bool, why: &str) {
    let begun = Instant::now();
    while store.ping().await.is_ok() != succeeds {
        assert!(begun.elapsed() < SOON, "{why}: the probe does not notice");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_fails_while_the_server_refuses_writes() {
    let server = Redis::start(KEPT);
    let other = Redis::start(KEPT);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    store.ping().await.unwrap();
    let follows = format!("REPLICAOF 127.0.0.1 {}", other.port);
    for (refuse, accept) in [
        (follows.as_str(), "REPLICAOF NO ONE"),
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ] {
        assert_eq!(server.ask(refuse), "+OK");
        until_probed(&store, false, refuse).await;
        assert!(claim(&store, "refused").await.is_err(), "{refuse}");
        assert_eq!(server.ask(accept), "+OK");
        until_probed(&store, true, accept).await;
    }
    assert_eq!(server.ask("DBSIZE"), ":0", "a probe writes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_fails_while_the_server_has_too_few_replicas_for_the_address() {
    let server = Redis::start(KEPT);
    let store = RedisStore::connect(&format!("{}?wait=1", server.url())).await.unwrap();
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("0 of 1 replicas"), "{error}");
    let _replica = server.replica();
    until_probed(&store, true, "a replica").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_a_frozen_server_does_not_answer_is_made_at_the_server_that_replaces_it() {
    let first = Redis::start(KEPT);
    let second = first.replica();
    let address = MovingAddress::to(first.port);
    let store = connect(&address).await;
    let frozen = first.freeze();
    assert_eq!(second.ask("REPLICAOF NO ONE"), "+OK");
    address.move_to(second.port);
    let claimed = claim(&store, "1").await;
    assert!(matches!(claimed, Ok(Swap::Swapped(_))), "{claimed:?}");
    drop(frozen);
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Held { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_gets_a_new_connection_once_it_continues() {
    let server = Redis::start(KEPT);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    // The first line is that of the oldest connection, and begins with its id.
    let id = || {
        server
            .ask("CLIENT LIST TYPE normal")
            .split(' ')
            .next()
            .map(str::to_owned)
    };
    let before = id();
    let frozen = server.freeze();
    claim(&store, "1").await.unwrap_err();
    drop(frozen);
    assert!(claim(&store, "1").await.is_ok());
    let begun = Instant::now();
    while id() == before {
        assert!(begun.elapsed() < SOON, "the connection stays");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_a_replica_gets_few_connections_and_no_claim_is_in_doubt() {
    let first = Redis::start(KEPT);
    let second = first.replica();
    let store = RedisStore::connect(&first.url()).await.unwrap();
    change_roles(&first, &second);
    let connections = || {
        let figure = r#"EVAL "return string.match(redis.call('INFO', 'stats'), 'total_connections_received:(%d+)')" 0"#;
        first.ask(figure).parse::<u64>().unwrap()
    };
    let (begun, before) = (Instant::now(), connections());
    for number in 0..200 {
        let error = claim(&store, &number.to_string()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    // One is that of the second question, and the others are at least 200 ms apart.
    let most = 2 + begun.elapsed().as_millis() / 200;
    assert!(u128::from(connections() - before) <= most);
    assert_eq!(first.ask("REPLICAOF NO ONE"), "+OK");
    until_claimed(&store, "again").await;
}

#[tokio::test]
async fn a_replica_alone_is_refused_with_a_sentence_that_says_so() {
    let primary = Redis::start(KEPT);
    let replica = primary.replica();
    let said = RedisStore::connect(&replica.url()).await.unwrap_err().to_string();
    assert!(said.contains("is a replica, which accepts no writes"), "{said}");
    assert!(said.contains("use the address of the primary"), "{said}");
}
