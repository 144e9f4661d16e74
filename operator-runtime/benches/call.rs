//! What a call costs beside a bare axum handler: `cargo bench -p operator-runtime`.
//!
//! One process, no sockets, every variant in turn within each round, so that a change of the machine's speed meets them
//! all; the figures are medians of the rounds' ratios. Requests are made and signed before the clock starts.
//!
//! The two floors say how near the bare handler any design comes on the machine that runs this: the same hashes over the
//! same bytes, from keys made ready before, and a map behind a lock. What they cost beyond the bare handler is the price
//! of a signature and a record; what ours costs beyond them is ours.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot set itself up has nothing to measure"
)]
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    reason = "a program of its own; counts are small"
)]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use hmac::{Hmac, KeyInit, Mac};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use operator_runtime::store::{Fingerprint, OperationId};
use operator_runtime::{App, Config, operator_api};
use ruts::store::moka::MokaStore;
use ruts::{CookieOptions, Session, SessionLayer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt as _};
use tower_cookies::CookieManagerLayer;

const SECRET: &str = "op_sk_bench_0123456789abcdef0123456789abcdef";
const URL: &str = "https://api.example.com";
/// Where the first calls and the replays go, and those of the floor, whose hashes are so over the same bytes.
const RECORDED: &str = "/recorded";
const ROUNDS: usize = 400;
const CALLS: usize = 64;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {
    order_id: u64,
    amount_cents: u32,
    email: String,
    reason: String,
}

#[derive(Deserialize)]
struct Search {
    email: String,
    status: String,
    limit: u32,
    after: u64,
    exact: bool,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    email: String,
    status: String,
    limit: u32,
    after: u64,
    exact: bool,
}

/// Echoes an order and keeps a record.
#[operator_api(POST, "/recorded", effect = rerunnable)]
async fn recorded(
    /// The number on the receipt.
    order_id: u64,
    /// In cents.
    amount_cents: u32,
    /// The customer's address.
    email: String,
    /// In one sentence.
    reason: String,
) -> Order {
    Order {
        order_id,
        amount_cents,
        email,
        reason,
    }
}

/// Echoes an order and keeps nothing.
#[operator_api(POST, "/read", read_only)]
async fn read(
    /// The number on the receipt.
    order_id: u64,
    /// In cents.
    amount_cents: u32,
    /// The customer's address.
    email: String,
    /// In one sentence.
    reason: String,
) -> Order {
    Order {
        order_id,
        amount_cents,
        email,
        reason,
    }
}

/// Echoes five parameters.
#[operator_api(GET, "/search")]
async fn search(
    /// The customer's address.
    email: String,
    /// What it waits for.
    status: String,
    /// How many.
    limit: u32,
    /// From which order on.
    after: u64,
    /// Whether to match whole words.
    exact: bool,
) -> Found {
    Found {
        email,
        status,
        limit,
        after,
        exact,
    }
}

