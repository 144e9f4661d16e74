//! The statements on limits. Reservations are appended, and the newest one of a limited value has the sum of all of them,
//! so that a first attempt costs the same however many reservations the window holds.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::records::Records;
use super::ticks;
use super::{SqliteStore, Writing};
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::{BoxFuture, Limits, StoreError};

/// The tables as the fourth schema made them, in which each limited value had a row with its sum. A value is a hash, so
/// every reservation changed a page somewhere in each table.
pub(super) const SUMS: &str = "
    CREATE TABLE operator_limits (
        value BLOB NOT NULL PRIMARY KEY,
        used INTEGER NOT NULL
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE operator_reservations (
        value BLOB NOT NULL,
        ends INTEGER NOT NULL,
        serial INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        reserved INTEGER NOT NULL,
        PRIMARY KEY (value, ends, serial)
    ) WITHOUT ROWID, STRICT;
    CREATE INDEX operator_reservations_ends ON operator_reservations (ends);
";

/// The table. Only the small index of the values has random pages. Different values rarely have the same first eight bytes,
/// so the index finds few rows of other values. `used` is the sum of all reservations of the value; only the value's newest
/// row has the current sum. The times are those of `written` in the table of records.
pub(super) const TABLE: &str = "
    CREATE TABLE operator_appended (
        id INTEGER PRIMARY KEY,
        value BLOB NOT NULL,
        ends INTEGER NOT NULL,
        serial INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        used INTEGER NOT NULL,
        reserved INTEGER NOT NULL
    ) STRICT;
    INSERT INTO operator_appended (value, ends, serial, epoch, amount, used, reserved)
        SELECT value, ends, serial, epoch, amount, sum(amount) OVER (PARTITION BY value ORDER BY reserved, serial), reserved
        FROM operator_reservations ORDER BY reserved, serial;
    DROP TABLE operator_reservations;
    DROP TABLE operator_limits;
    PRAGMA legacy_alter_table = ON;
    ALTER TABLE operator_appended RENAME TO operator_reservations;
    PRAGMA legacy_alter_table = OFF;
    CREATE INDEX operator_reservations_value ON operator_reservations (substr(value, 1, 8));
    CREATE INDEX operator_reservations_ends ON operator_reservations (ends);
";

/// Finds the reservations of the value `?1`. The index is named, because SQLite would read the whole table instead if a
/// program has run `ANALYZE` while most reservations were of one value.
macro_rules! of_value {
    () => {
        "FROM operator_reservations INDEXED BY operator_reservations_value
         WHERE substr(value, 1, 8) = substr(?1, 1, 8) AND value = ?1"
    };
}

/// At most how many ended reservations of its value a call removes, unless it needs their room: it keeps the only writer
/// busy meanwhile. A call adds one, so calls still remove more than they add.
const AT_ONCE: u32 = 500;

/// A reservation of one operation.
struct Own {
    id: i64,
    epoch: u32,
    amount: i64,
    ends: i64,
}

impl Own {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            epoch: row.get(1)?,
            amount: row.get(2)?,
            ends: row.get(3)?,
        })
    }
}

impl Records {
    pub(super) fn reserve(&self, connection: &Connection, asked: &Reservation) -> Result<Reserved, StoreError> {
        let reserved = reserve(connection, asked, self.ticks.now());
        reserved.map_err(|source| StoreError::unavailable(&self.name, "reserve a part of a limit", source))
    }

    fn give_back(
        &self,
        connection: &Connection,
        holder: Holder,
        value: Option<LimitedValue>,
    ) -> Result<(), StoreError> {
        let given_back = match value {
            Some(value) => give_back(connection, holder, value.as_bytes()),
            None => give_back_all(connection, holder),
        };
        given_back.map_err(|source| StoreError::unavailable(&self.name, "give a part of a limit back", source))
    }

    fn sweep_limits(&self, connection: &Connection, limit: u32) -> Result<bool, StoreError> {
        let swept = sweep(connection, self.ticks.now(), limit);
        swept.map_err(|source| StoreError::unavailable(&self.name, "remove expired reservations", source))
    }
}

