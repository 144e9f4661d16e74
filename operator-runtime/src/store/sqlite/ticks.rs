//! The time with which the ages of records are measured. All processes of the machine that have the file open use the
//! same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::clock::{Clock, MachineTime};
use crate::record::at_milliseconds;

/// The time of the file, in milliseconds since 1970. The wall clock is read only once after each start of the machine.
/// From then on, the machine's monotonic time is used, which is the same for all its processes. So neither a wall clock
/// that jumps nor a process that starts with a wrong wall clock can end the lease of a running process, or expire a
/// record early.
///
/// This time is never behind the newest record in the file. If the wall clock was set back between two starts, the
/// records would otherwise be in the future, and their leases would last until the clock had caught up.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    clock: Arc<dyn Clock>,
    /// How far this time is ahead of the clock's monotonic time, in milliseconds; shared by readers and the writer.
    ahead: Arc<AtomicI64>,
}

impl Ticks {
    pub(super) fn start(clock: Arc<dyn Clock>, connection: &mut Connection) -> rusqlite::Result<Self> {
        let ticks = Self {
            clock,
            ahead: Arc::default(),
        };
        let machine = ticks.clock.machine();
        // Read without a lock first, because a busy program may hold the lock again and again.
        if let Some(machine) = &machine
            && let Some(now) = since(machine, connection)?
        {
            ticks.begin_at(now);
            return Ok(ticks);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let counted = match &machine {
            Some(machine) => since(machine, &transaction)?,
            None => None,
        };
        if let Some(now) = counted {
            ticks.begin_at(now);
        } else {
            ticks.begin_at(milliseconds(ticks.clock.since_unix_epoch()));
            ticks.observe(newest(&transaction)?);
            if let Some(machine) = machine {
                begin(&machine, ticks.now(), &transaction)?;
            }
        }
        transaction.commit()?;
        Ok(ticks)
    }

    fn begin_at(&self, now: i64) {
        self.ahead.store(self.lead_to(now), Ordering::Relaxed);
    }

    /// How far `tick` is ahead of the clock's monotonic time.
    fn lead_to(&self, tick: i64) -> i64 {
        tick.saturating_sub(milliseconds(self.clock.monotonic()))
    }

    pub(super) fn now(&self) -> i64 {
        milliseconds(self.clock.monotonic()).saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// Catches up with another process that shares the file and whose time is ahead. This is needed on machines whose
    /// processes have no common monotonic time.
    pub(super) fn observe(&self, written: i64) {
        self.ahead.fetch_max(self.lead_to(written), Ordering::Relaxed);
    }

    pub(super) fn since(&self, tick: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.now().saturating_sub(tick)).unwrap_or(0))
    }

    /// The wall-clock time of a tick, for people. If the wall clock was set since the machine was started, this time and
    /// the wall clock differ. The difference is added in whole seconds: its fraction is different at each reading of the
    /// two clocks, and a tick has to have the same time at each listing.
    pub(super) fn as_time(&self, tick: i64) -> SystemTime {
        let behind = milliseconds(self.clock.since_unix_epoch()).saturating_sub(self.now());
        let whole_seconds = behind.saturating_add(500).div_euclid(1000).saturating_mul(1000);
        at_milliseconds(tick.saturating_add(whole_seconds))
    }
}

/// The time of the file now, or `None` if the file was not opened since the machine was started.
fn since(machine: &MachineTime, connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let began = "SELECT began FROM operator_clock WHERE boot = ?1";
    let began: Option<i64> = connection
        .query_row(began, [&machine.boot], |row| row.get(0))
        .optional()?;
    Ok(began.map(|began| began.saturating_add(milliseconds(machine.since))))
}

fn begin(machine: &MachineTime, now: i64, connection: &Connection) -> rusqlite::Result<()> {
    let began = now.saturating_sub(milliseconds(machine.since));
    connection.execute("DELETE FROM operator_clock", [])?;
    let insert = "INSERT INTO operator_clock (boot, began) VALUES (?1, ?2)";
    connection.execute(insert, params![machine.boot, began]).map(drop)
}

/// The newest time in the file. The reservations of limits outlive the records.
fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let newest = "SELECT max(coalesce((SELECT max(first_seen) FROM operator_operations), 0),
        coalesce((SELECT reserved FROM operator_reservations ORDER BY id DESC LIMIT 1), 0))";
    connection.query_row(newest, [], |row| row.get(0))
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
