//! Operations that inputs name: `key(…)`, for callers that send no idempotency key. MCP clients are such callers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use operator_runtime::store::MemoryStore;
use operator_runtime::testing::Client;
use operator_runtime::{App, Call, Config, Sqlite, Tx, endpoints, operator_api, store};
use serde_json::{Value, json};
use tests::caller::{PUBLIC_URL, SECRET, to_mcp};
use tower::ServiceExt as _;

/// What the handlers have done: the key of each operation that ran.
type Done = Arc<Mutex<Vec<String>>>;

/// An amount that only its own conversion refuses: its schema allows 7.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(try_from = "u32")]
struct Cents(u32);

impl TryFrom<u32> for Cents {
    type Error = &'static str;

    fn try_from(cents: u32) -> Result<Self, Self::Error> {
        if cents == 7 {
            Err("7 cents bring bad luck")
        } else {
            Ok(Self(cents))
        }
    }
}

/// Refunds an order. Use it once the customer has agreed to the amount.
#[operator_api(POST, "/refunds", key(order_id, request))]
async fn refund(
    done: &Done,
    call: &Call,
    /// The order's number, as printed on the receipt.
    order_id: u64,
    /// What the customer calls this request.
    #[operator(rename = "request_id")]
    request: Option<Value>,
    /// The amount to pay back, in cents.
    #[operator(default = Cents(1))]
    cents: Cents,
    /// Why the customer wants the money back.
    reason: Option<String>,
) -> String {
    done.lock().unwrap().push(call.idempotency_key().to_owned());
    let named = if request.is_some() { "named" } else { "plain" };
    format!(
        "{named} {order_id}: {} for {}",
        cents.0,
        reason.unwrap_or_default().len()
    )
}

