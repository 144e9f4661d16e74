//! The metrics that Prometheus reads from a server that is called, killed and called again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::caller::{Answer, post, post_at, send};
use tests::process::{Server, build_into};

use crate::programs::{Gate, wait_until};

pub(crate) const SCRAPED: [(&str, &str); 2] = [
    ("OPERATOR_STORE", "sqlite:operator.db"),
    ("OPERATOR_METRICS", "127.0.0.1:0"),
];

fn start(program: &Path, folder: &Path) -> Server {
    Server::start_with(program, folder, &SCRAPED)
}

/// Each metric with its labels, as it is written in the exported text.
pub(crate) struct Figures(BTreeMap<String, f64>, String);

impl Figures {
    pub(crate) fn scrape(server: &Server) -> Self {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = send(server.metrics_port.unwrap(), request).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.head.contains("version=0.0.4"), "{}", answer.head);
        let lines = answer
            .body
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Self(lines.map(figure).collect(), answer.body)
    }

    /// The name and kind of each metric, in the order of the scrape.
    fn names(&self) -> BTreeSet<(String, String)> {
        let types = self.1.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect()
    }

    pub(crate) fn get(&self, figure: &str) -> f64 {
        *self
            .0
            .get(figure)
            .unwrap_or_else(|| panic!("{figure} is not in\n{}", self.1))
    }

    fn calls(&self, endpoint: &str, outcome: &str) -> f64 {
        self.get(&format!(
            "operator_calls_total{{endpoint=\"{endpoint}\",outcome=\"{outcome}\"}}"
        ))
    }

    fn of(&self, name: &str, endpoint: &str) -> f64 {
        self.get(&format!("{name}{{endpoint=\"{endpoint}\"}}"))
    }
}

fn is(figure: f64, expected: u32) -> bool {
    (figure - f64::from(expected)).abs() < 0.5
}

/// Calls a gated endpoint, and runs a closure while the handler waits.
fn gated<T>(
    server: &Server,
    folder: &Path,
    path: &'static str,
    key: &'static str,
    meanwhile: impl FnOnce() -> T,
) -> (T, Answer) {
    let gate = Gate::new(folder, key);
    let (port, body) = (server.port, gate.body());
    let calling = std::thread::spawn(move || post(port, path, key, &body).unwrap());
    gate.wait_until_reached();
    let done = meanwhile();
    gate.open();
    (done, calling.join().unwrap())
}

#[test]
fn a_call_over_the_rate_of_its_credential_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let [store, metrics] = SCRAPED;
    let server = Server::start_with(&program, folder.path(), &[store, metrics, ("OPERATOR_RATE", "1/h")]);
    let statuses = ["a", "a", "b"].map(|key| post(server.port, "/ring", key, "{}").unwrap().status);
    assert_eq!(statuses, [200, 429, 429]);
    let figures = Figures::scrape(&server);
    let counts = ["done", "turned_away"].map(|outcome| figures.calls("ring", outcome));
    assert!(is(counts[0], 1) && is(counts[1], 2), "{}", figures.1);
}

