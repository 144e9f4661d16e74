//! The SQL statements on records, such as the compare-and-swap. All times come from Postgres's clock.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::audit::{self, Forms};
use super::schema::Place;
use super::session::{Failure, Session};
use crate::store::{
    Ages, Audit, Counts, Cursor, DecodeError, FirstSeen, Listed, OperationId, Page, Record, Revision, State, Swap,
    Times,
};

const INSERT: &str = "INSERT INTO {schema}operator_operations (id, revision, written, first_seen, record, uncommitted)
    VALUES ($1, $2, clock_timestamp(), clock_timestamp(), $3, CASE WHEN $4 THEN true END) ON CONFLICT (id) DO NOTHING";
const UPDATE: &str = "UPDATE {schema}operator_operations SET revision = $2, written = clock_timestamp(), record = $3,
    uncommitted = CASE WHEN $4 THEN true END, first_seen = CASE WHEN $6 THEN clock_timestamp() ELSE first_seen END
    WHERE id = $1 AND revision = $5";
/// Fails with a division by zero if the row does not have the expected revision, so that the commit, which is already
/// sent, becomes a rollback.
const COMPLETE: &str =
    "WITH completed AS (UPDATE {schema}operator_operations SET revision = $2, written = clock_timestamp(),
    record = $3, uncommitted = NULL WHERE id = $1 AND revision = $4 RETURNING 1){audit} SELECT 1 / count(*) FROM completed";
const SELECT: &str = "SELECT revision, record, (extract(epoch FROM clock_timestamp() - written) * 1000)::bigint,
    (extract(epoch FROM clock_timestamp() - first_seen) * 1000)::bigint FROM {schema}operator_operations WHERE id = $1";
/// `INSERT` and `UPDATE` read the clock once for each column, so `first_seen` may be a microsecond after `written`.
const LIST: &str = "SELECT revision, record, (extract(epoch FROM clock_timestamp() - written) * 1000)::bigint,
    (extract(epoch FROM clock_timestamp() - first_seen) * 1000)::bigint, id, least(first_seen, written), written
    FROM {schema}operator_operations WHERE id >= $1 AND id <= $2 AND id > $3 ORDER BY id LIMIT $4";
/// Counts by the second byte of each record, which holds its state and whether it is settled.
const COUNT: &str = "SELECT count(*), count(*) FILTER (WHERE get_byte(record, 1) & 127 = 4),
    count(*) FILTER (WHERE get_byte(record, 1) & 127 = 0 AND written <= clock_timestamp() - make_interval(secs => $1)),
    count(*) FILTER (WHERE get_byte(record, 1) >= 128) FROM {schema}operator_operations";
const SWEEP: &str = "DELETE FROM {schema}operator_operations WHERE id IN (SELECT id FROM {schema}operator_operations
    WHERE first_seen < now() - make_interval(secs => $1) AND written < now() - make_interval(secs => $1)
    ORDER BY first_seen LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// The statements on the records in one schema.
#[derive(Debug)]
pub(super) struct Statements {
    insert: Forms,
    update: Forms,
    complete: String,
    complete_with_row: String,
    select: String,
    list: String,
    count: String,
    sweep: String,
}

impl Statements {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            insert: Forms::of_write(place, INSERT, 4),
            update: Forms::of_write(place, UPDATE, 6),
            complete: place.sql(&COMPLETE.replace("{audit}", "")),
            complete_with_row: place.sql(&COMPLETE.replace("{audit}", &format!(", audited AS ({})", audit::insert(5)))),
            select: place.sql(SELECT),
            list: place.sql(LIST),
            count: place.sql(COUNT),
            sweep: place.sql(SWEEP),
        }
    }
}

/// The SQL parameters of one swap.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) id: [u8; 32],
    expected: Option<i64>,
    pub(super) revision: i64,
    record: Vec<u8>,
    reset: bool,
    /// While this is true, Postgres refuses to commit the transaction. A `COMMIT` in a handler's SQL then rolls back.
    uncommitted: bool,
    audit: Audit,
    /// The values of the row that is added to the audit.
    row: Option<Vec<Option<String>>>,
}

impl Write {
    pub(super) fn new(
        id: OperationId,
        expected: Option<Revision>,
        revision: Revision,
        new: &Record,
        first_seen: FirstSeen,
        audit: &Audit,
    ) -> Self {
        Self {
            audit: audit.clone(),
            row: audit.row().map(|row| audit::texts(row)),
            id: *id.as_bytes(),
            expected: expected.map(|expected| expected.0.cast_signed()),
            revision: revision.0.cast_signed(),
            record: new.encode(),
            reset: first_seen == FirstSeen::Reset,
            uncommitted: false,
        }
    }

    /// The same write in a handler's transaction, which cannot be committed while the record is in progress.
    pub(super) fn in_a_transaction(self, new: &Record) -> Self {
        Self {
            uncommitted: new.state == State::InProgress,
            ..self
        }
    }

    /// Whether the write expects no record.
    pub(super) fn is_insert(&self) -> bool {
        self.expected.is_none()
    }

    pub(super) fn swapped(&self) -> Swap {
        Swap::Swapped(Revision(self.revision.cast_unsigned()))
    }
}

/// A prepared statement, which is sent at the first poll, so that other statements can be sent before and after it.
pub(super) struct Prepared<'w> {
    write: &'w Write,
    statement: Statement,
}

pub(super) async fn prepare<'w>(
    session: &Session,
    sql: &Statements,
    write: &'w Write,
) -> Result<Prepared<'w>, Failure> {
    let forms = if write.is_insert() { &sql.insert } else { &sql.update };
    let statement = session.prepare_cached(forms.of(&write.audit)).await?;
    Ok(Prepared { write, statement })
}

