//! The tables, which one process at a time creates and upgrades.

use tokio_postgres::Error;

use super::session::{self, Failure, Session};
use crate::store::StoreError;

/// The advisory lock of set-ups: any two numbers that no other program uses; here the letters "oper" and "ator".
const LOCK: &str = "SELECT pg_advisory_xact_lock(1869636978, 1635020658)";

/// Migrations from schema `n` to schema `n + 1`. Released migrations never change; new ones are added at the end.
///
/// An `uncommitted` record refers to a row that cannot exist, and Postgres checks this reference at the commit. So the
/// transaction cannot be committed before the store has completed its record, whatever SQL a handler runs.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE operator_nothing (uncommitted boolean PRIMARY KEY CHECK (uncommitted IS NULL));
    CREATE TABLE operator_operations (
        id bytea NOT NULL PRIMARY KEY,
        revision bigint NOT NULL,
        written timestamptz NOT NULL,
        first_seen timestamptz NOT NULL,
        record bytea NOT NULL,
        uncommitted boolean CONSTRAINT operator_ends_this_transaction_itself
            REFERENCES operator_nothing DEFERRABLE INITIALLY DEFERRED
    );
    CREATE INDEX operator_operations_first_seen ON operator_operations (first_seen);
"];

/// Runs `work` in a transaction under the advisory lock, so that no two processes run a set-up at the same time.
pub(super) async fn under_its_lock<T>(
    session: &Session,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    session.batch_execute("BEGIN READ WRITE").await?;
    session.batch_execute(LOCK).await?;
    let done = work.await?;
    session.batch_execute("COMMIT").await?;
    Ok(done)
}

pub(super) async fn upgrade(session: &Session, name: &str) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found = session::in_time(under_its_lock(session, migrate(session, known))).await;
    let found = found.map_err(|failure| match failure {
        // Not `of_store`, because errors about locks or transactions do not concern an operation here.
        Failure::Driver(source) => StoreError::unavailable(name, "upgrade its tables", source),
        failure => failure.of_store(name, "upgrade its tables"),
    })?;
    if found > known {
        return Err(StoreError::TooNew {
            store: name.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

/// Returns the schema before the migration. A newer schema is not changed.
async fn migrate(session: &Session, known: u32) -> Result<u32, Error> {
    session
        .batch_execute("SET LOCAL client_min_messages = warning; CREATE TABLE IF NOT EXISTS operator_schema (version bigint NOT NULL)")
        .await?;
    let newest = "SELECT coalesce(max(version), 0) FROM operator_schema";
    let found: i64 = session.query_one(newest, &[]).await?.try_get(0)?;
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..) {
        if version > found {
            session.batch_execute(migration).await?;
        }
    }
    if found < i64::from(known) {
        session
            .batch_execute(&format!(
                "DELETE FROM operator_schema; INSERT INTO operator_schema VALUES ({known})"
            ))
            .await?;
    }
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}
