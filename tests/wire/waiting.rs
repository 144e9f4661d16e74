//! Calls that wait because their operation is running or because the store is busy, and calls whose caller hangs up.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::sync::Arc;
use std::time::Duration;

use operator_runtime::store::SqliteStore;
use operator_runtime::testing::Client;
use operator_runtime::{App, Config, Settings, Sqlite, Tx, endpoints, operator_api};
use serde_json::json;
use tests::log;
use tokio::sync::Notify;

/// Lets the test wait until the slow handler runs, and then lets the handler finish.
struct Gate {
    begun: Notify,
    open: Notify,
}

/// Waits in its transaction. Use it to see what a duplicate is answered meanwhile.
#[operator_api(POST, "/gated")]
async fn gated(_tx: &mut Tx<Sqlite>, gate: &Arc<Gate>) -> u8 {
    gate.begun.notify_one();
    gate.open.notified().await;
    1
}

/// Waits outside any transaction. Use it to see what remains when a caller hangs up.
#[operator_api(POST, "/gated-mail")]
async fn gated_mail(gate: &Arc<Gate>) -> u8 {
    gate.begun.notify_one();
    gate.open.notified().await;
    1
}

#[tokio::test]
async fn a_call_whose_caller_has_hung_up_is_logged_when_it_ends() {
    let (log, _capturing) = log::captured();
    let gate = Arc::new(Gate {
        begun: Notify::new(),
        open: Notify::new(),
    });
    let app = App::new().only(endpoints![gated_mail]).state(Arc::clone(&gate));
    let client = Client::new(app).await.unwrap().with_idempotency_key("hangs-up");
    let lost = tokio::spawn({
        let client = client.clone();
        async move { client.call("gated_mail", &json!({})).await }
    });
    gate.begun.notified().await;
    lost.abort();
    assert!(lost.await.unwrap_err().is_cancelled());
    gate.open.notify_one();
    let again = client.call("gated_mail", &json!({})).await;
    assert!(again.replayed, "{again:?}");
    let log = log.text();
    let ends: Vec<&str> = log.lines().filter(|line| line.contains("answered")).collect();
    assert_eq!(ends.len(), 2, "{log}");
    assert!(ends.iter().all(|line| line.contains("hangs-up")), "{log}");
    assert!(ends[0].contains("replayed=false"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_of_a_slow_transaction_waits_only_until_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("operator.db")).unwrap();
    let gate = Arc::new(Gate {
        begun: Notify::new(),
        open: Notify::new(),
    });
    // The first call, too, has to begin within this time.
    let settings = Settings::default().wait(Duration::from_secs(5));
    let app = App::new()
        .only(endpoints![gated])
        .config(Config::new().operations(settings))
        .state(Arc::clone(&gate))
        .store(store);
    let client = Client::new(app).await.unwrap().with_idempotency_key("slow");
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.call("gated", &json!({})).await }
    });
    gate.begun.notified().await;
    let duplicate = client.call("gated", &json!({})).await;
    assert_eq!(
        (duplicate.status.as_u16(), duplicate.retry_after.is_some()),
        (409, true),
        "{duplicate:?}"
    );
    // The first transaction has not committed, so there is no record that can be read. The two requests must still be
    // told apart.
    let mistaken = client.call("gated", &json!({ "another": 1 })).await;
    assert_eq!(
        (mistaken.status.as_u16(), mistaken.body["type"].as_str()),
        (422, Some("urn:operator:problem:key-reused")),
        "{mistaken:?}"
    );
    let other = client.with_idempotency_key("other").call("gated", &json!({})).await;
    assert_eq!(
        (other.status.as_u16(), other.retry_after.is_some()),
        (503, true),
        "the answer does not say that this operation runs: {other:?}"
    );
    gate.open.notify_one();
    // The other call still waits for the store, although its caller was answered. It may share the commit of the first
    // call.
    gate.begun.notified().await;
    gate.open.notify_one();
    let first = first.await.unwrap();
    assert_eq!((first.status.as_u16(), first.replayed), (200, false), "{first:?}");
    for client in [&client, &client.with_idempotency_key("other")] {
        let again = client.call("gated", &json!({})).await;
        assert!(again.replayed, "{again:?}");
    }
}
