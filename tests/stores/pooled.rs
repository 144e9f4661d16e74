//! PgBouncer in front of Postgres: in session mode the settings of sessions apply, and transaction mode is refused. A
//! PgBouncer whose sessions are all in use lets a new connection wait, so calls wait as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use operator_runtime::store::{PostgresStore, Store as _, StoreError, Swap, contract};
use operator_runtime::tokio_postgres::error::SqlState;
use tests::pooler::PgBouncer;
use tests::services::Postgres as Server;
use tokio::task::JoinSet;

use crate::{Gate, claim, client, connect, ledger, run_sql};

/// A PgBouncer that opens few sessions for each database.
fn small(server: &Server) -> PgBouncer {
    PgBouncer::start(server, &[("pool_mode", "session"), ("default_pool_size", "4")])
}

#[tokio::test]
async fn sessions_of_a_pooler_in_session_mode_have_all_guards() {
    let server = Server::start(&[]);
    let pooler = PgBouncer::start(&server, &[("pool_mode", "session")]);
    let store = connect(&pooler.url()).await;
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
    let session = store.reader().session().await.unwrap();
    for (setting, value) in [
        ("lock_timeout", "10s"),
        ("statement_timeout", "30s"),
        ("default_transaction_read_only", "on"),
        ("idle_in_transaction_session_timeout", "65s"),
    ] {
        let row = session.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), value, "{setting}");
    }
    let error = session
        .batch_execute("DELETE FROM operator_operations")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    drop(session);
    let client = client(&pooler.url(), &Gate::closed()).await;
    assert_eq!(run_sql(&client, "key", "SELECT 1", true).await.status, 200);
    // The handler's SQL commits early. The session is then read-only, so its next write fails.
    assert_eq!(run_sql(&client, "ends", "COMMIT", false).await.status, 500);
    assert_eq!(ledger(&server.url()).await, ["before", "after"]);
}

#[tokio::test]
async fn options_of_the_address_hold_behind_a_pooler() {
    let server = Server::start(&[]);
    let pooler = PgBouncer::start(&server, &[("pool_mode", "session")]);
    let store = connect(&format!("{}?options=-c%20lock_timeout%3D1234", pooler.url())).await;
    let session = store.reader().session().await.unwrap();
    let row = session.query_one("SHOW lock_timeout", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "1234ms");
}

#[tokio::test]
async fn a_pooler_that_changes_sessions_between_transactions_is_refused_at_the_start() {
    let server = Server::start(&[]);
    for mode in ["transaction", "statement"] {
        for ignored in ["", "options"] {
            let settings = [("pool_mode", mode), ("ignore_startup_parameters", ignored)];
            let pooler = PgBouncer::start(&server, &settings);
            let said = PostgresStore::connect(&pooler.url()).await.unwrap_err().to_string();
            assert!(said.contains("set `pool_mode=session`"), "{mode}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_a_pooler_has_sessions_are_answered_and_leave_room_for_others() {
    let server = Server::start(&[]);
    let pooler = small(&server);
    let first = client(&pooler.url(), &Gate::closed()).await;
    let mut calls = JoinSet::new();
    for call in 0..20 {
        let first = first.clone();
        calls.spawn(async move { run_sql(&first, &call.to_string(), "SELECT pg_sleep(0.1)", true).await });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // A second store, while the first is idle, and then a third, while both are.
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(connect(&pooler.url()).await);
    }
    for other in &others {
        other.ping().await.unwrap();
    }
    assert_eq!(run_sql(&first, "0", "SELECT pg_sleep(0.1)", true).await.status, 200);
}

/// Sessions that one pool of a store has left idle are closed for another pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_writes_gets_a_session_of_the_pooler() {
    let server = Server::start(&[]);
    let pooler = small(&server);
    let store = Arc::new(connect(&pooler.url()).await);
    for round in 0..2 {
        let mut claims = JoinSet::new();
        for number in 0..20 {
            let store = Arc::clone(&store);
            claims.spawn(async move { claim(&store, &format!("{round}-{number}")).await });
        }
        for claimed in claims.join_all().await {
            assert!(matches!(claimed, Ok(Swap::Swapped(_))), "{claimed:?}");
        }
        let mut readers = JoinSet::new();
        for _ in 0..8 {
            let store = Arc::clone(&store);
            readers.spawn(async move { store.reader().session().await.map(drop) });
        }
        for read in readers.join_all().await {
            assert!(read.is_ok(), "{read:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_waits_for_a_session_of_the_pooler_as_long_as_a_call_waits() {
    let server = Server::start(&[]);
    let pooler = small(&server);
    let store = connect(&pooler.url()).await;
    let wait = Duration::from_secs(7);
    store.wait_for(wait);
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(store.reader().session().await.unwrap());
    }
    let ping = tokio::time::timeout(Duration::from_secs(5), store.ping()).await;
    ping.expect("the probe does not wait for calls").unwrap();
    let begun = Instant::now();
    let error = claim(&store, "1").await.unwrap_err();
    assert!(matches!(error, StoreError::Crowded { .. }), "{error}");
    assert!((wait..wait * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    drop(readers);
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Swapped(_)));
}
