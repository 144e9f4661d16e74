//! The compare-and-swap, and the other statements on records, in SQL.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::audit;
use super::ticks::{self, Ticks};
use crate::store::revisions::Revisions;
use crate::store::{
    Ages, AuditRow, Counts, Cursor, DecodeError, FirstSeen, Listed, OperationId, Page, Proposal, Record, Revision,
    StoreError, Swap, Times,
};

#[derive(Debug)]
pub(super) struct Records {
    pub(super) name: Arc<str>,
    pub(super) ticks: Ticks,
    revisions: Revisions,
}

/// A row, with its record not decoded yet.
struct Row {
    revision: i64,
    written: i64,
    first_seen: i64,
    record: Vec<u8>,
}

impl Records {
    pub(super) fn new(name: Arc<str>, ticks: Ticks) -> Result<Self, StoreError> {
        let revisions = Revisions::from_a_random_place()
            .map_err(|source| StoreError::unavailable(&name, "get a random number for its revisions", source))?;
        Ok(Self { name, ticks, revisions })
    }

    pub(super) fn swap(&self, connection: &Connection, proposal: &Proposal) -> Result<Swap, StoreError> {
        let &Proposal {
            id,
            expected,
            ref new,
            first_seen,
            ref audit,
        } = proposal;
        let revision = self.revisions.next();
        match write(connection, id, expected, revision, new, first_seen, self.ticks.now()) {
            Ok(true) => {
                let added = audit.row().map_or(Ok(()), |row| self.audit(connection, row));
                added.map(|()| Swap::Swapped(revision))
            }
            Ok(false) => self.held(connection, id),
            Err(source) => Err(StoreError::unavailable(&self.name, "write a record", source)),
        }
    }

    /// Adds a row to the audit.
    pub(super) fn audit(&self, connection: &Connection, row: &AuditRow) -> Result<(), StoreError> {
        let written = self.ticks.now();
        audit::insert(connection, row, self.ticks.as_time(written), written)
            .map_err(|source| StoreError::unavailable(&self.name, "add a row to its audit", source))
    }

    fn held(&self, connection: &Connection, id: OperationId) -> Result<Swap, StoreError> {
        let Some(row) =
            read(connection, id).map_err(|source| StoreError::unavailable(&self.name, "read a record", source))?
        else {
            return Ok(Swap::Gone);
        };
        let (revision, record, ages) = self.decode(row);
        let record = record.map_err(|source| StoreError::Unreadable {
            store: self.name.to_string(),
            source,
        })?;
        Ok(Swap::Held {
            revision,
            record: Arc::new(record),
            ages,
        })
    }

    fn decode(&self, row: Row) -> (Revision, Result<Record, DecodeError>, Ages) {
        let record = Record::decode(Bytes::from(row.record));
        self.ticks.observe(row.written);
        let ages = Ages {
            since_written: self.ticks.since(row.written),
            since_first_seen: self.ticks.since(row.first_seen),
        };
        (Revision(row.revision.cast_unsigned()), record, ages)
    }

    pub(super) fn list(
        &self,
        connection: &Connection,
        ids: &RangeInclusive<OperationId>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let rows = page(connection, ids, after, limit)
            .map_err(|source| StoreError::unavailable(&self.name, "list its records", source))?;
        let listed = rows.into_iter().map(|(id, row)| {
            let times = Times {
                first_seen: self.ticks.as_time(row.first_seen),
                written: self.ticks.as_time(row.written),
            };
            let (revision, record, ages) = self.decode(row);
            Listed {
                id: OperationId::from_bytes(id),
                revision,
                record,
                ages,
                times,
            }
        });
        Ok(Page::of_ordered(listed.collect(), limit))
    }

    pub(super) fn sweep(&self, connection: &Connection, older_than: Duration, limit: u32) -> Result<u32, StoreError> {
        let before = self.ticks.now().saturating_sub(ticks::milliseconds(older_than));
        let removed = connection
            .prepare_cached(
                "DELETE FROM operator_operations WHERE rowid IN
                 (SELECT rowid FROM operator_operations WHERE first_seen < ?1 AND written < ?1 ORDER BY first_seen LIMIT ?2)",
            )
            .and_then(|mut statement| statement.execute(params![before, limit]))
            .map_err(|source| StoreError::unavailable(&self.name, "remove expired records", source))?;
        Ok(u32::try_from(removed).unwrap_or(limit))
    }
}

/// Writes the record if the row has the expected revision. Returns whether the record was written.
fn write(
    connection: &Connection,
    id: OperationId,
    expected: Option<Revision>,
    revision: Revision,
    new: &Record,
    first_seen: FirstSeen,
    now: i64,
) -> rusqlite::Result<bool> {
    let revision = revision.0.cast_signed();
    let changed = match expected {
        None => connection
            .prepare_cached("INSERT INTO operator_operations (id, revision, written, first_seen, record) VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT DO NOTHING")?
            .execute(params![id.as_bytes(), revision, now, new.encode()])?,
        Some(expected) => {
            let first_seen = (first_seen == FirstSeen::Reset).then_some(now);
            connection
                .prepare_cached(
                    "UPDATE operator_operations SET revision = ?3, written = ?4, first_seen = coalesce(?5, first_seen), record = ?6
                     WHERE id = ?1 AND revision = ?2",
                )?
                .execute(params![id.as_bytes(), expected.0.cast_signed(), revision, now, first_seen, new.encode()])?
        }
    };
    Ok(changed == 1)
}

fn page(
    connection: &Connection,
    ids: &RangeInclusive<OperationId>,
    after: Option<&Cursor>,
    limit: u32,
) -> rusqlite::Result<Vec<([u8; 32], Row)>> {
    let after = after.map_or(&[][..], |Cursor(after)| after);
    connection
        .prepare_cached(
            "SELECT revision, written, first_seen, record, id FROM operator_operations
             WHERE id >= ?1 AND id <= ?2 AND id > ?3 ORDER BY id LIMIT ?4",
        )?
        .query_map(
            params![ids.start().as_bytes(), ids.end().as_bytes(), after, limit],
            |row| Ok((row.get(4)?, Row::read(row)?)),
        )?
        .collect()
}

/// Reads one record, if there is one.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let some = "SELECT EXISTS (SELECT 1 FROM operator_operations)";
    connection.query_row(some, [], |_| Ok(()))
}

/// Counts by the second byte of each record, which contains its state and whether it is settled.
pub(super) fn count(connection: &Connection, lost_before: i64) -> rusqlite::Result<Counts> {
    let count = "SELECT count(*), count(*) FILTER (WHERE substr(record, 2, 1) IN (x'04', x'84')),
        count(*) FILTER (WHERE substr(record, 2, 1) IN (x'00', x'80') AND written <= ?1),
        count(*) FILTER (WHERE substr(record, 2, 1) >= x'80') FROM operator_operations";
    connection.query_row(count, [lost_before], |row| {
        let counted = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Counts {
            held: counted(0)?,
            unknown: counted(1)?,
            lost: counted(2)?,
            settled: counted(3)?,
        })
    })
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            revision: row.get(0)?,
            written: row.get(1)?,
            first_seen: row.get(2)?,
            record: row.get(3)?,
        })
    }
}

fn read(connection: &Connection, id: OperationId) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached("SELECT revision, written, first_seen, record FROM operator_operations WHERE id = ?1")?
        .query_row([id.as_bytes()], Row::read)
        .optional()
}
