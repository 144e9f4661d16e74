//! The protocol's list of rules for a receiver. Each row of the list is tested over a real socket.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use tests::caller::{Answer, SECRET, now, send, sign};
use tests::process::{Server, build};

const BODY: &str = r#"{"order_id":1001,"amount_cents":1}"#;

/// A valid request. Each row of the test changes one part of it.
struct Request {
    method: &'static str,
    target: String,
    /// The path that is signed, if it differs from the path that is sent.
    signed_path: String,
    signed_content: String,
    key: String,
    /// How far the timestamp is ahead, in seconds, when the request is sent.
    ahead: i64,
    /// A timestamp to send instead.
    timestamp: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: String,
    signature: Option<String>,
}

impl Request {
    fn post(path: &str, key: &str, body: &str) -> Self {
        Self {
            method: "POST",
            target: path.to_owned(),
            signed_path: path.to_owned(),
            signed_content: body.to_owned(),
            key: key.to_owned(),
            ahead: 0,
            timestamp: None,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.to_owned(),
            signature: None,
        }
    }

    fn get(query: &str, content: &str) -> Self {
        let mut request = Self::post("/orders/recent", "get", "");
        request.method = "GET";
        request.target = format!("/orders/recent{query}");
        request.signed_content = content.to_owned();
        request.headers.clear();
        request
    }

    fn send(&self, port: u16) -> Answer {
        let timestamp = self.timestamp.clone();
        let timestamp = timestamp.unwrap_or_else(|| now().saturating_add_signed(self.ahead).to_string());
        let signature = self.signature.clone().unwrap_or_else(|| {
            let stamp = timestamp.parse().unwrap_or_else(|_| now());
            sign(&self.signed_path, &self.key, stamp, &self.signed_content)
        });
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            self.method, self.target
        );
        let own = [
            ("X-Idempotency-Key", self.key.clone()),
            ("X-Timestamp", timestamp),
            ("X-Signature", signature),
        ];
        for (name, value) in own.iter().filter(|(_, value)| value != "-").chain(&self.headers) {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        send(port, &format!("{text}\r\n{}", self.body)).unwrap()
    }
}

fn refund(key: &str) -> Request {
    Request::post("/refunds", key, BODY)
}

fn with(mut request: Request, change: impl FnOnce(&mut Request)) -> Request {
    change(&mut request);
    request
}