fn reserve(connection: &Connection, asked: &Reservation, now: i64) -> rusqlite::Result<Reserved> {
    let value = asked.value.as_bytes();
    let mut counted = counted(connection, value)?;
    let mut may_be_less = counted > 0 && end_some(connection, value, now, &mut counted)?;
    // The first attempt at an operation has no reservation yet, so it need not look for one. If it is late, a later attempt
    // may have one, and the next attempt finds both.
    let mut all = match asked.holder.epoch {
        ..=1 => Vec::new(),
        _ => own(connection, value, asked.holder.serial)?,
    };
    // What has ended and was not removed is still counted, but cannot be taken over.
    all.retain(|own| own.ends > now);
    let mut all = all.into_iter();
    let own = all.next();
    if !all.as_slice().is_empty() {
        counted -= remove_all(connection, all.as_slice())?;
        write_used(connection, value, counted)?;
    }
    let (amount, max) = (signed(asked.amount), signed(asked.max));
    let more = (amount - own.as_ref().map_or(0, |own| own.amount)).max(0);
    let is_over = |counted: i64| more > (max - counted).max(0);
    // Before a call is refused, the sum must be exact.
    while is_over(counted) && may_be_less {
        may_be_less = end_some(connection, value, now, &mut counted)?;
    }
    if is_over(counted) {
        return Ok(Reserved::Over {
            used: counted.cast_unsigned(),
            room_in: room_in(connection, value, counted + more - max, now)?,
        });
    }
    let anew = own.is_none();
    if own
        .as_ref()
        .is_none_or(|own| own.epoch < asked.holder.epoch || more > 0)
    {
        let (mut epoch, mut amount) = (asked.holder.epoch, amount);
        if let Some(own) = own {
            remove(connection, own.id)?;
            epoch = epoch.max(own.epoch);
            amount = own.amount + more;
        }
        let serial = asked.holder.serial.get().cast_signed();
        let ends = now.saturating_add(ticks::milliseconds(asked.window));
        connection
            .prepare_cached(
                "INSERT INTO operator_reservations (value, ends, serial, epoch, amount, used, reserved)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![value, ends, serial, epoch, amount, counted + more, now])?;
    }
    Ok(Reserved::Granted { anew })
}

/// Removes at most [`AT_ONCE`] reservations of a value that have ended, and subtracts them from `counted`, which is the sum.
/// Returns whether there may be more.
fn end_some(connection: &Connection, value: &[u8; 32], now: i64, counted: &mut i64) -> rusqlite::Result<bool> {
    let (mut ended, mut last) = (0, None);
    {
        // The reservation that ends first is the oldest one: all reservations of a value last equally long.
        let mut oldest = connection.prepare_cached(concat!("SELECT id, ends, amount ", of_value!(), " ORDER BY id"))?;
        let mut rows = oldest.query([value])?;
        while ended < AT_ONCE
            && let Some(row) = rows.next()?
            && row.get::<_, i64>(1)? <= now
        {
            ended += 1;
            last = Some(row.get::<_, i64>(0)?);
            *counted -= row.get::<_, i64>(2)?;
        }
    }
    if let Some(last) = last {
        connection
            .prepare_cached(concat!("DELETE ", of_value!(), " AND id <= ?2"))?
            .execute(params![value, last])?;
        write_used(connection, value, *counted)?;
    }
    Ok(ended == AT_ONCE)
}

/// Like [`used`], but fast if nothing is reserved of the value, as usual. Without `ORDER BY`, because SQLite would prepare
/// such a statement again at each call.
fn counted(connection: &Connection, value: &[u8; 32]) -> rusqlite::Result<i64> {
    let is_in_use = connection
        .prepare_cached(concat!("SELECT 1 ", of_value!()))?
        .exists([value])?;
    if is_in_use { used(connection, value) } else { Ok(0) }
}

/// The sum of the reservations of a value, also of those that have ended.
fn used(connection: &Connection, value: &[u8; 32]) -> rusqlite::Result<i64> {
    let used = connection
        .prepare_cached(concat!("SELECT used ", of_value!(), " ORDER BY id DESC"))?
        .query_row([value], |row| row.get(0))
        .optional()?;
    Ok(used.unwrap_or(0))
}

/// The reservations of one operation, that of the latest attempt first: one, unless the first attempt was late.
fn own(connection: &Connection, value: &[u8; 32], serial: NonZeroU64) -> rusqlite::Result<Vec<Own>> {
    connection
        .prepare_cached(concat!(
            "SELECT id, epoch, amount, ends ",
            of_value!(),
            " AND serial = ?2 ORDER BY epoch DESC"
        ))?
        .query_map(params![value, serial.get().cast_signed()], Own::read)?
        .collect()
}

/// The reservation of a first attempt. It is usually one of the newest, so few rows are read.
fn of_first_attempt(connection: &Connection, value: &[u8; 32], serial: NonZeroU64) -> rusqlite::Result<Option<Own>> {
    connection
        .prepare_cached(concat!(
            "SELECT id, epoch, amount, ends ",
            of_value!(),
            " AND serial = ?2 AND epoch <= 1 ORDER BY id DESC"
        ))?
        .query_row(params![value, serial.get().cast_signed()], Own::read)
        .optional()
}

/// Writes the sum into the newest reservation that is left, if there is one.
fn write_used(connection: &Connection, value: &[u8; 32], used: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(concat!(
            "UPDATE operator_reservations SET used = ?2 WHERE id = (SELECT max(id) ",
            of_value!(),
            ")"
        ))?
        .execute(params![value, used])
        .map(drop)
}

fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM operator_reservations WHERE id = ?1")?
        .execute([id])
        .map(drop)
}

