//! A client that signs its calls and works within the process, for the tests of programs with endpoints.

use std::any::{TypeId, type_name};
use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::app::{App, Assembled, Service, StartError, StartProblem, assemble};
use crate::clock::{Clock as _, ManualClock};
use crate::endpoint::call::Call;
use crate::pipeline::prepared::PreparedEndpoint;
use crate::protocol::caller::Refused;
use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::randomness::{self, NoRandomBytes};
use crate::protocol::request::Unverified;
use crate::protocol::signature::Keys;
use crate::store::{
    Audit, BoxFuture, Fingerprint, FirstSeen, MemoryStore, OperationId, Origin, Proposal, Record, Store, StoreError,
    Transaction, Verdict, Work,
};
use crate::transaction::{Database, Tx};

const SECRET: &str = "op_sk_testing";
/// The limit of the in-memory store, in bytes. It is more than any test stores.
const MEMORY: usize = 256 * 1024 * 1024;

/// Calls an app's endpoints as the agent does, but without a socket. Calls are signed, decoded and recorded.
///
/// The settings of [`App::config`] apply, except for the store: operations are kept in memory unless the app was given
/// a store by [`App::store`]. The test controls the time by [`Client::clock`], and the in-memory store uses the same
/// clock. If no signing key or public URL is set, the client uses a key and a URL for tests. It reads nothing from the
/// environment.
///
/// Each call has an idempotency key of its own, unless the test sets one. The keys are random, so that a test on a store
/// that persists does not get the answers of an earlier run.
///
/// ```standalone_crate
/// use operator_runtime::{App, operator_api, testing::Client};
/// use serde_json::json;
///
/// /// Adds two numbers. Use it when a customer cannot.
/// #[operator_api(POST, "/sums")]
/// async fn add(
///     /// The first number.
///     left: i64,
///     /// The second number.
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
    /// The token that is sent instead of a signature.
    api_key: Option<String>,
    idempotency_key: Option<String>,
    headers: HeaderMap,
    /// The beginning of the idempotency keys, which differs for each run: a store that persists still has the records of
    /// earlier runs.
    run: Arc<str>,
    calls: Arc<AtomicU64>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body as JSON; null if the body is not JSON.
    pub body: Value,
    /// Whether this is the stored answer of an earlier call with the same idempotency key.
    pub replayed: bool,
    /// How long to wait before the next attempt, if the answer has a `Retry-After` header.
    pub retry_after: Option<Duration>,
}

impl Client {
    /// Makes a client for the app's endpoints.
    ///
    /// # Errors
    /// Every problem that start-up finds, in one message.
    pub async fn new(app: App) -> Result<Self, StartError> {
        let start = Duration::from_secs(1_700_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let config = app.configured().unwrap_or_default().or_else_for_tests(SECRET);
        let app = app.or_else_store(|| MemoryStore::with(MEMORY, clock.clone()));
        let assembled = assemble(&app, &config, clock.clone()).await?;
        let assembled = Arc::new(assembled);
        let run = random_name().map_err(|error| StartProblem::new(error.to_string()).caused_by(error))?;
        Ok(Self {
            service: Service::new(&assembled),
            signer: assembled.settings.credentials.keys.clone(),
            assembled,
            clock,
            api_key: None,
            idempotency_key: None,
            headers: HeaderMap::new(),
            run: run.into(),
            calls: Arc::default(),
        })
    }

    /// The app's clock. Each call is signed with the time of this clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// A copy of this client that sends this idempotency key with every call, so that its calls are one operation.
    #[must_use]
    pub fn with_idempotency_key(&self, key: impl Into<String>) -> Self {
        Self {
            idempotency_key: Some(key.into()),
            ..self.clone()
        }
    }

    /// A copy of this client with another signing key, such as a new key that the app already accepts, or a forger's
    /// key.
    ///
    /// # Panics
    /// If the secret is not a valid signing key; the message says why.
    #[must_use]
    pub fn with_signing_key(&self, secret: &str) -> Self {
        let signer = Keys::single("`with_signing_key`", secret).unwrap_or_else(|error| panic!("{error}"));
        Self { signer, ..self.clone() }
    }

    /// A copy of this client that sends an API key instead of a signature, as agents of other vendors do. It sends an
    /// idempotency key only after [`with_idempotency_key`](Self::with_idempotency_key), so that an endpoint with
    /// `key(…)` can be tested.
    ///
    /// ```standalone_crate
    /// use operator_runtime::{App, Config, operator_api, testing::Client};
    /// use serde_json::json;
    ///
    /// /// Says how many orders are open. Use it when a customer waits.
    /// #[operator_api(GET, "/open")]
    /// async fn open() -> u32 {
    ///     7
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let app = App::new().config(Config::new().api_keys("fin=op_sk_of_fin"));
    /// let client = Client::new(app).await.unwrap().with_api_key("op_sk_of_fin");
    /// assert_eq!(client.call("open", &json!({})).await.body, json!(7));
    /// # }
    /// ```
    #[must_use]
    pub fn with_api_key(&self, token: impl Into<String>) -> Self {
        Self {
            api_key: Some(token.into()),
            ..self.clone()
        }
    }

    /// A copy of this client that sends one more header, such as a header that an extractor reads.
    #[must_use]
    pub fn with_header(&self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, value);
        client
    }

