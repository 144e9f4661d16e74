//! The MCP server, called by the MCP project's own clients and by callers without access.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod clients;
mod stdio;

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use operator_runtime::store::MemoryStore;
use operator_runtime::{App, Call, Config, endpoints, operator_api};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tests::caller::{self, Answer, PUBLIC_URL, SECRET};
use tests::process::{self, Server};
use tokio::sync::Notify;

const TOKENS: (&str, &str) = ("OPERATOR_API_KEYS", "shop/new=n3w, shop/old=0ld, other/one=s3cret");

/// The text of a request with these additional headers, as a client of the revision 2025-11-25 sends it.
fn request(headers: &[(&str, &str)], message: &str) -> String {
    let mut text = "POST /mcp HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
        Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n"
        .to_owned();
    if headers.iter().all(|(name, _)| *name != "Host") {
        text += "Host: 127.0.0.1\r\n";
    }
    text.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    text + &format!("Content-Length: {}\r\n\r\n{message}", message.len())
}

fn ask(port: u16, headers: &[(&str, &str)], message: &str) -> Answer {
    caller::send(port, &request(headers, message)).unwrap()
}

fn tool_call(name: &str, arguments: &Value, key: &str) -> String {
    let params = json!({ "name": name, "arguments": arguments, "_meta": { "operator/idempotency-key": key } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

#[test]
fn only_tokens_give_access_and_only_if_tokens_are_configured() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let server = Server::start_with(&program, folder.path(), &[TOKENS]);
    let with = |authorization: &str| ask(server.port, &[("Authorization", authorization)], LIST);
    for token in ["Bearer n3w", "Bearer 0ld", "bearer s3cret"] {
        assert_eq!(with(token).status, 200, "{token}");
    }
    let challenge = |answer: &Answer| {
        let line = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("www-authenticate: "));
        (answer.status, line.unwrap_or_default().to_owned())
    };
    let realm = r#"Bearer realm="MCP""#.to_owned();
    assert_eq!(challenge(&ask(server.port, &[], LIST)), (401, realm.clone()));
    for token in [
        "Bearer guess",
        "Bearer n3",
        "Bearer shop/new=n3w",
        &format!("Bearer {SECRET}"),
    ] {
        let wanted = format!("{realm}, error=\"invalid_token\"");
        assert_eq!(challenge(&with(token)), (401, wanted), "{token}");
    }
    let wanted = format!("{realm}, error=\"invalid_request\"");
    assert_eq!(challenge(&with("Basic bjN3")), (401, wanted));
    // A token is not accepted as a signature, and a signature is not accepted as a token.
    let signed = caller::post(server.port, "/mcp", "k", LIST).unwrap();
    assert_eq!(signed.status, 401, "{}", signed.body);
    let off = Server::start(&program, tempfile::tempdir().unwrap().path());
    assert_eq!(ask(off.port, &[("Authorization", "Bearer n3w")], LIST).status, 404);
}

#[test]
fn the_tools_are_those_of_the_manifest_also_below_the_base_path() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let url = ("OPERATOR_PUBLIC_URL", "http://127.0.0.1:8080/support");
    let manifest = ("OPERATOR_SERVE_MANIFEST", "true");
    let server = Server::start_with(&program, folder.path(), &[TOKENS, url, manifest]);
    let described: Value = serde_json::from_str(&process::run(&program, &["manifest", "--format", "mcp"])).unwrap();
    let at_base = request(&[("Authorization", "Bearer n3w")], LIST).replacen("POST /mcp", "POST /support/mcp", 1);
    let answers = [
        caller::send(server.port, &at_base).unwrap(),
        ask(server.port, &[("Authorization", "Bearer n3w")], LIST),
    ];
    for answer in answers {
        assert_eq!(answer.json()["result"]["tools"], described["tools"], "{}", answer.body);
    }
}

