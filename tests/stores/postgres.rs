//! Records and effects in a Postgres server, which the tests start, kill and restart.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod conflicts;
mod crowded;
mod failover;
mod few;
mod frozen;
mod left_behind;
mod lost_claim;
mod lost_commit;
mod opened;
mod pooled;
mod proxy;
mod reads;
mod reserved;
mod roles;
mod too_late;

use std::sync::Arc;
use std::time::Duration;

use operator_runtime::store::{
    Audit, Fingerprint, FirstSeen, OperationId, Origin, PostgresStore, Proposal, Record, Store, StoreError, Swap,
    contract,
};
use operator_runtime::testing::{self, Answer, Client};
use operator_runtime::{App, Error, Postgres, Tx, endpoints, operator_api, tokio_postgres};
use serde_json::json;
use tests::proof::Row;
use tests::services::Postgres as Server;

use conflicts::Runs;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS ledger (entry bigserial PRIMARY KEY, what text NOT NULL);
    CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, cents bigint NOT NULL);
    INSERT INTO account VALUES ('a', 100), ('b', 100) ON CONFLICT DO NOTHING;";

async fn book(tx: &mut Tx<Postgres>, what: &str) -> Result<(), tokio_postgres::Error> {
    let insert = tx.prepare_cached("INSERT INTO ledger (what) VALUES ($1)").await?;
    tx.execute(&insert, &[&what]).await.map(drop)
}

/// Books an entry, then runs SQL.
#[operator_api(POST, "/sql")]
async fn sql(
    tx: &mut Tx<Postgres>,
    /// The SQL to run.
    sql: String,
    /// Whether the handler returns the error of the SQL.
    fails: bool,
) -> Result<String, Error> {
    book(tx, "before").await?;
    let ran = tx.batch_execute(&sql).await;
    if fails {
        ran?;
    }
    // The handler continues without checking whether the transaction has failed.
    let _ = book(tx, "after").await;
    Ok("done".to_owned())
}

/// Opens an account. A name can have only one account.
#[operator_api(POST, "/open-account")]
async fn open_account(
    tx: &mut Tx<Postgres>,
    /// The owner of the account.
    name: String,
) -> Result<String, Error> {
    book(tx, "opened").await?;
    let insert = "INSERT INTO account VALUES ($1, 0)";
    let opened = tx.execute(insert, &[&name]).await;
    opened.map_err(|_| Error::conflict("There is an account of that name."))?;
    Ok(name)
}

/// Books an entry once the gate opens.
#[operator_api(POST, "/slow")]
async fn slow(tx: &mut Tx<Postgres>, gate: &Gate) -> Result<String, Error> {
    book(tx, "slow").await?;
    gate.started.add_permits(1);
    gate.go.acquire().await.map_err(Error::internal)?.forget();
    Ok("slow".to_owned())
}

#[derive(Clone)]
struct Gate {
    started: Arc<tokio::sync::Semaphore>,
    go: Arc<tokio::sync::Semaphore>,
}

impl Gate {
    fn closed() -> Self {
        let closed = || Arc::new(tokio::sync::Semaphore::new(0));
        Self {
            started: closed(),
            go: closed(),
        }
    }
}

async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(url).await.unwrap()
}

async fn client(url: &str, gate: &Gate) -> Client {
    let app = App::new()
        .only(endpoints![
            sql,
            slow,
            open_account,
            conflicts::take,
            conflicts::transfer,
            conflicts::withdraw,
            left_behind::oversleep
        ])
        .state(Runs::default())
        .state(gate.clone())
        .store(connect(url).await)
        .postgres_setup(TABLES);
    Client::new(app).await.unwrap()
}

async fn run_sql(client: &Client, key: &str, sql: &str, fails: bool) -> Answer {
    client
        .with_idempotency_key(key)
        .call("sql", &json!({ "sql": sql, "fails": fails }))
        .await
}

