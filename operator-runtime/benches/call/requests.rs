//! Makes requests that are signed as the agent signs them.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::Request;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(crate) const SECRET: &str = "op_sk_bench_0123456789abcdef0123456789abcdef";
pub(crate) const URL: &str = "https://api.example.com";

/// A POST of 200 bytes.
pub(crate) fn signed_post(path: &str, idempotency_key: &str) -> Request {
    let body = format!(
        r#"{{"order_id":1004,"amount_cents":2500,"email":"ana@example.com","reason":"{}"}}"#,
        "The teapot arrived with a crack in its lid, and the customer wants the money back rather than another one."
    );
    let (timestamp, signature) = sign(path, idempotency_key, &body);
    Request::builder()
        .method("POST")
        .uri(path)
        .header("content-type", "application/json")
        .header("x-idempotency-key", idempotency_key)
        .header("x-timestamp", timestamp)
        .header("x-signature", signature)
        .body(Body::from(body))
        .unwrap()
}

/// A GET with five parameters.
pub(crate) fn signed_get(number: u64) -> Request {
    let key = format!("{number:032x}");
    let content = r#"{"after": "1000", "email": "ana@example.com", "exact": "true", "limit": "20", "status": "Waiting for payment"}"#;
    let (timestamp, signature) = sign("/search", &key, content);
    Request::builder()
        .uri("/search?email=ana%40example.com&status=Waiting+for+payment&limit=20&after=1000&exact=true")
        .header("x-idempotency-key", key)
        .header("x-timestamp", timestamp)
        .header("x-signature", signature)
        .body(Body::empty())
        .unwrap()
}

fn sign(path: &str, idempotency_key: &str, content: &str) -> (String, String) {
    let timestamp = now().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{URL}{path}:{idempotency_key}:{timestamp}:{content}").as_bytes());
    (
        timestamp,
        mac.finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
