//! Bodies that are not short are parsed and decoded a few at once, and large ones on a different thread than those that
//! answer other calls. Bodies that wait for their turn are limited too.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use operator_runtime::events::ConversationEnded;
use operator_runtime::store::{MemoryStore, SqliteStore};
use operator_runtime::testing::{Answer, Client};
use operator_runtime::{App, Config, Sqlite, Tx, endpoints, operator_api, operator_event};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tests::caller::{PUBLIC_URL, SECRET, to_mcp};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// Held by each test, because the tests share the permits and the gate.
static ONE_TEST: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// How many bodies are being decoded and are blocked in `Gated::deserialize`.
static WAITING: LazyLock<watch::Sender<usize>> = LazyLock::new(watch::Sender::default);
/// Whether decoding may continue.
static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
/// How often the handler of `charge` has run.
static CHARGES: AtomicUsize = AtomicUsize::new(0);

/// A text whose decoding waits until the test sets `OPEN`.
struct Gated(String);

impl<'de> Deserialize<'de> for Gated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        WAITING.send_modify(|waiting| *waiting += 1);
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

/// Counts its calls. Use it to see that it runs once.
#[operator_api(POST, "/charge")]
async fn charge(
    /// A long text.
    text: String,
) -> usize {
    CHARGES.fetch_add(1, Ordering::Relaxed);
    text.len()
}

/// What an extractor that asks another system waits for.
static OTHER_SYSTEM: Semaphore = Semaphore::const_new(0);

/// A session that another system knows.
struct Session;

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = StatusCode;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        WAITING.send_modify(|waiting| *waiting += 1);
        let answered = OTHER_SYSTEM.acquire().await;
        answered.map(|_| Self).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Has an extractor that waits. Use it to see that other calls are decoded meanwhile.
#[operator_api(POST, "/extracting", read_only)]
async fn extracting(
    #[operator(extract)] _session: Session,
    /// A long text.
    text: String,
) -> usize {
    text.len()
}

/// Counts letters in the transaction of its record. Use it to see that no transaction waits for a large body.
#[operator_api(POST, "/deposit")]
async fn deposit(
    _tx: &mut Tx<Sqlite>,
    /// A long text.
    #[operator(max_length = 70_000)]
    text: String,
) -> usize {
    text.len()
}

/// Forms that serde tries one after the other.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Choice {
    Number(u8),
    List(Vec<Choice>),
}

/// Takes one of several forms. Use it to see that short values of such a type take their turn, too.
#[operator_api(POST, "/choose")]
async fn choose(
    /// The value.
    choice: Choice,
) -> bool {
    matches!(choice, Choice::List(_))
}

/// Takes one of several forms, which names the operation. Use it to see that such a value takes its turn before.
#[operator_api(POST, "/choose-once", key(choice))]
async fn choose_once(
    /// The value.
    choice: Choice,
) -> bool {
    matches!(choice, Choice::List(_))
}

/// Does nothing. Use it to see that long events take their turn.
#[operator_event("conversation.ended")]
async fn ended(_ended: ConversationEnded) {}

/// A client whose API key accompanies its calls, which have no idempotency key.
const API_KEY: &str = "op_sk_of_the_test";

fn config() -> Config {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    config.api_keys(format!("robot={API_KEY}"))
}

