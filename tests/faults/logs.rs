//! A log whose reader is gone, that nobody reads, or whose disk is full: many calls at a time are answered, also those
//! whose handlers panic, and SIGTERM stops the server.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use tests::caller::{get, post};
use tests::process::{Server, build_into};
use tests::proof::Row;

use crate::disk::{fill, isolated};
use crate::figures::{Figures, SCRAPED};
use crate::programs::{Gate, lines, wait_until};

/// Each call logs some hundred bytes, so these fill a pipe's 64 KiB several times.
const CALLS: usize = 600;
/// How many callers call at a time.
const CALLERS: usize = 8;
/// More panics than the server has threads.
const PANICS: usize = 64;

/// Makes calls, which are numbered from 0, with several callers at a time.
fn at_once(calls: usize, call: impl Fn(usize) + Sync) {
    let call = &call;
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || (caller..calls).step_by(CALLERS).for_each(call));
        }
    });
}

fn serve(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("serve");
    command
}

#[test]
fn a_log_whose_reader_is_gone_costs_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let (server, log) = Server::start_with_log(serve(&program), folder.path(), &[]);
    drop(log);
    answers_and_stops(folder.path(), server, "a log without a reader");
}

#[test]
fn a_log_that_nobody_reads_costs_no_answer_and_says_later_what_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let (server, log) = Server::start_with_log(serve(&program), folder.path(), &[]);
    answers_and_stops(folder.path(), server, "a log that nobody reads");
    drop(log);

    // More lines than the queue holds, and then a reader.
    let (mut server, log) = Server::start_with_log(serve(&program), folder.path(), &SCRAPED);
    at_once(6_000, |number| {
        let answer = get(server.port, "/nowhere", &format!("k-{number}"), &[]).unwrap();
        assert_eq!(answer.status, 404, "{}", answer.body);
    });
    let (reports, reported) = channel();
    let reading = std::thread::spawn(move || {
        for line in log.map_while(Result::ok) {
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
            let text = entry["fields"]["message"].as_str().unwrap_or_default();
            if text.contains("lines of this log were lost") {
                reports.send(entry["fields"]["lines"].as_u64().unwrap()).unwrap();
            }
        }
    });
    let first = reported.recv_timeout(Duration::from_secs(20)).unwrap();
    let counted = Figures::scrape(&server).get("operator_log_lines_lost_total");
    assert!(counted > 1_000.0, "{counted}");
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    reading.join().unwrap();
    let told: u64 = first + reported.iter().sum::<u64>();
    assert_eq!(told.to_string(), counted.to_string());
}

#[test]
fn a_log_on_a_full_disk_costs_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let mut command = isolated("mount -t tmpfs -o size=64k tmpfs disk && exec 2>disk/log", &program);
    let child = Server::serving(&mut command, folder.path(), &[])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let root = PathBuf::from(format!("/proc/{}/root", child.id()));
    let log = root.join(folder.path().strip_prefix("/").unwrap()).join("disk/log");
    let port = port_in(&log);
    answers_and_stops(folder.path(), Server::adopt(child, port), "a log on a full disk");
}

#[test]
fn a_log_on_a_disk_that_was_full_goes_on_and_says_what_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let mut command = isolated("mount -t tmpfs -o size=64k tmpfs disk && exec 2>>disk/log", &program);
    let child = Server::serving(&mut command, folder.path(), &[])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let root = PathBuf::from(format!("/proc/{}/root", child.id()));
    let disk = root.join(folder.path().strip_prefix("/").unwrap()).join("disk");
    let log = disk.join("log");
    let port = port_in(&log);
    let server = Server::adopt(child, port);
    let unknown = |name: &str, number: usize| {
        let answer = get(server.port, "/nowhere", &format!("{name}-{number}"), &[]).unwrap();
        assert_eq!(answer.status, 404, "{name} {number}");
    };
    // The disk is full to its last byte, so a line may be cut anywhere.
    fill(&disk.join("filler"));
    at_once(CALLS, |number| unknown("full", number));
    std::fs::remove_file(disk.join("filler")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_told = |entry: &serde_json::Value| entry["fields"]["lines"].as_u64().is_some_and(|lines| lines > 0);
    let lines = loop {
        unknown("room", 0);
        let text = std::fs::read_to_string(&log).unwrap();
        // The last line may not be whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines: Vec<_> = whole.lines().map(serde_json::from_str).collect();
        if lines.iter().flatten().any(is_told) {
            break lines;
        }
        assert!(Instant::now() < deadline, "the lost lines are not told");
    };
    // Only the line that was cut is not whole.
    assert!(lines.iter().filter(|line| line.is_err()).count() <= 1);
    let is_later = |line: &serde_json::Result<serde_json::Value>| line.as_ref().is_ok_and(is_told);
    assert!(lines.iter().position(is_later).unwrap() > 0);
}

