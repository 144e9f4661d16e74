//! The upgrade of a SQLite file on a disk that has no room for it: the file stays as it was, and the message says what
//! to do. With room, the upgraded file has all records.

use std::path::Path;

use operator_runtime::rusqlite::Connection;
use operator_runtime::store::{Fingerprint, Origin, Record};
use tests::caller::{PUBLIC_URL, SECRET};
use tests::process::{Server, build_into};
use tests::proof::Row;

use crate::disk::isolated_by;

const RECORDS: i64 = 5_000;
/// A file of schema 2, as earlier versions made it. All its records belong to one request; their ids differ.
const BEFORE: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE operator_schema (version INTEGER NOT NULL) STRICT;
    INSERT INTO operator_schema (version) VALUES (2);
    CREATE TABLE operator_operations (
        id BLOB NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        written INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID, STRICT;
    CREATE INDEX operator_operations_first_seen ON operator_operations (first_seen);
    CREATE TABLE operator_clock (boot TEXT NOT NULL, began INTEGER NOT NULL) STRICT;
";
const FILL: &str = "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?1)
    INSERT INTO operator_operations SELECT randomblob(32), n, ?2, ?2, ?3 FROM count";

#[test]
fn an_upgrade_without_room_leaves_the_file_as_it_was_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let before = folder.path().join("before.db");
    make(&before);
    let bytes = std::fs::metadata(&before).unwrap().len();
    // The disk has room for the file and a half of another one.
    let disk = format!(
        "mount -t tmpfs -o size={} tmpfs disk && cp before.db disk/operator.db",
        bytes * 3 / 2
    );
    // The disk exists only in the program's namespace, so its files are copied before the namespace ends.
    let serve = "{ \"$0\" serve; ended=$?; cp -r disk after; exit $ended; }";
    let output = isolated_by(&format!("{disk} && {serve}"), &program)
        .current_dir(folder.path())
        .env("OPERATOR_SIGNING_KEY", SECRET)
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .env("OPERATOR_LISTEN", "127.0.0.1:0")
        .env("OPERATOR_STORE", "sqlite:disk/operator.db")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let says = "the upgrade of its tables needs as much free space on its disk as the file has bytes, and has changed nothing: \
        delete other files and start again, or run the previous version of the program";
    assert!(!output.status.success() && said.contains(says), "{said}");

    let left = std::fs::read_dir(folder.path().join("after")).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["operator.db"], "the log takes no room");
    let whole = folder.path().join("after/operator.db");
    assert_eq!(state(&whole), (2, RECORDS, "ok".to_owned()));

    let store = format!("sqlite:{}", whole.display());
    drop(Server::start_on(&program, folder.path(), &store));
    let (version, records, check) = state(&whole);
    assert_eq!((version, check.as_str()), (7, "ok"));
    let row = Row {
        proof: "upgrade on a full disk, then with room",
        store: "SQLite",
        tried: &format!("{RECORDS} records, 1 start refused"),
        lost: usize::try_from(RECORDS - records).unwrap(),
        doubled: 0,
    };
    row.record();
}

/// Makes a file of schema 2 whose records do not expire while the test runs.
fn make(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(BEFORE).unwrap();
    let record = Record::first(
        Fingerprint::new("POST", "/", "", b""),
        Origin::new("act", "key", "tenant"),
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    connection.execute(FILL, (RECORDS, now, record.encode())).unwrap();
}

/// The version of the tables, the number of records, and what SQLite says about the file.
fn state(path: &Path) -> (u32, i64, String) {
    let connection = Connection::open(path).unwrap();
    let read = |sql: &str| connection.query_row(sql, (), |row| row.get(0)).unwrap();
    let records = connection.query_row("SELECT count(*) FROM operator_operations", (), |row| row.get(0));
    let check = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0));
    (
        read("SELECT version FROM operator_schema"),
        records.unwrap(),
        check.unwrap(),
    )
}