#[test]
fn other_origins_and_foreign_host_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&process::build("support-desk", "dev"), folder.path(), &[TOKENS]);
    let status = |name: &str, value: &str| {
        let authorization = ("Authorization", "Bearer n3w");
        ask(server.port, &[authorization, (name, value)], LIST).status
    };
    assert_eq!(status("Origin", PUBLIC_URL), 200);
    for origin in [
        "https://evil.example",
        "http://127.0.0.1:8081",
        "https://127.0.0.1:8080",
        "null",
    ] {
        assert_eq!(status("Origin", origin), 403, "{origin}");
    }
    assert_eq!(status("Host", "localhost:1"), 200);
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
        assert_eq!(status("Host", host), 403, "{host}");
    }
}

#[test]
fn a_request_that_is_not_mcp_is_refused_with_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&process::build("support-desk", "dev"), folder.path(), &[TOKENS]);
    let good = request(&[("Authorization", "Bearer n3w")], LIST);
    for (right, wrong, status, kind) in [
        ("Host: 127.0.0.1", "Host: evil.example", 403, "not-for-you"),
        ("Accept: application/json", "Accept: text/html", 406, "not-acceptable"),
        (
            "Type: application/json",
            "Type: text/plain",
            415,
            "unsupported-media-type",
        ),
        ("POST", "GET", 405, "method-not-allowed"),
        ("Version: 2025-11-25", "Version: 1999-01-01", 400, "malformed-request"),
    ] {
        let answer = caller::send(server.port, &good.replacen(right, wrong, 1)).unwrap();
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["status"]),
            (status, &json!(status)),
            "{wrong}: {answer:?}"
        );
        assert_eq!(problem["type"], format!("urn:operator:problem:{kind}"), "{problem}");
        assert!(
            answer.head.contains("content-type: application/problem+json"),
            "{}",
            answer.head
        );
        assert_eq!(answer.head.contains("allow: POST"), status == 405, "{}", answer.head);
    }
}

#[test]
fn a_body_that_is_not_a_message_is_malformed_not_of_a_wrong_type() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&process::build("support-desk", "dev"), folder.path(), &[TOKENS]);
    for (body, said) in [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("hello", "is not JSON"),
        (&LIST[..LIST.len() - 1], "is not JSON"),
        (&format!("{LIST}{LIST}"), "is not JSON"),
        (&"[".repeat(10_000), "is not JSON"),
        ("\u{feff}{}", "is not JSON"),
        (&format!("[{LIST}]"), "is an array"),
        ("null", "is JSON, but not a JSON-RPC 2.0 message"),
        ("{}", "is JSON, but not a JSON-RPC 2.0 message"),
        (
            r#"{"id":1,"method":"tools/list"}"#,
            "is JSON, but not a JSON-RPC 2.0 message",
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
            "is JSON, but not a JSON-RPC 2.0 message",
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
            "is JSON, but not a JSON-RPC 2.0 message",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            "is JSON, but not a JSON-RPC 2.0 message",
        ),
    ] {
        let answer = ask(server.port, &[("Authorization", "Bearer n3w")], body);
        assert_eq!(answer.status, 400, "{body:.80}: {answer:?}");
        let problem = answer.json();
        assert_eq!(problem["type"], "urn:operator:problem:malformed-request", "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(said),
            "{body:.80}: {problem}"
        );
        // If the content type is not JSON, the body is not read.
        let text = request(&[("Authorization", "Bearer n3w")], body).replacen("application/json", "text/plain", 1);
        assert_eq!(caller::send(server.port, &text).unwrap().status, 415, "{body:.80}");
    }
}

#[test]
fn a_body_has_the_same_limit_as_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&process::build("support-desk", "dev"), folder.path(), &[TOKENS]);
    let message = tool_call("notify_customer", &json!({ "message": "a".repeat(1024 * 1024) }), "k");
    let answer = ask(server.port, &[("Authorization", "Bearer n3w")], &message);
    assert_eq!(answer.status, 413, "{}", answer.body);
    // Many small values take far more memory than their text. Commas inside a string do not count as values.
    let many = tool_call("notify_customer", &json!({ "message": vec![json!({}); 50_000] }), "k");
    let answer = ask(server.port, &[("Authorization", "Bearer n3w")], &many);
    assert!(
        answer.status == 413 && answer.body.contains("JSON values"),
        "{answer:?}"
    );
    let commas = tool_call("notify_customer", &json!({ "message": ",\"[{:\\".repeat(50_000) }), "k");
    let answer = ask(server.port, &[("Authorization", "Bearer n3w")], &commas);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_key_belongs_to_a_tenant_for_all_of_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&process::build("support-desk", "dev"), folder.path(), &[TOKENS]);
    let refund = tool_call(
        "refund_order",
        &json!({ "order_id": 1004, "amount_cents": 100 }),
        "same",
    );
    let refund_id = |token: &str| {
        let answer = ask(server.port, &[("Authorization", &format!("Bearer {token}"))], &refund);
        answer.json()["result"]["structuredContent"]["refund_id"].clone()
    };
    assert_eq!([refund_id("n3w"), refund_id("0ld"), refund_id("s3cret")], [1, 1, 2]);
}

