//! The connection to Postgres is lost before a commit is answered. The outcome is then read from the database and never
//! guessed.

use operator_runtime::testing::{Answer, Client};
use serde_json::json;
use tests::services::Postgres as Server;

use crate::proxy::{Cut, Proxy};
use crate::{Gate, client, ledger};

/// Books an entry, always with the same key.
async fn book(client: &Client) -> Answer {
    client.with_idempotency_key("same").call("slow", &json!({})).await
}

async fn behind_a_bad_line() -> (Server, Proxy, Client) {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let gate = Gate::closed();
    gate.go.add_permits(10);
    let client = client(&proxy.url(), &gate).await;
    (server, proxy, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_arrived_is_found_and_answered_as_done() {
    let (server, proxy, client) = behind_a_bad_line().await;
    proxy.set(Cut::BeforeItsAnswer);
    let answer = book(&client).await;
    assert!(proxy.is(Cut::Nothing), "the proxy has cut the connection");
    assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
    assert!(book(&client).await.replayed);
    assert_eq!(ledger(&server.url()).await, ["slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_found_missing_and_the_handler_runs_again() {
    let (server, proxy, client) = behind_a_bad_line().await;
    proxy.set(Cut::BeforeCommit);
    let answer = book(&client).await;
    assert!(proxy.is(Cut::Nothing), "the proxy has cut the connection");
    assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
    assert!(book(&client).await.replayed);
    assert_eq!(ledger(&server.url()).await, ["slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_looked_up_is_answered_neither_as_done_nor_as_undone() {
    let (server, proxy, client) = behind_a_bad_line().await;
    proxy.set(Cut::BeforeItsAnswerAndAllThatFollows);
    let answer = book(&client).await;
    assert!(proxy.is(Cut::AllThatFollows), "the proxy has cut the connection");
    assert_eq!(
        (answer.status.as_u16(), answer.retry_after.is_some()),
        (503, true),
        "{answer:?}"
    );
    assert_eq!(
        answer.body["type"], "urn:operator:problem:outcome-not-recorded",
        "{answer:?}"
    );
    proxy.set(Cut::Nothing);
    let again = book(&client).await;
    assert_eq!((again.status.as_u16(), again.replayed), (200, true), "{again:?}");
    assert_eq!(ledger(&server.url()).await, ["slow"]);
}
