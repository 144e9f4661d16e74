//! Reads the version of the tables, and creates or upgrades them.

use sha2::{Digest as _, Sha256};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::audit;
use super::session::{self, Failure, Session};
use crate::store::StoreError;

/// Begins a set-up. The isolation level is written here, because a database can have another default: at READ COMMITTED, a
/// statement after the lock sees what the last holder of the lock committed.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// The advisory lock for set-ups. Its two numbers are the ASCII codes of "oper" and "ator", so that other programs are
/// unlikely to use them.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1869636978, 1635020658)";

/// Migrations from schema `n` to schema `n + 1`. Released migrations never change; new ones are added at the end.
///
/// While `uncommitted` is true, the record's foreign key refers to a row that cannot exist. Postgres checks the key at
/// commit. So the transaction cannot be committed before the store has completed its record, whatever SQL a handler
/// runs.
const MIGRATIONS: [&str; 6] = [
    "
    CREATE TABLE {schema}operator_nothing (uncommitted boolean PRIMARY KEY CHECK (uncommitted IS NULL));
    CREATE TABLE {schema}operator_operations (
        id bytea NOT NULL PRIMARY KEY,
        revision bigint NOT NULL,
        written timestamptz NOT NULL,
        first_seen timestamptz NOT NULL,
        record bytea NOT NULL,
        uncommitted boolean CONSTRAINT operator_ends_this_transaction_itself
            REFERENCES {schema}operator_nothing DEFERRABLE INITIALLY DEFERRED
    );
    CREATE INDEX operator_operations_first_seen ON {schema}operator_operations (first_seen);
",
    // In addition to the row with the version, there is a row with version 0 for each set-up of a program that has run.
    "
    ALTER TABLE {schema}operator_schema ADD COLUMN setup text;
",
    // The parts of limits that operations have reserved. `used` is the sum of the reservations of a value, and `last` the
    // operation that has reserved last, or null if it was refused. The fill factor leaves room for new versions of a row.
    "
    CREATE TABLE {schema}operator_limits (
        value bytea NOT NULL PRIMARY KEY,
        used bigint NOT NULL,
        last bigint
    ) WITH (fillfactor = 50);
    CREATE TABLE {schema}operator_reservations (
        value bytea NOT NULL,
        ends timestamptz NOT NULL,
        serial bigint NOT NULL,
        epoch bigint NOT NULL,
        amount bigint NOT NULL,
        reserved timestamptz NOT NULL,
        PRIMARY KEY (value, ends, serial)
    );
    CREATE INDEX operator_reservations_ends ON {schema}operator_reservations (ends);
",
    audit::TABLE,
    // Every record is written twice and then deleted. The fill factor leaves room for the second version of a row beside
    // the first, so that the second write changes no index. By default, autovacuum begins when a fifth of the rows is
    // dead, by when the indexes have grown by as much, and they never shrink again. TOAST is the rows of long responses.
    "
    ALTER TABLE {schema}operator_operations SET (
        fillfactor = 90,
        autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 1000,
        toast.autovacuum_vacuum_scale_factor = 0.01,
        toast.autovacuum_vacuum_threshold = 1000
    );
",
    // Each reservation is written and deleted as well.
    "
    ALTER TABLE {schema}operator_reservations SET (
        autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 1000
    );
    ALTER TABLE {schema}operator_limits SET (
        autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 1000
    );
",
];

/// The newest schema that this version knows.
const KNOWN: u32 = 6;
const _: () = assert!(
    MIGRATIONS.len() == KNOWN as usize,
    "there must be exactly one migration per schema version"
);

const IS_THERE: &str = "SELECT to_regclass('{schema}operator_schema') IS NOT NULL";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM {schema}operator_schema";
/// The programs' set-ups that have run, by the hashes of their SQL.
const HAS_RUN: &str = "SELECT EXISTS (SELECT FROM {schema}operator_schema WHERE setup = $1)";
/// The tables that a serving program must be able to select from, insert into, update and delete from.
const TABLES: [&str; 3] = ["operator_operations", "operator_limits", "operator_reservations"];
/// The rights on one of these tables that the role lacks.
const MISSING: &str = "SELECT string_agg(needed, ', ' ORDER BY place)
    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS need (needed, place)
    WHERE NOT has_table_privilege('{schema}{table}', needed)";

/// The rights on the audit's table that the role lacks. It does not need `UPDATE`, because rows are never changed.
const MISSING_FOR_AUDIT: &str = "SELECT string_agg(needed, ', ' ORDER BY place)
    FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) WITH ORDINALITY AS need (needed, place)
    WHERE NOT has_table_privilege('{schema}operator_audit', needed)";

/// The name of the schema, quoted where SQL needs it.
const FOUND_IN: &str = "SELECT relnamespace::regnamespace::text FROM pg_class
    WHERE oid = to_regclass('{schema}operator_operations')";

/// The Postgres schema that contains the tables. If the address names none, `search_path` applies.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Option<String>);

