//! Opens the file: private to its owner, write-ahead log, patient with other processes.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Durability;
use crate::store::StoreError;

/// How long another process may hold the file before a call is refused.
const BUSY: Duration = Duration::from_secs(5);
/// How many pages the write-ahead log takes (16 MiB) before its changes are moved into the file, which costs two more
/// flushes to the disk and stops the writer: pages that many operations have changed by then are moved once.
const LOG: u32 = 4_000;
/// How much of the file the writer keeps in memory, in KiB: ids come in no order, so every part of it is written to.
const CACHE: i32 = 32 * 1024;
/// Handlers' statements share this cache with ours.
const STATEMENTS: usize = 128;

pub(super) fn open(path: &Path, durability: Durability, name: &str) -> Result<Connection, StoreError> {
    make_private(path).map_err(|source| StoreError::unavailable(name, "be made", source))?;
    configure(path, durability).map_err(|source| StoreError::unavailable(name, "be opened", source))
}

/// SQLite gives the write-ahead log the database's own permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn configure(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::PowerLoss => "FULL",
            Durability::ProcessCrash => "NORMAL",
        },
    )?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG)?;
    // Less than nothing means KiB, and not pages.
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}
