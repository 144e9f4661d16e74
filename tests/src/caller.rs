//! A caller written from the text of the protocol. It shares no code with the runtime.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// The public URL, which callers sign. The server itself may listen at another address.
pub const PUBLIC_URL: &str = "http://127.0.0.1:8080";
/// The secret that the tests sign with.
pub const SECRET: &str = "op_sk_tests";

/// A parsed answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The status line and the headers as text.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON, or null if the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether the answer is marked as replayed.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.head.to_lowercase().contains("idempotent-replayed: true")
    }
}

/// The HMAC-SHA256 of the payload, in lower-case hexadecimal.
#[must_use]
pub fn sign(path: &str, idempotency_key: &str, timestamp: u64, content: &str) -> String {
    sign_with(SECRET, path, idempotency_key, timestamp, content)
}

/// Like [`sign`], with another secret.
#[must_use]
pub fn sign_with(secret: &str, path: &str, idempotency_key: &str, timestamp: u64, content: &str) -> String {
    let payload = format!("{PUBLIC_URL}{path}:{idempotency_key}:{timestamp}:{content}");
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(payload.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Seconds since 1970-01-01 UTC.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Signs and sends a POST with a JSON body to a port of this machine.
///
/// # Errors
/// If no server listens, if the server closes the connection early, or if no answer arrives within 20 s.
pub fn post(port: u16, path: &str, idempotency_key: &str, body: &str) -> io::Result<Answer> {
    post_at(now(), port, path, idempotency_key, body)
}

/// Like [`post`], but signs with the given timestamp.
///
/// # Errors
/// The same as for [`post`].
pub fn post_at(timestamp: u64, port: u16, path: &str, idempotency_key: &str, body: &str) -> io::Result<Answer> {
    send(port, &signed_post(timestamp, path, idempotency_key, body))
}

/// The bytes of a signed POST.
#[must_use]
pub fn signed_post(timestamp: u64, path: &str, idempotency_key: &str, body: &str) -> String {
    let signature = sign(path, idempotency_key, timestamp, body);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nX-Idempotency-Key: {idempotency_key}\r\nX-Timestamp: {timestamp}\r\n\
             X-Signature: {signature}\r\n\r\n{body}",
        body.len()
    )
}

/// Signs and sends a GET with search parameters. Each name may occur only once.
///
/// # Errors
/// The same as for [`post`].
pub fn get(port: u16, path: &str, idempotency_key: &str, parameters: &[(&str, &str)]) -> io::Result<Answer> {
    let timestamp = now();
    let signature = sign(path, idempotency_key, timestamp, &content_of(parameters));
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    send(
        port,
        &format!(
            "GET {path}?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             X-Idempotency-Key: {idempotency_key}\r\nX-Timestamp: {timestamp}\r\nX-Signature: {signature}\r\n\r\n"
        ),
    )
}

/// The text that is signed for search parameters: their map as CPython's `json.dumps` prints it, sorted by code point.
fn content_of(parameters: &[(&str, &str)]) -> String {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    let pairs = sorted
        .iter()
        .map(|(name, value)| format!("{}: {}", print(name), print(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// A string in ASCII, as CPython's `json.dumps` prints it.
fn print(text: &str) -> String {
    let print_one = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        '\n' => r"\n".to_owned(),
        '\r' => r"\r".to_owned(),
        '\t' => r"\t".to_owned(),
        '\u{8}' => r"\b".to_owned(),
        '\u{c}' => r"\f".to_owned(),
        ' '..='~' => character.to_string(),
        other => {
            let mut units = [0; 2];
            let units = other.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    format!("\"{}\"", text.chars().map(print_one).collect::<String>())
}

/// A string encoded for a URL: every byte except ASCII letters and digits becomes `%XX`.
fn escape(text: &str) -> String {
    let escape_one = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape_one).collect()
}

/// Sends `request` unchanged and reads until the server closes the connection.
///
/// # Errors
/// The same as for [`post`].
pub fn send(port: u16, request: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let length: Option<usize> = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .and_then(|length| length.parse().ok());
    // A body that was cut off by a crash is not an answer.
    if !request.starts_with("HEAD") && length.is_some_and(|length| length != body.len()) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// The message of an MCP client that sends this token, over HTTP.
///
/// # Panics
/// If a header cannot contain the token.
pub fn to_mcp<B>(token: &str, message: B) -> http::Request<B> {
    http::Request::post("/mcp")
        .header("Host", "127.0.0.1")
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .header("Authorization", format!("Bearer {token}"))
        .body(message)
        .expect("the token is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_parameters_are_signed_as_python_prints_them() {
        let vectors = include_str!("../../operator-runtime/tests/vectors/signatures.json");
        let vectors: Vec<Value> = serde_json::from_str(vectors).expect("the vectors");
        let contents = vectors.iter().filter_map(|vector| vector["content"].as_str());
        let mut held = 0;
        for content in contents {
            let map: std::collections::BTreeMap<String, String> = serde_json::from_str(content).expect("a map");
            // In reverse order, so that `content_of` has to sort them.
            let pairs: Vec<_> = map
                .iter()
                .rev()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(content_of(&pairs), content);
            held += 1;
        }
        assert!(held > 20, "only {held}");
    }
}