/// Waits until the server has logged where it listens.
fn port_in(log: &Path) -> u16 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let lines = std::fs::File::open(log)
            .into_iter()
            .flat_map(|file| BufReader::new(file).lines());
        let port = lines.map_while(Result::ok).find_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
            entry["fields"]["address"].as_str()?.rsplit(':').next()?.parse().ok()
        });
        if let Some(port) = port {
            return port;
        }
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A panic is one line in the log's format, with its place and its call.
#[test]
fn a_panic_is_a_line_of_the_log_with_its_place_and_its_call() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let (mut server, log) = Server::start_with_log(serve(&program), folder.path(), &[]);
    let answer = post(server.port, "/panic", "a-mistake", r#"{"saying": "no such customer"}"#).unwrap();
    assert_eq!(answer.status, 500, "{}", answer.body);
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    let lines: Vec<String> = log.map_while(Result::ok).collect();
    let entries = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line));
    let entries = entries.collect::<Result<Vec<_>, _>>();
    let entries = entries.unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
    let told: Vec<_> = lines
        .iter()
        .zip(&entries)
        .filter(|(line, _)| line.contains("no such customer"))
        .collect();
    let [(line, entry)] = told[..] else {
        panic!("it is told {} times: {lines:#?}", told.len())
    };
    assert_eq!(entry["level"], "ERROR", "{line}");
    assert_eq!(entry["span"]["idempotency_key"], "a-mistake", "{line}");
    let place = entry["fields"]["place"].as_str().unwrap_or_default();
    assert!(place.contains("charges.rs:"), "{line}");
}

/// Every call is answered, also those whose handlers panic; then SIGTERM comes while eight callers call and handlers run,
/// whose callers get their answers.
fn answers_and_stops(folder: &Path, mut server: Server, log: &str) {
    let key = log.replace(' ', "-");
    let ask = |calls, path, body: &str, status| {
        at_once(calls, |number| {
            let answer = post(server.port, path, &format!("{key}-{status}-{number}"), body).unwrap();
            assert_eq!(answer.status, status, "{log}, {path} {number}: {}", answer.body);
        });
    };
    ask(CALLS, "/ring", "{}", 200);
    let panics = serde_json::json!({ "saying": "x".repeat(1000) }).to_string();
    ask(PANICS, "/panic", &panics, 500);
    // No thread is blocked, so the same calls get their answers again.
    ask(CALLS, "/ring", "{}", 200);
    let gate = Gate::new(folder, &key);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let charging = scope.spawn(|| post(server.port, "/charge", &key, &gate.body()).unwrap());
        gate.wait_until_reached();
        for caller in 0..CALLERS {
            let (answered, key, port) = (&answered, &key, server.port);
            // Until the port is closed: no connection is lost.
            scope.spawn(move || {
                for number in 0.. {
                    let began = Instant::now();
                    match post(port, "/ring", &format!("{key}-{caller}-{number}"), "{}") {
                        Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.body),
                        Err(error) => {
                            // A stopping server waits a second for what a caller sends.
                            let is_late = began.elapsed() >= Duration::from_secs(1);
                            assert!(is_late || error.kind() == ErrorKind::ConnectionRefused, "{error}");
                            break;
                        }
                    }
                    answered.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        wait_until(&format!("{log}: ten answers for each caller"), || {
            answered.load(Ordering::Acquire) >= 10 * CALLERS
        });
        server.terminate();
        server.wait_until_closed();
        gate.open();
        let answer = charging.join().unwrap();
        assert_eq!(answer.status, 200, "{log}: {}", answer.body);
    });
    assert_eq!(server.exit_code(), Some(0), "{log}");
    let times = lines(&folder.join("ledger"))
        .iter()
        .filter(|effect| **effect == key)
        .count();
    let row = Row {
        proof: log,
        store: "SQLite",
        tried: &format!("{CALLS} calls, {PANICS} panics, SIGTERM under load"),
        lost: usize::from(times == 0),
        doubled: times.saturating_sub(1),
    };
    row.record();
}
