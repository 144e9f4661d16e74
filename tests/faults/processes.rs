//! Two processes on one store: duplicates to both at once, and a process that is frozen for longer than its lease.

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tests::caller::{Answer, post};
use tests::process::{Server, build_into};
use tests::proof::Row;
use tests::services::{Postgres, Redis};

use crate::programs::{Gate, lines, postgres_credits, sqlite_credits};

const OPERATIONS: usize = 100;
/// Calls at each of the two servers.
const CALLERS: usize = 4;
const FREEZES: usize = 3;

struct Two {
    folder: tempfile::TempDir,
    servers: [Server; 2],
    store: &'static str,
}

impl Two {
    fn start(store: &'static str, address: impl Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = build_into(folder.path(), "faults-program");
        let address = address(folder.path());
        let environment = [("OPERATOR_STORE", address.as_str())];
        let servers = [(); 2].map(|()| Server::start_with(&program, folder.path(), &environment));
        Self { folder, servers, store }
    }

    fn on_sqlite() -> Self {
        Self::start("SQLite", |folder| {
            format!("sqlite:{}", folder.join("operator.db").display())
        })
    }

    fn charges(&self) -> Vec<String> {
        lines(&self.folder.path().join("ledger"))
    }

    /// Sends each operation to both servers, four times to each, at the same time.
    fn send_duplicates(&self, path: &str, effects: impl FnOnce() -> Vec<String>) {
        let moment = Barrier::new(2 * CALLERS);
        let answers: Vec<Vec<String>> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..2 * CALLERS)
                .map(|caller| {
                    let (moment, port) = (&moment, self.servers[caller % 2].port);
                    scope.spawn(move || {
                        let call = |operation| {
                            moment.wait();
                            until_done(port, path, &format!("{path}-{operation}"), "{}")
                        };
                        (0..OPERATIONS).map(call).collect()
                    })
                })
                .collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        let effects = effects();
        let times = |operation: usize| {
            effects
                .iter()
                .filter(|key| **key == format!("{path}-{operation}"))
                .count()
        };
        let is_one = |operation: &usize| {
            answers
                .iter()
                .all(|caller| caller[*operation] == answers[0][*operation])
        };
        let row = Row {
            proof: &format!("duplicates to two processes, {path}"),
            store: self.store,
            tried: &format!("{OPERATIONS} operations, {} calls", OPERATIONS * 2 * CALLERS),
            lost: (0..OPERATIONS)
                .filter(|operation| times(*operation) == 0 || !is_one(operation))
                .count(),
            doubled: (0..OPERATIONS).filter(|operation| times(*operation) > 1).count(),
        };
        row.record();
    }

    /// One server is frozen in a handler for longer than its lease while the other gets the same call; then the first
    /// continues.
    fn freeze(&self, path: &str, is_taken_over: bool, effects: impl Fn() -> Vec<String>) {
        let (mut lost, mut doubled) = (0, 0);
        for round in 0..FREEZES {
            let key = format!("{path}-frozen-{round}");
            let gate = Gate::new(self.folder.path(), &format!("gate{}{round}", path.replace('/', "-")));
            let [one, other] = [0, 1].map(|server| self.servers[(server + round) % 2].port);
            let frozen = &self.servers[round % 2];
            let (stalled, meanwhile) = std::thread::scope(|scope| {
                let stalled = scope.spawn(|| post(one, path, &key, &gate.body()).unwrap());
                gate.wait_until_reached();
                frozen.freeze();
                if is_taken_over {
                    gate.open();
                }
                let meanwhile = until_lease_is_lost(other, path, &key, &gate.body());
                frozen.thaw();
                gate.open();
                (stalled.join().unwrap(), meanwhile)
            });
            let settled = [one, other].map(|port| until_known(port, path, &key, &gate.body()));
            let times = effects().iter().filter(|effect| **effect == key).count();
            // An answer that was given once does not change later.
            let told = [Some(stalled), meanwhile];
            let is_contradicted = |told: &Answer| [200, 500].contains(&told.status) && told.body != settled[0].body;
            lost += usize::from(settled[0].body != settled[1].body || times == 0);
            lost += told.iter().flatten().filter(|told| is_contradicted(told)).count();
            doubled += usize::from(times > 1 && path != "/ring");
        }
        let row = Row {
            proof: &format!("one of two processes frozen, {path}"),
            store: self.store,
            tried: &format!("{FREEZES} freezes past the lease"),
            lost,
            doubled,
        };
        row.record();
    }
}

