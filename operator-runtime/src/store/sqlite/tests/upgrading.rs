//! Files of earlier versions, which are upgraded when they are opened.

use std::num::NonZeroU64;
use std::time::Instant;

use rusqlite::params;

use super::*;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::Limits as _;

/// The tables as the first and the second version made them.
const SCHEMA_1: &str = "
    CREATE TABLE operator_schema (version INTEGER NOT NULL) STRICT;
    INSERT INTO operator_schema (version) VALUES (1);
    CREATE TABLE operator_operations (
        id BLOB NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        written INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID, STRICT;
    CREATE INDEX operator_operations_first_seen ON operator_operations (first_seen);
";
const SCHEMA_2: &str = "
    CREATE TABLE operator_clock (boot TEXT NOT NULL, began INTEGER NOT NULL) STRICT;
    UPDATE operator_schema SET version = 2;
";
const OLD_CLAIM: &str = "INSERT INTO operator_operations (id, revision, written, first_seen, record)
    VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT DO NOTHING";

impl File {
    /// Makes a file of schema 1 or 2 that has one record.
    fn of_schema(schema: u32) -> (Self, Connection) {
        let file = Self::new();
        let connection = Connection::open(file.path()).expect("opens");
        connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
        connection.execute_batch(SCHEMA_1).expect("made");
        if schema == 2 {
            connection.execute_batch(SCHEMA_2).expect("made");
        }
        assert_eq!(file.claim_as_before(&connection), 1);
        (file, connection)
    }

    /// Claims the operation `id()` as the earlier versions do, and returns how many records that has written.
    fn claim_as_before(&self, connection: &Connection) -> usize {
        let now = ticks::milliseconds(self.clock.since_unix_epoch());
        connection
            .execute(OLD_CLAIM, params![id().as_bytes(), 1, now, record().encode()])
            .expect("runs")
    }
}

/// Adds records to a file of schema 2. Their ids ascend, so that this is fast; their ages do not.
fn add(records: u32, connection: &Connection) {
    let add = "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?1)
        INSERT INTO operator_operations (id, revision, written, first_seen, record)
        SELECT unhex(format('%064x', n)), n, 1000000 + n * 7919 % 1000003, 1000000 + n * 7919 % 1000003, ?2 FROM count";
    let mut completed = Record::clone(&record());
    completed.state = State::Completed(crate::store::Response::new(
        http::StatusCode::OK,
        "application/json",
        vec![b'a'; 250].into(),
    ));
    let added = connection.execute(add, params![records, completed.encode()]);
    assert_eq!(added.expect("added"), records as usize);
}

fn read(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).expect(sql)
}

const VERSION: &str = "SELECT version FROM operator_schema";
/// The newest schema.
const NEWEST: i64 = 7;
const COUNT: &str = "SELECT count(*) FROM operator_operations";
const IS_APPENDED: &str = "SELECT count(*) FROM pragma_table_list WHERE name = 'operator_operations' AND NOT wr";

