//! Measures the calls per second on each store through the whole framework over HTTP. The same run measures the same
//! work without the framework: `cargo bench -p tests --bench stores`. The README.md beside this file explains the
//! table.

#![allow(clippy::unwrap_used, reason = "a failed unwrap ends the benchmark")]
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    reason = "not a library; the counts are small enough for f64"
)]

mod bare;
mod by_hand;
mod by_redis;
mod churn;
mod filled;
mod guardrails;
mod measure;
mod room;
mod sweep;
mod workers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use operator_runtime::store::{self, PostgresStore, SqliteStore, Store};
use operator_runtime::{App, Config, Endpoints, Error, Postgres, Sqlite, Tx, endpoints, operator_api};
use tests::caller::{PUBLIC_URL, SECRET};
use tests::services;
use tokio::net::{TcpListener, TcpStream};

use bare::{InPostgres, InSqlite};
use by_redis::InRedis;
use measure::{Contender, Figures, in_turns};
use workers::{Http, Kind, Own, Worker, completed};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS ledger (cents integer NOT NULL)";
const BOOK: &str = "INSERT INTO ledger VALUES (1)";
/// The number of connections in each pool, and of the contenders that have no pool.
const CONNECTIONS: usize = 32;
const CALLERS: [usize; 2] = [1, 64];
/// The number of records in the filled stores, unless `--records` says otherwise.
const RECORDS: u32 = 1_000_000;

/// Acts in another system.
#[operator_api(POST, "/elsewhere")]
async fn elsewhere() -> bool {
    true
}

/// Acts in SQLite.
#[operator_api(POST, "/sqlite")]
async fn in_sqlite(tx: &mut Tx<Sqlite>) -> Result<bool, Error> {
    tx.prepare_cached(BOOK)?.execute(())?;
    Ok(true)
}

/// Acts in Postgres.
#[operator_api(POST, "/postgres")]
async fn in_postgres(tx: &mut Tx<Postgres>) -> Result<bool, Error> {
    let book = tx.prepare_cached(BOOK).await?;
    tx.execute(&book, &[]).await?;
    Ok(true)
}

/// The contenders on one store: the app, the store's own interface, that interface behind HTTP, the hand-written route,
/// and the app and the interface on a store that is filled with records. The app and the interface open the store
/// separately.
struct Rivals {
    app: SocketAddr,
    path: &'static str,
    own: Own,
    own_over_http: SocketAddr,
    by_hand: SocketAddr,
    filled_app: SocketAddr,
    filled_own: Own,
}

impl Rivals {
    async fn start(kind: Kind, [app, own]: [&str; 2], filled: &str, by_hand: SocketAddr) -> Self {
        let path = match kind {
            Kind::Elsewhere => "/elsewhere",
            Kind::InSqlite => "/sqlite",
            Kind::InPostgres => "/postgres",
        };
        let own = open(kind, own).await;
        Self {
            app: serve(kind, app).await,
            path,
            own_over_http: by_hand::own(own.clone()).await,
            own,
            by_hand,
            filled_app: serve(kind, filled).await,
            filled_own: open(kind, filled).await,
        }
    }

    /// Measures and prints one row of the table.
    async fn compete(&self, what: &str, callers: usize, bare: Contender) {
        let contenders = [
            Contender::workers(Http::callers(callers, self.app, self.path).await),
            Contender::workers(Http::callers(callers, self.by_hand, by_hand::PATH).await),
            Contender::workers(vec![self.own.clone(); callers]),
            Contender::workers(Http::callers(callers, self.own_over_http, by_hand::PATH).await),
            bare,
            Contender::workers(Http::callers(callers, self.filled_app, self.path).await),
            Contender::workers(vec![self.filled_own.clone(); callers]),
        ];
        show(what, callers, &in_turns(contenders).await);
    }
}

async fn open(kind: Kind, address: &str) -> Own {
    let store: Arc<dyn Store> = store::open(address).await.unwrap();
    Own { store, kind }
}

/// Serves an app on a store as a program would, and returns the app's address.
async fn serve(kind: Kind, store: &str) -> SocketAddr {
    let served = match kind {
        Kind::Elsewhere => endpoints![elsewhere],
        Kind::InSqlite => endpoints![in_sqlite],
        Kind::InPostgres => endpoints![in_postgres],
    };
    serve_with(served, store, |config| config).await
}

async fn serve_with(served: Endpoints, store: &str, changed: impl FnOnce(Config) -> Config) -> SocketAddr {
    let app = App::new().only(served);
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL).store(store);
    let config = changed(config);
    // The listener is closed again, so the port is free. If another process takes it before the app does, serving
    // fails.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let app = app.config(config.listen(address));
    let mut serving = tokio::spawn(app.serve());
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = &mut serving => panic!("{ended:?}"),
        () = listens => address,
    }
}

fn show(what: &str, callers: usize, figures: &[Figures; 7]) {
    let [framework, by_hand, own, own_over_http, bare, filled, own_filled] = figures;
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    let microseconds = |figures: &Figures| figures.processor.as_secs_f64() * 1e6;
    println!(
        "| {what} | {callers} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} / {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
        framework.rate(),
        by_hand.rate(),
        own.rate(),
        bare.rate(),
        framework.to(by_hand),
        framework.to(own_over_http),
        framework.to(bare),
        own.to(bare),
        milliseconds(framework.p50),
        milliseconds(framework.p99),
        milliseconds(by_hand.p50),
        milliseconds(own_over_http.p50),
        milliseconds(own.p50),
        microseconds(framework),
        microseconds(by_hand),
        filled.to(framework),
        filled.p99.as_secs_f64() / framework.p99.as_secs_f64(),
        own_filled.to(own),
        own_filled.p99.as_secs_f64() / own.p99.as_secs_f64(),
    );
}

