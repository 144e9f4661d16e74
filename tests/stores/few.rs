//! The server allows fewer sessions than the pools could open. Calls wait until a session is free.

use std::time::{Duration, Instant};

use operator_runtime::store::{PostgresStore, Store, Swap};
use operator_runtime::testing::Client;
use operator_runtime::tokio_postgres::{self, NoTls};
use operator_runtime::{App, Config, Settings, endpoints};
use serde_json::json;
use tests::services::Postgres as Server;
use tokio::task::JoinSet;

use crate::{Gate, TABLES, claim, connect, name_of_a_session_that_waits, slow, sql};

/// The number of sessions that the server allows the store.
const SESSIONS: usize = 6;
const CALLS: usize = 20;

/// A server whose role `few` may have some sessions, and the address for that role.
pub(crate) async fn with_few_sessions() -> (Server, String) {
    let server = Server::start(&[]);
    let admin = connect(&server.url()).await;
    let role = format!("CREATE ROLE few LOGIN CONNECTION LIMIT {SESSIONS}; GRANT ALL ON SCHEMA public TO few");
    admin.setup(&role).await.unwrap();
    let grants = "GRANT ALL ON ALL TABLES IN SCHEMA public TO few; ALTER DATABASE postgres OWNER TO few";
    admin.setup(grants).await.unwrap();
    admin.close().await;
    let url = server.url().replace("operator@", "few@");
    (server, url)
}

async fn client(url: &str, wait: Duration, gate: &Gate) -> Client {
    let store = PostgresStore::connect(url).await.unwrap();
    store.setup(TABLES).await.unwrap();
    let app = App::new()
        .config(Config::new().operations(Settings::default().wait(wait)))
        .only(endpoints![sql, slow])
        .state(gate.clone())
        .store(store);
    Client::new(app).await.unwrap()
}

/// Makes all calls at the same time, and reports each status as it arrives. Returns the status and the problem type of
/// each call.
async fn at_once(
    client: &Client,
    name: &'static str,
    input: serde_json::Value,
    mut arrived: impl FnMut(u16),
) -> Vec<(u16, String)> {
    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let client = client.with_idempotency_key(format!("{name}-{call}"));
        let input = input.clone();
        calls.spawn(async move {
            let answer = client.call(name, &input).await;
            let problem = answer.body["type"].as_str().unwrap_or_default().to_owned();
            if answer.status == 503 {
                assert!(answer.retry_after.is_some(), "{answer:?}");
            }
            (answer.status.as_u16(), problem)
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        arrived(answer.0);
        answers.push(answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_calls_at_once_wait_for_six_sessions() {
    let (_server, url) = with_few_sessions().await;
    let client = client(&url, Duration::from_secs(10), &Gate::closed()).await;
    let input = json!({ "sql": "SELECT pg_sleep(0.2)", "fails": true });
    for (status, problem) in at_once(&client, "sql", input, |_| {}).await {
        assert_eq!(status, 200, "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_has_waited_for_as_long_as_calls_wait_is_told_that_it_has_not_begun() {
    let (_server, url) = with_few_sessions().await;
    let gate = Gate::closed();
    let wait = Duration::from_secs(5);
    let client = client(&url, wait, &gate).await;
    let begun = Instant::now();
    let mut refused = 0;
    // The calls that have a session go on once all others have been refused.
    let answers = at_once(&client, "slow", json!({}), |status| {
        refused += usize::from(status != 200);
        if refused == CALLS - SESSIONS {
            gate.go.add_permits(CALLS);
        }
    });
    let answers = answers.await;
    assert!(begun.elapsed() >= wait, "the calls must wait for at least `wait`");
    let begun = answers.iter().filter(|(status, _)| *status == 200).count();
    assert!((2..=SESSIONS).contains(&begun), "{answers:?}");
    for (_, problem) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(problem, "urn:operator:problem:not-begun");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_sessions_of_readers_are_closed_where_a_write_has_none() {
    let (_server, url) = with_few_sessions().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut readers = Vec::new();
    // Start-up has opened two sessions.
    for _ in 2..SESSIONS {
        readers.push(store.reader().session().await.unwrap());
    }
    let (one, two) = tokio::join!(claim(&store, "1"), claim(&store, "2"));
    assert!(matches!(
        (one.unwrap(), two.unwrap()),
        (Swap::Swapped(_), Swap::Swapped(_))
    ));
    drop(readers);
    let mut claims = JoinSet::new();
    let store = std::sync::Arc::new(store);
    for number in 3..CALLS {
        let store = store.clone();
        claims.spawn(async move { claim(&store, &number.to_string()).await.is_ok() });
    }
    assert!(claims.join_all().await.into_iter().all(|claimed| claimed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_without_a_session_end_after_the_wait() {
    let (_server, url) = with_few_sessions().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..SESSIONS {
        readers.push(store.reader().session().await.unwrap());
    }
    store.wait_for(Duration::from_millis(500));
    let error = claim(&store, "1").await.unwrap_err().to_string();
    assert!(error.contains("in use") && error.contains("max_connections"), "{error}");
    drop(readers);
    store.wait_for(Duration::from_secs(20));
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Swapped(_)));
}

/// A store that no longer uses its sessions leaves them to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_store_starts_after_the_first_has_used_all_sessions() {
    let (server, url) = with_few_sessions().await;
    let first = PostgresStore::connect(&url).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..SESSIONS {
        readers.push(first.reader().session().await.unwrap());
    }
    drop(readers);
    let second = PostgresStore::connect(&url).await.unwrap();
    second.close().await;
    let (admin, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let of_few = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'few'";
    let begun = Instant::now();
    while admin.query_one(of_few, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "idle sessions stay open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(claim(&first, "later").await.unwrap(), Swap::Swapped(_)));
}

/// Takes all sessions of the server for readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_sessions_are_all_in_use_by_calls_is_within_reach() {
    let (_server, url) = with_few_sessions().await;
    let store = connect(&url).await;
    let mut reading = Vec::new();
    for _ in 0..SESSIONS {
        reading.push(store.reader().session().await.unwrap());
    }
    let ping = tokio::time::timeout(Duration::from_secs(5), store.ping()).await;
    ping.expect("the probe does not wait for calls").unwrap();
}

/// The only connection for records waits for a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_in_use_by_calls_does_not_put_the_server_out_of_reach() {
    let mut server = Server::start(&[]);
    let store = std::sync::Arc::new(connect(&format!("{}?pool=1", server.url())).await);
    let (admin, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = "BEGIN; LOCK TABLE operator_operations IN EXCLUSIVE MODE";
    admin.batch_execute(lock).await.unwrap();
    let claiming = tokio::spawn({
        let store = store.clone();
        async move { claim(&store, "waits").await }
    });
    name_of_a_session_that_waits(&server).await;
    for _ in 0..3 {
        let ping = tokio::time::timeout(Duration::from_secs(5), store.ping()).await;
        ping.expect("the probe does not wait for calls").unwrap();
    }
    assert!(!claiming.is_finished());
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert!(matches!(claiming.await.unwrap(), Ok(Swap::Swapped(_))));
    server.kill();
    assert!(store.ping().await.is_err(), "a killed server is out of reach");
}
