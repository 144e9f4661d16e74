//! The wall clock of a serving process jumps by an hour, or a process starts with a wrong clock: no lease ends early,
//! and no answer is forgotten.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use tests::caller::{Answer, now, post_at};
use tests::process::{Server, build_into};
use tests::proof::Row;
use tests::services::{Postgres, Redis};

use crate::programs::{Gate, lines};

const SQLITE: &str = "sqlite:operator.db";
const HOUR: i64 = 3600;
const JUMPS: [i64; 6] = [HOUR, 0, -HOUR, HOUR, -HOUR, 0];

/// A clock that a process uses instead of the machine's clock.
struct WallClock {
    file: PathBuf,
    ahead: AtomicI64,
}

impl WallClock {
    fn new(folder: &Path) -> Self {
        let clock = Self {
            file: folder.join("clock"),
            ahead: AtomicI64::new(0),
        };
        clock.jump(0);
        clock
    }

    fn jump(&self, ahead: i64) {
        // Replaced by a rename, so that no process reads a half-written file.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{ahead:+}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
        self.ahead.store(ahead, Ordering::Release);
    }

    fn start(&self, program: &Path, folder: &Path, store: &str) -> Server {
        let environment = [
            ("LD_PRELOAD", libfaketime()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap().to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("OPERATOR_STORE", store.to_owned()),
            ("FAULTS_LEASE_MS", "5000".to_owned()),
        ];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        Server::start_with(program, folder, &environment)
    }

    /// Calls as a caller whose clock agrees with the server's.
    fn post(&self, port: u16, key: &str, body: &str) -> Answer {
        self.post_to("/charge", port, key, body)
    }

    fn post_to(&self, path: &str, port: u16, key: &str, body: &str) -> Answer {
        let timestamp = now().saturating_add_signed(self.ahead.load(Ordering::Acquire));
        post_at(timestamp, port, path, key, body).unwrap()
    }
}

/// The library in Debian's package `libfaketime`.
fn libfaketime() -> String {
    let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut paths = libraries.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = paths.find(|path| path.exists());
    let path = found.expect("there is no libfaketime: `tests/all` installs it");
    path.to_str().unwrap().to_owned()
}

/// A process that starts with another clock takes over no lease and forgets no answer.
fn starts_beside(store: &str, address: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let right = WallClock::new(folder.path());
    let running = right.start(&program, folder.path(), address);
    let kept = right.post(running.port, "kept", "{}");
    assert_eq!(kept.status, 200, "{}", kept.body);
    let (mut lost, mut operations) = (0, 1);
    for ahead in [HOUR, -HOUR] {
        let own = tempfile::tempdir().unwrap();
        let wrong = WallClock::new(own.path());
        wrong.jump(ahead);
        let key = format!("starts{ahead}");
        let gate = Gate::new(folder.path(), &key);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| right.post(running.port, &key, &gate.body()));
            gate.wait_until_reached();
            let started = wrong.start(&program, folder.path(), address);
            lost += usize::from(!wrong.post(started.port, "kept", "{}").is_replay());
            // Each call waits a second; together they wait longer than a lease that is not renewed.
            for _ in 0..6 {
                let meanwhile = wrong.post(started.port, &key, &gate.body());
                assert_eq!(meanwhile.status, 409, "{}", meanwhile.body);
            }
            gate.open();
            let first = first.join().unwrap();
            assert_eq!(first.status, 200, "{}", first.body);
            let again = wrong.post(started.port, &key, &gate.body());
            lost += usize::from(!again.is_replay() || again.body != first.body);
        });
        operations += 1;
    }
    let row = Row {
        proof: "process starts an hour ahead, or behind",
        store,
        tried: &format!("2 starts beside one that runs, {operations} operations"),
        lost,
        doubled: lines(&folder.path().join("ledger")).len() - operations,
    };
    row.record();
}