async fn on_sqlite(option: &str, synchronous: &'static str, records: u32) {
    for (kind, name) in [(Kind::Elsewhere, "elsewhere"), (Kind::InSqlite, "transactional")] {
        let transactional = kind == Kind::InSqlite;
        let folder = tempfile::tempdir().unwrap();
        let bare = |file: &str| InSqlite::open(&folder.path().join(file), synchronous, transactional);
        let address = async |file: &str| sqlite_with_a_ledger(&folder.path().join(file), option).await;
        let (app, own, filled) = (
            address("app.db").await,
            address("own.db").await,
            address("filled.db").await,
        );
        filled::sqlite(&folder.path().join("filled.db"), records, &completed());
        let rivals = Rivals::start(kind, [&app, &own], &filled, by_hand::sqlite(bare("hand.db")).await).await;
        for callers in CALLERS {
            let bare = bare("bare.db");
            let bare = Contender::Thread(callers, Box::new(move || bare.carry_out(callers)));
            rivals.compete(&format!("sqlite{option} {name}"), callers, bare).await;
        }
    }
}

async fn sqlite_with_a_ledger(path: &Path, option: &str) -> String {
    let store = SqliteStore::open(path).unwrap();
    store.setup(|connection| connection.execute_batch(TABLE)).unwrap();
    store.close().await;
    format!("sqlite:{}{option}", path.display())
}

async fn on_redis(fsync: &str, records: u32) {
    let [server, filled] = [(); 2].map(|()| services::Redis::start(&[("appendonly", "yes"), ("appendfsync", fsync)]));
    let (url, filled) = (server.url(), filled.url());
    filled::redis(&filled, records).await;
    let by_hand = by_hand::redis(InRedis::connect(&url).await).await;
    let rivals = Rivals::start(Kind::Elsewhere, [&url, &url], &filled, by_hand).await;
    for callers in CALLERS {
        let bare = Contender::workers(vec![InRedis::connect(&url).await; callers]);
        rivals.compete(&format!("redis {fsync} elsewhere"), callers, bare).await;
    }
}

async fn on_postgres(commit: &str, records: u32) {
    for (kind, name) in [(Kind::Elsewhere, "elsewhere"), (Kind::InPostgres, "transactional")] {
        let transactional = kind == Kind::InPostgres;
        let [server, filled] =
            [(); 2].map(|()| services::Postgres::start(&[("synchronous_commit", commit), ("max_connections", "300")]));
        let (url, filled) = (server.url(), filled.url());
        for url in [&url, &filled] {
            PostgresStore::connect(url).await.unwrap().setup(TABLE).await.unwrap();
        }
        filled::postgres(&filled, records).await;
        let connect = async |count: usize| {
            let mut connections = Vec::new();
            for _ in 0..count {
                connections.push(InPostgres::connect(&url, transactional).await);
            }
            connections
        };
        let by_hand = by_hand::postgres(connect(CONNECTIONS).await).await;
        let [address, filled] = [&url, &filled].map(|url| format!("{url}?pool={CONNECTIONS}"));
        let rivals = Rivals::start(kind, [&address, &address], &filled, by_hand).await;
        for callers in CALLERS {
            let bare = Contender::workers(connect(callers.min(CONNECTIONS)).await);
            rivals
                .compete(&format!("postgres {commit} {name}"), callers, bare)
                .await;
        }
    }
}

async fn http_alone() {
    let server = by_hand::nothing().await;
    for callers in CALLERS {
        let [figures] = in_turns([Contender::workers(Http::callers(callers, server, by_hand::PATH).await)]).await;
        println!(
            "HTTP and its callers alone, {callers} at once: {:.0} a second, {:.0} µs of processor each",
            figures.rate(),
            figures.processor.as_secs_f64() * 1e6
        );
    }
}

/// The arguments: the beginning of a store's name, `guardrails`, `sweep`, `churn` or `room`; and `--records N`.
fn arguments() -> (String, Option<u32>) {
    let mut only = String::new();
    let mut records = None;
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--records" => {
                let number = given.next().and_then(|number| number.parse().ok());
                records = Some(number.expect("--records NUMBER"));
            }
            // cargo adds it.
            "--bench" => {}
            _ => only = argument,
        }
    }
    (only, records)
}

fn main() {
    let (only, records) = arguments();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match &*only {
        "churn" => return runtime.block_on(churn::measure(records.unwrap_or(churn::OPERATIONS))),
        "guardrails" => return runtime.block_on(guardrails::measure()),
        "room" => return runtime.block_on(room::measure(records.unwrap_or(room::RECORDS))),
        _ => {}
    }
    let records = records.unwrap_or(RECORDS);
    println!("the disk: {:.0} fdatasync a second", bare::fdatasync());
    if only == "sweep" {
        let folder = tempfile::tempdir().unwrap();
        return runtime.block_on(sweep::measure(&folder.path().join("operator.db"), records));
    }
    runtime.block_on(async {
        http_alone().await;
        println!(
            "\n| | callers | framework, a second | by hand | store's own | bare | framework ÷ by hand | ÷ own over HTTP | ÷ bare | own ÷ bare | p50 / p99, ms | by hand's p50 | own over HTTP | own's p50 | processor, µs | by hand's | at {records} records: framework ÷ empty | its p99 | own ÷ empty | its p99 |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
        );
        if "sqlite".starts_with(&only) {
            on_sqlite("", "FULL", records).await;
            on_sqlite("?durability=process", "NORMAL", records).await;
        }
        if "redis".starts_with(&only) {
            on_redis("everysec", records).await;
            on_redis("always", records).await;
        }
        if "postgres".starts_with(&only) {
            on_postgres("on", records).await;
            on_postgres("off", records).await;
        }
    });
}