#[test]
fn each_row_gets_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let header = |name: &'static str, value: &str| {
        let value = value.to_owned();
        with(refund("h"), |request| request.headers.push((name, value)))
    };
    let typed = |value: &str| {
        let value = value.to_owned();
        with(refund("t"), |request| request.headers = vec![("Content-Type", value)])
    };
    let forged = "0".repeat(64);
    let ana = r#"{"email": "ana@example.com"}"#;
    let rows: Vec<(&str, Request, u16, &str)> = vec![
        ("a valid POST", refund("ok"), 200, ""),
        ("a valid GET", Request::get("?email=ana%40example.com", ana), 200, ""),
        ("no key header", with(refund("-"), |_| ()), 401, "malformed-signature"),
        (
            "no timestamp",
            with(refund("a"), |r| r.timestamp = Some("-".to_owned())),
            401,
            "malformed-signature",
        ),
        (
            "no signature",
            with(refund("a"), |r| r.signature = Some("-".to_owned())),
            401,
            "malformed-signature",
        ),
        ("two keys", header("X-Idempotency-Key", "h"), 401, "malformed-signature"),
        ("two timestamps", header("X-Timestamp", "1"), 401, "malformed-signature"),
        (
            "two signatures",
            header("X-Signature", &forged),
            401,
            "malformed-signature",
        ),
        (
            "timestamp with a sign",
            with(refund("a"), |r| r.timestamp = Some(format!("+{}", now()))),
            401,
            "malformed-signature",
        ),
        (
            "timestamp of 16 digits",
            with(refund("a"), |r| r.timestamp = Some("1".repeat(16))),
            401,
            "malformed-signature",
        ),
        (
            "signature of 63 digits",
            with(refund("a"), |r| r.signature = Some("0".repeat(63))),
            401,
            "malformed-signature",
        ),
        (
            "signature that is not hexadecimal",
            with(refund("a"), |r| r.signature = Some("g".repeat(64))),
            401,
            "malformed-signature",
        ),
        (
            "compressed",
            header("Content-Encoding", "gzip"),
            415,
            "unsupported-media-type",
        ),
        (
            "declared as not compressed",
            header("Content-Encoding", "identity"),
            200,
            "",
        ),
        (
            "a form",
            typed("application/x-www-form-urlencoded"),
            415,
            "unsupported-media-type",
        ),
        ("text", typed("text/plain"), 415, "unsupported-media-type"),
        (
            "Latin-1",
            typed("application/json; charset=latin1"),
            415,
            "unsupported-media-type",
        ),
        (
            "UTF-8",
            with(typed("application/json; charset=UTF-8"), |r| r.key = "u".to_owned()),
            200,
            "",
        ),
        (
            "a media type that ends with +json",
            with(typed("application/vnd.shop+json"), |r| r.key = "v".to_owned()),
            200,
            "",
        ),
        ("no content type", with(refund("n"), |r| r.headers.clear()), 200, ""),
        ("31 s old", with(refund("a"), |r| r.ahead = -32), 401, "stale-timestamp"),
        (
            "31 s ahead",
            with(refund("a"), |r| r.ahead = 33),
            401,
            "stale-timestamp",
        ),
        ("25 s old", with(refund("old"), |r| r.ahead = -25), 200, ""),
        (
            "another signature",
            with(refund("a"), |r| r.signature = Some(forged.clone())),
            401,
            "signature-mismatch",
        ),
        (
            "signed for another path",
            with(refund("a"), |r| r.signed_path = "/tickets".to_owned()),
            401,
            "signature-mismatch",
        ),
        (
            "another body",
            with(refund("a"), |r| r.body = BODY.replace('1', "2")),
            401,
            "signature-mismatch",
        ),
        ("a key with a colon", refund("a:b"), 400, "malformed-request"),
        ("a key with a space", refund("a b"), 400, "malformed-request"),
        (
            "a key of 256 characters",
            refund(&"k".repeat(256)),
            400,
            "malformed-request",
        ),
        ("a key of 255 characters", refund(&"k".repeat(255)), 200, ""),
        (
            "POST with a query",
            with(refund("a"), |r| r.target += "?a=1"),
            400,
            "malformed-request",
        ),
        (
            "POST with a bare ?",
            with(refund("a"), |r| r.target += "?"),
            400,
            "malformed-request",
        ),
        (
            "GET with a body",
            with(Request::get("?email=ana%40example.com", ana), |r| {
                r.body = "x".to_owned();
            }),
            400,
            "malformed-request",
        ),
        (
            "a parameter twice",
            Request::get("?email=a&email=ana%40example.com", ana),
            400,
            "malformed-request",
        ),
        (
            "a parameter that is not UTF-8",
            Request::get("?email=%ff", ana),
            400,
            "malformed-request",
        ),
        (
            "the same, unsigned: a query",
            with(refund("a"), |r| {
                r.target += "?a=1";
                r.signature = Some(forged.clone());
            }),
            401,
            "signature-mismatch",
        ),
        (
            "the same, unsigned: a colon",
            with(refund("a:b"), |r| r.signature = Some(forged.clone())),
            401,
            "signature-mismatch",
        ),
        (
            "blank value",
            Request::get("?email=", r#"{"email": ""}"#),
            400,
            "invalid-input",
        ),
        (
            "no JSON",
            Request::post("/refunds", "j1", "{"),
            400,
            "malformed-request",
        ),
        (
            "no object",
            Request::post("/refunds", "j2", "[]"),
            400,
            "malformed-request",
        ),
        ("no body", Request::post("/refunds", "j3", ""), 400, "malformed-request"),
        (
            "an input twice",
            Request::post("/refunds", "j4", r#"{"order_id":1,"order_id":2,"amount_cents":1}"#),
            400,
            "invalid-input",
        ),
        ("no such path", Request::post("/refund", "p", BODY), 404, "no-such-path"),
        (
            "HEAD",
            with(Request::get("?email=ana%40example.com", ana), |r| r.method = "HEAD"),
            405,
            "",
        ),
        (
            "OPTIONS",
            with(refund("a"), |r| r.method = "OPTIONS"),
            405,
            "method-not-allowed",
        ),
        (
            "the other method",
            with(refund("a"), |r| r.method = "GET"),
            405,
            "method-not-allowed",
        ),
        (
            "too large",
            Request::post("/refunds", "l", &"x".repeat(1024 * 1024 + 1)),
            413,
            "body-too-large",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, request, status, kind) in &rows {
        let answer = request.send(server.port);
        let named = answer.json()["type"].as_str().unwrap_or_default().to_owned();
        if answer.status != *status || !named.ends_with(kind) {
            wrong.push(format!("{name}: {} {}", answer.status, answer.body));
        }
        if *status >= 400 && *name != "HEAD" {
            assert!(
                answer.head.contains("application/problem+json"),
                "{name}: {}",
                answer.head
            );
            assert_eq!(answer.json()["status"], *status, "{name}");
            assert!(
                answer.json()["detail"].as_str().unwrap().ends_with(['.', '?']),
                "{name}: {}",
                answer.body
            );
        }
        if *status == 405 {
            assert!(
                answer.head.to_lowercase().contains("\r\nallow: "),
                "{name}: {}",
                answer.head
            );
        }
        assert!(!answer.body.contains(SECRET), "{name}");
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_wrong_input_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let body = r#"{"email":"nobody","subject":"","priority":"now","tags":["a","b","c","d","e","f"],"bodi":"x"}"#;
    let answer = Request::post("/tickets", "many", body).send(server.port);
    assert_eq!(answer.status, 400);
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let mut inputs: Vec<&str> = errors.iter().map(|error| error["input"].as_str().unwrap()).collect();
    inputs.sort_unstable();
    assert_eq!(
        inputs,
        ["bodi", "body", "email", "priority", "subject", "tags"],
        "{}",
        answer.body
    );
    assert!(answer.body.contains("did you mean `body`?"), "{}", answer.body);
}