#[test]
fn each_event_of_a_call_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = build_into(folder, "faults-program");
    // No delay of the machine may end the lease of the call that waits.
    let settings = [&SCRAPED[..], &[("FAULTS_LEASE_MS", "20000")]].concat();
    let server = Server::start_with(&program, folder, &settings);
    let zero = Figures::scrape(&server);
    assert!(is(zero.calls("ring", "done"), 0) && is(zero.calls("charge", "outcome_unknown"), 0));

    let port = server.port;
    assert_eq!(post(port, "/ring", "k", "{}").unwrap().status, 200);
    assert!(post(port, "/ring", "k", "{}").unwrap().is_replay());
    assert_eq!(post(port, "/ring", "k", "{ }").unwrap().status, 422);
    assert_eq!(post(port, "/ring", "wrong", r#"{"volume":11}"#).unwrap().status, 400);
    assert_eq!(post_at(1, port, "/ring", "stale", "{}").unwrap().status, 401);
    let body = Gate::new(folder, "waited").body();
    let (duplicate, first) = gated(&server, folder, "/charge", "waited", || {
        post(port, "/charge", "waited", &body)
    });
    assert_eq!((duplicate.unwrap().status, first.status), (409, 200));
    // Longer than a handler should keep the writer, because that time is what the metric counts.
    let slow = || std::thread::sleep(Duration::from_millis(150));
    assert_eq!(gated(&server, folder, "/credit", "slow", slow).1.status, 200);

    let figures = Figures::scrape(&server);
    for (endpoint, outcome, expected) in [
        ("ring", "done", 1),
        ("ring", "replayed", 1),
        ("ring", "key_reused", 1),
        ("ring", "invalid", 1),
        ("ring", "not_verified", 1),
        ("charge", "still_running", 1),
        ("charge", "done", 1),
        ("credit_in_sqlite", "done", 1),
    ] {
        assert!(
            is(figures.calls(endpoint, outcome), expected),
            "{endpoint} {outcome}: {}",
            figures.1
        );
    }
    assert!(is(figures.of("operator_waits_total", "charge"), 1), "{}", figures.1);
    assert!(
        is(figures.of("operator_slow_transactions_total", "credit_in_sqlite"), 1),
        "{}",
        figures.1
    );
    assert!(
        is(figures.of("operator_transaction_seconds_count", "credit_in_sqlite"), 1),
        "{}",
        figures.1
    );
    for (asked, at_least) in [("swap", 8.0), ("transaction", 1.0), ("sweep", 1.0), ("count", 1.0)] {
        let count = figures.get(&format!("operator_store_seconds_count{{operation=\"{asked}\"}}"));
        assert!(count >= at_least, "{asked}: {count}");
    }
}

/// Repeats a call until no attempt of the operation is considered alive.
fn retry(server: &Server, path: &str, body: &str) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = post(server.port, path, path, body).unwrap();
        if answer.status != 409 {
            return answer;
        }
        assert!(Instant::now() < deadline, "the lease does not run out");
    }
}

#[test]
fn effects_of_a_crash_are_counted_by_the_server_that_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = build_into(folder, "faults-program");
    let mut server = start(&program, folder);
    let gates = ["/charge", "/ring"].map(|path| {
        let gate = Gate::new(folder, &path[1..]);
        let (port, body) = (server.port, gate.body());
        let calling = std::thread::spawn(move || post(port, path, path, &body));
        gate.wait_until_reached();
        (gate, calling)
    });
    server.kill();
    let [charge, ring] = gates.map(|(gate, calling)| {
        calling.join().unwrap().unwrap_err();
        gate.open();
        gate.body()
    });

    server = start(&program, folder);
    assert_eq!(retry(&server, "/ring", &ring).status, 200);
    for _ in 0..2 {
        assert_eq!(retry(&server, "/charge", &charge).status, 500);
    }
    let figures = Figures::scrape(&server);
    assert!(is(figures.of("operator_takeovers_total", "ring"), 1), "{}", figures.1);
    assert!(is(figures.of("operator_takeovers_total", "charge"), 0), "{}", figures.1);
    assert!(is(figures.calls("charge", "outcome_unknown"), 2), "{}", figures.1);
    assert!(
        is(figures.of("operator_unknown_outcomes_total", "charge"), 1),
        "{}",
        figures.1
    );

    // An operation that no caller retries also waits for a person.
    let gate = Gate::new(folder, "unasked");
    let (port, body) = (server.port, gate.body());
    let calling = std::thread::spawn(move || post(port, "/charge", "unasked", &body));
    gate.wait_until_reached();
    server.kill();
    calling.join().unwrap().unwrap_err();
    gate.open();
    wait_until_lost(&program, folder);
    server = start(&program, folder);
    records(&server, [3, 1, 1, 0]);
    settle(&program, folder);
    server.kill();
    server = start(&program, folder);
    records(&server, [3, 0, 0, 2]);
}

