//! A Postgres server that accepts connections but does not answer. Calls are refused within their time limits, and they
//! succeed again when the server answers.

use std::time::{Duration, Instant};

use operator_runtime::store::{PostgresStore, Store as _, StoreError};
use serde_json::json;
use tests::services::Postgres as Server;
use tokio::net::TcpListener;

use crate::{Gate, client, connect, ledger, run_sql};

#[tokio::test]
async fn start_up_gives_up_on_a_silent_server_within_the_timeout_of_the_address() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("postgres://operator@{address}/postgres?connect_timeout=1");
    let begun = Instant::now();
    let connecting = tokio::time::timeout(Duration::from_secs(20), PostgresStore::connect(&url)).await;
    let error = connecting.expect("the attempt to connect ends").unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("could not be reached: the server did not answer in time"),
        "{said}"
    );
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "the server had its time to answer"
    );
}

#[tokio::test]
async fn calls_are_refused_while_the_server_is_frozen_and_answered_afterwards() {
    let server = Server::start(&[]);
    let client = client(&server.url(), &Gate::closed()).await;
    let frozen = server.freeze();
    let call = run_sql(&client, "same", "SELECT 1", true);
    let refused = tokio::time::timeout(Duration::from_secs(20), call).await;
    drop(frozen);
    let refused = refused.expect("the call is answered");
    let kind = refused.body["type"].as_str().unwrap_or_default();
    assert!(
        kind.ends_with("store-unavailable") || kind.ends_with("not-begun"),
        "{refused:?}"
    );
    assert_eq!(run_sql(&client, "same", "SELECT 1", true).await.status, 200);
    assert_eq!(ledger(&server.url()).await, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_not_answered_is_told_as_not_known_and_its_retry_gets_one_outcome() {
    let server = Server::start(&[]);
    let gate = Gate::closed();
    let client = client(&server.url(), &gate).await.with_idempotency_key("same");
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.call("slow", &json!({})).await }
    });
    gate.started.acquire().await.unwrap().forget();
    let frozen = server.freeze();
    gate.go.add_permits(2);
    let told = tokio::time::timeout(Duration::from_secs(60), calling).await;
    drop(frozen);
    let told = told.expect("the call is answered").unwrap();
    assert_eq!(
        (told.status.as_u16(), told.retry_after.is_some()),
        (503, true),
        "{told:?}"
    );
    // The frozen transaction may still be on its way to its end.
    let begun = Instant::now();
    let again = loop {
        let again = client.call("slow", &json!({})).await;
        if again.status == 200 {
            break again;
        }
        assert!([409, 503].contains(&again.status.as_u16()), "{again:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "never answered: {again:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(again.body, "slow");
    assert_eq!(ledger(&server.url()).await, ["slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_of_a_frozen_server_ends_and_the_next_one_works() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    let frozen = server.freeze();
    let sweeping = tokio::time::timeout(Duration::from_secs(60), store.sweep(Duration::ZERO, 100)).await;
    drop(frozen);
    let error = sweeping.expect("the sweep ends").unwrap_err();
    assert!(
        matches!(error, StoreError::Unavailable { .. } | StoreError::Interrupted { .. }),
        "{error:?}"
    );
    assert_eq!(store.sweep(Duration::ZERO, 100).await.unwrap(), 0);
}
