//! A full store. The caller is told to retry later, and the log says how to make room.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::sync::Arc;

use operator_runtime::store::{MemoryStore, PostgresStore, RedisStore, SqliteStore, Store, StoreError};
use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints, operator_api};
use serde_json::json;
use tests::services::{Postgres, Redis};

/// Does something once.
#[operator_api(POST, "/act")]
async fn act(
    /// The length of the answer.
    length: usize,
) -> String {
    "a".repeat(length)
}

/// Repeats a call, each time as a new operation, until a call is refused.
async fn refusal(store: impl Store) -> operator_runtime::testing::Answer {
    let app = App::new().only(endpoints![act]).store(store);
    let client = Client::new(app).await.unwrap();
    for _ in 0..1_000 {
        let answer = client.call("act", &json!({ "length": 4_000 })).await;
        // If the store becomes full while a call runs, there is no room for its answer, and the call gets a different
        // status.
        if answer.status != 200 && answer.body["type"] != "urn:operator:problem:outcome-not-recorded" {
            return answer;
        }
    }
    panic!("the store does not become full")
}

fn is_told(answer: &operator_runtime::testing::Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.retry_after),
        (503, Some(std::time::Duration::from_secs(60))),
        "{answer:?}"
    );
    assert_eq!(answer.body["type"], "urn:operator:problem:store-full", "{answer:?}");
    assert_eq!(
        answer.body["detail"],
        "The server's store of operations is full, so the operation was not started. Send the call again later."
    );
}

#[tokio::test]
async fn in_memory() {
    let clock = Arc::new(operator_runtime::clock::SystemClock::new());
    is_told(&refusal(MemoryStore::with(100_000, clock)).await);
}

#[tokio::test]
async fn in_redis() {
    let redis = Redis::start(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    assert_eq!(redis.ask("CONFIG SET maxmemory 1"), "+OK");
    is_told(&refusal(store).await);
}

#[tokio::test]
async fn in_postgres() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    // Raises the error of a server that cannot extend a file. A disk that is really full would need root.
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
        $$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END$$; \
        CREATE TRIGGER refuse BEFORE INSERT ON operator_operations EXECUTE FUNCTION refuse()";
    store.setup(refuse).await.unwrap();
    is_told(&refusal(store).await);
}

#[tokio::test]
async fn in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("operator.db")).unwrap();
    store
        .setup(|connection| connection.query_row("PRAGMA max_page_count = 1", [], |row| row.get::<_, i64>(0)))
        .unwrap();
    is_told(&refusal(store).await);
}

#[tokio::test]
async fn how_to_make_room_is_said() {
    let error = StoreError::Full {
        store: "SQLite file operator.db".to_owned(),
        remedy: "delete other files from the disk that holds the database file",
        source: Arc::new(std::io::Error::other("database or disk is full")),
    };
    assert_eq!(
        error.to_string(),
        "SQLite file operator.db is full: database or disk is full; delete other files from the disk that holds the database file"
    );
}
