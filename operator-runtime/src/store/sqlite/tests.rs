//! Tests of the SQLite store: the contract, crashes, other processes, wrong clocks and errors.

mod limits;
mod upgrading;

use std::path::PathBuf;

use super::*;
use crate::clock::ManualClock;
use crate::record::{FirstSeen, Record};
use crate::store::{Audit, AuditRow, Fingerprint, Origin, State, contract};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct File {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl File {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::at(DAY * 20_000)),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("operator.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open_with(self.path(), Durability::PowerLoss, self.clock.clone()).expect("opens")
    }
}

fn id() -> OperationId {
    OperationId::new("tenant", "key")
}

fn record() -> Arc<Record> {
    Arc::new(Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default()))
}

async fn claim(store: &SqliteStore) -> Result<Swap, StoreError> {
    store
        .swap(Proposal {
            id: id(),
            expected: None,
            new: record(),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
        .wait()
        .await
}

async fn since_written(store: &SqliteStore) -> Duration {
    match claim(store).await {
        Ok(Swap::Held { ages, .. }) => ages.since_written,
        other => panic!("nothing is held: {other:?}"),
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let file = File::new();
    contract::check(&file.open(), async |by| file.clock.advance(by)).await;
    crate::support::proof::Row::of_the_contract("SQLite").record();
}

#[tokio::test]
async fn a_claim_survives_a_crash_of_the_process() {
    let file = File::new();
    claim(&file.open()).await.expect("claimed");
    file.clock.advance(MINUTE);
    assert_eq!(since_written(&file.open()).await, MINUTE);
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_changes_no_age_in_a_running_process() {
    let file = File::new();
    let store = file.open();
    claim(&store).await.expect("claimed");
    for wall in [DAY, DAY * 30_000] {
        file.clock.jump_to(wall);
        assert_eq!(since_written(&store).await, Duration::ZERO);
    }
}

#[tokio::test]
async fn a_record_is_listed_with_the_same_time_even_if_the_wall_clock_was_set() {
    let file = File::new();
    claim(&file.open()).await.expect("claimed");
    let listed = async || {
        let page = file.open().list(id()..=id(), None, 1).await.expect("lists");
        page.records[0].times.first_seen
    };
    let since_1970 = |time: Duration| std::time::UNIX_EPOCH + time;
    assert_eq!(listed().await, since_1970(DAY * 20_000));
    // The clock was slow by an hour and 0.2 s, and is set.
    file.clock.jump_to(DAY * 20_000 + HOUR + Duration::from_millis(200));
    for _ in 0..20 {
        assert_eq!(listed().await, since_1970(DAY * 20_000 + HOUR));
        file.clock.advance(Duration::from_millis(77));
    }
}

#[tokio::test]
async fn a_wall_clock_set_back_between_runs_does_not_keep_a_lease_alive() {
    let file = File::new();
    claim(&file.open()).await.expect("claimed");
    file.clock.jump_to(DAY);
    let store = file.open();
    file.clock.advance(MINUTE);
    assert_eq!(since_written(&store).await, MINUTE);
}

#[tokio::test]
async fn a_process_that_starts_with_a_wrong_clock_returns_the_same_ages() {
    let file = File::new();
    let running = file.open();
    claim(&running).await.expect("claimed");
    for wall in [DAY * 20_000 + HOUR, DAY * 20_000 - HOUR] {
        file.clock.jump_to(wall);
        let started = file.open();
        assert_eq!(since_written(&started).await, Duration::ZERO);
        file.clock.advance(Duration::from_secs(1));
        assert_eq!(since_written(&started).await, since_written(&running).await);
        assert_eq!(started.sweep(MINUTE, 10).await.expect("sweeps"), 0);
        let Ok(Swap::Held { revision, .. }) = claim(&running).await else {
            panic!("nothing is held")
        };
        let renewed = running
            .swap(Proposal {
                id: id(),
                expected: Some(revision),
                new: record(),
                first_seen: FirstSeen::Keep,
                audit: Audit::Nothing,
            })
            .wait()
            .await;
        assert!(matches!(renewed, Ok(Swap::Swapped(_))), "{renewed:?}");
    }
}

#[tokio::test]
async fn after_a_reboot_the_wall_clock_is_read_and_time_never_goes_back() {
    let file = File::new();
    claim(&file.open()).await.expect("claimed");
    let start = DAY * 20_000;
    for (boot, wall, age) in [
        ("second", start + HOUR, HOUR),
        ("third", start + HOUR * 2, HOUR * 2),
        ("fourth", start - HOUR, Duration::ZERO),
    ] {
        let clock = Arc::new(ManualClock::at(wall).after_a_reboot(boot));
        let store = SqliteStore::open_with(file.path(), Durability::PowerLoss, clock).expect("opens");
        assert_eq!(since_written(&store).await, age, "{boot}");
    }
}

#[tokio::test]
async fn two_stores_on_one_file_share_its_operations() {
    let file = File::new();
    let (one, two) = (file.open(), file.open());
    assert!(matches!(claim(&one).await, Ok(Swap::Swapped(_))));
    assert!(matches!(claim(&two).await, Ok(Swap::Held { .. })));
}

#[tokio::test]
async fn a_failed_set_up_leaves_nothing_and_the_writer_continues() {
    let file = File::new();
    let store = file.open();
    store
        .setup(|connection| connection.execute_batch("CREATE TABLE half (a); nonsense"))
        .expect_err("no SQL");
    store
        .setup(|_| -> rusqlite::Result<()> { panic!("in set-up") })
        .expect_err("panicked");
    store
        .setup(|connection| connection.execute_batch("CREATE TABLE half (a)"))
        .expect("nothing was left");
}

#[tokio::test]
async fn a_reader_cannot_write_and_a_panic_in_it_is_an_error() {
    let file = File::new();
    let store = file.open();
    let writing = store
        .reader()
        .read(|connection| connection.execute("DELETE FROM operator_operations", []));
    assert!(matches!(writing.await, Err(ReadError::Sqlite(_))));
    let panicking = store.reader().read(|_| -> rusqlite::Result<()> { panic!("in a read") });
    assert!(matches!(panicking.await, Err(ReadError::Panicked)));
}

#[tokio::test]
async fn a_closed_store_refuses_with_a_clear_error() {
    let file = File::new();
    let store = file.open();
    store.close().await;
    store.close().await;
    assert!(matches!(claim(&store).await, Err(StoreError::Closed { .. })));
    assert!(matches!(store.reader().read(|_| Ok(())).await, Err(ReadError::Closed)));
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_that_can_be_copied() {
    let file = File::new();
    let store = file.open();
    claim(&store).await.expect("claimed");
    let count = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM operator_operations", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    assert_eq!(store.reader().read(count).await.expect("read"), 1);
    store.close().await;
    let left = std::fs::read_dir(file.directory.path()).expect("a folder");
    let names: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["operator.db"]);
}

#[tokio::test]
async fn a_full_file_refuses_writes_until_there_is_room() {
    let file = File::new();
    let store = file.open();
    let pages = |count: &'static str| {
        move |connection: &Connection| {
            connection.query_row(&format!("PRAGMA max_page_count = {count}"), [], |row| {
                row.get::<_, i64>(0)
            })
        }
    };
    store.setup(pages("1")).expect("limited to what it has");
    let body = vec![0_u8; 100_000].into();
    let response = crate::store::Response {
        status: http::StatusCode::OK,
        content_type: "a/b".into(),
        body,
    };
    let long = Arc::new(Record {
        state: State::Completed(response),
        ..Record::clone(&record())
    });
    let error = store
        .swap(Proposal {
            id: id(),
            expected: None,
            new: Arc::clone(&long),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
        .wait()
        .await
        .expect_err("full");
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    store.setup(pages("100000")).expect("room again");
    let written = store
        .swap(Proposal {
            id: id(),
            expected: None,
            new: long,
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
        .wait()
        .await;
    assert!(matches!(written, Ok(Swap::Swapped(_))), "{written:?}");
}

#[test]
fn a_file_of_a_newer_version_or_that_is_not_a_database_is_refused() {
    let file = File::new();
    drop(file.open());
    let connection = Connection::open(file.path()).expect("opens");
    connection
        .execute("UPDATE operator_schema SET version = 99", [])
        .expect("upgraded");
    let newer = SqliteStore::open(file.path()).expect_err("newer");
    assert!(matches!(newer, StoreError::TooNew { found: 99, .. }), "{newer}");

    let text = file.directory.path().join("notes.txt");
    std::fs::write(&text, "no database, but long enough to be taken for one".repeat(100)).expect("written");
    SqliteStore::open(text).expect_err("no database");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_log_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let file = File::new();
    let store = file.open();
    claim(&store).await.expect("claimed");
    for entry in std::fs::read_dir(file.directory.path()).expect("lists") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("exists").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
}

/// Calls that arrive while others are told of a lock are tried themselves, because the lock may be gone by then.
#[test]
fn a_call_that_arrives_after_a_lock_has_ended_is_not_refused_with_those_before() {
    let file = File::new();
    let store = Arc::new(file.open());
    let person = Connection::open(file.path()).expect("opens");
    person.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let (told, answers) = std::sync::mpsc::channel();
    let (late, first_told) = (Arc::clone(&store), told.clone());
    store
        .send(
            |_| Ok(()),
            move |first| {
                person.execute_batch("ROLLBACK").expect("unlocks");
                let sent = late.send(|_| Ok(()), move |second| told.send(second).expect("is awaited"));
                sent.expect("the store is open");
                first_told.send(first).expect("is awaited");
            },
        )
        .expect("the store is open");
    let answer = || answers.recv_timeout(MINUTE).expect("an answer");
    assert!(answer().is_err(), "the lock outlasts the wait");
    answer().map_err(|failure| failure.error).expect("the lock has ended");
}

/// A wall clock that is wrong must not remove rows that a person has promised to keep.
#[tokio::test]
async fn a_wall_clock_that_jumps_removes_no_row_of_the_audit_early() {
    let file = File::new();
    let store = file.open();
    let log = store.audit().unwrap();
    let add = || log.add(AuditRow::new(id(), Origin::default(), "done"));
    let swept = async || log.sweep_rows(DAY * 90, 100).await.unwrap();
    for (wall, jump) in [
        (20_000, "the right time"),
        (20_100, "a jump ahead"),
        (19_000, "a jump back"),
        (20_000, "the right time again"),
    ] {
        file.clock.jump_to(DAY * wall);
        assert_eq!(swept().await, 0, "{jump}, before a row");
        add().await.unwrap();
        assert_eq!(swept().await, 0, "{jump}, with a row");
    }
    file.clock.advance(DAY * 89);
    assert_eq!(swept().await, 0, "no row is 90 days old");
    file.clock.advance(DAY * 2);
    assert_eq!(
        swept().await,
        3,
        "each row is 91 days old, and the time of one is ahead"
    );
    file.clock.advance(DAY * 100);
    assert_eq!(swept().await, 1);
}

/// The ticks begin with the wall clock when a file is opened for the first time after the machine has started.
#[tokio::test]
async fn a_file_that_was_opened_while_the_wall_clock_was_ahead_keeps_the_rows_of_its_audit() {
    let file = File::new();
    let added = AuditRow::new(id(), Origin::default(), "done");
    file.open().audit().unwrap().add(added).await.unwrap();
    let clock = Arc::new(ManualClock::at(DAY * 20_100).after_a_reboot("second"));
    let store = SqliteStore::open_with(file.path(), Durability::PowerLoss, clock.clone()).unwrap();
    let log = store.audit().unwrap();
    clock.jump_to(DAY * 20_000);
    assert_eq!(log.sweep_rows(DAY * 90, 100).await.unwrap(), 0);
    clock.advance(DAY * 91);
    assert_eq!(log.sweep_rows(DAY * 90, 100).await.unwrap(), 1);
}