/// The check that a user would write.
async fn check(request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let mut payload = format!(
        "{URL}{}:{}:{}:",
        parts.uri.path(),
        header("x-idempotency-key"),
        header("x-timestamp")
    )
    .into_bytes();
    payload.extend_from_slice(&body);
    let stamp: u64 = header("x-timestamp").parse().unwrap_or(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&payload);
    let expected: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if now().abs_diff(stamp) > 30 || expected != header("x-signature") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn echo(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

/// The least that any design does here: the bare handler, the hashes that the protocol and the records ask for, and a
/// map. No signature is refused, and nothing is logged, counted or limited.
struct Floor {
    /// Advanced over the key's block and the endpoint's URL.
    signing: Hmac<Sha256>,
    answers: Mutex<HashMap<OperationId, (Fingerprint, Bytes), BuildHasherDefault<LastBytes>>>,
}

impl Floor {
    fn new() -> Self {
        let mut signing = Hmac::new_from_slice(SECRET.as_bytes()).unwrap();
        signing.update(format!("{URL}{RECORDED}:").as_bytes());
        Self {
            signing,
            answers: Mutex::default(),
        }
    }

    /// A first call asks the map twice, before its handler and after it; a replay asks it once, and needs no handler.
    fn answer(&self, headers: &HeaderMap, body: &Bytes) -> Response<Body> {
        let header = |name: &str| headers[name].to_str().unwrap();
        let idempotency_key = header("x-idempotency-key");
        let mut mac = self.signing.clone();
        mac.update(idempotency_key.as_bytes());
        mac.update(b":");
        mac.update(header("x-timestamp").as_bytes());
        mac.update(b":");
        mac.update(body);
        std::hint::black_box(mac.finalize().into_bytes());
        let fingerprint = Fingerprint::new("POST", RECORDED, header("content-type"), body);
        let id = OperationId::new("default", idempotency_key);
        let answer = match self.answers.lock().unwrap().entry(id) {
            Entry::Occupied(occupied) if occupied.get().0 == fingerprint => Some(occupied.get().1.clone()),
            Entry::Occupied(_) => return StatusCode::UNPROCESSABLE_ENTITY.into_response(),
            Entry::Vacant(vacant) => {
                vacant.insert((fingerprint, Bytes::new()));
                None
            }
        };
        let answer = answer.unwrap_or_else(|| {
            let order: Order = serde_json::from_slice(body).unwrap();
            let answer = Bytes::from(serde_json::to_vec(&order).unwrap());
            self.answers.lock().unwrap().get_mut(&id).unwrap().1 = answer.clone();
            answer
        });
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response()
    }
}

/// An operation's id is a hash already.
#[derive(Default)]
struct LastBytes(u64);

impl Hasher for LastBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.last_chunk().map_or(0, |last| u64::from_ne_bytes(*last));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

async fn floor(State(floor): State<Arc<Floor>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    floor.answer(&parts.headers, &body)
}

async fn query(Query(search): Query<Search>) -> Json<Found> {
    let Search {
        email,
        status,
        limit,
        after,
        exact,
    } = search;
    Json(Found {
        email,
        status,
        limit,
        after,
        exact,
    })
}

/// One thing that is measured: a service, and how its next request is made.
struct Variant {
    name: &'static str,
    /// Which variant its ratio is to.
    against: usize,
    make: Box<dyn Fn(u64) -> Request>,
    call_all: Caller,
}

/// Sends requests to a service, one after another.
type Caller = Box<dyn Fn(&Runtime, Vec<Request>)>;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let variants = runtime.block_on(variants());
    // A profiler wants one of them alone: `cargo bench -p operator-runtime -- "ours, replay"`.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(variant) = variants
        .iter()
        .find(|variant| only.as_deref().is_some_and(|only| variant.name.contains(only)))
    {
        return alone(&runtime, variant);
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); variants.len()];
    let mut number = 0;
    for round in 0..ROUNDS + 20 {
        for (index, variant) in variants.iter().enumerate() {
            let requests: Vec<Request> = (0..CALLS as u64).map(|call| (variant.make)(number + call)).collect();
            number += CALLS as u64;
            let started = Instant::now();
            (variant.call_all)(&runtime, requests);
            let took = started.elapsed();
            // The first rounds warm caches and branch predictors.
            if round >= 20 {
                times[index].push(took);
            }
        }
    }
    println!("{:44} {:>9} {:>7} {:>12}", "", "µs a call", "ratio", "allocations");
    for (index, variant) in variants.iter().enumerate() {
        let base = &times[variant.against];
        let ratio = median(
            times[index]
                .iter()
                .zip(base)
                .map(|(own, base)| own.as_secs_f64() / base.as_secs_f64()),
        );
        let each = median(times[index].iter().map(Duration::as_secs_f64)) * 1e6 / CALLS as f64;
        let allocations = allocations(&runtime, variant, &mut number);
        println!("{:44} {each:9.2} {ratio:7.2} {allocations:12.1}", variant.name);
    }
    println!(
        "A floor is the least that any design does: the hashes, from keys made ready before, and a map behind a lock."
    );
}

fn alone(runtime: &Runtime, variant: &Variant) {
    for round in 0..(4 * ROUNDS as u64) {
        let requests = (0..CALLS as u64)
            .map(|call| (variant.make)(round * CALLS as u64 + call))
            .collect();
        (variant.call_all)(runtime, requests);
    }
}

fn caller<S, A>(service: S) -> Caller
where
    S: Service<Request, Response = Response<A>, Error = Infallible> + Clone + 'static,
    A: http_body::Body<Data = Bytes, Error: Debug>,
{
    Box::new(move |runtime, requests| {
        runtime.block_on(async {
            for request in requests {
                let Ok(response) = service.clone().oneshot(request).await;
                assert_eq!(response.status(), StatusCode::OK);
                std::hint::black_box(response.into_body().collect().await.unwrap().to_bytes());
            }
        });
    })
}

