//! The audit in SQLite: a table that people may query with SQL, in the file of the records.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::ticks;
use crate::clock::LAST_OF_9999;
use crate::record::at_milliseconds;
use crate::store::{
    AuditFilter, AuditLog, AuditPage, AuditRow, Audited, BoxFuture, Cursor, OperationId, Origin, StoreError,
};

/// The table without the column of [`WRITTEN`]. People query it, so `docs/operating.md` documents its columns. `ended` is a
/// text that SQLite's functions of time understand, and whose order is that of the times.
pub(super) const TABLE: &str = "
    CREATE TABLE operator_audit (
        id INTEGER PRIMARY KEY,
        ended TEXT NOT NULL,
        operation TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        tenant TEXT NOT NULL,
        key_id TEXT,
        scheme TEXT,
        endpoint TEXT NOT NULL,
        inputs TEXT,
        outcome TEXT NOT NULL,
        status INTEGER,
        answer TEXT,
        attempts INTEGER NOT NULL,
        trace_id TEXT,
        settled_by TEXT
    ) STRICT;
    CREATE INDEX operator_audit_ended ON operator_audit (ended);
";

/// When a row was added, in the unit and on the time scale of [`Ticks`](super::ticks::Ticks), which no jump of the wall
/// clock changes. It is null in rows of programs with an earlier schema.
pub(super) const WRITTEN: &str = "
    ALTER TABLE operator_audit ADD COLUMN written INTEGER;
";

const INSERT: &str = "INSERT INTO operator_audit (ended, operation, idempotency_key, tenant, key_id, scheme, endpoint,
    inputs, outcome, status, answer, attempts, trace_id, settled_by, written)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// A page begins after a row, which its time and id identify. SQLite appends the id to each entry of the index.
const PAGE: &str =
    "SELECT ended, operation, idempotency_key, tenant, key_id, scheme, endpoint, inputs, outcome, status,
    answer, attempts, trace_id, settled_by, id FROM operator_audit
    WHERE ended >= ?1 AND ended <= ?2 AND (ended, id) < (?2, ?3) AND (?4 IS NULL OR endpoint = ?4)
    AND (?5 IS NULL OR idempotency_key = ?5) AND (?6 IS NULL OR substr(operation, 1, length(?6)) = ?6)
    ORDER BY ended DESC, id DESC LIMIT ?7";

/// A text that sorts after that of every time.
const AFTER_ALL: &str = "~";

/// A row is removed if both clocks say that it is old: the wall clock, which gave it its time, and the ticks. So neither
/// clock removes a row early, whichever of them is wrong.
const SWEEP: &str = "DELETE FROM operator_audit WHERE id IN
    (SELECT id FROM operator_audit WHERE ended < ?1 AND coalesce(written < ?2, 1) ORDER BY ended LIMIT ?3)";

/// Adds a row at the tick `written`, which is the time `ended`.
pub(super) fn insert(connection: &Connection, row: &AuditRow, ended: SystemTime, written: i64) -> rusqlite::Result<()> {
    let AuditRow {
        operation,
        origin,
        key_id,
        scheme,
        inputs,
        outcome,
        status,
        answer,
        attempts,
        trace_id,
        settled_by,
    } = row;
    let added = connection.prepare_cached(INSERT)?.execute(params![
        text_of(ended),
        operation.to_string(),
        origin.idempotency_key(),
        origin.tenant(),
        key_id,
        scheme,
        origin.endpoint(),
        inputs,
        outcome,
        status,
        answer,
        attempts,
        trace_id,
        settled_by,
        written,
    ]);
    added.map(drop)
}

/// Removes at most `limit` rows that ended before a time and were written before a tick.
fn sweep(connection: &Connection, ended: SystemTime, written: i64, limit: u32) -> rusqlite::Result<u32> {
    let removed = connection
        .prepare_cached(SWEEP)?
        .execute(params![text_of(ended), written, limit])?;
    Ok(u32::try_from(removed).unwrap_or(limit))
}

