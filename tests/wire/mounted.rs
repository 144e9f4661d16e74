//! The app inside a host program. `App::check` leaves no files behind, a mounted router maintains its store, and a
//! service contains the whole app.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::convert::Infallible;
use std::error::Error as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use operator_runtime::clock::ManualClock;
use operator_runtime::rusqlite::Connection;
use operator_runtime::store::{self, Durability, SqliteStore, StoreError};
use operator_runtime::testing::Client;
use operator_runtime::{App, Config, Sqlite, Tx, endpoints, operator_api};
use serde_json::json;
use tests::caller::{PUBLIC_URL, SECRET, now, sign};
use tokio::sync::Notify;
use tower::ServiceExt as _;

/// Keeps a note. Use it when a customer asks to be called back.
#[operator_api(POST, "/notes")]
async fn keep_note(
    tx: &mut Tx<Sqlite>,
    /// What to remember of the customer.
    text: String,
) -> usize {
    tx.execute("INSERT INTO note VALUES (?1)", (text,)).unwrap_or_default()
}

fn app() -> App {
    App::new()
        .only(endpoints![keep_note])
        .sqlite_setup(|connection| connection.execute_batch("CREATE TABLE IF NOT EXISTS note (text TEXT)"))
}

fn config(file: &Path) -> Config {
    Config::new()
        .signing_key("op_sk_tests")
        .public_url("https://a.example")
        .store(format!("sqlite:{}", file.display()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_check_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    app()
        .config(config(&folder.path().join("operator.db")))
        .check()
        .unwrap();
    assert_eq!(names(folder.path()), Vec::<String>::new());

    // The check also finds mistakes in the folder and in the program's own tables.
    let nowhere = folder.path().join("nowhere/operator.db");
    let error = app().config(config(&nowhere)).check().unwrap_err();
    let cause = error.source().unwrap().downcast_ref::<StoreError>();
    assert!(matches!(cause, Some(StoreError::Unavailable { .. })), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains("nowhere/operator.db") && !error.contains(".check-"),
        "{error}"
    );
    let advice = format!(
        "Create the folder {}, or set `Config::store` to another file.",
        folder.path().join("nowhere").display()
    );
    assert!(error.ends_with(&advice), "{error}");
    let error = app().config(config(folder.path())).check().unwrap_err().to_string();
    assert!(error.contains("may read and write the file and its folder"), "{error}");
    let in_memory = Config::new().store("sqlite::memory:");
    let error = app().config(in_memory).check().unwrap_err().to_string();
    assert!(error.contains("use `memory:`"), "{error}");
    let wrong = App::new()
        .only(endpoints![keep_note])
        .sqlite_setup(|connection| connection.execute_batch("CREATE TABEL note (text TEXT)"));
    let error = wrong
        .config(config(&folder.path().join("operator.db")))
        .check()
        .unwrap_err();
    assert!(error.to_string().contains("TABEL"), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_is_shared_is_set_up_as_one_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("operator.db").display());
    let client = Client::new(app().store(store::open(&address).await.unwrap()))
        .await
        .unwrap();
    assert_eq!(
        client.call("keep_note", &json!({ "text": "call back" })).await.status,
        200
    );
    let in_memory = app().store(store::open("memory:").await.unwrap());
    let error = Client::new(in_memory).await.unwrap_err().to_string();
    assert!(
        error.contains("`App::sqlite_setup` creates tables in SQLite") && error.contains("set `App::store` to"),
        "{error}"
    );
}

#[tokio::test]
async fn a_mounted_router_removes_expired_operations() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("operator.db");
    let clock = Arc::new(ManualClock::at(Duration::from_secs(1_700_000_000)));
    let open = || SqliteStore::open_with(&file, Durability::ProcessCrash, clock.clone()).unwrap();
    let connection = Connection::open(&file).unwrap();
    let kept = || -> i64 {
        let row = connection.query_row("SELECT count(*) FROM operator_operations", (), |row| row.get(0));
        row.unwrap()
    };

    let client = Client::new(app().store(open())).await.unwrap();
    assert_eq!(
        client.call("keep_note", &json!({ "text": "call back" })).await.status,
        200
    );
    assert_eq!(kept(), 1);

    clock.advance(Duration::from_secs(24 * 60 * 60));
    let mounted = app().config(config(&file)).store(open()).router().await.unwrap();
    let swept = async {
        while kept() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept)
        .await
        .expect("the store is swept at once");
    drop(mounted);
}

/// Says by which route a call came. Use it when a customer asks for the way.
#[operator_api(GET, "/way")]
async fn way(#[operator(extract)] route: MatchedPath) -> String {
    route.as_str().to_owned()
}

#[tokio::test]
async fn an_extractor_finds_the_values_that_axum_stores_for_a_route() {
    let client = Client::new(App::new().only(endpoints![way])).await.unwrap();
    let answer = client.call("way", &json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!("/way")));
}

