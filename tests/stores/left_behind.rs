//! Interrupted handlers leave statements running and transactions open, and other SQL leaves settings and prepared
//! statements. Later calls must not be affected.

use std::time::Duration;

use operator_runtime::store::{PostgresStore, Reading};
use operator_runtime::testing::Client;
use operator_runtime::tokio_postgres::{self, NoTls};
use operator_runtime::{App, Error, Postgres, Tx, endpoints, operator_api};
use serde_json::json;
use tests::services::Postgres as Server;

use crate::{Gate, TABLES, claim, client, connect, name_of_a_session_that_waits, run_sql};

/// The number of readers that can exist at the same time.
const READERS: usize = 8;
const LONG: &str = "SELECT pg_sleep(25)";

/// Locks an account's row, and sleeps in the database beyond its time limit.
#[operator_api(POST, "/oversleep", timeout = "1s")]
pub(crate) async fn oversleep(tx: &mut Tx<Postgres>) -> Result<String, Error> {
    tx.batch_execute("UPDATE account SET cents = 0 WHERE name = 'a'")
        .await?;
    tx.batch_execute(LONG).await?;
    Ok("slept".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_outlasts_its_handler_blocks_no_caller_row_or_connection() {
    let server = Server::start(&[]);
    let client = client(&format!("{}?pool=1", server.url()), &Gate::closed()).await;
    let input = json!({});
    let answer = tokio::time::timeout(Duration::from_secs(10), client.call("oversleep", &input)).await;
    let answer = answer.expect("the endpoint's timeout ends the call");
    assert_eq!(answer.body["type"], "urn:operator:problem:timed-out", "{answer:?}");
    let take = "UPDATE account SET cents = cents - 1 WHERE name = 'a' AND cents = 100";
    let next = tokio::time::timeout(Duration::from_secs(20), run_sql(&client, "next", take, true)).await;
    assert_eq!(next.expect("the row and the connection are free").status, 200);
}

/// Opens all readers that can exist at the same time.
async fn all_readers(store: &PostgresStore) -> Vec<Reading> {
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(store.reader().session().await.unwrap());
    }
    readers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_hangs_up_leaves_no_transaction_or_statement_behind() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    store.setup(TABLES).await.unwrap();
    for (number, reader) in all_readers(&store).await.into_iter().enumerate() {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ledger";
        reader.batch_execute(begin).await.unwrap();
        match number % 3 {
            0 => {}
            1 => drop(reader.batch_execute("SELECT 1 / 0").await.unwrap_err()),
            _ => tokio::select! {
                biased;
                _ = reader.batch_execute(LONG) => unreachable!("the statement takes longer"),
                () = tokio::task::yield_now() => {}
            },
        }
    }
    store.setup("INSERT INTO ledger (what) VALUES ('new')").await.unwrap();
    for reader in all_readers(&store).await {
        let reading = reader.query_one("SELECT count(*) FROM ledger", &[]);
        let count = tokio::time::timeout(Duration::from_secs(10), reading).await;
        let count: i64 = count.expect("no other statement is in the way").unwrap().get(0);
        assert_eq!(count, 1, "the reader sees committed rows");
    }
}

/// Counts rows, by a prepared statement that returns all columns.
#[operator_api(POST, "/rows")]
async fn rows(tx: &mut Tx<Postgres>) -> Result<u64, Error> {
    let all = tx.prepare_cached("SELECT * FROM ledger").await?;
    let rows = tx.query(&all, &[]).await?;
    u64::try_from(rows.len()).map_err(Error::internal)
}

/// Postgres refuses the statement that was prepared before the change, each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_whose_statement_no_longer_fits_its_table_fails_only_once() {
    let server = Server::start(&[]);
    let admin = connect(&server.url()).await;
    admin.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![rows]);
    let app = app.store(connect(&format!("{}?pool=1", server.url())).await);
    let client = Client::new(app).await.unwrap();
    let client = client.with_idempotency_key("before");
    assert_eq!(client.call("rows", &json!({})).await.status, 200);
    admin.setup("ALTER TABLE ledger ADD COLUMN more int").await.unwrap();
    let client = client.with_idempotency_key("after");
    assert_eq!(client.call("rows", &json!({})).await.status, 500);
    let retry = client.call("rows", &json!({})).await;
    assert_eq!((retry.status.as_u16(), retry.replayed), (200, false), "{retry:?}");
}

/// A dump of a schema begins with such settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_a_set_up_do_not_stay_in_a_session_of_the_store() {
    let server = Server::start(&[]);
    let store = std::sync::Arc::new(connect(&server.url()).await);
    store
        .setup("SET application_name = 'set-up'; SET lock_timeout = 0")
        .await
        .unwrap();
    let (admin, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = "BEGIN; LOCK TABLE operator_operations IN EXCLUSIVE MODE";
    admin.batch_execute(lock).await.unwrap();
    let claiming = tokio::spawn({
        let store = store.clone();
        async move { claim(&store, "waits").await }
    });
    let waiting = name_of_a_session_that_waits(&server).await;
    assert_eq!(waiting, "operator-runtime");
    admin.batch_execute("ROLLBACK").await.unwrap();
    claiming.await.unwrap().unwrap();
}
