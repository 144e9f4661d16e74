//! SQLite on a full disk and on a read-only disk: calls are refused, and are answered again afterwards.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use operator_runtime::rusqlite;
use tests::caller::post;
use tests::process::{Server, build_into};
use tests::proof::Row;

use crate::programs::sqlite_credits;

const OPERATIONS: usize = 60;

/// Runs a command in its own mount namespace; the command ends by executing the program.
pub(crate) fn isolated(script: &str, program: &Path) -> Command {
    isolated_by(&format!("{script} && exec \"$0\" serve"), program)
}

/// Runs a script in its own mount namespace; `$0` is the program.
pub(crate) fn isolated_by(script: &str, program: &Path) -> Command {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new("unshare");
    command.arg(if is_root { "-m" } else { "-Urm" });
    command.args(["sh", "-c", script]).arg(program);
    command
}

const STORE: (&str, &str) = ("OPERATOR_STORE", "sqlite:disk/operator.db");

#[test]
fn a_full_disk_refuses_calls_and_recovers_when_there_is_room() {
    fill_and_empty("full disk, then room again", &[STORE], |_, _| true);
}

/// The disk may be full in the middle of a row: then nothing has acted.
#[test]
fn on_a_full_disk_nothing_acts_without_its_row_in_the_audit() {
    let environment = [STORE, ("OPERATOR_AUDIT", "90d")];
    fill_and_empty("full disk, then room again, audit on", &environment, |database, key| {
        let connection = rusqlite::Connection::open(database).unwrap();
        let count = "SELECT count(*) FROM operator_audit WHERE idempotency_key = ?1 AND outcome = 'done'";
        let rows: u32 = connection.query_row(count, [key], |row| row.get(0)).unwrap();
        rows == 1
    });
}

/// Fills the disk of a server, and makes room again. `is_audited` says whether the database has what belongs to an
/// operation besides its effect.
fn fill_and_empty(proof: &str, environment: &[(&str, &str)], is_audited: impl Fn(&Path, &str) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let command = isolated("mount -t tmpfs -o size=2m tmpfs disk", &program);
    let server = Server::start_by(command, folder.path(), environment);
    // The disk as the server sees it.
    let disk = PathBuf::from(format!("/proc/{}/root", server.pid())).join(folder.path().strip_prefix("/").unwrap());
    let disk = disk.join("disk");
    let call = |operation: usize| post(server.port, "/credit", &format!("operation-{operation}"), "{}").unwrap();
    let mut told: Vec<Option<String>> = (0..OPERATIONS / 2)
        .map(|operation| {
            Some(call(operation))
                .filter(|answer| answer.status == 200)
                .map(|answer| answer.body)
        })
        .collect();
    assert!(told.iter().all(Option::is_some), "there was room");

    let filler = disk.join("filler");
    fill(&filler);
    // Some calls find room in what SQLite has already allocated.
    let mut refused = 0;
    for operation in OPERATIONS / 2..OPERATIONS {
        let answer = call(operation);
        assert!([200, 503].contains(&answer.status), "{}", answer.body);
        if answer.status == 503 {
            refused += 1;
            assert_eq!(answer.json()["type"], "urn:operator:problem:undone", "{}", answer.body);
        }
        told.push(
            Some(answer)
                .filter(|answer| answer.status == 200)
                .map(|answer| answer.body),
        );
    }
    assert!(refused > 0, "the disk was not full");

    std::fs::remove_file(filler).unwrap();
    let now: Vec<_> = (0..OPERATIONS).map(call).collect();
    let is_kept = |operation: &usize| {
        now[*operation].status == 200
            && told[*operation]
                .as_ref()
                .is_none_or(|told| *told == now[*operation].body)
    };
    // Copied, because SQLite would resolve a path through `/proc` outside the server's namespace.
    for file in ["operator.db", "operator.db-wal"] {
        std::fs::copy(disk.join(file), folder.path().join(file)).unwrap();
    }
    let database = folder.path().join("operator.db");
    let credits = sqlite_credits(&database);
    let times = |operation: usize| {
        credits
            .iter()
            .filter(|key| **key == format!("operation-{operation}"))
            .count()
    };
    let row = Row {
        proof,
        store: "SQLite",
        tried: &format!("{OPERATIONS} operations, {refused} refused"),
        lost: (0..OPERATIONS)
            .filter(|operation| {
                let key = format!("operation-{operation}");
                !is_kept(operation) || times(*operation) == 0 || !is_audited(&database, &key)
            })
            .count(),
        doubled: (0..OPERATIONS).filter(|operation| times(*operation) > 1).count(),
    };
    row.record();
}

/// Fills the disk until it takes not one byte more.
pub(crate) fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_read_only_file_is_reported_at_start_and_served_once_it_is_writable() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let mut server = Server::start_with(&program, folder.path(), &[STORE]);
    let first = post(server.port, "/credit", "key", "{}").unwrap();
    server.kill();

    let read_only = isolated("mount --bind disk disk && mount -o remount,bind,ro disk", &program)
        .current_dir(folder.path())
        .env("OPERATOR_SIGNING_KEY", tests::caller::SECRET)
        .env("OPERATOR_PUBLIC_URL", tests::caller::PUBLIC_URL)
        .env("OPERATOR_LISTEN", "127.0.0.1:0")
        .envs([STORE])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read_only.stderr);
    assert!(!read_only.status.success() && said.contains("operator.db"), "{said}");

    let server = Server::start_with(&program, folder.path(), &[STORE]);
    let again = post(server.port, "/credit", "key", "{}").unwrap();
    let row = Row {
        proof: "read-only file, then writable again",
        store: "SQLite",
        tried: "1 start refused, 1 operation",
        lost: usize::from(again.body != first.body || !again.is_replay()),
        doubled: sqlite_credits(&folder.path().join("disk/operator.db")).len() - 1,
    };
    row.record();
}
