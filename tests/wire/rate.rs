//! How often a credential may call: `OPERATOR_RATE`, and the default rate of `/mcp`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use operator_runtime::store::MemoryStore;
use operator_runtime::testing::Client;
use operator_runtime::{App, Config, Rate, endpoints, operator_api};
use serde_json::{Value, json};
use tests::caller::{PUBLIC_URL, SECRET, now, post, send, signed_post};
use tests::process::{Server, build};
use tower::ServiceExt as _;

/// Counts its own runs. Use it to see whether a call was carried out.
#[operator_api(POST, "/counted")]
async fn counted(runs: &Arc<AtomicU32>) -> u32 {
    runs.fetch_add(1, Ordering::Relaxed) + 1
}

/// Reads. Use it to see whether reads count too.
#[operator_api(GET, "/read")]
async fn read() -> bool {
    true
}

fn app() -> App {
    App::new()
        .only(endpoints![counted, read])
        .state(Arc::<AtomicU32>::default())
}

async fn client(rate: &str) -> Client {
    let config = Config::new()
        .signing_keys("shop/one=0123456789abcdef, shop/two=fedcba9876543210")
        .api_keys("shop/one=t0k3n");
    Client::new(app().config(config.rate(rate.parse().unwrap())))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_call_over_the_rate_starts_nothing_and_learns_when_to_come_back() {
    let client = client("2/m").await;
    let (log, _guard) = tests::log::captured();
    let call = async |key: &str| client.with_idempotency_key(key).call("counted", &json!({})).await;
    assert_eq!(call("a").await.body, json!(1));
    // A retry of a completed operation counts too.
    assert!(call("a").await.replayed);
    for key in ["a", "b"] {
        let refused = call(key).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.retry_after, Some(Duration::from_secs(30)));
        assert_eq!(refused.body["type"], "urn:operator:problem:too-many-calls");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("at most 2 calls per minute"), "{detail}");
    }
    let log = log.text();
    assert_eq!(log.matches("more than 2 calls per minute").count(), 2, "{log}");
    for field in [
        "tenant=\"shop\"",
        "key_id=\"one\"",
        "scheme=\"hmac\"",
        "endpoint=\"counted\"",
        "outcome=\"turned_away\"",
        "request_id=\"",
    ] {
        assert!(log.contains(field), "{field}: {log}");
    }
    // Other credentials have their own rate, also an API key with the same name.
    let others = [
        client.with_signing_key("fedcba9876543210"),
        client.with_api_key("t0k3n"),
    ];
    for other in others {
        assert_eq!(other.call("read", &json!({})).await.status, 200);
    }
    // The wall clock does not matter, in either direction.
    for jump in [2_000_000_000, 1_000_000_000, 1_700_000_000] {
        client.clock().jump_to(Duration::from_secs(jump));
        assert_eq!(call("b").await.status, StatusCode::TOO_MANY_REQUESTS);
    }
    client.clock().advance(Duration::from_millis(29_001));
    assert_eq!(call("b").await.retry_after, Some(Duration::from_secs(1)));
    client.clock().advance(Duration::from_millis(999));
    // Nothing was claimed, so the operation runs now, and is not a replay.
    let first = call("b").await;
    assert_eq!((first.body, first.replayed), (json!(2), false));
    assert_eq!(
        client.call("read", &json!({})).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn calls_that_are_not_verified_do_not_use_up_a_rate() {
    let client = client("1/h").await;
    let forger = client.with_signing_key("a guess of the signing key");
    let guesser = client.with_api_key("a guess of the token");
    for _ in 0..50 {
        for stranger in [&forger, &guesser] {
            assert_eq!(stranger.call("counted", &json!({})).await.status, 401);
        }
    }
    assert_eq!(client.call("counted", &json!({})).await.body, json!(1));
    let refused = client.call("counted", &json!({})).await;
    assert_eq!(refused.retry_after, Some(Duration::from_hours(1)));
    // A stranger learns nothing about the rate.
    assert_eq!(forger.call("counted", &json!({})).await.status, 401);
}

#[test]
fn a_flood_gets_exactly_its_rate_and_the_probes_are_not_limited() {
    const CALLERS: usize = 64;
    let program = build("support-desk", "dev");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&program, folder.path(), &[("OPERATOR_RATE", "5/h")]);
    let forged = signed_post(now(), "/refunds", "f", r#"{"order_id":1}"#).replace("order_id", "order_no");
    let barrier = Barrier::new(CALLERS);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let callers = (0..CALLERS).map(|caller| {
            let (barrier, forged) = (&barrier, &forged);
            scope.spawn(move || {
                barrier.wait();
                assert_eq!(send(server.port, forged).unwrap().status, 401);
                let body = r#"{"order_id":1001,"amount_cents":1}"#;
                let answer = post(server.port, "/refunds", &format!("k{caller}"), body).unwrap();
                let head = answer.head.to_lowercase();
                assert_eq!(head.contains("retry-after: 7"), answer.status == 429, "{head}");
                answer.status
            })
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::<u16, usize>::new();
    for status in statuses {
        *counts.entry(status).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(200, 5), (429, CALLERS - 5)]));
    for _ in 0..20 {
        for probe in ["/livez", "/readyz"] {
            let asked = format!("GET {probe} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            assert_eq!(send(server.port, &asked).unwrap().status, 200);
        }
    }
}

/// A host with `/mcp`.
async fn mcp(rate: Option<Rate>) -> Router {
    let config = Config::new()
        .signing_key(SECRET)
        .public_url(PUBLIC_URL)
        .api_keys("shop/one=t0k3n, shop/two=t3k0n");
    let config = rate.into_iter().fold(config, Config::rate);
    app().config(config).store(MemoryStore::new()).router().await.unwrap()
}

async fn ask(router: &Router, token: &str, message: &Value) -> (StatusCode, Option<String>, Value) {
    let request = Request::post("/mcp")
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from(message.to_string()))
        .unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let retry_after = head.headers.get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    (
        head.status,
        retry_after,
        serde_json::from_slice(&body).unwrap_or_default(),
    )
}

fn list() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })
}

