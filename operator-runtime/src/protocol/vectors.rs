//! The protocol's test vectors, made by CPython. Each vector is verified and reproduced, and each change to one of its
//! parts is detected.

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::credentials::BoundCredentials;
use super::request::{Content, Kept, Refusal, RefusalKind, Unverified, Verified};
use super::signature::{Keys, content_of_parameters};
use crate::protocol::method::Method;

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    method: String,
    url: String,
    query: String,
    body_hex: String,
    signing_key: String,
    idempotency_key: String,
    timestamp: String,
    content: Option<String>,
    signature: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../tests/vectors/signatures.json")).unwrap()
    }

    fn method(&self) -> Method {
        if self.method == "GET" {
            Method::Get
        } else {
            Method::Post
        }
    }

    fn body(&self) -> Bytes {
        let digits = self.body_hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn verify(&self) -> Result<Kept, Refusal> {
        let mut headers = HeaderMap::new();
        let mut insert = |name: &'static str, value: &str| headers.insert(name, HeaderValue::from_str(value).unwrap());
        insert("x-idempotency-key", &self.idempotency_key);
        insert("x-timestamp", &self.timestamp);
        insert("x-signature", &self.signature);
        let query = (self.method() == Method::Get).then_some(self.query.as_str());
        let keys = Keys::single("the test", &self.signing_key).unwrap();
        let credentials = BoundCredentials::of_keys(&keys, &self.url);
        Unverified::parse(self.method(), query, &headers, self.body(), credentials.accepted())?
            .verify(&credentials, &Extensions::new(), self.timestamp.parse().unwrap())
            .map(Verified::keep)
            .map_err(|refused| refused.why)
    }
}

#[test]
fn every_vector_is_verified() {
    let vectors = Vector::all();
    assert!(vectors.len() > 30);
    for vector in vectors {
        let verified = vector
            .verify()
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", vector.name));
        assert_eq!(verified.idempotency_key(), vector.idempotency_key);
        match verified.content() {
            Content::Body(body) => assert_eq!(*body, vector.body()),
            Content::Parameters(parameters) => {
                let pairs: Vec<_> = parameters
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                assert_eq!(Some(content_of_parameters(&pairs)), vector.content, "{}", vector.name);
            }
        }
    }
}

#[test]
fn every_vector_is_reproduced() {
    for vector in Vector::all() {
        let content = vector
            .content
            .clone()
            .map_or(vector.body(), |content| content.into_bytes().into());
        let keys = Keys::single("the test", &vector.signing_key).unwrap();
        let timestamp = vector.timestamp.parse().unwrap();
        assert_eq!(
            keys.sign(&vector.url, &vector.idempotency_key, timestamp, &content),
            vector.signature,
            "{}",
            vector.name
        );
    }
}

#[test]
fn a_change_of_any_part_is_detected() {
    for vector in Vector::all() {
        let changes: [fn(&mut Vector); 6] = [
            |vector| vector.url.push('x'),
            |vector| vector.idempotency_key.push('x'),
            |vector| vector.timestamp.insert(0, '0'),
            |vector| vector.signing_key.push('x'),
            |vector| match vector.method() {
                Method::Get => vector.query.push_str("&added=1"),
                Method::Post => vector.body_hex.push_str("20"),
            },
            |vector| {
                let first = if vector.signature.starts_with('0') { "1" } else { "0" };
                vector.signature.replace_range(..1, first);
            },
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = vector.clone();
            change(&mut changed);
            let refusal = changed
                .verify()
                .err()
                .unwrap_or_else(|| panic!("{}: change {index} was not detected", vector.name));
            assert_eq!(
                refusal.kind(),
                RefusalKind::SignatureMismatch,
                "{}: change {index}",
                vector.name
            );
        }
    }
}