/// A clock that jumps by an hour ends no lease early and forgets no answer.
fn jumps(store: &str, address: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let clock = WallClock::new(folder.path());
    let mut server = clock.start(&program, folder.path(), address);
    let mut told: Vec<(String, String, Answer)> = Vec::new();
    let mut lost = 0;
    for (jump, ahead) in JUMPS.into_iter().enumerate() {
        let key = format!("jump-{jump}");
        let gate = Gate::new(folder.path(), &key);
        let first = std::thread::scope(|scope| {
            let first = scope.spawn(|| clock.post(server.port, &key, &gate.body()));
            gate.wait_until_reached();
            clock.jump(ahead);
            // Each call waits a second; together they wait longer than a lease that is not renewed.
            for _ in 0..6 {
                let meanwhile = clock.post(server.port, &key, &gate.body());
                assert_eq!(meanwhile.status, 409, "{}", meanwhile.body);
            }
            gate.open();
            first.join().unwrap()
        });
        assert_eq!(first.status, 200, "{}", first.body);
        told.push((key, gate.body(), first));
        let is_forgotten = |(key, body, first): &&(String, String, Answer)| {
            let again = clock.post(server.port, key, body);
            !again.is_replay() || again.body != first.body
        };
        lost += told.iter().filter(is_forgotten).count();
    }
    // Then the clock is set back while no call is running.
    server.kill();
    clock.jump(-HOUR);
    server = clock.start(&program, folder.path(), address);
    lost += told
        .iter()
        .filter(|(key, body, first)| clock.post(server.port, key, body).body != first.body)
        .count();
    let charges = lines(&folder.path().join("ledger"));
    let row = Row {
        proof: "wall clock jumps an hour",
        store,
        tried: &format!("{} jumps, {} operations", JUMPS.len() + 1, told.len()),
        lost,
        doubled: charges.len() - told.len(),
    };
    row.record();
}

/// A clock that jumps by two days makes no room in a limit of 24 hours: neither in the process that has reserved all of it,
/// nor in one that starts with that clock.
fn opens_no_limit(store: &str, address: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let clock = WallClock::new(folder.path());
    let mut server = clock.start(&program, folder.path(), address);
    let spend = |server: &Server, key: &str, cents: u32| {
        let body = format!(r#"{{"account":"a","cents":{cents}}}"#);
        clock.post_to("/spend", server.port, key, &body).status
    };
    assert_eq!(spend(&server, "all", 2_000), 200, "{store}");
    for ahead in [48 * HOUR, -48 * HOUR] {
        clock.jump(ahead);
        assert_eq!(spend(&server, &format!("jumped{ahead}"), 1), 403, "{store}");
        server.kill();
        server = clock.start(&program, folder.path(), address);
        assert_eq!(spend(&server, &format!("started{ahead}"), 1), 403, "{store}");
    }
}

#[test]
fn a_clock_that_jumps_opens_no_limit() {
    opens_no_limit("SQLite", SQLITE);
    opens_no_limit("Postgres", &Postgres::start(&[]).url());
    opens_no_limit("Redis", &Redis::start(&[]).url());
}

#[test]
fn on_sqlite_a_process_that_starts_with_another_clock_does_no_harm() {
    starts_beside("SQLite", SQLITE);
}

#[test]
fn on_postgres_a_process_that_starts_with_another_clock_does_no_harm() {
    starts_beside("Postgres", &Postgres::start(&[]).url());
}

#[test]
fn on_redis_a_process_that_starts_with_another_clock_does_no_harm() {
    starts_beside("Redis", &Redis::start(&[]).url());
}

#[test]
fn on_sqlite_a_clock_that_jumps_does_no_harm() {
    jumps("SQLite", SQLITE);
}

#[test]
fn on_postgres_a_clock_that_jumps_does_no_harm() {
    jumps("Postgres", &Postgres::start(&[]).url());
}

#[test]
fn on_redis_a_clock_that_jumps_does_no_harm() {
    jumps("Redis", &Redis::start(&[]).url());
}