/// Calls a tool over MCP.
async fn call_tool(router: &Router, name: &str, arguments: &Value) -> StatusCode {
    let params = json!({ "name": name, "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = to_mcp(API_KEY, Body::from(message.to_string()));
    router.clone().oneshot(request).await.unwrap().status()
}

fn permits() -> usize {
    available_parallelism().map_or(1, |count| count.get() / 2).max(1)
}

/// A closed gate, which opens when the test ends: a runtime waits for its blocked threads, even if the test has failed.
struct Closed;

fn close_the_gate() -> Closed {
    *OPEN.0.lock().unwrap() = false;
    WAITING.send_replace(0);
    Closed
}

impl Drop for Closed {
    fn drop(&mut self) {
        open_the_gate();
    }
}

fn open_the_gate() {
    *OPEN.0.lock().unwrap() = true;
    OPEN.1.notify_all();
}

async fn until_decoding(count: usize) {
    WAITING.subscribe().wait_for(|waiting| *waiting >= count).await.unwrap();
}

/// Every body blocks the worker thread on which it is decoded, and there is one more thread than permits. If more bodies
/// were decoded at once, no thread would be left.
#[test]
fn a_worker_thread_is_left_for_other_calls_while_many_bodies_are_decoded() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(permits() + 1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let _guard = ONE_TEST.lock().await;
        // Start-up decodes samples of each input.
        open_the_gate();
        let client = Client::new(App::new().only(endpoints![gated, quick])).await.unwrap();
        let _closed = close_the_gate();
        let medium = json!({ "text": "x".repeat(3_000) });
        let mut calls = JoinSet::new();
        for _ in 0..permits() + 2 {
            let (client, medium) = (client.clone(), medium.clone());
            calls.spawn(async move { client.call("gated", &medium).await });
        }
        until_decoding(permits()).await;
        // No timer runs while all threads of the runtime are blocked, so another thread ends the wait.
        let (answered, has_answer) = std::sync::mpsc::channel();
        let watch = std::thread::spawn(move || {
            let is_answered = has_answer.recv_timeout(Duration::from_secs(20)).is_ok();
            open_the_gate();
            is_answered
        });
        let quick = tokio::spawn(async move { client.call("quick", &json!({})).await });
        assert_eq!(quick.await.unwrap().status, 200);
        let _ = answered.send(());
        let mut refused = 0;
        while let Some(answer) = calls.join_next().await {
            // A call whose turn does not come in time is refused.
            let answer = answer.unwrap();
            refused += usize::from(answer.status == 503);
            assert!(answer.body == 3_000 || answer.status == 503, "{answer:?}");
        }
        assert!(refused <= 2, "only two calls had to wait, but {refused} were refused");
        assert!(watch.join().unwrap(), "the other call waited for the bodies");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn other_bodies_are_decoded_while_extractors_wait() {
    let _guard = ONE_TEST.lock().await;
    let _closed = close_the_gate();
    let client = Client::new(App::new().only(endpoints![extracting, choose]))
        .await
        .unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..permits() {
        let client = client.clone();
        waiting.spawn(async move { client.call("extracting", &json!({ "text": "x".repeat(3_000) })).await });
    }
    until_decoding(permits()).await;
    let other = client.call("choose", &json!({ "choice": vec![1; 3_000] })).await;
    assert_eq!(other.status, 200, "{}", other.body);
    OTHER_SYSTEM.add_permits(permits());
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().body, 3_000);
    }
}

/// There is only one worker thread. If a large body were decoded on that thread, every other call would wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn few_large_bodies_are_decoded_at_once_and_other_calls_are_answered_meanwhile() {
    let _guard = ONE_TEST.lock().await;
    open_the_gate();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("large.db")).unwrap();
    let app =
        App::new()
            .store(store)
            .config(config())
            .only(endpoints![gated, quick, charge, deposit, choose, choose_once]);
    let client = Client::new(app).await.unwrap();
    let over_mcp = App::new()
        .store(MemoryStore::new())
        .config(config())
        .only(endpoints![quick]);
    let over_mcp = over_mcp.router().await.unwrap();
    let _closed = close_the_gate();
    let long = json!({ "text": "x".repeat(70_000) });
    let mut large = JoinSet::new();
    for _ in 0..permits() {
        let (client, long) = (client.clone(), long.clone());
        large.spawn(async move { client.call("gated", &long).await });
    }
    until_decoding(permits()).await;

    let call = |endpoint: &'static str, inputs: &Value| {
        let (client, inputs) = (client.with_idempotency_key(endpoint), inputs.clone());
        let call = tokio::spawn(async move { client.call(endpoint, &inputs).await });
        tokio::time::timeout(Duration::from_secs(20), call)
    };
    let nothing = json!({});
    let quick = call("quick", &nothing).await.expect("it waits for the large one");
    assert_eq!(quick.unwrap().status, 200);
    let too_long = json!({ "text": "x".repeat(70_001) });
    let unsigned = {
        let client = client.with_signing_key("another secret, 32 characters long");
        let very_long = json!({ "text": "x".repeat(300_000) });
        tokio::spawn(async move { client.call("quick", &very_long).await })
    };
    let quick = call_tool(&over_mcp, "quick", &nothing);
    let quick = tokio::time::timeout(Duration::from_secs(20), quick).await;
    assert_eq!(quick.expect("it waits for the large one"), 200);
    // Four of these calls wait for the permit: three to be decoded, one to be checked before its transaction begins. Over
    // MCP, the message waits before it is parsed. A caller that is not verified waits for other permits, of which none is
    // taken.
    let short = json!({ "choice": [1] });
    let choose_once = {
        let (client, short) = (client.with_api_key(API_KEY), short.clone());
        let call = tokio::spawn(async move { client.call("choose_once", &short).await });
        tokio::time::timeout(Duration::from_secs(20), call)
    };
    let (charge, choose, choose_once, deposit, unsigned, message) = tokio::join!(
        call("charge", &long),
        call("choose", &short),
        choose_once,
        call("deposit", &too_long),
        unsigned,
        call_tool(&over_mcp, "quick", &long)
    );
    assert_eq!(unsigned.unwrap().status, 401);
    assert_eq!(message, 503);
    for too_late in [charge, choose, choose_once, deposit] {
        let too_late = too_late.expect("it waits without a limit").unwrap();
        assert_eq!(too_late.status, 503, "{}", too_late.body);
        assert!(too_late.retry_after.is_some());
    }
    assert_eq!(CHARGES.load(Ordering::Relaxed), 0);

    open_the_gate();
    while let Some(answer) = large.join_next().await {
        assert_eq!(answer.unwrap().body, 70_000);
    }
    assert_eq!(
        call_tool(&over_mcp, "quick", &long).await,
        200,
        "the turns are given back"
    );
    let again = call("charge", &long).await.unwrap().unwrap();
    assert_eq!((again.status.as_u16(), again.body), (200, json!(70_000)));
    assert_eq!(
        CHARGES.load(Ordering::Relaxed),
        1,
        "a call that did not run is run by its retry"
    );
    let refused = call("deposit", &too_long).await.unwrap().unwrap();
    assert_eq!(refused.status, 400, "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("`text` must"), "{detail}");
    let reused = call("deposit", &long).await.unwrap().unwrap();
    assert_eq!(reused.status, 422, "the refusal is recorded: {}", reused.body);
}

