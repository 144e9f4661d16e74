//! More calls than connections. Duplicates wait without a connection, and a call for which no connection becomes free
//! is told that it has not begun.

use operator_runtime::http::StatusCode;
use operator_runtime::testing::Client;
use serde_json::json;
use tests::services::Postgres as Server;
use tokio::task::JoinSet;

use crate::{Gate, client, ledger, run_sql};

/// More calls than the pool has connections.
const DUPLICATES: usize = 20;

/// Returns a client whose store has this many connections, and a slow call whose handler occupies one of them.
async fn with_a_slow_call(server: &Server, connections: usize) -> (Client, Gate, JoinSet<StatusCode>) {
    let gate = Gate::closed();
    let client = client(&format!("{}?pool={connections}", server.url()), &gate).await;
    let mut slow = JoinSet::new();
    let calling = client.with_idempotency_key("slow");
    slow.spawn(async move { calling.call("slow", &json!({})).await.status });
    gate.started.acquire().await.unwrap().forget();
    (client, gate, slow)
}

#[tokio::test]
async fn duplicates_that_wait_in_one_process_take_no_connection_from_others() {
    let server = Server::start(&[]);
    let (client, gate, mut calls) = with_a_slow_call(&server, 2).await;
    for _ in 0..DUPLICATES {
        let duplicate = client.with_idempotency_key("slow");
        calls.spawn(async move { duplicate.call("slow", &json!({})).await.status });
    }
    // All calls run on this one thread, so after the yield each has run until it waits.
    tokio::task::yield_now().await;
    // Without a connection, the call would be refused.
    let other = run_sql(&client, "other", "SELECT 1", true).await;
    assert_eq!(other.status, 200, "{other:?}");
    gate.go.add_permits(1);
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(ledger(&server.url()).await, ["slow", "before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_connection_is_told_that_it_has_not_begun() {
    let server = Server::start(&[]);
    let (client, gate, mut slow) = with_a_slow_call(&server, 1).await;
    let refused = run_sql(&client, "other", "SELECT 1", true).await;
    assert_eq!(
        (refused.status.as_u16(), refused.retry_after.is_some()),
        (503, true),
        "{refused:?}"
    );
    assert_eq!(refused.body["type"], "urn:operator:problem:not-begun", "{refused:?}");
    gate.go.add_permits(1);
    assert_eq!(slow.join_next().await.unwrap().unwrap(), 200);
    assert_eq!(
        ledger(&server.url()).await,
        ["slow"],
        "the refused call has left the queue"
    );
    assert_eq!(run_sql(&client, "other", "SELECT 1", true).await.status, 200);
}