impl Place {
    pub(super) fn named(name: &str) -> Self {
        Self(Some(format!("\"{}\"", name.replace('"', "\"\""))))
    }

    /// SQL with the schema in place of `{schema}`.
    pub(super) fn sql(&self, sql: &str) -> String {
        let prefix = self.0.as_ref().map(|name| format!("{name}."));
        sql.replace("{schema}", prefix.as_deref().unwrap_or_default())
    }

    /// Like [`sql`](Self::sql), for SQL in which the schema stands in a string literal.
    fn quoted(&self, sql: &str) -> String {
        let prefix = self.0.as_ref().map(|name| format!("{}.", name.replace('\'', "''")));
        sql.replace("{schema}", prefix.as_deref().unwrap_or_default())
    }

    /// The SQL that creates the tables, or upgrades them from any earlier version; it changes nothing if they are up to
    /// date.
    pub(super) fn migration(&self) -> String {
        let mut sql = format!("{BEGIN};\n{LOCK};\nSET LOCAL client_min_messages = warning;\n");
        if let Some(name) = &self.0 {
            let literal = name.replace('\'', "''");
            sql += &format!(
                "DO $operator$ BEGIN IF to_regnamespace('{literal}') IS NULL THEN CREATE SCHEMA {name}; END IF; END $operator$;\n"
            );
        }
        sql += "CREATE TABLE IF NOT EXISTS {schema}operator_schema (version bigint NOT NULL);\n";
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            sql += &format!(
                "DO $operator$ BEGIN IF ({VERSION}) < {version} THEN{migration}    \
                 DELETE FROM {{schema}}operator_schema WHERE version > 0;\n    \
                 INSERT INTO {{schema}}operator_schema (version) VALUES ({version});\n\
                 END IF; END $operator$;\n"
            );
        }
        sql += "COMMIT;\n";
        self.sql(&sql)
    }

    /// The SQL that notes that a program's set-up has run. It is part of the set-up's transaction.
    fn note(&self, setup: &str) -> String {
        let hash = hash(setup);
        self.sql(&format!(
            "DELETE FROM {{schema}}operator_schema WHERE setup = '{hash}';\n\
             INSERT INTO {{schema}}operator_schema (version, setup) VALUES (0, '{hash}');\n"
        ))
    }

    /// The SQL that runs a program's set-up and notes that it has run.
    #[cfg(feature = "cli")]
    pub(super) fn setup(&self, setup: &str) -> String {
        let note = self.note(setup);
        format!("\n-- The program's own tables:\n{BEGIN};\n{LOCK};\n{note}{setup}\n;\nCOMMIT;\n")
    }

    /// The rights that the role of a serving program needs, as comments.
    #[cfg(feature = "cli")]
    pub(super) fn grants(&self) -> String {
        let mut sql = "\n-- The role that `serve` connects with needs these rights, and those that the handlers need on other tables:\n"
            .to_owned();
        if let Some(name) = &self.0 {
            sql += &format!("-- GRANT USAGE ON SCHEMA {name} TO the_role;\n");
        }
        sql += "-- GRANT SELECT ON {schema}operator_schema TO the_role;\n";
        for table in TABLES {
            sql += &format!("-- GRANT SELECT, INSERT, UPDATE, DELETE ON {{schema}}{table} TO the_role;\n");
        }
        sql += "-- GRANT SELECT, INSERT, DELETE ON {schema}operator_audit TO the_role; -- with OPERATOR_AUDIT\n";
        self.sql(&sql)
    }
}

/// Runs a program's set-up in a transaction, and notes that it has run. Unless `again` is true, a set-up that has run
/// before does not run: another server may have run it while this one waited for the lock.
pub(super) async fn set_up(
    session: &Session,
    place: &Place,
    sql: &str,
    again: bool,
    name: &str,
) -> Result<(), StoreError> {
    let work = async {
        if again || !has_run(session, place, sql).await? {
            session.batch_execute(&place.note(sql)).await?;
            session.batch_execute(sql).await?;
        }
        Ok(())
    };
    let done = under_its_lock(session, work).await.map_err(Failure::from);
    done.map_err(|failure| match failure {
        failure if failure.is_denied() => StoreError::NotReady {
            store: name.to_owned(),
            why: format!(
                "has not run this version of the program's set-up, and its role may not run it ({failure}): run `migrate` with the address of a role that may, or give the output of `migrate --print` to a database administrator"
            ),
        },
        Failure::Driver(source) => StoreError::unavailable(name, "run the program's set-up", source),
        failure => failure.of_store(name, "run the program's set-up"),
    })
}

/// Whether this set-up has run.
pub(super) async fn has_run(session: &Session, place: &Place, sql: &str) -> Result<bool, Error> {
    session.query_one(&place.sql(HAS_RUN), &[&hash(sql)]).await?.try_get(0)
}

fn hash(sql: &str) -> String {
    const_hex::encode(Sha256::digest(sql))
}

