//! Postgres under churn: how large the tables of records and of reservations and their indexes become while operations come
//! and go, and how much slower calls are afterwards.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use operator_runtime::store::{self, Holder, LimitedValue, OperationId, Reservation, Store};
use operator_runtime::tokio_postgres::{self, Client, NoTls};
use tests::services;

use super::measure::{Contender, in_turns};
use super::workers::{Kind, Own, claim_and_complete, completed_of, id_unlike_any_other, unlike_any_other};
use super::{CONNECTIONS, sweep};

/// As many as in an hour of about 1,000 a second.
pub(crate) const OPERATIONS: u32 = 3_000_000;
/// The bytes of a record.
const RECORD: usize = 400;
/// The run is an hour of a server, whatever time the machine needs for it: there is a sweep in each of its minutes, and
/// the database looks once in each minute for tables to vacuum, as it does by default.
const MINUTES: u32 = 60;
/// Records expire, and reservations end, after this many of the minutes.
const KEPT: u32 = 12;

/// The tables that are measured.
const TABLES: [&str; 2] = ["operator_operations", "operator_reservations"];
/// The size of a table in bytes, of its indexes, how many rows are alive and dead, and how many updates of a hundred
/// wrote no index.
const SIZES: &str = "SELECT pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup,
    n_tup_hot_upd * 100 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = '{table}'";
/// The same rows in a new table, with new indexes.
const COPY: &str = "DROP TABLE IF EXISTS fresh; CREATE TABLE fresh (LIKE {table} INCLUDING INDEXES);
    INSERT INTO fresh SELECT * FROM {table}; REINDEX TABLE fresh";
const BLOAT: &str = "SELECT count(*), pg_table_size('{table}')::float8 / pg_table_size('fresh'),
    pg_indexes_size('{table}')::float8 / pg_indexes_size('fresh') FROM fresh";

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
            loop {
                let before = done.fetch_add(1, Ordering::Relaxed);
                if before >= operations {
                    return;
                }
                let kept = begun
                    .elapsed()
                    .mul_f64(f64::from(operations / MINUTES * KEPT) / f64::from(before + 1));
                let asked = part_of_a_limit(before, kept);
                store.limits().unwrap().reserve(asked).await.unwrap();
                let id = OperationId::new("churn", &unlike_any_other());
                claim_and_complete(&*store, id, completed_of(RECORD)).await;
            }
        });
    }
    println!(
        "| minute | operations a second | table | size, MB | indexes, MB | rows | dead | updates without indexes |\n|---|---|---|---|---|---|---|---|"
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
            while store.limits().unwrap().remove_ended(sweep::AT_ONCE).await.unwrap() {}
        }
        if minute % 5 == 0 {
            let rate = f64::from(operations / MINUTES * 5) / before.elapsed().as_secs_f64();
            before = Instant::now();
            show_sizes(client, minute, rate).await;
        }
    }
    callers.join_all().await;
}

/// A part of a limit of its own for each operation, as most limits are for each order or customer.
fn part_of_a_limit(operation: u32, window: Duration) -> Reservation {
    Reservation {
        value: LimitedValue::from_bytes(id_unlike_any_other()),
        holder: Holder {
            serial: NonZeroU64::MIN.saturating_add(operation.into()),
            epoch: 1,
        },
        amount: 1,
        max: 3,
        window,
    }
}

async fn show_sizes(client: &Client, minute: u32, rate: f64) {
    for table in TABLES {
        let row = client.query_one(&SIZES.replace("{table}", table), &[]).await.unwrap();
        let number = |column| row.get::<_, i64>(column);
        println!(
            "| {minute} | {rate:.0} | {table} | {} | {} | {} | {} | {} % |",
            number(0) / 1_000_000,
            number(1) / 1_000_000,
            number(2),
            number(3),
            number(4)
        );
    }
}

async fn show_bloat(client: &Client) {
    for table in TABLES {
        client.batch_execute(&COPY.replace("{table}", table)).await.unwrap();
        let row = client.query_one(&BLOAT.replace("{table}", table), &[]).await.unwrap();
        println!(
            "{table} at the end, {} rows: the table {:.2} × a new table with the same rows, its indexes {:.2} × new indexes",
            row.get::<_, i64>(0),
            row.get::<_, f64>(1),
            row.get::<_, f64>(2)
        );
    }
}
