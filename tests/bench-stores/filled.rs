//! Fills stores with many records, as if many operations had been carried out, but faster.

use std::path::Path;

use operator_runtime::rusqlite::{Connection, params};
use operator_runtime::store::Record;
use operator_runtime::tokio_postgres::{self, NoTls};

use super::workers::{completed, id_unlike_any_other, in_progress};

/// As many operations as callers at once, so that claims and completions alternate in the file as those of callers do.
const AT_ONCE: u32 = 64;
/// The age of the records, in milliseconds.
const AGE: i64 = 30 * 60 * 1000;

/// Fills the closed file of a SQLite store with copies of a record. `synchronous` and the log are off meanwhile.
pub(crate) fn sqlite(path: &Path, records: u32, completed: &Record) {
    let connection = Connection::open(path).unwrap();
    for (pragma, value) in [
        ("journal_mode", "OFF"),
        ("synchronous", "OFF"),
        ("cache_size", "-2000000"),
    ] {
        connection.pragma_update(None, pragma, value).unwrap();
    }
    let mut claim = connection
        .prepare(
            "INSERT INTO operator_operations (id, revision, written, first_seen, record) VALUES (?1, ?2, ?3, ?3, ?4)",
        )
        .unwrap();
    let mut complete = connection
        .prepare("UPDATE operator_operations SET revision = ?2, written = ?3, record = ?4 WHERE id = ?1")
        .unwrap();
    let (claimed, completed) = (in_progress().encode(), completed.encode());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let begun = i64::try_from(now.as_millis()).unwrap() - AGE;
    connection.execute_batch("BEGIN").unwrap();
    for batch in 0..records.div_ceil(AT_ONCE) {
        let ids: Vec<_> = (0..AT_ONCE).map(|_| id_unlike_any_other()).collect();
        let at = begun + i64::from(batch) / 100;
        // Random, as revisions are.
        let revision = |id: &[u8; 32]| i64::from_be_bytes(*id.last_chunk().unwrap());
        for id in &ids {
            claim.execute(params![id, revision(id), at, claimed]).unwrap();
        }
        for id in &ids {
            complete
                .execute(params![id, revision(id).wrapping_add(1), at, completed])
                .unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
}

/// The bytes of all values in the table of records.
pub(crate) fn bytes_in_sqlite(path: &Path) -> i64 {
    let bytes = "SELECT sum(length(id) + 8 + 8 + 8 + length(record)) FROM operator_operations";
    let connection = Connection::open(path).unwrap();
    connection.query_row(bytes, (), |row| row.get(0)).unwrap()
}

pub(crate) async fn redis(url: &str, records: u32) {
    const FILL: &str = "for n = ARGV[1], ARGV[1] + 999 do
        local key = 'operator:' .. string.sub(redis.sha1hex(n), 1, 32)
        redis.call('SET', key, ARGV[2] .. struct.pack('>I8I8', ARGV[3], ARGV[3]) .. ARGV[4], 'PX', 3600000)
    end";
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for thousand in 0..records.div_ceil(1000) {
        let mut fill = redis::cmd("EVAL");
        fill.arg(FILL)
            .arg(0)
            .arg(thousand * 1000)
            .arg(&[7; 8][..])
            .arg(1_700_000_000_000_u64)
            .arg(completed().encode());
        fill.query_async::<()>(&mut connection).await.unwrap();
    }
}

pub(crate) async fn postgres(url: &str, records: u32) {
    const FILL: &str = "INSERT INTO operator_operations (id, revision, written, first_seen, record)
        SELECT sha256(n::text::bytea), n, clock_timestamp(), clock_timestamp(), $1 FROM generate_series(1, $2::int) AS n";
    let (client, driving) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(driving);
    let records = i32::try_from(records).unwrap();
    client.execute(FILL, &[&completed().encode(), &records]).await.unwrap();
    // One after the other, because Postgres runs several statements of one request in one transaction, and VACUUM in none.
    for tidying in ["VACUUM ANALYZE operator_operations", "CHECKPOINT"] {
        client.batch_execute(tidying).await.unwrap();
    }
}