/// Calls until the handler's answer arrives.
fn until_done(port: u16, path: &str, key: &str, body: &str) -> String {
    for _ in 0..100 {
        let answer = post(port, path, key, body).unwrap();
        if answer.status == 200 {
            return answer.body;
        }
        assert!([409, 503].contains(&answer.status), "{}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{key} is never answered");
}

/// Calls until the answer is the handler's or says that the outcome is unknown.
fn until_known(port: u16, path: &str, key: &str, body: &str) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = post(port, path, key, body).unwrap();
        if [200, 500].contains(&answer.status) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{key}: {}", answer.body);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Calls for longer than a lease lasts; returns the answer, if there is one.
fn until_lease_is_lost(port: u16, path: &str, key: &str, body: &str) -> Option<Answer> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let answer = post(port, path, key, body).unwrap();
        if [200, 500].contains(&answer.status) {
            return Some(answer);
        }
        assert!([409, 503].contains(&answer.status), "{}", answer.body);
    }
    None
}

#[test]
fn two_processes_on_one_sqlite_file() {
    let two = Two::on_sqlite();
    let credits = || sqlite_credits(&two.folder.path().join("operator.db"));
    two.send_duplicates("/charge", || two.charges());
    two.send_duplicates("/credit", credits);
    two.freeze("/charge", false, || two.charges());
    two.freeze("/ring", true, || two.charges());
    two.freeze("/credit", false, credits);
}

#[test]
fn two_processes_on_one_postgres() {
    let postgres = Postgres::start(&[]);
    let two = Two::start("Postgres", |_| postgres.url());
    let credits = || postgres_credits(&postgres);
    two.send_duplicates("/charge", || two.charges());
    two.send_duplicates("/credit", credits);
    two.freeze("/charge", false, || two.charges());
    two.freeze("/ring", true, || two.charges());
    two.freeze("/credit", false, credits);
}

#[test]
fn postgres_ends_the_transaction_of_a_process_frozen_beyond_its_time_limit() {
    let postgres = Postgres::start(&[]);
    let two = Two::start("Postgres", |_| postgres.url());
    let gate = Gate::new(two.folder.path(), "gate-brief");
    let [frozen, other] = &two.servers;
    let (stalled, meanwhile) = std::thread::scope(|scope| {
        let stalled = scope.spawn(|| post(frozen.port, "/credit-briefly", "brief", &gate.body()).unwrap());
        gate.wait_until_reached();
        frozen.freeze();
        let busy = post(other.port, "/credit-briefly", "brief", &gate.body()).unwrap();
        assert_eq!(busy.status, 409, "its row is held: {}", busy.body);
        // The next call need not wait for that transaction.
        gate.open();
        let meanwhile = until_known(other.port, "/credit-briefly", "brief", &gate.body());
        frozen.thaw();
        (stalled.join().unwrap(), meanwhile)
    });
    assert_eq!(meanwhile.status, 200, "{}", meanwhile.body);
    let settled = [frozen, other].map(|server| until_known(server.port, "/credit-briefly", "brief", &gate.body()));
    let is_contradicted = |told: &&Answer| told.body != meanwhile.body;
    let times = postgres_credits(&postgres).len();
    let row = Row {
        proof: "frozen past the transaction's idle time",
        store: "Postgres",
        tried: "1 freeze",
        lost: settled.iter().filter(is_contradicted).count()
            + usize::from(stalled.status == 200 && stalled.body != meanwhile.body)
            + usize::from(times == 0),
        doubled: times.saturating_sub(1),
    };
    row.record();
}

#[test]
fn two_processes_on_one_redis() {
    let redis = Redis::start(&[]);
    let two = Two::start("Redis", |_| redis.url());
    two.send_duplicates("/charge", || two.charges());
    two.freeze("/charge", false, || two.charges());
    two.freeze("/ring", true, || two.charges());
}