impl Prepared<'_> {
    /// Writes the record if the row has the expected revision, and returns whether it had.
    pub(super) async fn write(&self, session: &Session) -> Result<bool, Failure> {
        let Write {
            id,
            expected,
            revision,
            record,
            reset,
            uncommitted,
            audit: _,
            row,
        } = self.write;
        let id = &id.as_slice();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(7);
        parameters.extend([id as &(dyn ToSql + Sync), revision, record, uncommitted]);
        if let Some(expected) = expected {
            parameters.extend([expected as &(dyn ToSql + Sync), reset]);
        }
        parameters.extend(row.as_ref().map(|row| row as &(dyn ToSql + Sync)));
        Ok(session.execute(&self.statement, &parameters).await? == 1)
    }
}

/// The last write of a handler's transaction. If it fails, the whole transaction fails.
pub(super) struct Completion<'w> {
    write: &'w Write,
    statement: Statement,
}

pub(super) async fn prepare_completion<'w>(
    session: &Session,
    sql: &Statements,
    write: &'w Write,
) -> Result<Completion<'w>, Failure> {
    let complete = match write.audit {
        Audit::Nothing => &sql.complete,
        Audit::Later | Audit::Row(_) => &sql.complete_with_row,
    };
    let statement = session.prepare_cached(complete).await?;
    Ok(Completion { write, statement })
}

impl Completion<'_> {
    pub(super) async fn write(&self, session: &Session) -> Result<(), Failure> {
        let Write {
            id,
            expected,
            revision,
            record,
            row,
            ..
        } = self.write;
        let id = &id.as_slice();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(5);
        parameters.extend([id as &(dyn ToSql + Sync), revision, record, expected]);
        parameters.extend(row.as_ref().map(|row| row as &(dyn ToSql + Sync)));
        let written = session.execute(&self.statement, &parameters).await;
        match written {
            Err(error) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => Err(Failure::NotOurs),
            written => Ok(written.map(drop)?),
        }
    }
}

pub(super) async fn swap(session: &Session, sql: &Statements, write: &Write) -> Result<Swap, Failure> {
    if prepare(session, sql, write).await?.write(session).await? {
        return Ok(write.swapped());
    }
    held(session, sql, write).await
}

/// The current record, after a write that found another revision. If the record already has this write's revision, an
/// earlier try of it succeeded.
pub(super) async fn held(session: &Session, sql: &Statements, write: &Write) -> Result<Swap, Failure> {
    let select = session.prepare_cached(&sql.select).await?;
    let row = session.query_opt(&select, &[&write.id.as_slice()]).await?;
    match row.map(|row| read(&row)).transpose()? {
        Some(Swap::Held { revision, .. }) if revision.0 == write.revision.cast_unsigned() => Ok(write.swapped()),
        Some(held) => Ok(held),
        // The row is gone. It was perhaps removed after it made the insert fail; the caller tries again.
        None => Ok(Swap::Gone),
    }
}

fn read(row: &Row) -> Result<Swap, Failure> {
    let (revision, record, ages) = decode(row)?;
    Ok(Swap::Held {
        revision,
        record: Arc::new(record.map_err(Failure::Record)?),
        ages,
    })
}

fn decode(row: &Row) -> Result<(Revision, Result<Record, DecodeError>, Ages), Failure> {
    let revision: i64 = row.try_get(0)?;
    let record: Vec<u8> = row.try_get(1)?;
    let ages = Ages {
        since_written: age(row.try_get(2)?),
        since_first_seen: age(row.try_get(3)?),
    };
    let record = Record::decode(Bytes::from(record));
    Ok((Revision(revision.cast_unsigned()), record, ages))
}

pub(super) async fn list(
    session: &Session,
    sql: &Statements,
    ids: &RangeInclusive<OperationId>,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page, Failure> {
    let list = session.prepare_cached(&sql.list).await?;
    let (first, last) = (ids.start().as_bytes().as_slice(), ids.end().as_bytes().as_slice());
    let after = after.map_or(&[][..], |Cursor(after)| after);
    let rows = session
        .query(&list, &[&first, &last, &after, &i64::from(limit)])
        .await?;
    let listed = rows.iter().map(|row| {
        let (revision, record, ages) = decode(row)?;
        let id: &[u8] = row.try_get(4)?;
        Ok(Listed {
            id: OperationId::from_bytes(id.try_into().map_err(|_| Failure::Record(DecodeError::Damaged))?),
            revision,
            record,
            ages,
            times: Times {
                first_seen: row.try_get(5)?,
                written: row.try_get(6)?,
            },
        })
    });
    Ok(Page::of_ordered(listed.collect::<Result<_, Failure>>()?, limit))
}

pub(super) async fn count(session: &Session, sql: &Statements, lease: Duration) -> Result<Counts, Failure> {
    let count = session.prepare_cached(&sql.count).await?;
    let row = session.query_one(&count, &[&lease.as_secs_f64()]).await?;
    let counted = |column| -> Result<u64, Failure> { Ok(row.try_get::<_, i64>(column)?.cast_unsigned()) };
    Ok(Counts {
        held: counted(0)?,
        unknown: counted(1)?,
        lost: counted(2)?,
        settled: counted(3)?,
    })
}

pub(super) async fn sweep(
    session: &Session,
    sql: &Statements,
    older_than: Duration,
    limit: u32,
) -> Result<u32, Failure> {
    let sweep = session.prepare_cached(&sql.sweep).await?;
    let removed = session
        .execute(&sweep, &[&older_than.as_secs_f64(), &i64::from(limit)])
        .await?;
    Ok(u32::try_from(removed).unwrap_or(limit))
}

/// Converts milliseconds to an age. A negative value, after Postgres's clock was set back, becomes zero.
fn age(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