#[test]
fn an_outcome_that_a_handler_does_not_know_is_counted_as_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = build_into(folder, "faults-program");
    // Nothing can be written to this ledger, so the handlers do not know whether they have acted.
    let full = [&SCRAPED[..], &[("FAULTS_LEDGER", "/dev/full")]].concat();
    let server = Server::start_with(&program, folder, &full);
    for _ in 0..2 {
        for (path, status) in [("/charge", 500), ("/ring", 503)] {
            assert_eq!(post(server.port, path, path, "{}").unwrap().status, status);
        }
    }
    let figures = Figures::scrape(&server);
    for (endpoint, outcome, expected) in [("charge", "outcome_unknown", 2), ("ring", "failed", 2)] {
        assert!(is(figures.calls(endpoint, outcome), expected), "{}", figures.1);
    }
    for (endpoint, expected) in [("charge", 1), ("ring", 0)] {
        let unknown = figures.of("operator_unknown_outcomes_total", endpoint);
        assert!(is(unknown, expected), "{}", figures.1);
    }
    drop(server);
    records(&Server::start_with(&program, folder, &full), [2, 1, 0, 0]);
}

/// The records are counted once after the start.
fn records(server: &Server, expected: [u32; 4]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let figures = Figures::scrape(server);
        let states = ["held", "unknown", "lost", "settled"];
        let found = states.map(|state| figures.get(&format!("operator_records{{state=\"{state}\"}}")));
        if found.iter().zip(expected).all(|(found, expected)| is(*found, expected)) {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?} instead of {expected:?}");
    }
}

fn operations(program: &Path, folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .arg("operations")
        .args(arguments)
        .current_dir(folder)
        .env("OPERATOR_STORE", SCRAPED[0].1)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The operations that wait for a person.
fn unknown(program: &Path, folder: &Path) -> Vec<String> {
    let listed = operations(program, folder, &["list", "--unknown", "--json"]);
    let operation = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["operation"].clone();
    let operations = listed.lines().map(operation);
    operations
        .map(|operation| operation.as_str().unwrap().to_owned())
        .collect()
}

/// Uses only the command `list`, so that the operation stays as the crash left it.
fn wait_until_lost(program: &Path, folder: &Path) {
    wait_until("the end of the leases", || unknown(program, folder).len() >= 2);
}

fn settle(program: &Path, folder: &Path) {
    for operation in unknown(program, folder) {
        operations(program, folder, &["settle", &operation, "--not-done", "--by", "ana"]);
    }
}

#[test]
fn the_idempotency_docs_name_every_metric_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let server = start(&program, folder.path());
    assert_eq!(post(server.port, "/credit", "k", "{}").unwrap().status, 200);
    // The records are counted soon after the start.
    let names = || Figures::scrape(&server).names();
    let is_counted = || names().iter().any(|(name, _)| name == "operator_records");
    wait_until("the first count of the records", is_counted);
    let emitted = names();

    let page = include_str!("../../operator-runtime/src/idempotency/mod.rs");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! | `operator_")?.split(" | ");
        let name = format!("operator_{}", cells.next()?.split(['`', '{']).next()?);
        Some((name, cells.next()?.to_owned()))
    };
    let mut documented: BTreeSet<(String, String)> = page.lines().filter_map(row).collect();
    // Only a program that handles `conversation.setup` has this metric; `tests/wire/events.rs` shows it.
    let of_setups = ("operator_slow_setups_total".to_owned(), "counter".to_owned());
    assert!(documented.remove(&of_setups), "{documented:?}");
    assert_eq!(documented, emitted);
    for outcome in Figures::scrape(&server)
        .0
        .keys()
        .filter_map(|figure| figure.split("outcome=\"").nth(1))
    {
        let outcome = outcome.trim_end_matches("\"}");
        assert!(page.contains(&format!("`{outcome}`")), "{outcome} is not explained");
    }
}

#[test]
fn a_metrics_address_that_cannot_be_used_is_reported_at_start_up() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = |package: &str, address: &str| {
        let output = Command::new(build_into(folder.path(), package))
            .arg("serve")
            .current_dir(folder.path())
            .env("OPERATOR_STORE", "sqlite:operator.db")
            .env("OPERATOR_SIGNING_KEY", "op_sk_tests")
            .env("OPERATOR_METRICS", address)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let address = taken.local_addr().unwrap().to_string();
    let said = refused("faults-program", &address);
    assert!(
        said.contains(&format!("The server cannot listen on {address} for Prometheus")),
        "{said}"
    );
    assert!(refused("faults-program", "localhost").contains("such as 127.0.0.1:9464"));
    let said = refused("linked-program", &address);
    assert!(said.contains("features = [\"prometheus\"]"), "{said}");
    assert!(said.contains("OPERATOR_PUBLIC_URL"), "{said}");
}
