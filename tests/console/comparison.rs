//! Tests what the console says about a wrong signature: it names the part that differs, and does not claim more than an
//! HMAC can prove.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tests::caller::{PUBLIC_URL, SECRET, now, sign};

use super::dev::Dev;

const BODY: &str = r#"{"order_id":1004,"amount_cents":2500}"#;

fn mac(secret: &str, payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A POST to `/refunds` as the server receives it.
fn post(timestamp: u64, signature: &str) -> String {
    format!(
        "POST /refunds HTTP/1.1\nHost: shop.example\nContent-Type: application/json\nX-Idempotency-Key: Key-1\n\
         X-Timestamp: {timestamp}\nX-Signature: {signature}\n\n{BODY}"
    )
}

fn compare(dev: &Dev, request: &str, payload: &str) -> Value {
    let answer = dev.ask("/console/compare", &json!({ "request": request, "payload": payload }));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// The names of the parts whose state is `state`.
fn parts(found: &Value, state: &str) -> Vec<String> {
    let rows = found["parts"].as_array().unwrap().iter();
    rows.filter(|row| row["state"] == state)
        .map(|row| row["part"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_right_signature_holds_and_a_stale_timestamp_is_reported() {
    let dev = Dev::start("support-desk");
    let at = now();
    let found = compare(&dev, &post(at, &sign("/refunds", "Key-1", at, BODY)), "");
    assert_eq!(
        (&found["verdict"], &found["stale"]),
        (&json!("holds"), &Value::Null),
        "{found}"
    );
    let early = at - 300;
    let found = compare(&dev, &post(early, &sign("/refunds", "Key-1", early, BODY)), "");
    assert_eq!(found["verdict"], "holds", "{found}");
    assert!(found["stale"].as_str().unwrap().contains("behind"), "{found}");
    let get = format!(
        "curl '{PUBLIC_URL}/orders/recent?limit=5&email=ana%40example.com' -H 'X-Idempotency-Key: g' -H 'X-Timestamp: {at}' -H 'X-Signature: {}'",
        sign(
            "/orders/recent",
            "g",
            at,
            r#"{"email": "ana@example.com", "limit": "5"}"#
        )
    );
    assert_eq!(compare(&dev, &get, "")["verdict"], "holds");
}

#[test]
fn an_ed25519_signature_is_named_as_what_it_is() {
    let dev = Dev::start("support-desk");
    let found = compare(&dev, &post(now(), &"ab".repeat(64)), "");
    assert_eq!(found["verdict"], "refused", "{found}");
    let said = found["summary"].as_str().unwrap();
    assert!(
        said.starts_with("X-Signature has 128 hexadecimal digits, so it is an Ed25519 signature"),
        "{said}"
    );
}

#[test]
fn common_mistakes_are_proved_by_the_signature_itself() {
    let dev = Dev::start("support-desk");
    let at = now();
    let payload = |url: &str, key: &str, at: &str, content: &str| format!("{url}:{key}:{at}:{content}");
    let url = format!("{PUBLIC_URL}/refunds");
    let time = at.to_string();
    let spaced = r#"{"order_id": 1004, "amount_cents": 2500}"#;
    for (signed, differing) in [
        (payload(&format!("{url}/"), "Key-1", &time, BODY), vec!["URL"]),
        (payload("/refunds", "Key-1", &time, BODY), vec!["URL"]),
        (
            payload("http://localhost:8080/refunds", "Key-1", &time, BODY),
            vec!["URL"],
        ),
        (payload(&url, "key-1", &time, BODY), vec!["X-Idempotency-Key"]),
        (payload(&url, "Key-1", &format!("{time}000"), BODY), vec!["X-Timestamp"]),
        (payload(&url, "Key-1", &time, spaced), vec!["content"]),
        (payload(&url, "Key-1", &time, ""), vec!["content"]),
        (
            payload(&format!("{url}/"), "Key-1", &time, spaced),
            vec!["URL", "content"],
        ),
    ] {
        let found = compare(&dev, &post(at, &mac(SECRET, &signed)), "");
        assert_eq!(found["verdict"], "differs", "{signed}: {found}");
        assert_eq!(parts(&found, "differs"), differing, "{signed}");
        assert!(parts(&found, "unknown").is_empty(), "{found}");
    }
    let right = payload(&url, "Key-1", &time, BODY);
    let newline = compare(&dev, &post(at, &mac(&format!("{SECRET}\n"), &right)), "");
    assert_eq!(parts(&newline, "differs"), ["signing key"], "{newline}");
    let unjoined = compare(
        &dev,
        &post(
            at,
            &mac(
                SECRET,
                &right.replace(":Key-1:", "Key-1").replace(&format!("{time}:"), &time),
            ),
        ),
        "",
    );
    assert!(unjoined["summary"].as_str().unwrap().contains("colon"), "{unjoined}");
    // The caller has signed `5` as a number, but all parameters must be strings in the signed JSON.
    let get = format!(
        "GET /orders/recent?email=a%40b.example&limit=5 HTTP/1.1\nX-Idempotency-Key: g\nX-Timestamp: {at}\nX-Signature: {}\n",
        sign("/orders/recent", "g", at, r#"{"email": "a@b.example", "limit": 5}"#)
    );
    assert_eq!(parts(&compare(&dev, &get, ""), "differs"), ["content"]);
}

#[test]
fn a_payload_makes_the_finding_certain() {
    let dev = Dev::start("support-desk");
    let at = now();
    let signed = format!(
        "https://shop.example:444/odd/path:Key-1:{}:{{\"never\":\"sent\"}}",
        at - 7
    );
    let found = compare(&dev, &post(at, &mac(SECRET, &signed)), &signed);
    assert_eq!(found["verdict"], "differs", "{found}");
    assert_eq!(parts(&found, "differs"), ["URL", "X-Timestamp", "content"]);
    assert_eq!(parts(&found, "same"), ["X-Idempotency-Key", "signing key"]);
    assert_eq!(found["parts"][0]["signed"], "https://shop.example:444/odd/path");
}

#[test]
fn without_proof_the_finding_is_unknown() {
    let dev = Dev::start("support-desk");
    let at = now();
    let right = format!("{PUBLIC_URL}/refunds:Key-1:{at}:{BODY}");
    let other_key = mac("another secret", &right);
    let alone = compare(&dev, &post(at, &other_key), "");
    assert_eq!(alone["verdict"], "unknown", "{alone}");
    assert_eq!(parts(&alone, "unknown").len(), 5, "{alone}");
    let with_payload = compare(&dev, &post(at, &other_key), &right);
    assert_eq!(with_payload["verdict"], "unknown", "{with_payload}");
    assert_eq!(parts(&with_payload, "unknown"), ["signing key"], "{with_payload}");
    let neither = compare(&dev, &post(at, &other_key), &right.replace("/refunds", "/refund"));
    assert_eq!(
        (&neither["verdict"], parts(&neither, "differs")),
        (&json!("unknown"), vec!["URL".to_owned()]),
        "{neither}"
    );
    for found in [&alone, &with_payload, &neither] {
        assert!(
            !found.to_string().contains(&mac(SECRET, &right)),
            "the right signature stays with the server"
        );
        assert!(!found.to_string().contains(SECRET));
    }
}

#[test]
fn a_request_refused_before_its_signature_says_why() {
    let dev = Dev::start("support-desk");
    let at = now();
    let right = post(at, &sign("/refunds", "Key-1", at, BODY));
    for (request, word) in [
        (right.replace("X-Timestamp", "X-Time"), "X-Timestamp is missing"),
        (right.replace("POST /refunds", "POST /refund"), "/refunds"),
        (right.replace("POST /refunds", "GET /refunds"), "answers only POST"),
        (right.replace("application/json", "text/plain"), "application/json"),
        (post(at, "abc"), "64 hexadecimal digits"),
        (String::new(), "first line is missing"),
        ("curl -d @body https://a.example".to_owned(), "paste the file's content"),
    ] {
        let found = compare(&dev, &request, "");
        assert_eq!(found["verdict"], "refused", "{request}: {found}");
        assert!(found["summary"].as_str().unwrap().contains(word), "{word}: {found}");
    }
}