impl serde::Serialize for Cents {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

/// Notes a complaint. Use it when a customer is angry.
#[operator_api(POST, "/complaints", key(order_id))]
async fn complain(
    tx: &mut Tx<Sqlite>,
    /// The order's number, as printed on the receipt.
    order_id: i64,
    /// What the customer said.
    words: String,
) -> Result<i64, operator_runtime::Error> {
    tx.execute("INSERT INTO complaint VALUES (?1, ?2)", (order_id, words))?;
    Ok(tx.last_insert_rowid())
}

/// Rings a bell. Use it to wake the shop.
#[operator_api(POST, "/bell")]
async fn ring(done: &Done) -> usize {
    let mut done = done.lock().unwrap();
    done.push("bell".to_owned());
    done.len()
}

/// Counts what was done. Use it to see whether a call acted.
#[operator_api(GET, "/done")]
async fn count(done: &Done) -> usize {
    done.lock().unwrap().len()
}

fn app(done: &Done) -> App {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    App::new()
        .only(endpoints![refund, ring, count])
        .state(Arc::clone(done))
        .config(config.api_keys("one/a=first, two/b=second"))
        .store(MemoryStore::new())
}

/// The result of a tool call by the holder of this token.
async fn call(router: &Router, token: &str, name: &str, arguments: Value, key: Option<&str>) -> Value {
    let mut params = json!({ "name": name, "arguments": arguments });
    if let Some(key) = key {
        params["_meta"] = json!({ "operator/idempotency-key": key });
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = to_mcp(token, Body::from(message.to_string()));
    let response = router.clone().oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["result"].clone()
}

fn answer(result: &Value) -> &str {
    result["structuredContent"]["result"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_the_same_inputs_are_one_operation_however_the_other_inputs_are_worded() {
    let done = Done::default();
    let router = app(&done).router().await.unwrap();
    let refunds = async |arguments| call(&router, "first", "refund", arguments, None).await;
    let first = refunds(json!({ "order_id": 4, "request_id": { "a": 1, "b": "x" }, "reason": "late" })).await;
    assert_eq!(answer(&first), "named 4: 1 for 4", "{first}");
    for same in [
        json!({ "order_id": 4, "request_id": { "a": 1, "b": "x" }, "reason": "late" }),
        json!({ "reason": "It came too late.", "request_id": { "b": "x", "a": 1.0 }, "order_id": 4 }),
        json!({ "order_id": 4.0, "request_id": { "a": 1, "b": "x" }, "cents": 90 }),
        // A large body is decoded in its turn.
        json!({ "order_id": 4, "request_id": { "a": 1, "b": "x" }, "reason": "a".repeat(100_000) }),
    ] {
        let again = refunds(same).await;
        assert_eq!(answer(&again), "named 4: 1 for 4", "{again}");
        assert_eq!(again["_meta"]["operator/replayed"], true, "{again}");
        // Sent as a key of the client's, the key would name another operation.
        assert_eq!(again["_meta"].get("operator/idempotency-key"), None, "{again}");
    }
    for other in [
        json!({ "order_id": 5, "request_id": { "a": 1, "b": "x" } }),
        json!({ "order_id": 4, "request_id": { "a": 1, "b": "y" } }),
        json!({ "order_id": 4, "reason": "a".repeat(100_000) }),
    ] {
        assert_eq!(refunds(other).await["_meta"].get("operator/replayed"), None);
    }
    let keys = done.lock().unwrap().clone();
    assert!(keys.iter().all(|key| key.starts_with("inputs-")), "{keys:?}");
    assert_eq!(keys.len(), 4);
    // The same order of another tenant is another operation, also for a payment provider that both tenants use.
    call(&router, "second", "refund", json!({ "order_id": 4 }), None).await;
    assert_ne!(done.lock().unwrap()[4], keys[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_an_api_key_and_no_header_are_named_by_their_inputs() {
    let done = Done::default();
    let client = Client::new(app(&done)).await.unwrap().with_api_key("first");
    let refund = async |client: &Client, reason: &str| {
        let inputs = json!({ "order_id": 4, "request_id": "r-1", "reason": reason });
        let answer = client.call("refund", &inputs).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.body.clone(), answer.replayed)
    };
    assert_eq!(refund(&client, "late").await, (json!("named 4: 1 for 4"), false));
    let reworded = refund(&client, "It came too late.").await;
    assert_eq!(reworded, (json!("named 4: 1 for 4"), true));
    // A key in a header takes precedence, so this is another operation.
    let other = refund(&client.with_idempotency_key("k"), "late").await;
    assert_eq!(other, (json!("named 4: 1 for 4"), false));
    let keys = done.lock().unwrap().clone();
    assert!(
        keys.len() == 2 && keys[0].starts_with("inputs-") && keys[1] == "k",
        "{keys:?}"
    );
    // Nothing names an operation of an endpoint without `key(…)`.
    let unnamed = client.call("ring", &json!({})).await;
    assert_eq!(unnamed.status, 400, "{unnamed:?}");
    assert_eq!(done.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_input_leaves_no_record_even_if_only_its_type_refuses_it() {
    let done = Done::default();
    let router = app(&done).router().await.unwrap();
    for wrong in [
        json!({ "order_id": 4, "cents": "many" }),
        json!({ "order_id": 4, "cents": 7 }),
        json!({ "order_id": 4, "cents": 7, "reason": "a".repeat(100_000) }),
        json!({ "order_id": 4, "amount": 90 }),
    ] {
        let refused = call(&router, "first", "refund", wrong, None).await;
        assert_eq!(refused["_meta"]["operator/problem"]["status"], 400, "{refused}");
    }
    let right = call(&router, "first", "refund", json!({ "order_id": 4, "cents": 8 }), None).await;
    assert_eq!(answer(&right), "plain 4: 8 for 0", "{right}");
    assert_eq!(done.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_caller_sends_takes_precedence_and_names_no_operation_of_inputs() {
    let done = Done::default();
    let router = app(&done).router().await.unwrap();
    let order = || json!({ "order_id": 4 });
    call(&router, "first", "refund", order(), None).await;
    let of_inputs = done.lock().unwrap()[0].clone();
    for key in ["k", &of_inputs] {
        let sent = call(&router, "first", "refund", order(), Some(key)).await;
        assert_eq!(sent["_meta"].get("operator/replayed"), None, "{sent}");
        assert_eq!(sent["_meta"]["operator/idempotency-key"], *key);
        // Such a call has the usual fingerprint: all of its inputs.
        let other = json!({ "order_id": 4, "reason": "late" });
        let reused = call(&router, "first", "refund", other, Some(key)).await;
        assert_eq!(reused["_meta"]["operator/problem"]["status"], 422, "{reused}");
    }
    assert_eq!(*done.lock().unwrap(), [&of_inputs, "k", &of_inputs]);
    // An endpoint without `key(…)` still acts on each call without a key.
    for rung in [4, 5] {
        let ring = call(&router, "first", "ring", json!({}), None).await;
        assert_eq!(ring["structuredContent"]["result"], rung, "{ring}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_call_keeps_its_own_key() {
    let done = Done::default();
    let client = Client::new(app(&done)).await.unwrap();
    for _ in 0..2 {
        let answer = client.call("refund", &json!({ "order_id": 4 })).await;
        assert!(answer.status == 200 && !answer.replayed, "{answer:?}");
    }
    assert!(done.lock().unwrap().iter().all(|key| key.starts_with("testing-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_documents_require_a_key_of_a_token_s_holder_only_where_no_inputs_name_the_operation() {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = app(&Done::default()).config(config.serve_manifest(true));
    let client = Client::new(app).await.unwrap();
    for format in ["openapi", "openapi-3.0"] {
        let document = client.call("manifest", &json!({ "format": format })).await.body;
        let header = &document["paths"]["/refunds"]["post"]["parameters"][0];
        assert_eq!(
            (&header["in"], &header["required"]),
            (&json!("header"), &json!(false)),
            "{document}"
        );
        let text = header["description"].as_str().unwrap();
        assert!(text.contains("`order_id`, `request_id`"), "{text}");
        assert_eq!(document["paths"]["/bell"]["post"].get("parameters"), None);
        let signed = ["X-Idempotency-Key", "X-Signature", "X-Timestamp"];
        // OpenAPI 3.0 has no mutual TLS.
        let alone: &[&str] = match format {
            "openapi" => &["bearer", "X-API-Key", "mutualTLS"],
            _ => &["bearer", "X-API-Key"],
        };
        let expected = |beside: &[&'static str]| -> BTreeSet<BTreeSet<&str>> {
            let alone = alone.iter().map(|one| [&[*one], beside].concat());
            alone.chain([signed.to_vec()]).map(BTreeSet::from_iter).collect()
        };
        for (path, method) in [("/refunds", "post"), ("/done", "get")] {
            assert_eq!(
                ways(&document, &document["paths"][path][method]),
                expected(&[]),
                "{path}"
            );
        }
        let with_key = expected(&["X-Idempotency-Key"]);
        assert_eq!(ways(&document, &document["paths"]["/bell"]["post"]), with_key);
    }
}

/// The alternatives of an operation's caller, each with the headers that it sends or the name of the scheme.
fn ways<'d>(document: &'d Value, operation: &'d Value) -> BTreeSet<BTreeSet<&'d str>> {
    let of_operation = operation.get("security").unwrap_or(&document["security"]);
    let schemes = &document["components"]["securitySchemes"];
    let shown = |scheme: &String| {
        let scheme = &schemes[scheme];
        let shown = ["name", "scheme", "type"]
            .iter()
            .find_map(|member| scheme[member].as_str());
        shown.unwrap()
    };
    let ways = of_operation.as_array().unwrap().iter();
    ways.map(|way| way.as_object().unwrap().keys().map(shown).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_name_the_operation_of_a_transaction_too() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("operator.db").display());
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = App::new()
        .only(endpoints![complain])
        .config(config.api_keys("one/a=first"))
        .sqlite_setup(|tables| tables.execute_batch("CREATE TABLE IF NOT EXISTS complaint (order_id, words)"))
        .store(store::open(&address).await.unwrap());
    let router = app.router().await.unwrap();
    for (order_id, words, row) in [(4, "late", 1), (4, "It is late", 1), (5, "late", 2)] {
        let arguments = json!({ "order_id": order_id, "words": words });
        let complaint = call(&router, "first", "complain", arguments, None).await;
        assert_eq!(complaint["structuredContent"]["result"], row, "{complaint}");
    }
}

/// Says when the call was made, in milliseconds since 1970-01-01 UTC.
#[operator_api(GET, "/made")]
async fn made(call: &Call) -> u128 {
    call.timestamp().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test]
async fn the_timestamp_of_a_call_that_is_not_signed_is_the_time_at_which_it_arrives() {
    const TOKEN: &str = "op_sk_of_the_partner";
    let app = App::new()
        .only(endpoints![made])
        .config(Config::new().api_keys(format!("partner={TOKEN}")));
    let client = Client::new(app).await.unwrap().with_api_key(TOKEN);
    for seconds in [1_900_000_000, 1_900_000_001, 2_000_000_000] {
        client.clock().jump_to(Duration::from_secs(seconds));
        let answer = client.call("made", &json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, json!(seconds * 1_000)));
    }
}
