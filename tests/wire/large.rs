//! A large body is decoded on a different thread than those that answer other calls.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::borrow::Cow;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints, operator_api};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tokio::sync::Notify;

/// Notified when decoding has begun.
static BEGUN: Notify = Notify::const_new();
/// Whether decoding may continue.
static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// A text whose decoding waits until the test opens the gate.
struct Gated(String);

impl<'de> Deserialize<'de> for Gated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BEGUN.notify_one();
        let open = OPEN.0.lock().unwrap();
        drop(OPEN.1.wait_while(open, |open| !*open).unwrap());
        Ok(Self(text))
    }
}

impl JsonSchema for Gated {
    fn schema_name() -> Cow<'static, str> {
        "Gated".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// Takes an input that is slow to decode. Use it to see that other calls do not wait.
#[operator_api(POST, "/gated", read_only)]
async fn gated(
    /// A long text.
    text: Gated,
) -> usize {
    text.0.len()
}

/// Answers at once. Use it to see that it does not wait.
#[operator_api(POST, "/quick", read_only)]
async fn quick() -> bool {
    true
}

/// There is only one worker thread. If the large body were decoded on that thread, every other call would wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn other_calls_are_answered_while_a_large_body_is_decoded() {
    let client = Client::new(App::new().only(endpoints![gated, quick])).await.unwrap();
    let large = client.clone();
    let large = tokio::spawn(async move { large.call("gated", &json!({ "text": "x".repeat(70_000) })).await });
    BEGUN.notified().await;
    let quick = tokio::spawn(async move { client.call("quick", &json!({})).await });
    let quick = tokio::time::timeout(Duration::from_secs(20), quick).await;
    *OPEN.0.lock().unwrap() = true;
    OPEN.1.notify_all();
    assert_eq!(
        quick.expect("the quick call waits for the large one").unwrap().status,
        200
    );
    assert_eq!(large.await.unwrap().body, 70_000);
}