/// Runs `work` in a transaction under the advisory lock, so that no two processes run a set-up at the same time.
pub(super) async fn under_its_lock<T>(
    session: &Session,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    session.batch_execute(BEGIN).await?;
    session.batch_execute(LOCK).await?;
    let done = work.await?;
    session.batch_execute("COMMIT").await?;
    Ok(done)
}

/// Checks that the tables are up to date and that the role has the needed rights. Upgrades out-of-date tables if the
/// role may do so.
///
/// Returns the schema that contains the tables: a handler may change the `search_path` of its session, and the store must
/// still find the same tables.
pub(super) async fn ready(session: &Session, place: &Place, name: &str) -> Result<Place, StoreError> {
    let reading = || session::in_time(version(session, place));
    let mut found = reading().await.map_err(|failure| unreadable(failure, place, name))?;
    if found < KNOWN {
        let sql = place.migration();
        session::in_time(session.batch_execute(&sql))
            .await
            .map_err(|failure| not_upgraded(failure, found, name))?;
        found = reading().await.map_err(|failure| unreadable(failure, place, name))?;
    }
    if found > KNOWN {
        return Err(StoreError::TooNew {
            store: name.to_owned(),
            found,
            known: KNOWN,
        });
    }
    for table in TABLES {
        let missing = place.quoted(&MISSING.replace("{table}", table));
        let missing = session::in_time(session.query_one(&missing, &[])).await;
        let missing = missing.and_then(|row| Ok(row.try_get::<_, Option<String>>(0)?));
        if let Some(missing) = missing.map_err(|failure| unreadable(failure, place, name))? {
            return Err(denied(&missing, table, place, name));
        }
    }
    let found = found_in(session, place).await;
    found.map_err(|failure| unreadable(failure, place, name))
}

/// The schema that contains the tables.
async fn found_in(session: &Session, place: &Place) -> Result<Place, Failure> {
    let row = session::in_time(session.query_one(&place.quoted(FOUND_IN), &[])).await?;
    Ok(Place(Some(row.try_get(0)?)))
}

/// The version of the tables: 0 if there are none.
async fn version(session: &Session, place: &Place) -> Result<u32, Error> {
    if !session.query_one(&place.quoted(IS_THERE), &[]).await?.try_get(0)? {
        return Ok(0);
    }
    let version: i64 = session.query_one(&place.sql(VERSION), &[]).await?.try_get(0)?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

fn unreadable(failure: Failure, place: &Place, name: &str) -> StoreError {
    match failure {
        failure if failure.is_denied() => denied("SELECT", "operator_schema", place, name),
        // `of_store` is not used for driver errors: it maps some of them to errors of an operation, and there is no
        // operation here.
        Failure::Driver(source) => StoreError::unavailable(name, "read the version of its tables", source),
        failure => failure.of_store(name, "read the version of its tables"),
    }
}

/// The rights on the audit's table that the role lacks, if it lacks some.
pub(super) async fn missing_for_audit(session: &Session, place: &Place) -> Result<Option<String>, Error> {
    let row = session.query_one(&place.quoted(MISSING_FOR_AUDIT), &[]).await?;
    row.try_get(0)
}

pub(super) fn denied(rights: &str, table: &str, place: &Place, name: &str) -> StoreError {
    let table = place.sql(&format!("{{schema}}{table}"));
    StoreError::NotReady {
        store: name.to_owned(),
        why: format!(
            "refuses {rights} on the table {table} to this program's role: run the GRANT statements at the end of `migrate --print`"
        ),
    }
}

fn not_upgraded(failure: Failure, found: u32, name: &str) -> StoreError {
    match failure {
        failure if failure.is_denied() => StoreError::NotReady {
            store: name.to_owned(),
            why: format!(
                "has tables of version {found} (0: no tables), but this program needs version {KNOWN}, and its role may not change tables: run `migrate` with the address of a role that may, or give the output of `migrate --print` to a database administrator"
            ),
        },
        Failure::Driver(source) => StoreError::unavailable(name, "upgrade its tables", source),
        failure => failure.of_store(name, "upgrade its tables"),
    }
}

impl Failure {
    /// Whether the role lacks a right.
    fn is_denied(&self) -> bool {
        matches!(self, Self::Driver(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_names_the_schema_of_the_address_everywhere() {
        let named = Place::named("o\"p's").migration();
        assert!(named.contains("CREATE SCHEMA \"o\"\"p's\";"), "{named}");
        assert!(named.contains("to_regnamespace('\"o\"\"p''s\"')"), "{named}");
        assert!(named.contains("REFERENCES \"o\"\"p's\".operator_nothing"), "{named}");
        let unnamed = Place::default().migration();
        assert!(
            unnamed.contains("CREATE TABLE IF NOT EXISTS operator_schema"),
            "{unnamed}"
        );
        assert!(!format!("{named}{unnamed}").contains("{schema}"), "{named}{unnamed}");
    }
}
