//! The statements on limits. Each limited value has a row with the sum of its reservations, and a row for each reservation.
//! The sum is kept, so that a call costs the same however many operations the window holds.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::records::Records;
use super::ticks;
use super::{SqliteStore, Writing};
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::{BoxFuture, Limits, StoreError};

/// A reservation of one operation.
struct Own {
    ends: i64,
    epoch: u32,
    amount: i64,
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
    let ended = end_before(connection, value, now)?;
    let counted = used(connection, value)? - ended;
    // The first attempt at an operation has no reservation yet, so it need not look for one.
    let own = match asked.holder.epoch {
        ..=1 => None,
        _ => own(connection, value, asked.holder)?,
    };
    let (amount, max) = (signed(asked.amount), signed(asked.max));
    let more = (amount - own.as_ref().map_or(0, |own| own.amount)).max(0);
    let room = (max - counted).max(0);
    if more > room {
        if ended > 0 {
            write_used(connection, value, counted)?;
        }
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
            remove(connection, value, own.ends, asked.holder)?;
            epoch = epoch.max(own.epoch);
            amount = own.amount + more;
        }
        let serial = asked.holder.serial.get().cast_signed();
        let ends = now.saturating_add(ticks::milliseconds(asked.window));
        connection
            .prepare_cached(
                "INSERT INTO operator_reservations (value, ends, serial, epoch, amount, reserved) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![value, ends, serial, epoch, amount, now])?;
        write_used(connection, value, counted + more)?;
    } else if ended > 0 {
        write_used(connection, value, counted)?;
    }
    Ok(Reserved::Granted { anew })
}

/// Removes the reservations of a value that have ended, and returns their sum.
fn end_before(connection: &Connection, value: &[u8; 32], now: i64) -> rusqlite::Result<i64> {
    let mut ended = connection
        .prepare_cached("DELETE FROM operator_reservations WHERE value = ?1 AND ends <= ?2 RETURNING amount")?;
    let amounts = ended.query_map(params![value, now], |row| row.get::<_, i64>(0))?;
    amounts.sum()
}

fn used(connection: &Connection, value: &[u8; 32]) -> rusqlite::Result<i64> {
    let used = connection
        .prepare_cached("SELECT used FROM operator_limits WHERE value = ?1")?
        .query_row([value], |row| row.get(0))
        .optional()?;
    Ok(used.unwrap_or(0))
}

fn write_used(connection: &Connection, value: &[u8; 32], used: i64) -> rusqlite::Result<()> {
    if used == 0 {
        let delete = "DELETE FROM operator_limits WHERE value = ?1";
        return connection.prepare_cached(delete)?.execute([value]).map(drop);
    }
    let write = "INSERT INTO operator_limits (value, used) VALUES (?1, ?2) ON CONFLICT (value) DO UPDATE SET used = ?2";
    connection
        .prepare_cached(write)?
        .execute(params![value, used])
        .map(drop)
}

fn own(connection: &Connection, value: &[u8; 32], holder: Holder) -> rusqlite::Result<Option<Own>> {
    connection
        .prepare_cached("SELECT ends, epoch, amount FROM operator_reservations WHERE value = ?1 AND serial = ?2")?
        .query_row(params![value, holder.serial.get().cast_signed()], |row| {
            Ok(Own {
                ends: row.get(0)?,
                epoch: row.get(1)?,
                amount: row.get(2)?,
            })
        })
        .optional()
}

fn remove(connection: &Connection, value: &[u8; 32], ends: i64, holder: Holder) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM operator_reservations WHERE value = ?1 AND ends = ?2 AND serial = ?3")?
        .execute(params![value, ends, holder.serial.get().cast_signed()])
        .map(drop)
}

/// The time until reservations of this amount have ended. If all of them are less, the time until the last one has.
fn room_in(connection: &Connection, value: &[u8; 32], amount: i64, now: i64) -> rusqlite::Result<Duration> {
    let mut reservations = connection
        .prepare_cached("SELECT ends, amount FROM operator_reservations WHERE value = ?1 ORDER BY ends, serial")?;
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
    match own(connection, value, holder)? {
        Some(own) if own.epoch <= holder.epoch => {
            remove(connection, value, own.ends, holder)?;
            write_used(connection, value, used(connection, value)? - own.amount)
        }
        _ => Ok(()),
    }
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
    let values = connection
        .prepare_cached("SELECT value FROM operator_reservations WHERE ends <= ?1 ORDER BY ends LIMIT ?2")?
        .query_map(params![now, limit], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<[u8; 32]>>>()?;
    for value in &values {
        // A value may be in the list several times. The first time, all its reservations that have ended are removed.
        let ended = end_before(connection, value, now)?;
        if ended > 0 {
            write_used(connection, value, used(connection, value)? - ended)?;
        }
    }
    Ok(limit > 0 && values.len() == limit as usize)
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
                    .prepare_cached(
                        "SELECT coalesce(sum(amount), 0) FROM operator_reservations WHERE value = ?1 AND ends > ?2",
                    )?
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
