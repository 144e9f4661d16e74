//! Postgres under churn: how large the table and its indexes become while operations come and go, and how much slower
//! calls are afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use operator_runtime::store::{self, OperationId, Store};
use operator_runtime::tokio_postgres::{self, Client, NoTls};
use tests::services;

use super::measure::{Contender, in_turns};
use super::workers::{Kind, Own, claim_and_complete, completed_of, unlike_any_other};
use super::{CONNECTIONS, sweep};

/// As many as in an hour of about 1,000 a second.
pub(crate) const OPERATIONS: u32 = 3_000_000;
/// The bytes of a record.
const RECORD: usize = 400;
/// The run is an hour of a server, whatever time the machine needs for it: there is a sweep in each of its minutes, and
/// the database looks once in each minute for tables to vacuum, as it does by default.
const MINUTES: u32 = 60;
/// Records expire after this many of the minutes.
const KEPT: u32 = 12;

/// The size of the table in bytes, of its indexes, how many rows are alive and dead, and how many updates of a hundred
/// wrote no index.
const SIZES: &str = "SELECT pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup,
    n_tup_hot_upd * 100 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'operator_operations'";
/// The same rows in a new table, with new indexes.
const COPY: &str = "CREATE TABLE fresh (LIKE operator_operations INCLUDING INDEXES);
    INSERT INTO fresh SELECT * FROM operator_operations ORDER BY first_seen; REINDEX TABLE fresh";
const BLOAT: &str = "SELECT count(*), pg_table_size('operator_operations')::float8 / pg_table_size('fresh'),
    pg_indexes_size('operator_operations')::float8 / pg_indexes_size('fresh') FROM fresh";

/// Prints sizes and rates during the run, the bloat at its end, and the rate then compared with that of an empty table.
pub(crate) async fn measure(operations: u32) {
    let server = services::Postgres::start(&[("max_connections", "100")]);
    let open = async |url: String| store::open(&format!("{url}?pool={CONNECTIONS}")).await.unwrap();
    let (churned, empty) = (open(server.url()).await, open(server.database("empty")).await);
    let (client, driving) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(driving);
    churn(&churned, operations, &client).await;
    show_bloat(&client).await;
    let workers = |store: &Arc<dyn Store>| {
        let own = Own {
            store: store.clone(),
            kind: Kind::Elsewhere,
        };
        Contender::workers(vec![own; CONNECTIONS])
    };
    let [after, before] = in_turns([workers(&churned), workers(&empty)]).await;
    println!(
        "after the churn: {:.0} operations a second, {:.2} × the rate on an empty table at the same time; p99 {:.1} ms, {:.2} ×",
        after.rate(),
        after.to(&before),
        after.p99.as_secs_f64() * 1e3,
        after.p99.as_secs_f64() / before.p99.as_secs_f64()
    );
}

async fn churn(store: &Arc<dyn Store>, operations: u32, client: &Client) {
    let begun = Instant::now();
    let done = Arc::new(AtomicU32::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (store, done) = (store.clone(), done.clone());
        callers.spawn(async move {
            while done.fetch_add(1, Ordering::Relaxed) < operations {
                let id = OperationId::new("churn", &unlike_any_other());
                claim_and_complete(&*store, id, completed_of(RECORD)).await;
            }
        });
    }
    println!(
        "| minute | operations a second | table, MB | indexes, MB | rows | dead | updates without indexes |\n|---|---|---|---|---|---|---|"
    );
    let mut before = begun;
    for minute in 1..=MINUTES {
        while done.load(Ordering::Relaxed) < operations / MINUTES * minute {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if minute == 1 {
            let seconds = begun.elapsed().as_secs().max(1);
            let looks = format!("ALTER SYSTEM SET autovacuum_naptime = {seconds}");
            client.execute(&looks, &[]).await.unwrap();
            client.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
        }
        if minute > KEPT {
            sweep::until_none_is_older(store, begun.elapsed() / minute * KEPT).await;
        }
        if minute % 5 == 0 {
            let rate = f64::from(operations / MINUTES * 5) / before.elapsed().as_secs_f64();
            before = Instant::now();
            show_sizes(client, minute, rate).await;
        }
    }
    callers.join_all().await;
}

async fn show_sizes(client: &Client, minute: u32, rate: f64) {
    let row = client.query_one(SIZES, &[]).await.unwrap();
    let number = |column| row.get::<_, i64>(column);
    println!(
        "| {minute} | {rate:.0} | {} | {} | {} | {} | {} % |",
        number(0) / 1_000_000,
        number(1) / 1_000_000,
        number(2),
        number(3),
        number(4)
    );
}

async fn show_bloat(client: &Client) {
    client.batch_execute(COPY).await.unwrap();
    let row = client.query_one(BLOAT, &[]).await.unwrap();
    println!(
        "at the end, {} rows: the table {:.2} × a new table with the same rows, its indexes {:.2} × new indexes",
        row.get::<_, i64>(0),
        row.get::<_, f64>(1),
        row.get::<_, f64>(2)
    );
}