/// Otherwise every connection could hold a whole body while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_that_waits_for_its_turn_counts_as_running() {
    let _guard = ONE_TEST.lock().await;
    open_the_gate();
    let others = Client::new(App::new().only(endpoints![gated])).await.unwrap();
    let app = App::new().config(config().concurrency(1));
    let app = app.only(endpoints![quick, choose_once, ended]);
    let client = Client::new(app).await.unwrap();
    let _closed = close_the_gate();
    let long = json!({ "text": "x".repeat(70_000) });
    let mut large = JoinSet::new();
    for _ in 0..permits() {
        let (others, long) = (others.clone(), long.clone());
        large.spawn(async move { others.call("gated", &long).await });
    }
    until_decoding(permits()).await;

    let keyed = client.with_api_key(API_KEY);
    let (nothing, choice) = (json!({}), json!({ "choice": [1] }));
    let event = json!({ "type": "conversation.ended", "data": { "summary": "x".repeat(70_000) } });
    let mut waiting: [Pin<Box<dyn Future<Output = Answer> + Send>>; 2] = [
        Box::pin(client.event(&event)),
        Box::pin(keyed.call("choose_once", &choice)),
    ];
    for call in &mut waiting {
        let is_waiting = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        assert!(is_waiting, "it needs no turn");
        let quick = client.call("quick", &nothing).await;
        assert_eq!(quick.status, 503);
        let detail = quick.body["detail"].as_str().unwrap();
        assert!(detail.contains("at its limit of concurrent calls"), "{detail}");
        *call = Box::pin(client.call("quick", &nothing));
        assert_eq!(call.await.status, 200, "a caller that hangs up gives its permit back");
    }
    open_the_gate();
    while let Some(answer) = large.join_next().await {
        assert_eq!(answer.unwrap().body, 70_000);
    }
}
