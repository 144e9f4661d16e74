//! Opens the SQLite file with access for its owner only and with a write-ahead log. Connections wait for locks of other
//! processes.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Durability;
use crate::clock::{Clock as _, SystemClock};
use crate::store::StoreError;

/// How long a call waits for another process that locks the file before the call is refused.
const BUSY: Duration = Duration::from_secs(5);
/// How long it waits before it asks for the lock again. A process with many calls takes the lock again as soon as it has
/// released it. SQLite's own timeout asks ten times a second, and may find the lock taken each time.
const AGAIN: Duration = Duration::from_millis(1);
/// The length of the write-ahead log, in pages (64 MiB), at which the writer itself makes a checkpoint and begins the log
/// anew. [`Checkpoints`](super::checkpoints::Checkpoints) has moved most of these pages into the file by then. Each of the
/// writer's checkpoints costs two more flushes to the disk, so a long log makes them rare.
pub(super) const LOG: u32 = 16_000;
/// The size of a page, in bytes: SQLite's default.
const PAGE: u32 = 4_096;
/// The page cache of the writer, in KiB. It is large because ids are random, so writes go to every part of their index.
const CACHE: i32 = 32 * 1024;
/// The size of the cache of prepared statements. The statements of handlers and of the store share this cache.
const STATEMENTS: usize = 128;

pub(super) fn open(path: &Path, durability: Durability, name: &str) -> Result<Connection, StoreError> {
    make_private(path).map_err(|source| StoreError::unavailable(name, "be created", source))?;
    configure(path, durability).map_err(|source| StoreError::unavailable(name, "be opened", source))
}

/// Creates the file before SQLite does, with access for its owner only. SQLite gives the write-ahead log the same
/// permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn configure(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = open_for_checkpoints(path, durability)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "wal_autocheckpoint", LOG)?;
    // An upgrade of the tables, or a large transaction of a handler, writes a longer log, whose file is then cut.
    connection.pragma_update(None, "journal_size_limit", LOG * PAGE)?;
    // A negative size is in KiB, and a positive size is in pages.
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Lets the connection wait for locks. It borrows the connection mutably, as newer versions of rusqlite do.
fn wait_for_locks(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(ask_again))
}

thread_local! {
    /// The time since the statement of this thread first asked for a lock. SQLite itself counts only how often it has asked.
    static WAITING: Cell<SystemClock> = Cell::new(SystemClock::new());
}

/// Whether SQLite asks for a lock again, for which its statement has asked so often before.
fn ask_again(asked: i32) -> bool {
    if asked == 0 {
        WAITING.set(SystemClock::new());
    }
    std::thread::sleep(AGAIN);
    WAITING.get().monotonic() < BUSY
}

/// Opens the file for writing, without the settings that only transactions need.
pub(super) fn open_for_checkpoints(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    wait_for_locks(&mut connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::PowerLoss => "FULL",
            Durability::ProcessCrash => "NORMAL",
        },
    )?;
    Ok(connection)
}

pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    wait_for_locks(&mut connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::{AGAIN, BUSY, ask_again};
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn a_wait_for_a_lock_has_an_end_however_long_each_ask_takes() {
        let begun = SystemClock::new();
        let slow = |asked: &i32| {
            std::thread::sleep(20 * AGAIN);
            ask_again(*asked)
        };
        let asks = (0..).take_while(slow).count();
        assert!(asks < 1_000 && begun.monotonic() >= BUSY, "{asks}");
    }
}
