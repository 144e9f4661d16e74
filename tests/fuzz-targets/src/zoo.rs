//! The zoo's endpoints as a service in this process, and a caller that signs.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use operator_runtime::{App, Config};
use serde_json::Value;
use sha2::Sha256;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

// The zoo's program itself, so that an endpoint that is added to the zoo is also fuzzed.
#[allow(dead_code, reason = "the program's `main` is not called")]
#[path = "../../exports/zoo/main.rs"]
mod program;
// These endpoints are not in the zoo's program, but requests to them are the most expensive to refuse.
#[allow(dead_code, reason = "only the endpoints are used")]
#[path = "../../exports/zoo/recursive.rs"]
mod recursive;

const PUBLIC_URL: &str = "http://127.0.0.1:8080";
/// The crate `http` does not accept a URL of 64 KiB.
const LONGEST_QUERY: usize = 65_000;
const SECRET: &str = "op_sk_fuzzing_fuzzing";

type Answering = Box<dyn Fn(Request<Full<Bytes>>) -> (u16, Bytes) + Send + Sync>;

/// The zoo as a running service.
pub struct Zoo {
    answering: Answering,
    manifest: Value,
}

/// One endpoint, as the manifest describes it.
pub struct Endpoint<'z> {
    /// The endpoint's method.
    pub method: Method,
    /// The endpoint's path.
    pub path: &'z str,
    /// The endpoint's operation in the manifest, which is an OpenAPI document.
    pub operation: &'z Value,
}

static ZOO: LazyLock<Zoo> = LazyLock::new(Zoo::start);

impl Zoo {
    /// The only zoo of this process.
    #[must_use]
    pub fn get() -> &'static Self {
        &ZOO
    }

    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = Config::new()
            .signing_key(SECRET)
            .public_url(PUBLIC_URL)
            .store("memory:")
            .serve_manifest(true);
        let answering = answering(runtime, App::new().config(config));
        let mut zoo = Self {
            answering,
            manifest: Value::Null,
        };
        let (status, manifest) = zoo.answer(signed_get("/manifest", b"format=openapi"));
        assert_eq!(status, 200);
        zoo.manifest = serde_json::from_slice(&manifest).expect("the manifest is JSON");
        zoo
    }

    /// The whole manifest. The endpoints' schemas refer to other parts of it.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Chooses an endpoint by a number. If an endpoint is added later, only the numbers that choose it change their
    /// meaning.
    pub fn endpoint(&self, number: u16) -> Endpoint<'_> {
        let paths = self.manifest["paths"].as_object().expect("paths");
        let rank = |path: &str| {
            let mut hasher = DefaultHasher::new();
            (number, path).hash(&mut hasher);
            hasher.finish()
        };
        let (path, methods) = paths.iter().max_by_key(|(path, _)| rank(path)).expect("an endpoint");
        let (method, operation) = methods
            .as_object()
            .and_then(|methods| methods.iter().next())
            .expect("a method");
        let method = if method == "get" { Method::GET } else { Method::POST };
        Endpoint {
            method,
            path,
            operation,
        }
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: Request<Full<Bytes>>) -> (u16, Bytes) {
        (self.answering)(request)
    }
}

/// A request with exactly these headers.
#[must_use]
pub fn request(method: Method, target: &str, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().expect("a target");
    *request.headers_mut() = headers;
    request
}

/// A signed POST.
#[must_use]
pub fn signed_post(path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let headers = signed(path, &body);
    request(Method::POST, path, headers, body)
}

/// A signed GET. The query may be any bytes; bytes that a URL cannot contain are escaped.
#[must_use]
pub fn signed_get(path: &str, query: &[u8]) -> Request<Full<Bytes>> {
    let query = within_url(query);
    let headers = signed(path, canonical(&query).as_bytes());
    request(Method::GET, &format!("{path}?{query}"), headers, Bytes::new())
}

fn answering(runtime: Runtime, app: App) -> Answering {
    let service = runtime.block_on(app.service::<Full<Bytes>>()).expect("the zoo starts");
    Box::new(move |request| {
        runtime.block_on(async {
            let Ok(response) = service.clone().oneshot(request).await;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map(|body| body.to_bytes());
            (status, body.unwrap_or_default())
        })
    })
}

/// The headers of a call that is signed now.
fn signed(path: &str, content: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let timestamp = now().to_string();
    let signature = signature(path, b"fuzzing", timestamp.as_bytes(), content);
    for (name, value) in [
        ("x-idempotency-key", "fuzzing"),
        ("x-timestamp", &timestamp),
        ("x-signature", &signature),
    ] {
        headers.insert(name, HeaderValue::from_str(value).expect("visible ASCII"));
    }
    headers
}

/// Seconds since 1970-01-01 UTC.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The HMAC-SHA256 of the payload, in lower-case hexadecimal.
#[must_use]
pub fn signature(path: &str, key: &[u8], timestamp: &[u8], content: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    for part in [
        PUBLIC_URL.as_bytes(),
        path.as_bytes(),
        b":",
        key,
        b":",
        timestamp,
        b":",
        content,
    ] {
        mac.update(part);
    }
    const_hex::encode(mac.finalize().into_bytes())
}

/// The query as a URL can contain it: other bytes are escaped, and the query is cut if it is too long.
#[must_use]
pub fn within_url(query: &[u8]) -> String {
    let is_allowed = |byte: u8| matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~') && byte != b'`';
    let mut url = String::with_capacity(query.len());
    for &byte in query {
        if url.len() > LONGEST_QUERY {
            break;
        }
        if is_allowed(byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    url
}

/// The text that is signed for a query: its map as CPython's `json.dumps(map, sort_keys=True)` prints it. Computed by
/// other crates, not by the runtime's code.
#[must_use]
pub fn canonical(query: &str) -> String {
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    let map: std::collections::BTreeMap<String, String> = pairs.collect();
    let text = |text: &str| {
        let json = Value::from(text).to_string();
        let mut printed = String::with_capacity(json.len());
        for letter in json.chars() {
            if matches!(letter, ' '..='~') {
                printed.push(letter);
            } else {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    printed.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        printed
    };
    let pairs: Vec<String> = map
        .iter()
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
