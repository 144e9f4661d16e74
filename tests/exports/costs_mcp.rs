//! Tests the memory for messages of MCP, which are parsed into trees that take far more memory than the text.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::borrow::Cow;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use operator_runtime::store::MemoryStore;
use operator_runtime::{App, Config, endpoints, operator_api};
use peak_alloc::PeakAlloc;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tests::caller::{PUBLIC_URL, SECRET, to_mcp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// How many bytes a message may allocate, and how many more for each of its own bytes.
const ALLOWED: usize = 32 * 1024 * 1024;
const ALLOWED_FOR_A_BYTE: usize = 32;
/// The number of calls that wait at the same time.
const AT_ONCE: usize = 32;

/// A list, of which nothing is kept.
struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Ignored {
    fn schema_name() -> Cow<'static, str> {
        "Ignored".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "array" })
    }
}

#[derive(Default)]
struct Gate {
    begun: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

/// Waits. Use it to see how much memory a call needs that waits.
#[operator_api(POST, "/wait", read_only)]
async fn wait(
    gate: &Arc<Gate>,
    /// Any values.
    #[operator(lenient)]
    values: Ignored,
) -> bool {
    let Ignored = values;
    gate.begun.send_modify(|begun| *begun += 1);
    gate.is_open.subscribe().wait_for(|is_open| *is_open).await.is_ok()
}

/// Takes a text. Use it to see how much memory a refusal needs.
#[operator_api(POST, "/say", read_only)]
async fn say(
    /// What to say.
    text: String,
) -> usize {
    text.len()
}

/// A call of a tool with this value as its input, and with `meta` beside the arguments.
fn message(name: &str, input: &str, value: &Value, meta: &Value) -> String {
    let params = json!({ "name": name, "arguments": { input: value }, "_meta": { "more": meta } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

/// Sends a message until there is a turn for it, and returns the status and the text of the answer.
async fn send(router: Router, message: Bytes) -> (StatusCode, String) {
    loop {
        let (status, text) = send_once(router.clone(), message.clone()).await;
        if !text.contains("is reading other large requests") {
            return (status, text);
        }
    }
}

async fn send_once(router: Router, message: Bytes) -> (StatusCode, String) {
    let request = to_mcp("op_sk_of_the_test", Body::from(message));
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let text = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8(text.to_vec()).unwrap())
}

/// The most memory that was allocated at the same time since `before` was measured.
fn taken_since(before: usize) -> usize {
    ALLOCATED.peak_usage().saturating_sub(before)
}

/// The only test in this file, because the memory of all threads is counted.
#[tokio::test(flavor = "multi_thread")]
async fn messages_take_memory_in_proportion_to_their_text_only() {
    let gate = Arc::<Gate>::default();
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = App::new()
        .only(endpoints![wait, say])
        .state(Arc::clone(&gate))
        .config(config.api_keys("robot=op_sk_of_the_test"));
    let router = app.store(MemoryStore::new()).router().await.unwrap();
    one_after_the_other(&router).await;
    calls_that_wait(&router, &gate).await;
}

async fn one_after_the_other(router: &Router) {
    for (value, count) in [
        (json!({ "": 0 }), 16_500),
        (json!(0), 49_900),
        (json!([]), 24_900),
        (json!({}), 24_900),
        (json!(""), 49_900),
        (json!([[[[[[[[0]]]]]]]]), 5_500),
    ] {
        let list = Value::from(vec![value.clone(); count]);
        for message in [
            message("say", "text", &list, &json!(0)),
            message("say", "text", &json!("hello"), &list),
            message("nothing", "text", &list, &json!(0)),
            json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "more": list } }).to_string(),
            json!({ "jsonrpc": "2.0", "method": "notifications/mine", "params": { "more": list } }).to_string(),
            json!({ "jsonrpc": "2.0", "id": 1, "more": list }).to_string(),
        ] {
            let length = message.len();
            let before = ALLOCATED.current_usage();
            ALLOCATED.reset_peak_usage();
            let (status, _) = send(router.clone(), message.into()).await;
            let taken = taken_since(before);
            assert!(
                taken <= ALLOWED + ALLOWED_FOR_A_BYTE * length,
                "{count} of {value}: {taken} bytes for a message of {length} bytes, answered with {status}"
            );
        }
    }
}

/// While a call waits, only its text is kept: neither the tree of its arguments nor that of anything beside them.
async fn calls_that_wait(router: &Router, gate: &Gate) {
    let values = Value::from(vec![json!({ "": 0 }); 8_000]);
    let message = Bytes::from(message("wait", "values", &values, &values));
    let length = message.len();
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let mut calls = JoinSet::new();
    for _ in 0..AT_ONCE {
        calls.spawn(send(router.clone(), message.clone()));
    }
    let mut begun = gate.begun.subscribe();
    begun.wait_for(|begun| *begun == AT_ONCE).await.unwrap();
    let (kept, taken) = (ALLOCATED.current_usage().saturating_sub(before), taken_since(before));
    assert!(
        kept <= AT_ONCE * 3 * length,
        "{AT_ONCE} calls keep {kept} bytes, for {length} bytes each"
    );
    let turns = available_parallelism().map_or(1, |count| count.get() / 2).max(1);
    assert!(
        taken <= turns * ALLOWED + AT_ONCE * 3 * length,
        "{AT_ONCE} calls took {taken} bytes, for {length} bytes each"
    );
    gate.is_open.send_replace(true);
    while let Some(answer) = calls.join_next().await {
        let (status, text) = answer.unwrap();
        assert!(status == 200 && text.contains("true"), "{text}");
    }
}
