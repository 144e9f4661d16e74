//! `kill -9` during an effect in another system, and a handler that does not know what it did: the retry names the
//! operation whose outcome is unknown, a person finds and settles it on the command line, and the next retry gets the
//! settled answer, all while a server runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::caller::{Answer, post};
use tests::process::{Server, build_into};
use tests::services::{Postgres, Redis};

use crate::programs::{Gate, lines};

struct Shop {
    folder: tempfile::TempDir,
    program: PathBuf,
    store: String,
    /// How long an attempt counts without a renewal, in milliseconds.
    lease: &'static str,
    server: Server,
}

impl Shop {
    fn open(store: impl FnOnce(&Path) -> String) -> Self {
        Self::open_with("2000", store)
    }

    fn open_with(lease: &'static str, store: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = build_into(folder.path(), "faults-program");
        let store = store(folder.path());
        let server = Self::serve(&program, folder.path(), &store, lease);
        Self {
            folder,
            program,
            store,
            lease,
            server,
        }
    }

    fn serve(program: &Path, folder: &Path, store: &str, lease: &str) -> Server {
        let environment = [("OPERATOR_STORE", store), ("FAULTS_LEASE_MS", lease)];
        Server::start_with(program, folder, &environment)
    }

    /// The output of the command line, and whether the command succeeded.
    fn operations(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(&self.program)
            .arg("operations")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("OPERATOR_STORE", &self.store)
            .env("FAULTS_LEASE_MS", self.lease)
            .env("USER", "ana")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (is_done, text) = self.operations(arguments);
        assert!(is_done, "{arguments:?}: {text}");
        text
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let (is_done, text) = self.operations(arguments);
        assert!(!is_done, "{arguments:?}: {text}");
        text
    }

    /// A call whose handler waits in the middle of its work.
    fn begin(&self, key: &str) -> Begun {
        let gate = Gate::new(self.folder.path(), key);
        let (body, port) = (gate.body(), self.server.port);
        let calling = std::thread::spawn({
            let (key, body) = (key.to_owned(), body.clone());
            move || post(port, "/charge", &key, &body)
        });
        gate.wait_until_reached();
        let key = key.to_owned();
        Begun {
            lost: Lost { key, body, gate },
            calling,
        }
    }

    /// Kills the server, and starts another one.
    fn lose(&mut self, begun: Begun) -> Lost {
        self.server.kill();
        begun.calling.join().unwrap().unwrap_err();
        self.server = Self::serve(&self.program, self.folder.path(), &self.store, self.lease);
        begun.lost
    }

    fn retry(&self, lost: &Lost) -> Answer {
        post(self.server.port, "/charge", &lost.key, &lost.body).unwrap()
    }