    /// Calls an endpoint by its name with an object of inputs. For a GET, each input becomes one search parameter.
    ///
    /// # Panics
    /// If the app has no endpoint with this name, because then the test is wrong.
    pub async fn call(&self, endpoint: &str, inputs: &Value) -> Answer {
        self.send(self.request(self.endpoint(endpoint), inputs)).await
    }

    /// Sends an event, as the agent does. The fields that `event` leaves out are filled in: each event has a new `id`,
    /// unless the test sets one.
    ///
    /// The [module `events`](crate::events) has an example.
    ///
    /// # Panics
    /// If the app has no handler of events, or if `event` is not a JSON object, because then the test is wrong.
    pub async fn event(&self, event: &Value) -> Answer {
        let mut endpoints = self.assembled.endpoints.iter();
        let entrance = endpoints.find(|endpoint| endpoint.events.is_some());
        let entrance = entrance.unwrap_or_else(|| panic!("the app has no handler of events"));
        let given = event.as_object();
        let given = given.unwrap_or_else(|| panic!("an event is a JSON object, and this is not: {event}"));
        let mut event = json!({
            "id": format!("ev_{}", self.new_key()),
            "created_at": "2023-11-14T22:13:20Z",
            "agent_id": "ca_testing@v0",
            "livemode": false,
            "conversation_id": "conv_testing",
            "experimental": false,
        });
        if let Some(fields) = event.as_object_mut() {
            fields.extend(given.clone());
        }
        self.send(self.request(entrance, &event)).await
    }

