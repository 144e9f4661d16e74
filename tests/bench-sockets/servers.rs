//! The servers that compete, each in a process of its own, which is this program again.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use moka::sync::Cache;
use operator_runtime::{App, Config, Endpoints, endpoints};
use sha2::Sha256;
use tests::caller::{PUBLIC_URL, SECRET, now};
use tokio::net::{TcpListener, TcpStream};

use super::endpoints::{Order, Search, Text, order, read, search, text};
use super::machine;
use super::thousand;

/// Says which server a process is.
const SERVER: &str = "BENCH_SERVER";
const ADDRESS: &str = "BENCH_ADDRESS";
/// The most bytes of a body, for all servers.
const BODY: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// axum handlers without any check.
    Bare,
    /// The same behind a signature check written by hand.
    Checked,
    /// The same behind that check and a cache of answers.
    Cached,
    /// Our app, served by `App::serve`.
    Ours,
    /// Our app as a program, run by `App::run`, with its log.
    Logged,
    /// Our app with a thousand more endpoints.
    Thousand,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Bare,
        Self::Checked,
        Self::Cached,
        Self::Ours,
        Self::Logged,
        Self::Thousand,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Checked => "checked",
            Self::Cached => "cached",
            Self::Ours => "ours",
            Self::Logged => "logged",
            Self::Thousand => "thousand",
        }
    }
}

/// A running server. Dropping it kills its process.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server. `program` is this benchmark, or that of another version.
    pub(crate) async fn start(kind: Kind, program: &Path) -> Self {
        // The listener is closed again, so the port is free. If another process takes it first, the server fails.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let child = Command::new(program)
            // Only `App::run` reads it.
            .arg("serve")
            .env(SERVER, kind.name())
            .env(ADDRESS, address.to_string())
            .envs([
                ("OPERATOR_SIGNING_KEY", SECRET),
                ("OPERATOR_PUBLIC_URL", PUBLIC_URL),
                ("OPERATOR_STORE", "memory:"),
            ])
            .env("OPERATOR_LISTEN", address.to_string())
            .env_remove("RUST_LOG")
            .stderr(if kind == Kind::Logged {
                Stdio::null()
            } else {
                Stdio::inherit()
            })
            .spawn()
            .unwrap();
        let mut server = Self { child, address };
        while TcpStream::connect(address).await.is_err() {
            assert_eq!(
                server.child.try_wait().unwrap(),
                None,
                "the server {} has ended",
                kind.name()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    /// The processor time that the server has used so far.
    pub(crate) fn processor(&self) -> Duration {
        machine::processor(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// If this process was started as a server, serves until it is killed.
pub(crate) fn serve() -> Option<ExitCode> {
    let name = std::env::var(SERVER).ok()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap();
    let address: SocketAddr = std::env::var(ADDRESS).unwrap().parse().unwrap();
    machine::use_core(0);
    machine::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    Some(runtime.block_on(async {
        let router = match kind {
            Kind::Bare => bare(),
            Kind::Checked => bare().layer(from_fn(check)),
            Kind::Cached => cached(),
            Kind::Ours => return serve_app(endpoints![order, read, search, text], address).await,
            Kind::Logged => return App::new().only(endpoints![order, read, search, text]).run().await,
            Kind::Thousand => {
                let all = [endpoints![order, read, search, text], thousand::all()];
                return serve_app(all.into_iter().collect(), address).await;
            }
        };
        let listener = TcpListener::bind(address).await.unwrap();
        axum::serve(listener, router.layer(DefaultBodyLimit::max(BODY)))
            .await
            .unwrap();
        ExitCode::SUCCESS
    }))
}

async fn serve_app(endpoints: Endpoints, address: SocketAddr) -> ExitCode {
    // Idle connections stay open.
    let config = Config::new()
        .connections(1 << 16)
        .idle_timeout(Duration::from_secs(3600));
    let config = config
        .signing_key(SECRET)
        .public_url(PUBLIC_URL)
        .store("memory:")
        .listen(address);
    App::new().only(endpoints).config(config).serve().await.unwrap();
    ExitCode::SUCCESS
}

fn bare() -> Router {
    Router::new()
        .route("/order", post(async |Json(order): Json<Order>| Json(order)))
        .route("/search", get(async |Query(search): Query<Search>| Json(search)))
        .route("/text", post(async |Json(Text { text }): Json<Text>| Json(text.len())))
}

/// The signature check that a user would write by hand.
async fn check(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY).await.unwrap();
    let header = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let (key, timestamp) = (header("x-idempotency-key"), header("x-timestamp"));
    mac.update(format!("{PUBLIC_URL}{}:{key}:{timestamp}:", parts.uri.path()).as_bytes());
    mac.update(&body);
    let expected: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if now().abs_diff(timestamp.parse().unwrap_or(0)) > 300 || expected != header("x-signature") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn cached() -> Router {
    let answers = Cache::builder()
        .max_capacity(1 << 20)
        .time_to_live(Duration::from_secs(300))
        .build();
    bare().layer(from_fn_with_state(answers, keep)).layer(from_fn(check))
}

/// The cache that a user would write by hand. It does not check that a key is used again for the same request, and two
/// calls at the same time both run.
async fn keep(State(answers): State<Cache<HeaderValue, Bytes>>, request: Request, next: Next) -> Response {
    let key = request.headers()["x-idempotency-key"].clone();
    if let Some(answer) = answers.get(&key) {
        return ([(CONTENT_TYPE, "application/json")], answer).into_response();
    }
    let (head, body) = next.run(request).await.into_parts();
    let answer = to_bytes(body, BODY).await.unwrap();
    answers.insert(key, answer.clone());
    Response::from_parts(head, Body::from(answer))
}
