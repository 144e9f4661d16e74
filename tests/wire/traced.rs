//! A call can be found again: its answer and its log line have the caller's id, and its span the caller's trace.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use operator_runtime::store::MemoryStore;
use operator_runtime::{App, Config, Host, endpoints, operator_api};
use serde_json::{Value, json};
use tests::caller::{Answer, PUBLIC_URL, SECRET, now, send, signed_post};
use tests::process::{Server, build, run_in};
use tower::ServiceExt as _;

/// Starts the program, calls it, stops it, and returns its log.
fn log_of(program: &Path, calls: impl FnOnce(u16)) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = Command::new(program);
    serve.arg("serve");
    let (server, log) = Server::start_with_log(serve, folder.path(), &[("OPERATOR_API_KEYS", "shop/mcp=n3w")]);
    calls(server.port);
    server.terminate();
    log.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

/// The lines of the log about the request with this id.
fn lines_about<'l>(log: &'l [Value], id: &str) -> Vec<&'l Value> {
    let is_about = |line: &&Value| line["fields"]["request_id"] == id || line["span"]["request_id"] == id;
    log.iter().filter(is_about).collect()
}

/// Adds header lines to the text of a request.
fn with_headers(request: &str, lines: &str) -> String {
    request.replacen("\r\n", &format!("\r\n{lines}"), 1)
}

/// The only id of an answer.
fn id_of(answer: &Answer) -> String {
    let lines = answer.head.lines();
    let ids: Vec<&str> = lines.filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
    assert_eq!(ids.len(), 1, "{}", answer.head);
    ids[0].to_owned()
}