fn allocations(runtime: &Runtime, variant: &Variant, number: &mut u64) -> f64 {
    let requests: Vec<Request> = (0..CALLS as u64).map(|call| (variant.make)(*number + call)).collect();
    *number += CALLS as u64;
    let counted = allocation_counter::measure(|| (variant.call_all)(runtime, requests));
    counted.count_total as f64 / CALLS as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn variants() -> Vec<Variant> {
    let config = Config::new().signing_key(SECRET).public_url(URL).store("memory:");
    let ours = App::new().config(config.clone()).service().await.unwrap();
    let mounted = App::new().config(config).router().await.unwrap();
    let bare = Router::new().route("/bare", post(echo)).route("/search", get(query));
    let checked = Router::new().route("/bare", post(echo)).layer(from_fn(check));
    let (idempotent, cookie) = idempotent().await;
    let floor = Router::new()
        .route(RECORDED, post(floor))
        .with_state(Arc::new(Floor::new()));
    let plain = |path: &'static str| move |number: u64| signed_post(path, &format!("{number:032x}"), None);
    vec![
        Variant {
            name: "POST, bare axum JSON handler",
            against: 0,
            make: Box::new(plain("/bare")),
            call_all: caller(bare.clone()),
        },
        Variant {
            name: "POST, with a check written by hand",
            against: 0,
            make: Box::new(plain("/bare")),
            call_all: caller(checked),
        },
        Variant {
            name: "POST, that and axum-idempotent",
            against: 0,
            make: Box::new(move |number| signed_post("/bare", &format!("{number:032x}"), Some(&cookie))),
            call_all: caller(idempotent),
        },
        Variant {
            name: "POST, floor: hashes and a map, first call",
            against: 0,
            make: Box::new(plain(RECORDED)),
            call_all: caller(floor.clone()),
        },
        Variant {
            name: "POST, floor: hashes and a map, replay",
            against: 0,
            make: Box::new(|_| signed_post(RECORDED, "replayed", None)),
            call_all: caller(floor),
        },
        Variant {
            name: "POST, ours, read only",
            against: 0,
            make: Box::new(plain("/read")),
            call_all: caller(ours.clone()),
        },
        Variant {
            name: "POST, ours, recorded, first call",
            against: 0,
            make: Box::new(plain(RECORDED)),
            call_all: caller(ours.clone()),
        },
        Variant {
            name: "POST, ours, recorded, replay",
            against: 0,
            make: Box::new(|_| signed_post(RECORDED, "replayed", None)),
            call_all: caller(ours.clone()),
        },
        Variant {
            name: "GET, axum Query of five parameters",
            against: 8,
            make: Box::new(signed_get),
            call_all: caller(bare),
        },
        Variant {
            name: "GET, ours, five parameters",
            against: 8,
            make: Box::new(signed_get),
            call_all: caller(ours),
        },
        Variant {
            name: "POST, ours, mounted, recorded, first call",
            against: 0,
            make: Box::new(plain(RECORDED)),
            call_all: caller(mounted),
        },
    ]
}

/// The crate keeps answers in a session, so one is opened first.
async fn idempotent() -> (Router, String) {
    let store = Arc::new(MokaStore::builder().build());
    let options = IdempotentOptions::default()
        .use_idempotency_key_header(Some("x-idempotency-key"), true)
        .expire_after(300);
    let open = get(|session: Session<MokaStore>| async move {
        session
            .set("open", &true, ruts::store::Ttl::new(3600).unwrap(), None)
            .await
            .unwrap();
    });
    let router = Router::new()
        .route("/bare", post(echo))
        .layer(IdempotentLayer::<MokaStore>::new(options))
        .layer(from_fn(check))
        .route("/open", open)
        .layer(SessionLayer::new(store).with_cookie_options(CookieOptions::build().name("session")))
        .layer(CookieManagerLayer::new());
    let request = Request::builder().uri("/open").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    (router, cookie)
}

fn signed_post(path: &str, idempotency_key: &str, cookie: Option<&str>) -> Request {
    let body = format!(
        r#"{{"order_id":1004,"amount_cents":2500,"email":"ana@example.com","reason":"{}"}}"#,
        "The teapot arrived with a crack in its lid, and the customer wants the money back rather than another one."
    );
    let (timestamp, signature) = sign(path, idempotency_key, &body);
    let mut request = Request::builder()
        .method("POST")
        .uri(path)
        .header("content-type", "application/json")
        .header("x-idempotency-key", idempotency_key)
        .header("x-timestamp", timestamp)
        .header("x-signature", signature);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    request.body(Body::from(body)).unwrap()
}

fn signed_get(number: u64) -> Request {
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

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