/// Returns the sum of what is removed.
fn remove_all(connection: &Connection, all: &[Own]) -> rusqlite::Result<i64> {
    all.iter().try_for_each(|own| remove(connection, own.id))?;
    Ok(all.iter().map(|own| own.amount).sum())
}

/// The time until reservations of this amount have ended. If all of them are less, the time until the last one has.
fn room_in(connection: &Connection, value: &[u8; 32], amount: i64, now: i64) -> rusqlite::Result<Duration> {
    let mut reservations = connection.prepare_cached(concat!("SELECT ends, amount ", of_value!(), " ORDER BY id"))?;
    let mut rows = reservations.query([value])?;
    let (mut freed, mut until) = (0, now);
    while freed < amount
        && let Some(row) = rows.next()?
    {
        until = row.get(0)?;
        freed += row.get::<_, i64>(1)?;
    }
    let until = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
    Ok(Duration::from_millis(until))
}

fn give_back(connection: &Connection, holder: Holder, value: &[u8; 32]) -> rusqlite::Result<()> {
    let mut own = match holder.epoch {
        ..=1 => Vec::from_iter(of_first_attempt(connection, value, holder.serial)?),
        _ => own(connection, value, holder.serial)?,
    };
    own.retain(|own| own.epoch <= holder.epoch);
    if own.is_empty() {
        return Ok(());
    }
    let left = used(connection, value)? - remove_all(connection, &own)?;
    write_used(connection, value, left)
}

/// Reads all reservations, because only a person who settles an operation needs this.
fn give_back_all(connection: &Connection, holder: Holder) -> rusqlite::Result<()> {
    let values = connection
        .prepare_cached("SELECT value FROM operator_reservations WHERE serial = ?1")?
        .query_map([holder.serial.get().cast_signed()], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<[u8; 32]>>>()?;
    values.iter().try_for_each(|value| give_back(connection, holder, value))
}

fn sweep(connection: &Connection, now: i64, limit: u32) -> rusqlite::Result<bool> {
    let ended = connection
        .prepare_cached(
            "SELECT value, id, amount FROM operator_reservations WHERE ends <= ?1 ORDER BY ends, id LIMIT ?2",
        )?
        .query_map(params![now, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<([u8; 32], i64, i64)>>>()?;
    let mut amounts: BTreeMap<[u8; 32], i64> = BTreeMap::new();
    for (value, _, amount) in &ended {
        *amounts.entry(*value).or_default() += amount;
    }
    for (value, amount) in &mut amounts {
        *amount = used(connection, value)? - *amount;
    }
    for (_, id, _) in &ended {
        remove(connection, *id)?;
    }
    for (value, left) in &amounts {
        write_used(connection, value, *left)?;
    }
    Ok(limit > 0 && ended.len() == limit as usize)
}

/// Amounts are at most 2⁵³ − 1.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

impl SqliteStore {
    /// Runs several statements, of which either all or none are kept.
    async fn on_limits<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Records, &Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let asked = self.ask(move |writing: &mut Writing<'_>| {
            writing.isolated(|writing| work(writing.records, &writing.tx.connection))
        });
        asked.await.map_err(|failure| failure.error)
    }
}

impl Limits for SqliteStore {
    fn reserve(&self, asked: Reservation) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(self.on_limits(move |records, connection| records.reserve(connection, &asked)))
    }

    fn give_back(&self, holder: Holder, value: Option<LimitedValue>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.on_limits(move |records, connection| records.give_back(connection, holder, value)))
    }

    fn used(&self, value: LimitedValue) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let now = self.ticks.now();
            let reading = self.reader.read(move |connection| {
                connection
                    .prepare_cached(concat!(
                        "SELECT coalesce(sum(amount), 0) ",
                        of_value!(),
                        " AND ends > ?2"
                    ))?
                    .query_row(params![value.as_bytes(), now], |row| row.get::<_, i64>(0))
            });
            let used = reading
                .await
                .map_err(|source| StoreError::unavailable(&self.name, "read how much of a limit is used", source))?;
            Ok(used.cast_unsigned())
        })
    }

    fn remove_ended(&self, limit: u32) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.on_limits(move |records, connection| records.sweep_limits(connection, limit)))
    }
}