fn is_new(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn refund(key: &str) -> String {
    signed_post(now(), "/refunds", key, r#"{"order_id":1001,"amount_cents":1}"#)
}

fn over_mcp(token: &str, message: &Value) -> String {
    let message = message.to_string();
    let length = message.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{message}"
    )
}

fn tool_call(meta: &Value) -> Value {
    let arguments = json!({ "email": "ana@example.com" });
    let params = json!({ "name": "recent_orders", "arguments": arguments, "_meta": meta });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

#[test]
fn each_answer_has_the_callers_id_and_so_has_its_log_line() {
    // Before the requests are signed, because a signature is valid for 30 s.
    let program = build("support-desk", "dev");
    let plain = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    // How many lines the log has about each request. A call over a limit has one more, which says how full the limit is.
    let rows = [
        ("done", refund("a"), 200, 1),
        ("replayed", refund("a"), 200, 1),
        ("invalid", signed_post(now(), "/refunds", "b", "{}"), 400, 1),
        (
            "over-limit",
            signed_post(now(), "/refunds", "l", r#"{"order_id":1001,"amount_cents":10001}"#),
            403,
            2,
        ),
        ("forged", refund("c").replace("1001", "1002"), 401, 1),
        ("unsigned", plain("POST", "/refunds"), 401, 1),
        ("nowhere", plain("GET", "/nowhere"), 404, 1),
        ("method", plain("PUT", "/refunds"), 405, 1),
        (
            "long",
            with_headers(&plain("POST", "/refunds"), "Content-Length: 9999999\r\n"),
            413,
            1,
        ),
        ("live", plain("GET", "/livez"), 200, 0),
        ("ready", plain("GET", "/readyz"), 200, 0),
        ("mcp-token", over_mcp("guess", &list), 401, 1),
        ("mcp-list", over_mcp("n3w", &list), 200, 0),
        ("mcp-call", over_mcp("n3w", &tool_call(&json!({}))), 200, 1),
    ];
    let log = log_of(&program, |port| {
        for (id, request, status, _) in &rows {
            let answer = send(port, &with_headers(request, &format!("X-Request-Id: {id}\r\n"))).unwrap();
            assert_eq!(
                (answer.status, id_of(&answer).as_str()),
                (*status, *id),
                "{}",
                answer.body
            );
        }
    });
    for (id, _, _, lines) in rows {
        assert_eq!(lines_about(&log, id).len(), lines, "{id}: {log:#?}");
    }
}

#[test]
fn an_id_that_is_missing_wrong_or_ambiguous_is_replaced() {
    let (longest, too_long) = ("~".repeat(128), "~".repeat(129));
    let given = |ids: &[&str]| {
        let lines = ids.iter().map(|id| format!("X-Request-Id: {id}\r\n"));
        with_headers(&refund("a"), &lines.collect::<String>())
    };
    let mut ids = Vec::new();
    let log = log_of(&build("support-desk", "dev"), |port| {
        let answered = |ids: &[&str]| id_of(&send(port, &given(ids)).unwrap());
        assert_eq!(answered(&[&longest]), longest);
        for wrong in [
            &[][..],
            &[""],
            &[&too_long],
            &["é"],
            &["a b"],
            &["one", "two"],
            &["one", "one"],
        ] {
            let id = answered(wrong);
            assert!(is_new(&id), "{wrong:?}: {id}");
            ids.push(id);
        }
    });
    for id in &ids {
        assert_eq!(lines_about(&log, id).len(), 1, "{log:#?}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7, "each new id is different");
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const OTHER: &str = "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01";

#[test]
fn the_span_of_a_call_has_the_callers_trace_if_it_is_valid_and_the_only_one() {
    let program = build("support-desk", "dev");
    let valid = format!("00-{TRACE}-{PARENT}-01");
    let line = |value: &str| format!("traceparent: {value}\r\n");
    let signed = |lines: &str| with_headers(&refund("a"), lines);
    let by_meta = |lines: &str, value: Value| {
        let call = over_mcp("n3w", &tool_call(&json!({ "traceparent": value })));
        with_headers(&call, lines)
    };
    let rows = [
        ("valid", signed(&line(&valid)), true),
        ("in-capitals", signed(&format!("TraceParent: {valid}\r\n")), true),
        (
            "of-the-future",
            signed(&line(&format!("cc-{TRACE}-{PARENT}-01-more"))),
            true,
        ),
        ("none", signed(""), false),
        ("wrong", signed(&line(&valid.to_uppercase())), false),
        ("twice", signed(&line(&valid).repeat(2)), false),
        (
            "over-mcp",
            with_headers(&over_mcp("n3w", &tool_call(&json!({}))), &line(&valid)),
            true,
        ),
        ("in-meta", by_meta("", json!(valid)), true),
        ("meta-counts", by_meta(&line(OTHER), json!(valid)), true),
        ("meta-is-wrong", by_meta(&line(OTHER), json!("wrong")), false),
        ("meta-has-no-text", by_meta(&line(OTHER), json!(7)), false),
        ("meta-is-no-header", by_meta(&line(OTHER), json!("\n")), false),
    ];
    let log = log_of(&program, |port| {
        for (id, request, _) in &rows {
            let answer = send(port, &with_headers(request, &format!("X-Request-Id: {id}\r\n"))).unwrap();
            assert_eq!(answer.status, 200, "{id}: {}", answer.body);
        }
    });
    for (id, _, is_traced) in rows {
        let lines = lines_about(&log, id);
        let span = &lines[0]["span"];
        let ids = ["trace_id", "parent_id"].map(|field| span[field].as_str());
        let expected = if is_traced {
            [Some(TRACE), Some(PARENT)]
        } else {
            [None, None]
        };
        assert_eq!(ids, expected, "{id}: {span}");
    }
}

#[test]
fn the_audit_has_the_trace_of_each_call() {
    let program = build("support-desk", "dev");
    let folder = tempfile::tempdir().unwrap();
    let settings = [("OPERATOR_API_KEYS", "shop/mcp=n3w"), ("OPERATOR_AUDIT", "1d")];
    let server = Server::start_with(&program, folder.path(), &settings);
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let mail = json!({ "email": "ana@example.com", "message": "It arrives today." });
    let meta = json!({ "traceparent": traceparent });
    let params = json!({ "name": "notify_customer", "arguments": mail, "_meta": meta });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    for request in [
        with_headers(&refund("a"), &format!("traceparent: {traceparent}\r\n")),
        refund("b"),
        with_headers(&over_mcp("n3w", &message), "X-Idempotency-Key: m\r\n"),
    ] {
        let answer = send(server.port, &request).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let rows = run_in(folder.path(), &program, &["audit", "--format", "jsonl"]);
    let traces: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).unwrap())
        .map(|row| json!([row["endpoint"], row["trace_id"]]))
        .collect();
    for expected in [
        json!(["refund_order", TRACE]),
        json!(["refund_order", null]),
        json!(["notify_customer", TRACE]),
    ] {
        assert!(traces.contains(&expected), "{expected}: {rows}");
    }
}

/// Answers. Use it to see what a host adds to an answer.
#[operator_api(GET, "/hello")]
async fn hello() -> &'static str {
    "hello"
}

async fn host() -> Host {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = App::new().only(endpoints![hello]).store(MemoryStore::new());
    app.config(config).host().await.unwrap()
}

#[tokio::test]
async fn a_mounted_app_adds_ids_to_its_own_answers_only() {
    let host = host().await;
    let own = Router::new().route("/health", get(async || "well"));
    let mounted = own.merge(host.router());
    let id = |response: Response<Body>| {
        let id = response.headers().get("x-request-id")?;
        Some(id.to_str().unwrap().to_owned())
    };
    let asked = |path: &str| {
        Request::get(path)
            .header("x-request-id", "mine")
            .body(Body::empty())
            .unwrap()
    };
    let answer = async |path: &str| id(mounted.clone().oneshot(asked(path)).await.unwrap());
    assert_eq!(answer("/hello").await.as_deref(), Some("mine"));
    assert_eq!(answer("/health").await, None);
    assert_eq!(answer("/nowhere").await, None);
    let refused = host.service().oneshot(asked("/nowhere")).await.unwrap();
    assert_eq!(id(refused.map(Body::new)).as_deref(), Some("mine"));
}
