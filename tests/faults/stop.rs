//! SIGTERM during a call: the call is answered and recorded first, and new callers are told to retry.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use tests::caller::{Answer, get, post};
use tests::process::{Server, build_into};
use tests::proof::Row;
use tests::services::{Postgres, Redis};

use crate::programs::{Gate, lines, postgres_credits, sqlite_credits};

const STORE: [(&str, &str); 1] = [("OPERATOR_STORE", "sqlite:operator.db")];

/// For each effect: a call is in its handler when the signal arrives, and new calls are refused until it has ended.
fn is_ended_and_kept(store: &str, address: &str, paths: &[&str], effects: impl Fn(&Path) -> Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let environment = [("OPERATOR_STORE", address)];
    let (mut lost, mut doubled) = (0, 0);
    for path in paths {
        let key = format!("stop{}", path.replace('/', "-"));
        let gate = Gate::new(folder.path(), &key);
        let mut server = Server::start_with(&program, folder.path(), &environment);
        let answer = std::thread::scope(|scope| {
            let calling = scope.spawn(|| post(server.port, path, &key, &gate.body()).unwrap());
            gate.wait_until_reached();
            server.terminate();
            let refused = refusal(server.port);
            assert!(refused.body.contains("server-stopping"), "{}", refused.body);
            let head = refused.head.to_lowercase();
            assert!(head.contains("retry-after: 1"), "{head}");
            gate.open();
            calling.join().unwrap()
        });
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(server.exit_code(), Some(0));
        let server = Server::start_with(&program, folder.path(), &environment);
        let again = post(server.port, path, &key, &gate.body()).unwrap();
        lost += usize::from(!again.is_replay() || again.body != answer.body);
        let times = effects(folder.path()).iter().filter(|effect| **effect == key).count();
        lost += usize::from(times == 0);
        doubled += usize::from(times > 1);
    }
    let row = Row {
        proof: "SIGTERM in the middle",
        store,
        tried: &format!("{} operations, one for each effect", paths.len()),
        lost,
        doubled,
    };
    row.record();
}

fn charges_in(folder: &Path) -> Vec<String> {
    lines(&folder.join("ledger"))
}

#[test]
fn on_sqlite_a_running_call_is_finished_and_its_outcome_recorded() {
    is_ended_and_kept(
        "SQLite",
        "sqlite:operator.db",
        &["/charge", "/ring", "/credit"],
        |folder| {
            let mut effects = charges_in(folder);
            effects.extend(sqlite_credits(&folder.join("operator.db")));
            effects
        },
    );
}

#[test]
fn on_postgres_a_running_call_is_finished_and_its_outcome_recorded() {
    let postgres = Postgres::start(&[]);
    is_ended_and_kept(
        "Postgres",
        &postgres.url(),
        &["/charge", "/ring", "/credit"],
        |folder| {
            let mut effects = charges_in(folder);
            effects.extend(postgres_credits(&postgres));
            effects
        },
    );
}

#[test]
fn on_redis_a_running_call_is_finished_and_its_outcome_recorded() {
    let redis = Redis::start(&[]);
    is_ended_and_kept("Redis", &redis.url(), &["/charge", "/ring"], charges_in);
}

#[test]
fn a_second_signal_ends_the_process_at_once_with_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    for path in ["/charge", "/block"] {
        let mut server = Server::start_with(&program, folder.path(), &STORE);
        let gate = Gate::new(folder.path(), &path[1..]);
        let (port, body) = (server.port, gate.body());
        let calling = std::thread::spawn(move || post(port, path, path, &body));
        gate.wait_until_reached();
        server.terminate();
        refusal(server.port);
        server.terminate();
        assert_eq!(server.exit_code(), Some(1), "{path}");
        assert!(calling.join().unwrap().is_err(), "nobody was there to answer");
    }
    assert_eq!(charges_in(folder.path()), [""; 0]);
}

#[test]
fn a_caller_that_does_not_read_its_answer_does_not_delay_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let mut server = Server::start_with(&program, folder.path(), &STORE);
    let mut caller = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    caller.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // More than the kernel's buffers take, but no more than fits into a machine's memory.
    let many = "GET /nope HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
    let stuck = (0..1000).any(|_| caller.write_all(many.as_bytes()).is_err());
    assert!(stuck, "the server keeps answers without end");
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    drop(caller);
}

/// The answer to a new call while the server is stopping.
fn refusal(port: u16) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(10);
    for call in 0.. {
        // An idle connection is closed when the signal is seen, and its caller retries. A connection that arrives
        // before the signal is answered; this call needs no store, because the gated call may occupy the store's
        // writer.
        let answer = get(port, "/presence", &format!("late-{call}"), &[]);
        if let Ok(answer) = answer
            && answer.status == 503
        {
            return answer;
        }
        assert!(Instant::now() < deadline, "it goes on as if no signal had come");
    }
    unreachable!("a call is always refused or the deadline passes")
}
