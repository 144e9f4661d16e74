//! A Postgres server that accepts connections but does not answer. Calls are refused within their time limits, and they
//! succeed again when the server answers.

use std::time::{Duration, Instant};

use operator_runtime::store::{PostgresStore, StoreError};
use tests::services::Postgres as Server;
use tokio::net::TcpListener;

use crate::{Gate, client, ledger, run_sql};

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
    assert_eq!(
        refused.body["type"], "urn:operator:problem:store-unavailable",
        "{refused:?}"
    );
    assert_eq!(run_sql(&client, "same", "SELECT 1", true).await.status, 200);
    assert_eq!(ledger(&server.url()).await, ["before", "after"]);
}