fn page(
    connection: &Connection,
    filter: &AuditFilter,
    after: Option<&Cursor>,
    limit: u32,
) -> rusqlite::Result<AuditPage> {
    let since = filter.since.map(text_of).unwrap_or_default();
    let (ended, id) = after
        .and_then(place)
        .unwrap_or_else(|| (AFTER_ALL.to_owned(), i64::MAX));
    let mut statement = connection.prepare_cached(PAGE)?;
    let rows = statement.query_map(
        params![
            since,
            ended,
            id,
            filter.endpoint,
            filter.idempotency_key,
            filter.operation,
            limit
        ],
        read,
    )?;
    Ok(AuditPage::of_placed(rows.collect::<rusqlite::Result<_>>()?, limit))
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Cursor, Audited)> {
    let ended: String = row.get(0)?;
    let operation: String = row.get(1)?;
    let [key, tenant, endpoint]: [String; 3] = [row.get(2)?, row.get(3)?, row.get(6)?];
    let id: i64 = row.get(14)?;
    let outcome: String = row.get(8)?;
    let audited = AuditRow {
        // A row that a person has written may have anything here, and is listed nevertheless.
        operation: operation.parse().unwrap_or(OperationId::from_bytes([0; 32])),
        origin: Origin::new(&endpoint, &key, &tenant),
        key_id: row.get(4)?,
        scheme: row.get::<_, Option<String>>(5)?.map(Cow::Owned),
        inputs: row.get(7)?,
        outcome: Cow::Owned(outcome),
        status: row.get(9)?,
        answer: row.get(10)?,
        attempts: row.get(11)?,
        trace_id: row.get(12)?,
        settled_by: row.get(13)?,
    };
    let time = humantime::parse_rfc3339(&ended).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok((
        Cursor(format!("{id} {ended}").into_bytes()),
        Audited::new(time, audited),
    ))
}

/// The time and the id of the row after which a page begins.
fn place(cursor: &Cursor) -> Option<(String, i64)> {
    let (id, ended) = str::from_utf8(&cursor.0).ok()?.split_once(' ')?;
    Some((ended.to_owned(), id.parse().ok()?))
}

/// A time as `2026-01-31T09:30:00.250Z`.
fn text_of(time: SystemTime) -> String {
    // `humantime` cannot print a time before 1970 or a year of five digits, which only a wrong clock has.
    let last = SystemTime::UNIX_EPOCH + LAST_OF_9999;
    humantime::format_rfc3339_millis(time.clamp(SystemTime::UNIX_EPOCH, last)).to_string()
}

impl AuditLog for SqliteStore {
    fn add(&self, row: AuditRow) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let adding = self.ask(move |writing| writing.add_to_audit(&row));
            adding.await.map_err(|failure| failure.error)
        })
    }

    /// Reads on a reading connection, so that the writer does not wait.
    fn page(
        &self,
        filter: AuditFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        Box::pin(async move {
            let reading = self
                .reader
                .read(move |connection| page(connection, &filter, after.as_ref(), limit));
            let read = reading.await;
            read.map_err(|source| StoreError::unavailable(&self.name, "list its audit", source))
        })
    }

    fn sweep_rows(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move {
            let written = self.ticks.now().saturating_sub(ticks::milliseconds(older_than));
            // A row without a tick has only the wall clock's time. It is removed if the time of the file says as well that it
            // is old, so that a wall clock that is ahead removes no row early.
            let ended = self.ticks.as_time(written).min(at_milliseconds(written));
            let name = self.name.clone();
            let sweeping = self.ask(move |writing| {
                sweep(&writing.tx.connection, ended, written, limit)
                    .map_err(|source| StoreError::unavailable(&name, "remove old rows of its audit", source))
            });
            sweeping.await.map_err(|failure| failure.error)
        })
    }
}
