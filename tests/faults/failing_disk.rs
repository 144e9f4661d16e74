//! SQLite on a disk that becomes read-only while the program runs, or whose flushes fail: calls are refused, never
//! answered as done, and served again afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::caller::{Answer, post};
use tests::process::{Server, build_into};
use tests::proof::Row;

use crate::programs::sqlite_credits;

const OPERATIONS: usize = 20;

/// Builds the library that intercepts the program's access to its disk.
fn build_disk(folder: &Path) -> PathBuf {
    let library = folder.join("failing_disk.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/faults/failing_disk.c"))
        .arg("-ldl")
        .status()
        .expect("there is a C compiler, for Rust needs one");
    assert!(built.success());
    library
}

/// A running program and its disk; a file in the program's folder selects the failure.
struct Failing {
    folder: tempfile::TempDir,
    program: PathBuf,
    disk: PathBuf,
    server: Server,
}

impl Failing {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = build_into(folder.path(), "faults-program");
        let disk = build_disk(folder.path());
        let server = start(&program, folder.path(), &disk);
        Self {
            folder,
            program,
            disk,
            server,
        }
    }

    fn call(&self, operation: usize) -> Answer {
        post(self.server.port, "/credit", &format!("operation-{operation}"), "{}").unwrap()
    }

    /// Runs half of the operations on a working disk, the others while it fails, and then all again; returns the row.
    fn fail(mut self, sign: &str, proof: &str, restarts: bool) {
        let told: Vec<_> = (0..OPERATIONS / 2).map(|operation| self.call(operation)).collect();
        assert!(told.iter().all(|answer| answer.status == 200), "{told:?}");
        let sign = self.folder.path().join(sign);
        std::fs::write(&sign, "").unwrap();
        for operation in OPERATIONS / 2..OPERATIONS {
            let refused = self.call(operation);
            assert_eq!(refused.status, 503, "{}", refused.body);
        }
        let replayed = self.call(0);
        assert!(replayed.is_replay() || replayed.status == 503, "{}", replayed.body);
        if restarts {
            self.server.kill();
        }
        std::fs::remove_file(sign).unwrap();
        if restarts {
            self.server = start(&self.program, self.folder.path(), &self.disk);
        }
        let now: Vec<_> = (0..OPERATIONS).map(|operation| self.call(operation)).collect();
        let credits = sqlite_credits(&self.folder.path().join("operator.db"));
        let times = |operation: usize| {
            let key = format!("operation-{operation}");
            credits.iter().filter(|credit| **credit == key).count()
        };
        let is_lost = |operation: &usize| {
            let answer = &now[*operation];
            let was_told = told.get(*operation).is_some_and(|told| told.body != answer.body);
            answer.status != 200 || was_told || times(*operation) == 0
        };
        let row = Row {
            proof,
            store: "SQLite",
            tried: &format!("{OPERATIONS} operations, {} refused", OPERATIONS / 2),
            lost: (0..OPERATIONS).filter(is_lost).count(),
            doubled: (0..OPERATIONS).filter(|operation| times(*operation) > 1).count(),
        };
        row.record();
    }
}

fn start(program: &Path, folder: &Path, disk: &Path) -> Server {
    let environment = [
        ("LD_PRELOAD", disk.to_str().unwrap()),
        ("OPERATOR_STORE", "sqlite:operator.db"),
    ];
    Server::start_with(program, folder, &environment)
}

#[test]
fn a_disk_that_turns_read_only_while_it_runs_refuses_calls_and_recovers() {
    Failing::start().fail("read-only", "disk turns read-only, then writable", false);
}

#[test]
fn a_flush_that_fails_is_never_told_as_done_and_leaves_each_effect_once() {
    Failing::start().fail("no-flush", "flushes fail, then the disk is mended", false);
}

#[test]
fn a_flush_that_fails_before_a_crash_leaves_each_effect_once() {
    Failing::start().fail("no-flush", "flushes fail, then a crash", true);
}
