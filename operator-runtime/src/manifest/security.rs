//! How a caller shows who it is, in the words of OpenAPI. A document lists every scheme, even those for which this
//! server has no credential, so that the document is the same on each machine.

use serde_json::{Map, Value, json};

use super::openapi::Dialect;
use crate::endpoint::Endpoint;

/// The member of an operation, or of a document, that lists the alternatives.
pub(super) const SECURITY: &str = "security";

/// The schemes without a signature, each with its name in the document. Each of them vouches alone.
const ALONE: [&str; 3] = ["bearer", "apiKey", CERTIFICATE];
const CERTIFICATE: &str = "certificate";
const KEY: &str = "idempotencyKey";

/// Whether every caller has to send an idempotency key, because nothing else names the operation.
pub(super) fn needs_key(endpoint: &Endpoint) -> bool {
    endpoint.effect.is_recorded() && endpoint.key.is_none()
}

/// The alternatives of a call that needs no key of the caller, unless the caller signs.
pub(super) fn without_key(dialect: Dialect) -> Value {
    alternatives(dialect, &[])
}

/// The alternatives of a call that needs a key in addition to each credential.
pub(super) fn with_key(dialect: Dialect) -> Value {
    alternatives(dialect, &[KEY])
}

fn alternatives(dialect: Dialect, beside: &[&str]) -> Value {
    // All three headers are one alternative, because a signature covers the key and the time.
    let signed = [KEY, "timestamp", "signature"].to_vec();
    let alone = ALONE.into_iter().filter(|scheme| exists(dialect, scheme));
    let alone = alone.map(|scheme| [&[scheme], beside].concat());
    let required = |schemes: Vec<&str>| -> Map<String, Value> {
        let schemes = schemes.into_iter();
        schemes.map(|scheme| (scheme.to_owned(), json!([]))).collect()
    };
    std::iter::once(signed).chain(alone).map(required).collect()
}

/// Whether the dialect has the scheme: OpenAPI 3.0 has no mutual TLS.
fn exists(dialect: Dialect, scheme: &str) -> bool {
    dialect == Dialect::V3_1 || scheme != CERTIFICATE
}

/// What each scheme is.
pub(super) fn schemes(dialect: Dialect) -> Value {
    let header = |name: &str, description: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": description });
    let mut schemes = json!({
        KEY: header(
            "X-Idempotency-Key",
            "The key of one operation, the same on each retry: 1 to 255 visible ASCII characters without a colon. Do not use it for another operation within 24 hours. It can be sent as `Idempotency-Key` instead.",
        ),
        "timestamp": header(
            "X-Timestamp",
            "When this attempt was signed, in whole seconds since 1970-01-01 UTC. It may differ from the server's clock by at most 30 s.",
        ),
        "signature": header(
            "X-Signature",
            "The HMAC-SHA256 of `URL:X-Idempotency-Key:X-Timestamp:content` with the signing key, or the Ed25519 signature of the same text, in lower-case hexadecimal. `URL` is the endpoint's URL without its query. `content` is the raw body of a POST, or the search parameters of a GET as a JSON object of strings with sorted keys, as CPython's `json.dumps(…, sort_keys=True)` prints it.",
        ),
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key of this server, or an access token that its OAuth issuer made for this server.",
        },
        "apiKey": header("X-API-Key", "An API key of this server. It can be sent as a bearer token instead."),
    });
    if exists(dialect, CERTIFICATE) {
        schemes[CERTIFICATE] = json!({
            "type": "mutualTLS",
            "description": "The certificate of a client of this server. If the server has other credentials too, a call needs the certificate and one of them.",
        });
    }
    schemes
}