#[test]
fn wrong_settings_are_reported_at_start_up() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |package: &str, command: &str, tokens: &str| {
        let output = Command::new(process::build(package, "dev"))
            .arg(command)
            .env("OPERATOR_SIGNING_KEY", SECRET)
            .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
            .env("OPERATOR_STORE", "memory:")
            .env("OPERATOR_MCP_TOKENS", tokens)
            .stdin(Stdio::null())
            .current_dir(&folder)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        String::from_utf8(output.stderr).unwrap()
    };
    let shared = fails("support-desk", "serve", &format!("a={SECRET}"));
    assert!(
        shared.contains("the API key default/a equals the signing key") && !shared.contains(SECRET),
        "{shared}"
    );
    let shape = fails("support-desk", "serve", "hush");
    assert!(
        shape.contains("Entry 1 of OPERATOR_MCP_TOKENS has no `=`") && !shape.contains("hush"),
        "{shape}"
    );
    for command in ["serve", "mcp"] {
        let without = fails("linked-program", command, "a=b");
        assert!(without.contains(r#"features = ["mcp"]"#), "{without}");
    }
}

/// Opens for the slow handler, and counts how often the handler has run.
#[derive(Default)]
struct Gate {
    begun: Notify,
    open: Notify,
    runs: AtomicU32,
}

/// Waits. Use it to see what becomes of a call whose client has gone.
#[operator_api(POST, "/gated")]
async fn gated(gate: &Arc<Gate>, call: &Call) -> String {
    gate.runs.fetch_add(1, Ordering::Relaxed);
    gate.begun.notify_one();
    gate.open.notified().await;
    let authorization = call.headers().contains_key("authorization");
    format!("{} {} {authorization}", call.tenant(), call.key_id())
}

/// Says a number. Use it to see whether each of its digits arrives.
#[operator_api(GET, "/digits")]
async fn digits(
    /// The number to say, with any number of digits.
    number: u128,
    /// What it is multiplied by.
    #[operator(default = 1.0)]
    factor: f64,
    /// What is added.
    #[operator(default = Decimal::ZERO)]
    more: Decimal,
) -> String {
    format!("{number} times {factor} and {more}")
}

/// Says an amount. Use it to see whether each of its digits arrives in a body.
#[operator_api(POST, "/price", read_only)]
async fn price(
    /// What is to be paid, in euros.
    amount: Decimal,
) -> Decimal {
    amount
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_mistaken_for_another() {
    let port = gate_server(&Arc::default(), Config::new()).await;
    let said = async |number: &str| {
        let call =
            tool_call("digits", &json!({ "number": 0 }), "k").replace("\"number\":0", &format!("\"number\":{number}"));
        let answer = send(port, request(&[("Authorization", "Bearer n3w")], &call)).await;
        answer.json()["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let greatest = u128::MAX.to_string();
    let times = |factor: &str, more: &str| format!("{{\"result\":\"{greatest} times {factor} and {more}\"}}");
    assert_eq!(said(&greatest).await, times("1", "0"));
    // A 64-bit float reaches the handler unchanged.
    assert_eq!(said(&format!("{greatest},\"factor\":5.0")).await, times("5", "0"));
    let digits = "12345678901234567890.55";
    assert_eq!(
        said(&format!("{greatest},\"more\":\"{digits}\"")).await,
        times("1", digits)
    );
    let beyond = said("340282366920938463463374607431768211456").await;
    assert!(
        beyond.contains(&format!(
            "from 0 to {greatest}, and \"340282366920938463463374607431768211456\" was given"
        )),
        "{beyond}"
    );
    assert!(
        said("\"5\"")
            .await
            .starts_with("`number` must be a whole number from 0 to")
    );
    for lost in ["12345678901234567890.55", "0.1000000000000000055"] {
        let call =
            tool_call("price", &json!({ "amount": 0 }), "p").replace("\"amount\":0", &format!("\"amount\":{lost}"));
        let answer = send(port, request(&[("Authorization", "Bearer n3w")], &call)).await;
        let said = format!("`amount` must be sent as text, \"{lost}\", because");
        assert!(
            answer.json()["result"]["content"][0]["text"]
                .as_str()
                .unwrap()
                .starts_with(&said),
            "{answer:?}"
        );
    }
}

/// Starts a server in this process with the endpoints of this file, and returns its port.
async fn gate_server(gate: &Arc<Gate>, config: Config) -> u16 {
    let config = config
        .signing_key(SECRET)
        .public_url(PUBLIC_URL)
        .api_keys("shop/new=n3w");
    let app = App::new()
        .only(endpoints![gated, digits, price])
        .state(Arc::clone(gate));
    let router = app.config(config).store(MemoryStore::new()).router().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

fn gated_call(key: &str) -> String {
    request(&[("Authorization", "Bearer n3w")], &tool_call("gated", &json!({}), key))
}

async fn send(port: u16, request: String) -> Answer {
    tokio::task::spawn_blocking(move || caller::send(port, &request).unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_gets_its_answer_later_and_handlers_see_no_token() {
    let gate = Arc::<Gate>::default();
    let port = gate_server(&gate, Config::new()).await;
    let mut lost = TcpStream::connect(("127.0.0.1", port)).unwrap();
    lost.write_all(gated_call("slow").as_bytes()).unwrap();
    gate.begun.notified().await;
    drop(lost);
    gate.open.notify_one();
    let result = send(port, gated_call("slow")).await.json()["result"].clone();
    assert_eq!(
        result["structuredContent"],
        json!({ "result": "shop new false" }),
        "{result}"
    );
    assert_eq!(result["content"][0]["text"], r#"{"result":"shop new false"}"#);
    assert_eq!(gate.runs.load(Ordering::Relaxed), 1);
    // Nor do they see it in a call to the endpoint itself.
    gate.open.notify_one();
    let direct = "POST /gated HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nIdempotency-Key: direct\r\n\
                  Authorization: Bearer n3w\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(send(port, direct.to_owned()).await.json(), json!("shop new false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_and_a_slow_body_times_out() {
    let gate = Arc::<Gate>::default();
    let config = Config::new().concurrency(1).read_timeout(Duration::from_millis(100));
    let port = gate_server(&gate, config).await;
    let first = tokio::spawn(send(port, gated_call("first")));
    gate.begun.notified().await;
    let second = send(port, gated_call("second")).await.json()["result"].clone();
    assert_eq!(second["isError"], true);
    let said = second["content"][0]["text"].as_str().unwrap();
    assert!(
        said.contains("at its limit of concurrent calls") && said.ends_with("Try the call again in one second."),
        "{said}"
    );
    gate.open.notify_one();
    assert_eq!(first.await.unwrap().status, 200);
    let whole = gated_call("slow");
    let slow = send(port, whole[..whole.len() - 1].to_owned()).await;
    assert_eq!(slow.status, 408, "{}", slow.body);
}

/// Is where MCP clients are answered. Use it to see that two cannot be.
#[operator_api(POST, "/mcp")]
async fn in_the_way() {}

#[test]
fn an_endpoint_at_the_path_of_mcp_is_a_start_up_problem() {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = App::new().only(endpoints![in_the_way]).store(MemoryStore::new());
    app.clone().config(config.clone()).check().unwrap();
    let problem = app.config(config.api_keys("a=b")).check().unwrap_err();
    assert!(problem.to_string().contains("`in_the_way`"), "{problem}");
}