/// The entries of the ledger, in order.
async fn ledger(url: &str) -> Vec<String> {
    let store = connect(url).await;
    let session = store.reader().session().await.unwrap();
    let rows = session
        .query("SELECT what FROM ledger ORDER BY entry", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until a session waits for a lock, and returns the session's name. The connection is a new one, because within a
/// transaction Postgres shows the same list of sessions again and again.
async fn name_of_a_session_that_waits(server: &Server) -> String {
    let (admin, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let waits = "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let found = async {
        loop {
            if let Some(row) = admin.query(waits, &[]).await.unwrap().first() {
                return row.get(0);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap()
}

async fn claim(store: &PostgresStore, key: &str) -> Result<Swap, StoreError> {
    let record = Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default());
    let id = OperationId::new("tenant", key);
    store
        .swap(Proposal {
            id,
            expected: None,
            new: Arc::new(record),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
        .wait()
        .await
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
    Row::of_the_contract("Postgres").record();
    assert_eq!(store.warning(), None);
    let careless = format!("{}?options=-c%20synchronous_commit=off", server.url());
    assert!(
        connect(&careless)
            .await
            .warning()
            .unwrap()
            .contains("synchronous_commit")
    );
}

#[tokio::test]
async fn sixteen_processes_that_start_at_once_create_the_tables_once() {
    let server = Server::start(&[]);
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let url = server.url();
        starting.spawn(async move { connect(&url).await.setup(TABLES).await });
    }
    while let Some(started) = starting.join_next().await {
        started.unwrap().unwrap();
    }
    let store = connect(&server.url()).await;
    store.setup("UPDATE operator_schema SET version = 99").await.unwrap();
    let newer = PostgresStore::connect(&server.url()).await.unwrap_err();
    assert!(matches!(newer, StoreError::TooNew { found: 99, .. }), "{newer}");
    let nonsense = store.setup("CREATE TABLE half (a int); nonsense").await.unwrap_err();
    assert!(nonsense.to_string().contains("nonsense"), "{nonsense}");
    store.setup("CREATE TABLE half (a int)").await.unwrap();
}

#[tokio::test]
async fn a_handler_cannot_end_its_transaction_and_keep_its_writes() {
    let server = Server::start(&[]);
    let client = client(&server.url(), &Gate::closed()).await;
    for (key, sql) in [
        "COMMIT",
        "ROLLBACK",
        "COMMIT AND CHAIN",
        "ROLLBACK AND CHAIN",
        "RELEASE operator_handler; COMMIT",
        "SET CONSTRAINTS ALL IMMEDIATE; COMMIT",
        "ROLLBACK; BEGIN",
        "SELECT 1 / 0",
    ]
    .iter()
    .enumerate()
    {
        let answer = run_sql(&client, &key.to_string(), sql, false).await;
        assert_eq!(answer.status, 500, "{sql}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(
            detail.contains("undid everything that the request had changed"),
            "{sql}: {detail}"
        );
    }
    assert_eq!(ledger(&server.url()).await, Vec::<String>::new());
    let answer = run_sql(&client, "0", "COMMIT", false).await;
    assert_eq!(
        answer.status, 500,
        "the call was not recorded, so it runs and fails again: {answer:?}"
    );
    let answer = run_sql(&client, "savepoints", "SAVEPOINT mine; ROLLBACK TO mine", true).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(ledger(&server.url()).await, ["before", "after"]);
}

#[tokio::test]
async fn the_handler_decides_about_failed_sql_even_in_the_first_call_of_a_connection() {
    let server = Server::start(&[]);
    let client = client(&server.url(), &Gate::closed())
        .await
        .with_idempotency_key("taken");
    for replayed in [false, true] {
        let answer = client.call("open_account", &json!({ "name": "a" })).await;
        assert_eq!((answer.status.as_u16(), answer.replayed), (409, replayed), "{answer:?}");
        assert_eq!(answer.body["type"], "urn:operator:problem:conflict", "{answer:?}");
    }
    assert_eq!(ledger(&server.url()).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_handler_that_changes_the_search_path_does_not_move_the_stores_tables() {
    let server = Server::start(&[]);
    let client = client(&server.url(), &Gate::closed()).await;
    let decoy = "CREATE SCHEMA other; CREATE TABLE other.operator_operations (LIKE operator_operations INCLUDING ALL)";
    connect(&server.url()).await.setup(decoy).await.unwrap();
    for (key, sql) in [
        ("local", "SET LOCAL search_path = other, public"),
        ("session", "SET search_path = other, public"),
        ("after", "SELECT 1"),
    ] {
        for replayed in [false, true] {
            let answer = run_sql(&client, key, sql, true).await;
            assert_eq!(
                (answer.status.as_u16(), answer.replayed),
                (200, replayed),
                "{key}: {answer:?}"
            );
        }
    }
    assert_eq!(ledger(&server.url()).await.len(), 6);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    let session = store.reader().session().await.unwrap();
    let error = session
        .batch_execute("DELETE FROM operator_operations")
        .await
        .unwrap_err();
    assert_eq!(
        error.code(),
        Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_at_two_servers_wait_on_the_row_and_get_the_answer() {
    let server = Server::start(&[]);
    let gate = Gate::closed();
    let servers = [client(&server.url(), &gate).await, client(&server.url(), &gate).await];
    let mut calls = tokio::task::JoinSet::new();
    for call in 0..12 {
        let client = servers[call % 2].with_idempotency_key("same");
        calls.spawn(async move { client.call("slow", &json!({})).await });
    }
    gate.started.acquire().await.unwrap().forget();
    gate.go.add_permits(1);
    let mut first = 0;
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &json!("slow")),
            "{answer:?}"
        );
        first += u32::from(!answer.replayed);
    }
    assert_eq!((first, ledger(&server.url()).await), (1, vec!["slow".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_at_another_server_is_told_so_after_it_has_waited_long_enough() {
    let server = Server::start(&[]);
    let gate = Gate::closed();
    let calling = client(&server.url(), &gate).await.with_idempotency_key("same");
    let impatient = format!("{}?options=-c%20lock_timeout=100", server.url());
    let other = client(&impatient, &gate).await.with_idempotency_key("same");
    let first = tokio::spawn(async move { calling.call("slow", &json!({})).await });
    gate.started.acquire().await.unwrap().forget();
    let busy = other.call("slow", &json!({})).await;
    assert_eq!(
        (busy.status.as_u16(), busy.retry_after.is_some()),
        (409, true),
        "{busy:?}"
    );
    // Uses the connection on which a call has waited for a lock in vain.
    assert_eq!(run_sql(&other, "other", "SELECT 1", true).await.status, 200);
    gate.go.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);
    assert!(other.call("slow", &json!({})).await.replayed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_whose_connection_is_cut_runs_again_and_takes_effect_once() {
    let server = Server::start(&[]);
    let gate = Gate::closed();
    let client = client(&server.url(), &gate).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("slow", &json!({})).await }
    });
    gate.started.acquire().await.unwrap().forget();
    let admin = connect(&server.url()).await;
    let cut = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE state = 'idle in transaction'";
    admin.setup(cut).await.unwrap();
    gate.go.add_permits(2);
    let answer = call.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(gate.started.available_permits(), 1, "the handler ran again");
    assert_eq!(ledger(&server.url()).await, ["slow"]);
}

#[tokio::test]
async fn away_it_refuses_and_back_it_goes_on_with_what_it_kept() {
    let mut server = Server::start(&[]);
    let client = client(&server.url(), &Gate::closed()).await;
    let store = connect(&server.url()).await;
    assert!(matches!(claim(&store, "kept").await.unwrap(), Swap::Swapped(_)));
    assert_eq!(run_sql(&client, "kept", "SELECT 1", true).await.status, 200);
    server.kill();
    // If the first call's write was sent before the connection was lost, its outcome is unconfirmed.
    let error = claim(&store, "refused").await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unavailable { .. } | StoreError::Unconfirmed { .. }),
        "{error}"
    );
    let error = claim(&store, "refused").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(run_sql(&client, "refused", "SELECT 1", true).await.status, 503);
    server.restart();
    assert!(matches!(claim(&store, "kept").await.unwrap(), Swap::Held { .. }));
    assert!(run_sql(&client, "kept", "SELECT 1", true).await.replayed);
    assert_eq!(run_sql(&client, "refused", "SELECT 1", true).await.status, 200);
    assert_eq!(ledger(&server.url()).await.len(), 4);
}

#[tokio::test]
async fn a_pool_in_use_refuses_in_time_and_a_closed_pool_says_so() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    let mut reading = Vec::new();
    for _ in 0..8 {
        reading.push(store.reader().session().await.unwrap());
    }
    let error = tokio::time::timeout(Duration::from_secs(20), store.reader().session()).await;
    assert!(error.unwrap().unwrap_err().to_string().contains("?pool=N"));
    store.close().await;
    assert!(matches!(claim(&store, "1").await, Err(StoreError::Closed { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_tested_in_a_transaction_that_is_undone() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    store.setup(TABLES).await.unwrap();
    for _ in 0..2 {
        let counted = testing::transaction(&store, |tx: &mut Tx<Postgres>| {
            Box::pin(async move {
                book(tx, "tested").await.unwrap();
                let counted = tx.query_one("SELECT count(*) FROM ledger", &[]).await.unwrap();
                counted.get::<_, i64>(0)
            })
        });
        assert_eq!(counted.await, 1);
    }
    // Two tests on one database do not wait for each other.
    let both_run = Arc::new(tokio::sync::Barrier::new(2));
    let meet = || {
        let both_run = Arc::clone(&both_run);
        testing::transaction(&store, |_: &mut Tx<Postgres>| {
            Box::pin(async move { both_run.wait().await.is_leader() })
        })
    };
    let met = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(meet(), meet()) }).await;
    assert!(met.is_ok(), "one transaction waits for the other");
    let failing = tokio::spawn(async move {
        testing::transaction(&store, |_: &mut Tx<Postgres>| {
            Box::pin(async { panic!("a failed assertion") })
        })
        .await
    });
    let panicked = failing.await.unwrap_err().into_panic();
    assert_eq!(panicked.downcast_ref(), Some(&"a failed assertion"));
    assert_eq!(ledger(&server.url()).await, Vec::<String>::new());
}
