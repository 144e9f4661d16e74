//! The tables, which are created and upgraded in a transaction that locks the file. The pragma `user_version` is left
//! to the program that shares the file.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{audit, limits};
use crate::store::StoreError;

/// Migrations from schema `n` to schema `n + 1`. Released migrations never change; new ones are added at the end.
const MIGRATIONS: [&str; 7] = [
    "
    CREATE TABLE operator_operations (
        id BLOB NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        written INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID, STRICT;
    CREATE INDEX operator_operations_first_seen ON operator_operations (first_seen);
",
    // `boot` identifies the boot of the machine that last opened the file. `began` is the time of that boot, in the
    // unit and on the time scale of `written`: milliseconds, as in `Ticks`.
    "
    CREATE TABLE operator_clock (
        boot TEXT NOT NULL,
        began INTEGER NOT NULL
    ) STRICT;
",
    // Ids are random, so with `WITHOUT ROWID` every new record rewrote a page of records somewhere in the file. Now new
    // records are appended, and only the small index of the ids has random pages. The index has whole ids and is
    // unique, so that a program with schema 2 that still runs keeps its promises. The index of ages stays, because
    // sweeping and `Ticks` need the order of `first_seen`, in which records are not once an expired one is claimed again.
    //
    // A trigger moves each record as its old row is deleted, so that the pages of old rows are used again: the file does
    // not grow. With `legacy_alter_table`, a view of the program that names the table does not make the renaming fail.
    "
    DROP INDEX operator_operations_first_seen;
    CREATE TABLE operator_appended (
        id BLOB NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        written INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        record BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER operator_moved AFTER DELETE ON operator_operations BEGIN
        INSERT INTO operator_appended (id, revision, written, first_seen, record)
            VALUES (OLD.id, OLD.revision, OLD.written, OLD.first_seen, OLD.record);
    END;
    DELETE FROM operator_operations;
    DROP TABLE operator_operations;
    PRAGMA legacy_alter_table = ON;
    ALTER TABLE operator_appended RENAME TO operator_operations;
    PRAGMA legacy_alter_table = OFF;
    CREATE INDEX operator_operations_first_seen ON operator_operations (first_seen);
",
    limits::SUMS,
    audit::TABLE,
    limits::TABLE,
    audit::WRITTEN,
];
/// The newest schema that this version knows.
const KNOWN: u32 = 7;
/// The schema with which every record was written again.
const APPENDED: u32 = 3;
const _: () = assert!(
    MIGRATIONS.len() == KNOWN as usize,
    "there must be exactly one migration per schema version"
);

/// How often a program waits for `connection::BUSY` while another program upgrades the file: for an hour altogether.
const WAITS: u32 = 720;
const NO_ROOM: &str = "the upgrade of its tables needs as much free space on its disk as the file has bytes, and has \
    changed nothing: delete other files and start again, or run the previous version of the program";

pub(super) fn upgrade(connection: &Connection, name: &str) -> Result<(), StoreError> {
    let failed = |source| match StoreError::unavailable(name, "upgrade its tables", source) {
        StoreError::Full { store, source, .. } => StoreError::Full {
            store,
            remedy: NO_ROOM,
            source,
        },
        error => error,
    };
    // A file that is up to date is not locked, because a busy program may hold the lock again and again.
    if newest(connection).is_ok_and(|version| version == KNOWN) {
        return Ok(());
    }
    let transaction = begin(connection, name).map_err(failed)?;
    let found = version(&transaction).map_err(failed)?;
    if found > KNOWN {
        return Err(StoreError::TooNew {
            store: name.to_owned(),
            found,
            known: KNOWN,
        });
    }
    migrate(transaction, found, name).map_err(failed)
}

/// Locks the file. If another program has locked it, and its tables are still old, the other program is probably
/// upgrading them, which takes longer than any other lock.
fn begin<'c>(connection: &'c Connection, name: &str) -> rusqlite::Result<Transaction<'c>> {
    for _ in 0..WAITS {
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && is_old(connection) => {
                tracing::info!("{name} is locked; waiting for another program that may be upgrading its tables");
            }
            begun => return begun,
        }
    }
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}

/// Whether the file has tables of an older version.
fn is_old(connection: &Connection) -> bool {
    newest(connection).is_ok_and(|version| version < KNOWN)
}

/// The version of the tables. An error if there are none.
fn newest(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("SELECT max(version) FROM operator_schema", [], |row| row.get(0))
}

fn version(transaction: &Transaction<'_>) -> rusqlite::Result<u32> {
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS operator_schema (version INTEGER NOT NULL) STRICT")?;
    transaction.query_row("SELECT coalesce(max(version), 0) FROM operator_schema", [], |row| {
        row.get(0)
    })
}

fn migrate(transaction: Transaction<'_>, found: u32, name: &str) -> rusqlite::Result<()> {
    let upgrades_records = (1..APPENDED).contains(&found);
    if upgrades_records {
        tracing::info!(
            "upgrading {name} from schema {found} to {KNOWN}, which takes about half a minute for a million records; until then, no program can write to the file"
        );
    }
    for (migration, version) in MIGRATIONS.iter().zip(1..) {
        if version > found {
            transaction.execute_batch(migration)?;
        }
    }
    if found < KNOWN {
        transaction.execute("DELETE FROM operator_schema", [])?;
        transaction.execute("INSERT INTO operator_schema (version) VALUES (?1)", [KNOWN])?;
    }
    transaction.commit()?;
    if upgrades_records {
        tracing::info!("{name} has schema {KNOWN} now");
    }
    Ok(())
}
