//! An in-process caller that signs, for the tests of programs that have endpoints.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full};
use serde_json::Value;

use crate::app::{App, Assembled, Service, StartError, assemble};
use crate::clock::{Clock as _, ManualClock};
use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::signature::Keys;
use crate::store::MemoryStore;

const SECRET: &str = "op_sk_testing";
/// More than any test keeps, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;

/// Calls an app's endpoints as the agent does, without a socket: signed, decoded, recorded.
///
/// What [`App::config`] sets holds here too, but for the store: operations are kept in memory unless the app was given a
/// store by [`App::store`]. The time is the test's own; the store in memory shares it. Where no key or URL is set, there
/// is one for tests, and nothing is read from the environment.
///
/// ```standalone_crate
/// use operator_runtime::{App, operator_api, testing::Client};
/// use serde_json::json;
///
/// /// Adds two numbers. Use it when a customer cannot.
/// #[operator_api(POST, "/sums")]
/// async fn add(
///     /// The one.
///     left: i64,
///     /// The other.
///     right: i64,
/// ) -> i64 {
///     left + right
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let client = Client::new(App::new()).await.unwrap();
/// let answer = client.with_idempotency_key("k").call("add", &json!({ "left": 2, "right": 3 })).await;
/// assert_eq!(answer.status, 200);
/// assert_eq!(answer.body, json!(5));
/// let again = client.with_idempotency_key("k").call("add", &json!({ "left": 2, "right": 3 })).await;
/// assert!(again.replayed);
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    assembled: Arc<Assembled>,
    service: Service,
    clock: Arc<ManualClock>,
    signer: Keys,
    idempotency_key: Option<String>,
    headers: HeaderMap,
    calls: Arc<AtomicU64>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON.
    pub body: Value,
    /// Whether it was kept from an earlier call with the same idempotency key.
    pub replayed: bool,
    /// After how long to try again, where it says so.
    pub retry_after: Option<Duration>,
}

impl Client {
    /// A caller of the app's endpoints.
    ///
    /// # Errors
    /// All that start-up refuses, in one message.
    pub async fn new(app: App) -> Result<Self, StartError> {
        let start = Duration::from_secs(1_700_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let config = app.configured().unwrap_or_default().or_else_for_tests(SECRET);
        let app = app.or_else_store(|| MemoryStore::with(MEMORY, clock.clone()));
        let assembled = assemble(&app, &config, clock.clone()).await?;
        let assembled = Arc::new(assembled);
        Ok(Self {
            service: Service::new(&assembled),
            signer: assembled.settings.keys.clone(),
            assembled,
            clock,
            idempotency_key: None,
            headers: HeaderMap::new(),
            calls: Arc::default(),
        })
    }

    /// The time as the app sees it. Each call is signed at that time.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The same caller, whose calls are all one operation.
    #[must_use]
    pub fn with_idempotency_key(&self, key: impl Into<String>) -> Self {
        Self {
            idempotency_key: Some(key.into()),
            ..self.clone()
        }
    }

    /// The same caller with another signing key, such as a new one that the app accepts already, or a forger's.
    ///
    /// # Panics
    /// Where no signing key may be so: the message says why.
    #[must_use]
    pub fn with_signing_key(&self, secret: &str) -> Self {
        let signer = Keys::single("`with_signing_key`", secret).unwrap_or_else(|error| panic!("{error}"));
        Self { signer, ..self.clone() }
    }

    /// The same caller with a header of its own, such as one that an extractor reads.
    #[must_use]
    pub fn with_header(&self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, value);
        client
    }

    /// Calls an endpoint by its name, with an object of inputs; for a GET, each is written as one text.
    ///
    /// # Panics
    /// Where the app has no endpoint of that name: then the test is wrong.
    pub async fn call(&self, endpoint: &str, inputs: &Value) -> Answer {
        let request = self.request(endpoint, inputs);
        let Ok(response) = self.service.answer(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        Answer {
            status: head.status,
            body: serde_json::from_slice(&body).unwrap_or_default(),
            replayed: header("idempotent-replayed") == Some("true"),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
        }
    }

    fn request(&self, name: &str, inputs: &Value) -> Request<Full<Bytes>> {
        let found = self
            .assembled
            .endpoints
            .iter()
            .find(|endpoint| endpoint.endpoint.name == name);
        let Some(endpoint) = found.map(|bound| bound.endpoint) else {
            panic!("the app has no endpoint `{name}`");
        };
        let settings = &self.assembled.settings;
        let url = settings.public_url.published(endpoint.path);
        let call = match endpoint.method {
            Method::Get => Outgoing::get(url, &pairs_of(inputs)),
            Method::Post => Outgoing::post(url, inputs.to_string()),
        };
        let own = || format!("testing-{}", self.calls.fetch_add(1, Ordering::Relaxed));
        let key = self.idempotency_key.clone().unwrap_or_else(own);
        let timestamp = self.clock.unix_seconds();
        let signature = call.sign(&self.signer, &key, timestamp);
        let request = Request::builder()
            .method(endpoint.method.as_str())
            .uri(call.target(endpoint.path))
            .header("x-idempotency-key", key)
            .header("x-timestamp", timestamp)
            .header("x-signature", signature)
            .body(Full::from(call.body));
        let mut request = request.unwrap_or_else(|error| panic!("the call cannot be made: {error}"));
        request.headers_mut().extend(self.headers.clone());
        request
    }
}

fn pairs_of(inputs: &Value) -> Vec<(String, String)> {
    let fields = inputs.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.map(|(name, value)| (name.clone(), text(value))).collect()
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}