    async fn send(&self, request: Request<Bytes>) -> Answer {
        let Ok(response) = self.service.answer(request.map(Full::new)).await;
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

    /// The [`Call`] that a handler would get for a call of this endpoint, to test a function that takes `&Call`. The
    /// endpoint's handler does not run.
    ///
    /// ```standalone_crate
    /// use operator_runtime::{App, Call, operator_api, testing::Client};
    /// use serde_json::json;
    ///
    /// fn payment_key(call: &Call) -> String {
    ///     format!("{}-{}", call.tenant(), call.idempotency_key())
    /// }
    ///
    /// /// Pays. Use it when a customer asks for it.
    /// #[operator_api(POST, "/payments")]
    /// async fn pay(call: &Call) -> String {
    ///     payment_key(call)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let client = Client::new(App::new()).await.unwrap().with_idempotency_key("k");
    /// assert_eq!(payment_key(&client.to_call("pay", &json!({}))), "default-k");
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the app has no endpoint with this name, or does not accept the client's signature; the message says why.
    #[must_use]
    pub fn to_call(&self, endpoint: &str, inputs: &Value) -> Call {
        let prepared = self.endpoint(endpoint);
        let (head, body) = self.request(prepared, inputs).into_parts();
        let (method, credentials) = (prepared.endpoint.method, prepared.credentials.load());
        let verified = Unverified::parse(method, head.uri.query(), &head.headers, body, credentials.accepted())
            .map_err(Refused::from)
            .and_then(|it| it.verify(&credentials, &head.extensions, self.clock.unix_seconds()));
        let kept = verified.unwrap_or_else(|refused| panic!("{refused}")).keep();
        Call {
            endpoint: prepared.endpoint.name,
            kept,
            headers: head.headers,
            key_of_content: None,
        }
    }

    /// A key that no other call and no earlier run uses.
    fn new_key(&self) -> String {
        format!("testing-{}-{}", self.run, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    fn endpoint(&self, name: &str) -> &PreparedEndpoint {
        let mut endpoints = self.assembled.own_endpoints();
        let found = endpoints.find(|endpoint| endpoint.endpoint.name == name);
        found.unwrap_or_else(|| panic!("the app has no endpoint `{name}`"))
    }

    fn request(&self, prepared: &PreparedEndpoint, inputs: &Value) -> Request<Bytes> {
        let endpoint = prepared.endpoint;
        let settings = &self.assembled.settings;
        let url = settings.public_url.published(prepared.path);
        let call = match endpoint.method {
            Method::Get => Outgoing::get(url, &pairs_of(inputs)),
            Method::Post => Outgoing::post(url, inputs.to_string()),
        };
        let mut request = Request::builder()
            .method(endpoint.method.as_str())
            .uri(call.target(prepared.path));
        if let Some(api_key) = &self.api_key {
            request = request.header("x-api-key", api_key);
            if let Some(key) = &self.idempotency_key {
                request = request.header("x-idempotency-key", key);
            }
        } else {
            let key = self.idempotency_key.clone().unwrap_or_else(|| self.new_key());
            let timestamp = self.clock.unix_seconds();
            let signature = call.sign(&self.signer, &key, timestamp);
            request = request
                .header("x-idempotency-key", key)
                .header("x-timestamp", timestamp)
                .header("x-signature", signature);
        }
        let request = request.body(Bytes::from(call.body));
        let mut request = request.unwrap_or_else(|error| panic!("the call cannot be made: {error}"));
        request.headers_mut().extend(self.headers.clone());
        request
    }
}

/// The time limit for a test's statements.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `test` in a transaction of the store, with the [`Tx`] that a handler would get, and then undoes everything that
/// it wrote. This tests a function that takes `&mut Tx` without an endpoint around it.
///
/// ```standalone_crate
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use operator_runtime::{Sqlite, Tx, rusqlite, store::SqliteStore, testing};
///
/// fn book(tx: &mut Tx<Sqlite>, cents: i64) -> rusqlite::Result<i64> {
///     tx.execute("INSERT INTO ledger VALUES (?1)", [cents])?;
///     tx.query_row("SELECT sum(cents) FROM ledger", (), |row| row.get(0))
/// }
///
/// let folder = tempfile::tempdir()?;
/// let store = SqliteStore::open(folder.path().join("test.db"))?;
/// store.setup(|connection| connection.execute_batch("CREATE TABLE ledger (cents INTEGER NOT NULL)"))?;
/// for _ in 0..2 {
///     let sum = testing::transaction(&store, |tx: &mut Tx<Sqlite>| Box::pin(async move { book(tx, 5) })).await;
///     assert_eq!(sum?, 5, "the first transaction was undone");
/// }
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
///
/// With Postgres, in a database for tests:
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn test() -> Result<(), Box<dyn std::error::Error>> {
/// use operator_runtime::{Postgres, Tx, store::PostgresStore, testing, tokio_postgres};
///
/// async fn book(tx: &mut Tx<Postgres>, cents: i64) -> Result<i64, tokio_postgres::Error> {
///     tx.execute("INSERT INTO ledger VALUES ($1)", &[&cents]).await?;
///     let sum = tx.query_one("SELECT sum(cents)::bigint FROM ledger", &[]).await?;
///     sum.try_get(0)
/// }
///
/// let store = PostgresStore::connect("postgres://tests@localhost/tests").await?;
/// store.setup("CREATE TABLE IF NOT EXISTS ledger (cents bigint NOT NULL)").await?;
/// let sum = testing::transaction(&store, |tx: &mut Tx<Postgres>| Box::pin(book(tx, 5))).await;
/// assert_eq!(sum?, 5);
/// # Ok(()) }
/// ```
///
/// # Panics
/// If `test` panics, if the store has no transactions of this database, or if the transaction cannot be started.
pub async fn transaction<D: Database, T: Send + 'static>(
    store: &dyn Store,
    test: impl for<'t> FnOnce(&'t mut Tx<D>) -> BoxFuture<'t, T> + Send + 'static,
) -> T {
    let transactions = store.transactions();
    let Some(transactions) = transactions.filter(|found| found.handle_type() == TypeId::of::<Tx<D>>()) else {
        panic!("{} has no transactions with {}", store.describe(), type_name::<Tx<D>>());
    };
    // Random, so that tests that run at the same time on one database do not wait for each other.
    let name = random_name().unwrap_or_else(|error| panic!("{error}"));
    let (result, tested) = oneshot::channel();
    let work: Work = Box::new(move |transaction| {
        Box::pin(async move {
            let begun = begin(transaction, &name).await;
            let outcome = match (begun, transaction.handle().downcast_mut()) {
                (Ok(()), Some(tx)) => Ok(AssertUnwindSafe(test(tx)).catch_unwind().await),
                (begun, _) => Err(begun.err()),
            };
            // Nobody receives the result if the caller was dropped.
            let _ = result.send(outcome);
            Verdict::RollBack
        })
    });
    let ended = transactions.transact(LIMIT, work).await;
    match tested.await {
        Ok(Ok(Ok(value))) => value,
        Ok(Ok(Err(panicked))) => resume_unwind(panicked),
        Ok(Err(error)) => panic!("the transaction did not begin: {error:?}"),
        Err(_) => panic!("the transaction did not begin: {ended:?}"),
    }
}

/// Begins a transaction as that of a call begins: with the record of an operation.
async fn begin(transaction: &mut dyn Transaction, key: &str) -> Result<(), StoreError> {
    let record = Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default());
    let claim = Proposal {
        id: OperationId::new("operator-runtime", key),
        expected: None,
        new: Arc::new(record),
        first_seen: FirstSeen::Keep,
        audit: Audit::Nothing,
    };
    transaction.swap(claim).wait().await?;
    transaction.savepoint().wait().await
}

/// A name that no other test and no earlier run uses.
fn random_name() -> Result<String, NoRandomBytes> {
    let mut bytes = [0; 8];
    randomness::fill(&mut bytes)?;
    Ok(const_hex::encode(bytes))
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