    /// The operation that a retry names, once the lease of the lost attempt has expired.
    fn unknown(&self, lost: &Lost) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.retry(lost);
            if answer.status != 409 {
                let problem = answer.json();
                assert_eq!(
                    (answer.status, &problem["type"]),
                    (500, &"urn:operator:problem:outcome-unknown".into())
                );
                let operation = problem["operation"].as_str().unwrap().to_owned();
                assert!(
                    problem["detail"].as_str().unwrap().contains(&operation[..12]),
                    "{problem}"
                );
                return operation;
            }
            assert!(Instant::now() < deadline, "the lease does not run out");
        }
    }

    fn listed(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.done(&[&["list", "--json"], arguments].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn charges(&self) -> Vec<String> {
        lines(&self.folder.path().join("ledger"))
    }

    fn settles_what_a_crash_left(mut self) {
        assert_eq!(self.listed(&[]), Vec::<Value>::new());
        let done = self.begin("done");
        let done = self.lose(done);
        let not_done = self.begin("not-done");
        let not_done = self.lose(not_done);
        let operations = [self.unknown(&done), self.unknown(&not_done)];

        let listed = self.listed(&["--unknown"]);
        for (operation, key) in operations.iter().zip(["done", "not-done"]) {
            let found = listed.iter().find(|listed| listed["operation"] == **operation).unwrap();
            let told = ["outcome", "endpoint", "tenant", "idempotency_key"].map(|name| found[name].as_str().unwrap());
            assert_eq!(told, ["outcome_unknown", "charge", "default", key]);
        }
        assert_eq!(listed.len(), 2);
        assert!(self.done(&["list", "--unknown"]).contains(&operations[0][..12]));
        let shown = self.done(&["show", &operations[0][..12]]);
        assert!(
            shown.contains("charge (at most once)") && shown.contains("settle"),
            "{shown}"
        );

        self.says_it_was_done(&done, &operations[0]);
        self.says_it_was_not_done(&not_done, &operations[1]);
        assert_eq!(self.listed(&["--unknown"]), Vec::<Value>::new());
        assert_eq!(self.listed(&[]).len(), 2);
        self.settles_what_a_handler_does_not_know();
    }

    /// No line can be written to `/dev/full`, and the handler then says that it does not know whether it has acted.
    fn settles_what_a_handler_does_not_know(&mut self) {
        self.server.kill();
        let full = [("OPERATOR_STORE", self.store.as_str()), ("FAULTS_LEDGER", "/dev/full")];
        self.server = Server::start_with(&self.program, self.folder.path(), &full);
        let call = || post(self.server.port, "/charge", "silent", "{}").unwrap();
        let (first, retry) = (call(), call());
        let problem = first.json();
        assert_eq!(
            (first.status, &problem["type"]),
            (500, &"urn:operator:problem:outcome-unknown".into())
        );
        assert_eq!(problem, retry.json());

        let listed = self.listed(&["--unknown"]);
        assert_eq!(listed, self.listed(&["--outcome", "outcome_unknown"]));
        let told = ["operation", "outcome", "idempotency_key"].map(|name| &listed[0][name]);
        assert_eq!(
            told,
            [&problem["operation"], &"outcome_unknown".into(), &"silent".into()]
        );
        assert_eq!(listed.len(), 1);

        let answer = r#"{ "key": "silent", "process": 7 }"#;
        let file = self.folder.path().join("silent.json");
        std::fs::write(&file, answer).unwrap();
        let operation = problem["operation"].as_str().unwrap();
        self.done(&["settle", operation, "--done", file.to_str().unwrap()]);
        let retry = call();
        assert_eq!(
            (retry.status, retry.is_replay(), retry.body.as_str()),
            (200, true, answer)
        );
        assert_eq!(self.listed(&["--outcome", "done,failed"]).len(), 3);
        assert_eq!(self.listed(&["--outcome", "failed"]), Vec::<Value>::new());
    }

    fn says_it_was_done(&self, lost: &Lost, operation: &str) {
        let file = self.folder.path().join("answer.json");
        let path = file.to_str().unwrap();
        std::fs::write(&file, r#"{"key": "done"}"#).unwrap();
        let refused = self.refused(&["settle", operation, "--done", path]);
        assert!(
            refused.contains("does not fit the output schema of `charge`") && refused.contains("process"),
            "{refused}"
        );

        let answer = r#"{ "key": "done", "process": 7 }"#;
        std::fs::write(&file, format!("{answer}\n")).unwrap();
        let said = self.done(&["settle", operation, "--done", path]);
        assert!(said.contains("settled by ana"), "{said}");
        let retry = self.retry(lost);
        assert_eq!(
            (retry.status, retry.is_replay(), retry.body.as_str()),
            (200, true, answer)
        );

        let refused = self.refused(&["settle", operation, "--not-done", "--by", "bob"]);
        assert!(refused.contains("every retry gets its answer"), "{refused}");
        let shown = self.done(&["show", operation]);
        assert!(shown.contains("by ana at 2") && shown.contains(answer), "{shown}");
        assert_eq!(self.charges(), Vec::<String>::new(), "nothing has run");
    }

    fn says_it_was_not_done(&self, lost: &Lost, operation: &str) {
        self.done(&["settle", operation, "--not-done", "--by", "Bob of the night shift"]);
        lost.gate.open();
        let retry = self.retry(lost);
        assert_eq!((retry.status, retry.is_replay()), (200, false), "{retry:?}");
        assert_eq!(self.retry(lost).body, retry.body);
        assert_eq!(self.charges(), ["not-done"]);
        let shown: Value = serde_json::from_str(&self.done(&["show", operation, "--json"])).unwrap();
        assert_eq!(shown["settled_by"], "Bob of the night shift");
        assert_eq!((&shown["outcome"], &shown["attempt"]), (&"done".into(), &2.into()));
        assert_eq!(shown["answer"]["body"], retry.json());
    }
}

struct Begun {
    lost: Lost,
    calling: JoinHandle<std::io::Result<Answer>>,
}

struct Lost {
    key: String,
    body: String,
    gate: Gate,
}

#[test]
fn a_person_settles_what_a_crash_left_in_sqlite() {
    let shop = Shop::open(|folder| format!("sqlite:{}", folder.join("operator.db").display()));
    shop.settles_what_a_crash_left();
}

#[test]
fn a_person_settles_what_a_crash_left_in_postgres() {
    let postgres = Postgres::start(&[]);
    Shop::open(|_| postgres.url()).settles_what_a_crash_left();
}

#[test]
fn a_person_settles_what_a_crash_left_in_redis() {
    let redis = Redis::start(&[("appendonly", "yes")]);
    Shop::open(|_| redis.url()).settles_what_a_crash_left();
}

#[test]
fn a_running_operation_is_not_settled_and_a_lost_one_needs_a_person_when_its_lease_ends() {
    let mut shop = Shop::open_with("10000", |folder| {
        format!("sqlite:{}", folder.join("operator.db").display())
    });
    let begun = shop.begin("lost");
    let listed = shop.listed(&[]);
    assert_eq!((listed.len(), &listed[0]["outcome"]), (1, &"running".into()));
    let operation = listed[0]["operation"].as_str().unwrap();
    let refused = shop.refused(&["settle", operation, "--not-done"]);
    assert!(refused.contains("is running"), "{refused}");
    assert_eq!(shop.listed(&["--unknown"]), Vec::<Value>::new());

    let lost = shop.lose(begun);
    let deadline = Instant::now() + Duration::from_secs(30);
    while shop.listed(&["--unknown"]).is_empty() {
        assert!(Instant::now() < deadline, "the lease does not run out");
    }
    assert_eq!(shop.listed(&["--outcome", "lost"]), shop.listed(&["--unknown"]));
    shop.done(&["settle", operation, "--not-done"]);
    lost.gate.open();
    assert_eq!(shop.retry(&lost).status, 200);
    assert_eq!(shop.charges(), ["lost"]);
}

#[test]
fn an_operation_that_cannot_be_found_is_explained() {
    let shop = Shop::open(|folder| format!("sqlite:{}", folder.join("operator.db").display()));
    let refused = |store: &str, arguments: &[&str]| {
        let output = Command::new(&shop.program)
            .arg("operations")
            .args(arguments)
            .current_dir(shop.folder.path())
            .env("OPERATOR_STORE", store)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{store} {arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused("memory:", &["list"]).contains("The store is in memory"));
    assert!(refused("sqlite:elsewhere.db", &["list"]).contains("no SQLite file elsewhere.db"));
    assert!(!shop.folder.path().join("elsewhere.db").exists());
    assert!(refused(&shop.store, &["show", "xyz"]).contains("hexadecimal"));
    assert!(
        refused(&shop.store, &["settle", "abc", "--not-done", "--by", "ana"]).contains("There is no operation `abc`")
    );
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let mut shop = Shop::open(|folder| format!("sqlite:{}", folder.join("operator.db").display()));
    for key in ["sound", "damaged"] {
        assert_eq!(post(shop.server.port, "/ring", key, "{}").unwrap().status, 200);
    }
    let id_of = |key: &str| {
        let found = shop
            .listed(&[])
            .into_iter()
            .find(|listed| listed["idempotency_key"] == key);
        found.unwrap()["operation"].as_str().unwrap().to_owned()
    };
    let (sound, damaged) = (id_of("sound"), id_of("damaged"));
    let lost = shop.begin("lost");
    shop.lose(lost);
    let file = operator_runtime::rusqlite::Connection::open(shop.folder.path().join("operator.db")).unwrap();
    let damage = format!("UPDATE operator_operations SET record = x'0963' WHERE hex(id) = upper('{damaged}')");
    assert_eq!(file.execute(&damage, ()).unwrap(), 1);

    let listed = shop.listed(&[]);
    assert_eq!(listed.len(), 3, "{listed:?}");
    let found = listed.iter().find(|listed| listed["operation"] == *damaged).unwrap();
    assert_eq!(found["outcome"], "unreadable", "{found}");
    assert!(found["problem"].as_str().unwrap().contains("format 9"), "{found}");
    assert!(shop.done(&["list"]).contains("unreadable"));
    assert!(shop.done(&["show", &sound]).contains("done: it is completed"));
    for arguments in [&["show", &damaged][..], &["settle", &damaged, "--not-done"]] {
        let refused = shop.refused(arguments);
        assert!(
            refused.contains("cannot be read") && refused.contains("format 9"),
            "{refused}"
        );
    }
    // One page of the listing contains all three.
    let deadline = Instant::now() + Duration::from_secs(30);
    let lost = loop {
        let unknown = shop.listed(&["--unknown"]);
        if let Some(lost) = unknown.iter().find(|listed| listed["idempotency_key"] == "lost") {
            break lost["operation"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "the lease does not run out");
    };
    shop.done(&["settle", &lost, "--not-done"]);
}