/// Greets. Use it to open a conversation.
#[operator_api(GET, "/greeting")]
async fn greeting() -> String {
    "Good morning!".to_owned()
}

#[tokio::test]
async fn a_service_is_the_whole_app_wherever_a_host_mounts_it() {
    let config = Config::new()
        .signing_key(SECRET)
        .public_url(format!("{PUBLIC_URL}/support"))
        .store("memory:");
    let app = App::new().only(endpoints![greeting, way]).config(config);
    let host = Router::new()
        .route("/health", get(async || "well"))
        .fallback_service(app.service().await.unwrap());
    let ask = async |method: &str, path: &str| {
        let (key, timestamp) = ("a-key-of-this-test", now());
        let name = path.strip_prefix("/support").unwrap_or(path);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-idempotency-key", key)
            .header("x-timestamp", timestamp)
            .header("x-signature", sign(&format!("/support{name}"), key, timestamp, "{}"))
            .body(Body::empty())
            .unwrap();
        let response = host.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(ask("GET", "/health").await, (200, "well".to_owned()));
    // Endpoints without and with an extractor, each at its own path and below the base path of the public URL.
    for (path, answer) in [
        ("/greeting", "Good morning!"),
        ("/support/greeting", "Good morning!"),
        ("/way", "/way"),
        ("/support/way", "/support/way"),
    ] {
        assert_eq!(ask("GET", path).await, (200, json!(answer).to_string()), "{path}");
        let (status, problem) = ask("POST", path).await;
        assert!(
            status == 405 && problem.contains("answers only GET"),
            "{path}: {status} {problem}"
        );
    }
    for path in ["/elsewhere", "/greeting/", "/support"] {
        let (status, problem) = ask("GET", path).await;
        assert!(
            status == 404 && problem.contains("no-such-path"),
            "{path}: {status} {problem}"
        );
    }
}

/// A body that sends one piece. The next piece never arrives.
struct Begun(Option<Bytes>);

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_of_a_mounted_app_share_their_memory_limit_and_have_a_time_limit() {
    const ROOM: usize = 1024 * 1024;
    let config = Config::new()
        .signing_key(SECRET)
        .public_url(PUBLIC_URL)
        .memory_for_bodies(ROOM)
        .store("memory:");
    let app = App::new().only(endpoints![greeting, way]).config(config);
    let hosts = [
        app.clone().router().await.unwrap(),
        Router::new().fallback_service(app.service().await.unwrap()),
    ];
    for host in hosts {
        // The first path is the endpoint's own route. The second is a route that axum finds, because the endpoint has
        // an extractor.
        for path in ["/greeting", "/way"] {
            let ask = |length: usize| {
                let body = Body::new(Begun(Some(vec![b'x'; length].into())));
                let request = Request::get(path).body(body).unwrap();
                let host = host.clone();
                async move {
                    let response = host.oneshot(request).await.unwrap();
                    let retry = response.headers().get("retry-after").cloned();
                    let status = response.status().as_u16();
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    (status, retry.is_some(), String::from_utf8(body.to_vec()).unwrap())
                }
            };
            let most = tokio::spawn(ask(ROOM - 10));
            tokio::task::yield_now().await;
            let (status, retry, problem) = ask(11).await;
            assert!(
                status == 503 && retry && problem.contains("server-full"),
                "{status}: {problem}"
            );
            let began = tokio::time::Instant::now();
            let (status, _, problem) = ask(10).await;
            assert!(
                status == 408 && problem.contains("less than 1 KiB"),
                "{status}: {problem}"
            );
            assert_eq!(began.elapsed().as_secs(), 1);
            let (status, _, problem) = most.await.unwrap();
            assert!(status == 408 && problem.contains("within 10 s"), "{status}: {problem}");
            assert_eq!(began.elapsed().as_secs(), 10);
        }
    }
}

/// Waits until the test lets it end. Use it to see what a stop waits for.
#[operator_api(POST, "/waits", read_only)]
async fn waits(gates: &Arc<Gates>) -> bool {
    gates.reached.notify_one();
    gates.open.notified().await;
    true
}

/// Waits until the test lets it take effect. Use it to see what becomes of an operation whose caller hangs up.
#[operator_api(POST, "/acts", effect = at_most_once)]
async fn acts(gates: &Arc<Gates>) -> bool {
    gates.reached.notify_one();
    gates.open.notified().await;
    gates.effects.fetch_add(1, Ordering::SeqCst);
    true
}

/// A gate in the handlers of `waits` and `acts`.
#[derive(Default)]
struct Gates {
    reached: Notify,
    open: Notify,
    effects: AtomicUsize,
}

fn signed(path: &str, body: &'static str) -> Request<Body> {
    let (key, timestamp) = ("host", now());
    Request::post(path)
        .header("x-idempotency-key", key)
        .header("x-timestamp", timestamp)
        .header("x-signature", sign(path, key, timestamp, body))
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn a_host_stops_the_app_and_waits_for_its_calls() {
    let gates = Arc::new(Gates::default());
    let config = Config::new()
        .signing_key(SECRET)
        .public_url(PUBLIC_URL)
        .store("memory:");
    let app = App::new().only(endpoints![waits]).state(gates.clone()).config(config);
    let host = app.host().await.unwrap();
    let router = host.router();
    let running = tokio::spawn(router.clone().oneshot(signed("/waits", "{}")));
    gates.reached.notified().await;
    assert!(!host.drain(Duration::from_millis(50)).await, "a call is running");
    let refused = router.clone().oneshot(signed("/waits", "{}")).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    gates.open.notify_one();
    assert!(host.drain(Duration::from_secs(20)).await);
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
}

/// The operation takes effect and is recorded, so a retry at another server gets its answer.
#[tokio::test]
async fn a_host_waits_for_an_operation_whose_caller_hung_up() {
    let folder = tempfile::tempdir().unwrap();
    let gates = Arc::new(Gates::default());
    let app = App::new().only(endpoints![acts]).state(gates.clone()).config(
        config(&folder.path().join("operator.db"))
            .signing_key(SECRET)
            .public_url(PUBLIC_URL),
    );
    let host = app.clone().host().await.unwrap();
    let calling = tokio::spawn(host.router().oneshot(signed("/acts", "{}")));
    gates.reached.notified().await;
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    assert!(!host.drain(Duration::from_millis(50)).await, "the operation is running");
    assert_eq!(gates.effects.load(Ordering::SeqCst), 0);
    gates.open.notify_one();
    assert!(host.drain(Duration::from_secs(20)).await);
    assert_eq!(gates.effects.load(Ordering::SeqCst), 1);
    drop(host);

    let router = app.router().await.unwrap();
    let answer = router.oneshot(signed("/acts", "{}")).await.unwrap();
    let replayed = answer.headers().contains_key("idempotent-replayed");
    assert!(answer.status() == 200 && replayed, "{answer:?}");
    assert_eq!(gates.effects.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_host_can_answer_another_method_at_the_path_of_an_endpoint() {
    let config = Config::new()
        .signing_key(SECRET)
        .public_url(PUBLIC_URL)
        .store("memory:");
    let gates = Arc::new(Gates::default());
    let app = App::new().only(endpoints![waits]).state(gates.clone()).config(config);
    let host = Router::new().route("/waits", get(async || "the host's page"));
    let routes = app.router().await.unwrap();
    for merged in [host.clone().merge(routes.clone()), routes.merge(host)] {
        let page = Request::get("/waits").body(Body::empty()).unwrap();
        let page = merged.clone().oneshot(page).await.unwrap();
        assert_eq!(page.into_body().collect().await.unwrap().to_bytes(), "the host's page");
        gates.open.notify_one();
        assert_eq!(
            merged.clone().oneshot(signed("/waits", "{}")).await.unwrap().status(),
            200
        );
        let put = Request::put("/waits").body(Body::empty()).unwrap();
        assert_eq!(merged.oneshot(put).await.unwrap().status(), 405);
    }
}

/// A second run of a program's tests must not see the answers of the first.
#[tokio::test]
async fn clients_on_a_store_that_persists_use_keys_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("operator.db").display());
    for _ in 0..2 {
        let client = Client::new(app().store(store::open(&address).await.unwrap()))
            .await
            .unwrap();
        let answer = client.call("keep_note", &json!({ "text": "call back" })).await;
        assert!(answer.status == 200 && !answer.replayed, "{answer:?}");
    }
}