#[tokio::test]
async fn a_file_of_an_earlier_version_is_upgraded_and_keeps_its_records() {
    for schema in [1, 2] {
        let (file, connection) = File::of_schema(schema);
        file.clock.advance(MINUTE);
        let store = file.open();
        assert_eq!(since_written(&store).await, MINUTE, "schema {schema}");
        assert_eq!(read(&connection, VERSION), NEWEST);
        assert_eq!(read(&connection, IS_APPENDED), 1);
        assert_eq!(read(&connection, "SELECT count(*) FROM operator_clock"), 1);
        assert_eq!(
            read(&connection, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"),
            0
        );
        assert_eq!(since_written(&file.open()).await, MINUTE, "opened once more");
    }
}

#[tokio::test]
async fn a_program_with_the_earlier_schema_that_still_runs_claims_nothing_twice() {
    let (file, before) = File::of_schema(2);
    let _store = file.open();
    assert_eq!(file.claim_as_before(&before), 0);
    assert_eq!(read(&before, COUNT), 1);
}

/// The reservations of a file of schema 4: two of one value, and one of another value.
#[tokio::test]
async fn a_file_of_schema_4_keeps_its_reservations() {
    let (file, connection) = File::of_schema(2);
    drop(file.open());
    connection
        .execute_batch(
            "DROP TABLE operator_reservations; DROP TABLE operator_audit; UPDATE operator_schema SET version = 4",
        )
        .expect("made");
    connection
        .execute_batch(crate::store::sqlite::limits::SUMS)
        .expect("made");
    let (one, other) = ([1; 32], [2; 32]);
    let now = ticks::milliseconds(file.clock.since_unix_epoch());
    for (value, serial, amount) in [(one, 1, 3), (other, 1, 5), (one, 2, 4)] {
        let ends = now + 60_000 * serial;
        connection
            .execute(
                "INSERT INTO operator_reservations (value, ends, serial, epoch, amount, reserved) VALUES (?1, ?2, ?3, 1, ?4, ?5)",
                params![value, ends, serial, amount, now],
            )
            .expect("made");
    }
    let store = file.open();
    assert_eq!(read(&connection, VERSION), NEWEST);
    let asked = |amount| Reservation {
        value: LimitedValue::from_bytes(one),
        holder: Holder {
            serial: NonZeroU64::MIN.saturating_add(8),
            epoch: 1,
        },
        amount,
        max: 10,
        window: MINUTE * 2,
    };
    let answer = store.reserve(asked(4)).await.expect("a working store reserves");
    let room_in = MINUTE;
    assert_eq!(answer, Reserved::Over { used: 7, room_in });
    file.clock.advance(MINUTE);
    let answer = store.reserve(asked(7)).await.expect("a working store reserves");
    assert!(matches!(answer, Reserved::Over { used: 4, .. }), "{answer:?}");
    let answer = store.reserve(asked(6)).await.expect("a working store reserves");
    assert_eq!(answer, Reserved::Granted { anew: true });
    assert_eq!(store.used(LimitedValue::from_bytes(other)).await.expect("reads"), 0);
}

/// Rows of a file of schema 6, and of a program with that schema that still runs, have only the wall clock's time.
#[tokio::test]
async fn a_row_of_the_audit_that_has_only_a_wall_clock_time_is_removed_by_it() {
    const OLD_ROW: &str =
        "INSERT INTO operator_audit (ended, operation, idempotency_key, tenant, endpoint, outcome, attempts)
        VALUES (?1, '', '', '', '', 'done', 1)";
    let (file, connection) = File::of_schema(2);
    drop(file.open());
    let before = "DROP TABLE operator_audit; UPDATE operator_schema SET version = 6";
    connection.execute_batch(before).expect("made");
    connection.execute_batch(audit::TABLE).expect("made");
    let add = |ended| connection.execute(OLD_ROW, [ended]).expect("added");
    // The clock of the file says 2024-10-04.
    add("2024-06-01T00:00:00.000Z");
    let store = file.open();
    assert_eq!(read(&connection, VERSION), NEWEST);
    add("2024-10-03T00:00:00.000Z");
    let log = store.audit().expect("an audit");
    log.add(AuditRow::new(id(), Origin::default(), "done"))
        .await
        .expect("added");
    let swept = async |limit| log.sweep_rows(DAY * 90, limit).await.expect("sweeps");
    file.clock.jump_to(DAY * 20_100);
    assert_eq!(swept(100).await, 1, "the row of June");
    file.clock.jump_to(DAY * 20_000);
    file.clock.advance(DAY * 91);
    assert_eq!(swept(1).await, 1);
    assert_eq!(swept(100).await, 1);
}

/// SQLite would refuse to rename a table if a view names a table that does not exist at that moment.
#[test]
fn a_view_of_the_program_that_names_the_table_does_not_prevent_the_upgrade() {
    let (file, connection) = File::of_schema(2);
    connection
        .execute_batch("CREATE VIEW ages AS SELECT first_seen FROM operator_operations")
        .expect("made");
    drop(file.open());
    assert_eq!(read(&connection, "SELECT count(*) FROM ages"), 1);
}

#[test]
fn an_upgrade_that_is_interrupted_changes_nothing() {
    let (file, connection) = File::of_schema(2);
    add(2_000, &connection);
    #[allow(
        unused_mut,
        reason = "the oldest accepted rusqlite takes the handler by a shared reference"
    )]
    let mut upgrading = Connection::open(file.path()).expect("opens");
    let mut steps = 0..20;
    upgrading
        .progress_handler(1_000, Some(move || steps.next().is_none()))
        .expect("set");
    let error = schema::upgrade(&upgrading, "the file").expect_err("interrupted");
    assert!(error.to_string().contains("interrupted"), "{error}");
    drop(upgrading);
    assert_eq!((read(&connection, VERSION), read(&connection, COUNT)), (2, 2_001));
    assert_eq!(file.claim_as_before(&connection), 0);
    drop(file.open());
    assert_eq!((read(&connection, VERSION), read(&connection, COUNT)), (NEWEST, 2_001));
}

#[tokio::test]
async fn two_programs_upgrade_a_file_of_a_million_records_once_and_it_does_not_grow() {
    let (file, connection) = File::of_schema(2);
    let adding = Instant::now();
    add(1_000_000, &connection);
    drop(connection);
    let before = std::fs::metadata(file.path()).expect("a file").len();
    let upgrading = Instant::now();
    let stores = std::thread::scope(|scope| {
        let programs = [(); 2].map(|()| scope.spawn(|| file.open()));
        programs.map(|program| program.join().expect("opened"))
    });
    println!(
        "a million records were added in {:.1?} and upgraded in {:.1?}",
        upgrading - adding,
        upgrading.elapsed()
    );
    for store in &stores {
        assert!(matches!(claim(store).await, Ok(Swap::Held { .. })));
    }
    let connection = Connection::open(file.path()).expect("opens");
    assert_eq!(
        (read(&connection, VERSION), read(&connection, COUNT)),
        (NEWEST, 1_000_001)
    );
    let changed = "SELECT count(*) FROM operator_operations WHERE id <> unhex(format('%064x', revision))
        OR written <> 1000000 + revision * 7919 % 1000003 OR first_seen <> written";
    assert_eq!(read(&connection, changed), 1, "only the record of `id()`");
    for store in stores {
        store.close().await;
    }
    drop(connection);
    let after = std::fs::metadata(file.path()).expect("a file").len();
    assert!(after <= before + before / 50, "{before} bytes became {after}");
}
