//! A SQLite statement occupies a thread. The handler's time limit must also end a handler that never awaits.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::time::Duration;

use operator_runtime::store::SqliteStore;
use operator_runtime::testing::Client;
use operator_runtime::{App, Error, Reader, Sqlite, Tx, endpoints, operator_api};
use serde_json::json;

const ENDLESS: &str = "WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless)";
/// The number of simultaneous reads: one for each connection that reads.
const READERS: usize = 8;
/// Far longer than any time limit in this file, but finite.
const SOON: Duration = Duration::from_secs(20);

/// Books an entry, and then reads or writes without end.
#[operator_api(POST, "/endless", timeout = "200ms")]
async fn endless(
    tx: &mut Tx<Sqlite>,
    /// Whether the handler writes.
    writes: bool,
) -> Result<bool, Error> {
    tx.execute("INSERT INTO ledger VALUES (0)", ())?;
    let what = if writes {
        "INSERT INTO ledger SELECT n FROM endless"
    } else {
        "SELECT max(n) FROM endless"
    };
    tx.execute_batch(&format!("{ENDLESS} {what}"))?;
    Ok(true)
}

/// Books an entry.
#[operator_api(POST, "/book")]
async fn book(tx: &mut Tx<Sqlite>) -> Result<bool, Error> {
    tx.execute("INSERT INTO ledger VALUES (1)", ())?;
    Ok(true)
}

/// Acts in another system.
#[operator_api(POST, "/elsewhere")]
async fn elsewhere() -> bool {
    true
}

/// Reads without end.
#[operator_api(GET, "/read-endlessly", timeout = "200ms")]
async fn read_endlessly(reader: &Reader<Sqlite>) -> Result<i64, Error> {
    let sql = format!("{ENDLESS} SELECT max(n) FROM endless");
    Ok(reader
        .read(move |connection| connection.query_row(&sql, (), |row| row.get(0)))
        .await?)
}

/// Reads the booked entries.
#[operator_api(GET, "/booked")]
async fn booked(reader: &Reader<Sqlite>) -> Result<Vec<i64>, Error> {
    let reading = reader.read(|connection| {
        let mut entries = connection.prepare("SELECT n FROM ledger")?;
        entries.query_map((), |row| row.get(0))?.collect()
    });
    Ok(reading.await?)
}

/// Reads the booked entries, and takes its inputs from a body.
#[operator_api(POST, "/booked-by-post", read_only)]
async fn booked_by_post(reader: &Reader<Sqlite>) -> Result<Vec<i64>, Error> {
    booked(reader).await
}

/// Reads a table that does not exist.
#[operator_api(GET, "/wrong")]
async fn wrong(reader: &Reader<Sqlite>) -> Result<i64, Error> {
    let reading = reader.read(|connection| connection.query_row("SELECT n FROM nothing", (), |row| row.get(0)));
    Ok(reading.await?)
}

async fn client() -> (tempfile::TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("operator.db")).unwrap();
    store
        .setup(|connection| connection.execute_batch("CREATE TABLE ledger (n INTEGER NOT NULL)"))
        .unwrap();
    let app = App::new()
        .only(endpoints![
            endless,
            book,
            elsewhere,
            read_endlessly,
            booked,
            booked_by_post,
            wrong
        ])
        .store(store);
    (folder, Client::new(app).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_statement_ends_at_the_time_limit_and_other_calls_go_on() {
    let (_folder, client) = client().await;
    for writes in [false, true] {
        let mut calls = tokio::task::JoinSet::new();
        for call in 0..3 {
            for (endpoint, inputs, status) in [
                ("endless", json!({ "writes": writes }), 503),
                ("book", json!({}), 200),
                ("elsewhere", json!({}), 200),
            ] {
                let client = client.with_idempotency_key(format!("{endpoint}-{writes}-{call}"));
                calls.spawn(async move {
                    let answer = client.call(endpoint, &inputs).await;
                    assert_eq!(answer.status, status, "{endpoint}: {}", answer.body);
                    if endpoint == "endless" {
                        assert_eq!(answer.body["type"], "urn:operator:problem:timed-out");
                    }
                });
            }
        }
        tokio::time::timeout(SOON, calls.join_all())
            .await
            .expect("all calls are answered");
    }
    assert_eq!(client.call("booked", &json!({})).await.body, json!(vec![1; 6]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_read_frees_its_connection() {
    let (_folder, client) = client().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..READERS {
        let client = client.clone();
        calls.spawn(async move { client.call("read_endlessly", &json!({})).await.status });
    }
    assert_eq!(calls.join_all().await, [503; READERS]);
    let nothing = json!({});
    let reading = client.call("booked", &nothing);
    let booked = tokio::time::timeout(SOON, reading).await.expect("a connection is free");
    assert_eq!((booked.status.as_u16(), booked.body), (200, json!([])));
}

/// The file is on a disk that has gone away.
#[tokio::test]
async fn a_read_of_a_file_that_cannot_be_opened_may_be_sent_again() {
    let (folder, client) = client().await;
    let file = folder.path().join("operator.db");
    let away = folder.path().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    let nothing = json!({});
    for endpoint in ["booked", "booked_by_post"] {
        let answer = client.call(endpoint, &nothing).await;
        let kind = &answer.body["type"];
        assert_eq!(kind, "urn:operator:problem:store-unavailable", "{answer:?}");
        assert_eq!(
            (answer.status.as_u16(), answer.retry_after.is_some()),
            (503, true),
            "{answer:?}"
        );
    }
    std::fs::rename(&away, &file).unwrap();
    for endpoint in ["booked", "booked_by_post"] {
        assert_eq!(client.call(endpoint, &nothing).await.status, 200, "{endpoint}");
    }
    let wrong = client.call("wrong", &nothing).await;
    assert_eq!((wrong.status.as_u16(), wrong.retry_after), (500, None), "{wrong:?}");
}
