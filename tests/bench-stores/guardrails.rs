//! What a limit and a row of the audit cost a transactional call. Each call is for an order of its own, as most are.

use std::net::SocketAddr;
use std::time::Duration;

use operator_runtime::store::PostgresStore;
use operator_runtime::{Config, Endpoints, Error, Postgres, Sqlite, Tx, endpoints, operator_api};
use tests::services;

use super::measure::{Contender, in_turns};
use super::workers::{Http, with_an_order};
use super::{BOOK, CALLERS, CONNECTIONS, TABLE, serve_with, sqlite_with_a_ledger};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Acts in SQLite, without a limit.
#[operator_api(POST, "/sqlite/free")]
async fn free_in_sqlite(
    tx: &mut Tx<Sqlite>,
    /// Which order the call is for.
    #[operator(rename = "order")]
    _order: u64,
) -> Result<bool, Error> {
    tx.prepare_cached(BOOK)?.execute(())?;
    Ok(true)
}

/// Acts in SQLite, at most three times for each order.
#[operator_api(POST, "/sqlite/limited")]
#[operator(limit(calls = 3, per = order, within = "24h"))]
async fn limited_in_sqlite(
    tx: &mut Tx<Sqlite>,
    /// Which order the call is for.
    order: u64,
) -> Result<bool, Error> {
    free_in_sqlite(tx, order).await
}

/// Acts in Postgres, without a limit.
#[operator_api(POST, "/postgres/free")]
async fn free_in_postgres(
    tx: &mut Tx<Postgres>,
    /// Which order the call is for.
    #[operator(rename = "order")]
    _order: u64,
) -> Result<bool, Error> {
    let book = tx.prepare_cached(BOOK).await?;
    tx.execute(&book, &[]).await?;
    Ok(true)
}

/// Acts in Postgres, at most three times for each order.
#[operator_api(POST, "/postgres/limited")]
#[operator(limit(calls = 3, per = order, within = "24h"))]
async fn limited_in_postgres(
    tx: &mut Tx<Postgres>,
    /// Which order the call is for.
    order: u64,
) -> Result<bool, Error> {
    free_in_postgres(tx, order).await
}

/// Prints the rates with a limit, with the audit and with both, compared with neither.
pub(crate) async fn measure() {
    println!(
        "| | callers | neither, a second | limit ÷ neither | audit ÷ neither | both ÷ neither | processor, µs: neither | limit | audit | both |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    on_sqlite().await;
    on_postgres().await;
}

async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let mut addresses = Vec::new();
    for number in 0..4 {
        let path = folder.path().join(format!("{number}.db"));
        addresses.push(sqlite_with_a_ledger(&path, "").await);
    }
    let served = || endpoints![free_in_sqlite, limited_in_sqlite];
    compare("sqlite", ["/sqlite/free", "/sqlite/limited"], served, &addresses).await;
}

async fn on_postgres() {
    let server = services::Postgres::start(&[("max_connections", "300")]);
    let mut addresses = Vec::new();
    for name in ["neither", "limit", "audit", "both"] {
        let url = server.database(name);
        PostgresStore::connect(&url).await.unwrap().setup(TABLE).await.unwrap();
        addresses.push(format!("{url}?pool={CONNECTIONS}"));
    }
    let served = || endpoints![free_in_postgres, limited_in_postgres];
    compare("postgres", ["/postgres/free", "/postgres/limited"], served, &addresses).await;
}

async fn compare(
    store: &str,
    [free, limited]: [&'static str; 2],
    endpoints: impl Fn() -> Endpoints,
    addresses: &[String],
) {
    let mut servers: Vec<(SocketAddr, &'static str)> = Vec::new();
    for (address, (path, is_audited)) in
        addresses
            .iter()
            .zip([(free, false), (limited, false), (free, true), (limited, true)])
    {
        let audited = |config: Config| if is_audited { config.audit(DAY) } else { config };
        servers.push((serve_with(endpoints(), address, audited).await, path));
    }
    for callers in CALLERS {
        let mut contenders = Vec::new();
        for (server, path) in &servers {
            let calling = Http::callers(callers, *server, path).await;
            contenders.push(Contender::workers(calling.into_iter().map(with_an_order)));
        }
        let Ok(contenders) = contenders.try_into() else {
            unreachable!("four servers")
        };
        let [neither, limit, audit, both] = in_turns::<4>(contenders).await;
        let microseconds = [&neither, &limit, &audit, &both].map(|one| one.processor.as_secs_f64() * 1e6);
        println!(
            "| {store} transactional | {callers} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} |",
            neither.rate(),
            limit.to(&neither),
            audit.to(&neither),
            both.to(&neither),
            microseconds[0],
            microseconds[1],
            microseconds[2],
            microseconds[3],
        );
    }
}
