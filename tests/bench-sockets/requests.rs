//! Signed requests as bytes, made before the clock starts.

use std::sync::atomic::{AtomicU64, Ordering};

use tests::caller::{now, sign};

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A POST of 190 bytes, each with a key of its own.
    Order,
    /// The same POST with the same key again and again.
    Replay,
    /// The POST of an endpoint that keeps no record.
    Read,
    /// A GET with five parameters.
    Search,
    /// A POST of a text of this many bytes, each with a key of its own.
    Text(usize),
}

const ORDER: &str = r#"{"order_id":1004,"amount_cents":2500,"email":"ana@example.com","reason":"The teapot arrived with a crack in its lid, and the customer wants the money back rather than another one."}"#;
const QUERY: &str = "email=ana%40example.com&status=Waiting+for+payment&limit=20&after=1000&exact=true";
/// The parameters as they are signed.
const PARAMETERS: &str =
    r#"{"after": "1000", "email": "ana@example.com", "exact": "true", "limit": "20", "status": "Waiting for payment"}"#;

impl Asks {
    /// The bytes of one signed request.
    pub(crate) fn request(self, path: &str) -> Vec<u8> {
        match self {
            Self::Order | Self::Read => post(path, &new_key(), ORDER),
            Self::Replay => post(path, "replayed", ORDER),
            Self::Search => {
                let (key, timestamp) = (new_key(), now());
                let signature = sign(path, &key, timestamp, PARAMETERS);
                let head = head(&key, timestamp, &signature);
                format!("GET {path}?{QUERY} HTTP/1.1\r\n{head}\r\n").into_bytes()
            }
            Self::Text(length) => post(path, &new_key(), &format!(r#"{{"text":"{}"}}"#, "a".repeat(length))),
        }
    }
}

fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    let timestamp = now();
    let signature = sign(path, key, timestamp, body);
    let head = head(key, timestamp, &signature);
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn head(key: &str, timestamp: u64, signature: &str) -> String {
    format!("Host: localhost\r\nX-Idempotency-Key: {key}\r\nX-Timestamp: {timestamp}\r\nX-Signature: {signature}\r\n")
}

/// As long as the keys of agents, and unlike any other.
fn new_key() -> String {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    format!("{:032x}", KEYS.fetch_add(1, Ordering::Relaxed))
}
