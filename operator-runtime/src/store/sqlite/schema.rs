//! The tables, which are created and upgraded in a transaction that locks the file. The pragma `user_version` is left
//! to the program that shares the file.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::audit;
use crate::store::StoreError;

/// Migrations from schema `n` to schema `n + 1`. Released migrations never change; new ones are added at the end.
const MIGRATIONS: [&str; 4] = [
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
    // The parts of limits that operations have reserved. `used` is the sum of the reservations of a value. The times are
    // those of `written`.
    "
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
",
    audit::TABLE,
];

pub(super) fn upgrade(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    let failed = |source| StoreError::unavailable(name, "upgrade its tables", source);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = version(&transaction).map_err(failed)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::TooNew {
            store: name.to_owned(),
            found,
            known,
        });
    }
    migrate(transaction, found, known).map_err(failed)
}

fn version(transaction: &Transaction<'_>) -> rusqlite::Result<u32> {
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS operator_schema (version INTEGER NOT NULL) STRICT")?;
    transaction.query_row("SELECT coalesce(max(version), 0) FROM operator_schema", [], |row| {
        row.get(0)
    })
}

fn migrate(transaction: Transaction<'_>, found: u32, known: u32) -> rusqlite::Result<()> {
    for (migration, version) in MIGRATIONS.iter().zip(1..) {
        if version > found {
            transaction.execute_batch(migration)?;
        }
    }
    if found < known {
        transaction.execute("DELETE FROM operator_schema", [])?;
        transaction.execute("INSERT INTO operator_schema (version) VALUES (?1)", [known])?;
    }
    transaction.commit()
}
