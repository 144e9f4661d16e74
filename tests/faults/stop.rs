//! SIGTERM during a call: the call is answered and recorded, and new callers find the port closed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::caller::{Answer, now, post, send, signed_post};
use tests::process::{Server, build_into};
use tests::proof::Row;
use tests::services::{Postgres, Redis};

use crate::programs::{Gate, lines, postgres_credits, sqlite_credits};

const STORE: [(&str, &str); 1] = [("OPERATOR_STORE", "sqlite:operator.db")];

/// For each effect: a call is in its handler when the signal arrives, and the port closes before the call has ended.
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
            server.wait_until_closed();
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

/// A signal that comes later than this is a second one.
const AFTER_THE_SAME: Duration = Duration::from_secs(3);

/// A wrapper passes on a signal that the whole process group has got already.
#[test]
fn signals_that_come_together_do_not_cut_the_stop_short() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let tried = (0..5).any(|number| {
        let mut server = Server::start_with(&program, folder.path(), &STORE);
        let key = format!("together-{number}");
        let gate = Gate::new(folder.path(), &key);
        let (port, body) = (server.port, gate.body());
        let calling = std::thread::spawn(move || post(port, "/charge", &key, &body));
        gate.wait_until_reached();
        let began = Instant::now();
        server.terminate();
        server.terminate();
        server.interrupt();
        // A signal that comes later is a second one.
        if began.elapsed() > Duration::from_millis(400) {
            server.kill();
            let _ = calling.join();
            return false;
        }
        std::thread::sleep(AFTER_THE_SAME);
        assert!(!server.has_ended());
        gate.open();
        assert_eq!(calling.join().unwrap().unwrap().status, 200);
        assert_eq!(server.exit_code(), Some(0));
        true
    });
    assert!(tried, "this machine sends three signals in more than 400 ms");
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
        server.wait_until_closed();
        std::thread::sleep(AFTER_THE_SAME);
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
    caller.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // More than the kernel's buffers take, but no more than fits into a machine's memory.
    let many = "GET /nope HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
    let stuck = (0..1000).any(|_| caller.write_all(many.as_bytes()).is_err());
    assert!(stuck, "the server keeps answers without end");
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    drop(caller);
}

/// A connection that stays open between its calls.
pub(crate) struct Kept(TcpStream);

impl Kept {
    pub(crate) fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    /// The head of the answer to one more call.
    pub(crate) fn ring(&mut self, key: &str) -> String {
        self.try_ring(key).expect("an answer")
    }

    /// Like [`ring`](Self::ring); `None` if the connection is closed.
    fn try_ring(&mut self, key: &str) -> Option<String> {
        let request = signed_post(now(), "/ring", key, "{}").replace("Connection: close\r\n", "");
        self.0.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut part = [0; 1024];
            let read = self.0.read(&mut part).ok().filter(|read| *read > 0)?;
            answer.extend_from_slice(&part[..read]);
        }
        Some(String::from_utf8(answer).unwrap().to_lowercase())
    }
}

fn probe(port: u16, path: &str) -> Answer {
    send(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
    .unwrap()
}

#[test]
fn after_sigterm_calls_are_answered_until_the_port_closes_and_once_more_on_open_connections() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let delay = [("OPERATOR_STORE", "memory:"), ("OPERATOR_STOP_DELAY", "10s")];
    let mut server = Server::start_with(&program, folder.path(), &delay);
    let mut kept = Kept::open(&server);
    let head = kept.ring("first");
    assert!(
        head.starts_with("http/1.1 200") && !head.contains("connection: close"),
        "{head}"
    );
    assert_eq!(probe(server.port, "/readyz").status, 200);
    server.terminate();
    let deadline = Instant::now() + Duration::from_secs(8);
    let not_ready = loop {
        let answer = probe(server.port, "/readyz");
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < deadline, "the server is still ready");
    };
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.body.contains("server-stopping"), "{}", not_ready.body);
    assert_eq!(probe(server.port, "/livez").status, 200);
    assert_eq!(post(server.port, "/ring", "new", "{}").unwrap().status, 200);
    let head = kept.ring("second");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("connection: close"),
        "{head}"
    );
    assert_eq!(server.exit_code(), Some(0));
    // The server waits a second for such a call, and a busy machine may need longer to send one.
    assert!((0..5).any(|_| is_answered_once_more(&program, folder.path())));
}

/// Whether a call on an open connection is answered after the port was closed.
fn is_answered_once_more(program: &Path, folder: &Path) -> bool {
    let mut server = Server::start_with(program, folder, &[("OPERATOR_STORE", "memory:")]);
    let mut kept = Kept::open(&server);
    kept.ring("first");
    server.terminate();
    server.wait_until_closed();
    let head = kept.try_ring("second").unwrap_or_default();
    assert_eq!(server.exit_code(), Some(0));
    head.starts_with("http/1.1 200") && head.contains("connection: close")
}

#[test]
fn sigint_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let delay = [("OPERATOR_STORE", "memory:"), ("OPERATOR_STOP_DELAY", "60")];
    let mut server = Server::start_with(&program, folder.path(), &delay);
    let idle = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    server.interrupt();
    assert_eq!(server.exit_code(), Some(0));
    drop(idle);
}

#[test]
fn dev_does_not_delay_its_stop() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let mut dev = Command::new(program);
    let log = folder.path().join("log");
    dev.arg("dev")
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap());
    let mut child = Server::serving(&mut dev, folder.path(), &[("OPERATOR_STOP_DELAY", "1h")])
        .spawn()
        .unwrap();
    let mut welcome = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let port = welcome.find_map(|line| line.split("http://127.0.0.1:").nth(1)?.split(',').next()?.parse().ok());
    let mut server = Server::adopt(child, port.unwrap());
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("stopping: the port closes, and"), "{log}");
}

#[test]
fn probes_tell_whether_the_store_is_reached_and_are_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let redis = Redis::start(&[]);
    let mut command = Command::new(&program);
    command.arg("serve");
    let url = redis.url();
    let (mut server, log) = Server::start_with_log(command, folder.path(), &[("OPERATOR_STORE", &url)]);
    let log = std::thread::spawn(move || log.map_while(Result::ok).collect::<Vec<_>>());
    for path in ["/livez", "/readyz"] {
        let answer = probe(server.port, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let head = send(
            server.port,
            &format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(head.unwrap().status, 200, "{path}");
    }
    drop(redis);
    let deadline = Instant::now() + Duration::from_secs(20);
    let answer = loop {
        let answer = probe(server.port, "/readyz");
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < deadline, "the lost store is not noticed");
    };
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("store-unavailable"), "{}", answer.body);
    assert!(answer.head.to_lowercase().contains("retry-after"), "{}", answer.head);
    assert_eq!(probe(server.port, "/livez").status, 200);
    server.terminate();
    assert_eq!(server.exit_code(), Some(0), "the log is complete");
    let log = log.join().unwrap();
    assert!(
        log.iter()
            .all(|line| !line.contains("livez") && !line.contains("readyz")),
        "{log:?}"
    );
}