fn tool_call(key: &str) -> Value {
    let params = json!({ "name": "counted", "arguments": {}, "_meta": { "operator/idempotency-key": key } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

#[tokio::test]
async fn over_mcp_a_tool_call_gets_a_sentence_and_another_message_a_429() {
    let router = mcp(Some(Rate::per_hour(2))).await;
    assert_eq!(ask(&router, "a guess", &list()).await.0, 401);
    assert_eq!(ask(&router, "t0k3n", &list()).await.0, 200);
    let (_, _, done) = ask(&router, "t0k3n", &tool_call("a")).await;
    assert_eq!(done["result"]["structuredContent"], json!({ "result": 1 }));
    let (status, retry_after, refused) = ask(&router, "t0k3n", &list()).await;
    let seconds: u32 = retry_after.unwrap().parse().unwrap();
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!((1_700..=1_800).contains(&seconds), "{seconds}");
    assert_eq!(refused["type"], "urn:operator:problem:too-many-calls");
    let (status, _, refused) = ask(&router, "t0k3n", &tool_call("b")).await;
    let result = &refused["result"];
    assert_eq!(
        (status, &result["isError"]),
        (StatusCode::OK, &json!(true)),
        "{refused}"
    );
    assert_eq!(result["_meta"]["operator/problem"]["status"], 429);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("Send the call again. Try the call again in 1"), "{text}");
    // The rate is the credential's, at the endpoints and over MCP together.
    let direct = Request::get("/read")
        .header("x-api-key", "t0k3n")
        .body(Body::empty())
        .unwrap();
    assert_eq!(router.clone().oneshot(direct).await.unwrap().status(), 429);
    // Nothing was started.
    let (_, _, done) = ask(&router, "t3k0n", &tool_call("b")).await;
    assert_eq!(done["result"]["structuredContent"], json!({ "result": 2 }));
}

#[tokio::test]
async fn mcp_has_a_rate_unless_it_is_turned_off() {
    const MANY: usize = 2_000;
    let refused_after = async |router: &Router| {
        for served in 0..MANY {
            if ask(router, "t0k3n", &list()).await.0 == 429 {
                return served;
            }
        }
        MANY
    };
    let router = mcp(None).await;
    let served = refused_after(&router).await;
    assert!((50..MANY).contains(&served), "{served}");
    // Without a rate, endpoints have no limit.
    for _ in 0..200 {
        let direct = Request::get("/read")
            .header("x-api-key", "t0k3n")
            .body(Body::empty())
            .unwrap();
        assert_eq!(router.clone().oneshot(direct).await.unwrap().status(), 200);
    }
    assert_eq!(refused_after(&mcp(Some(Rate::UNLIMITED)).await).await, MANY);
}
