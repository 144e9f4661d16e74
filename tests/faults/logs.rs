//! A log whose reader is gone, that nobody reads, or whose disk is full: calls are answered, and SIGTERM stops the server.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::caller::{get, post};
use tests::process::{Server, build_into};
use tests::proof::Row;

use crate::disk::{fill, isolated};
use crate::programs::{Gate, lines};

/// Each call logs some hundred bytes, so these fill a pipe's 64 KiB several times.
const CALLS: usize = 600;

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
    let (server, mut log) = Server::start_with_log(serve(&program), folder.path(), &[]);
    for number in 0..6_000 {
        assert!(
            get(server.port, "/nowhere", &format!("k-{number}"), &[])
                .unwrap()
                .status
                == 404
        );
    }
    let lost = log.by_ref().map_while(Result::ok).find_map(|line| {
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
        entry["fields"]["message"]
            .as_str()?
            .contains("lines of this log were lost")
            .then(|| entry["fields"]["lines"].as_u64())?
    });
    assert!(lost.is_some_and(|lost| lost > 1_000), "{lost:?}");
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
    (0..CALLS).for_each(|number| unknown("full", number));
    std::fs::remove_file(disk.join("filler")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_told = |entry: &serde_json::Value| entry["fields"]["lines"].as_u64().is_some_and(|lines| lines > 0);
    let lines = loop {
        unknown("room", 0);
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<_> = text.lines().map(serde_json::from_str).collect();
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

/// Every call is answered; then SIGTERM comes while a handler runs, whose caller gets its answer.
fn answers_and_stops(folder: &Path, mut server: Server, log: &str) {
    for number in 0..CALLS {
        let answer = post(server.port, "/ring", &format!("{log} {number}").replace(' ', "-"), "{}").unwrap();
        assert_eq!(answer.status, 200, "{log}, call {number}: {}", answer.body);
    }
    let key = log.replace(' ', "-");
    let gate = Gate::new(folder, &key);
    let answer = std::thread::scope(|scope| {
        let calling = scope.spawn(|| post(server.port, "/charge", &key, &gate.body()).unwrap());
        gate.wait_until_reached();
        server.terminate();
        gate.open();
        calling.join().unwrap()
    });
    assert_eq!(
        (answer.status, server.exit_code()),
        (200, Some(0)),
        "{log}: {}",
        answer.body
    );
    let times = lines(&folder.join("ledger"))
        .iter()
        .filter(|effect| **effect == key)
        .count();
    let row = Row {
        proof: log,
        store: "SQLite",
        tried: &format!("{CALLS} calls, then SIGTERM in the middle of one"),
        lost: usize::from(times == 0),
        doubled: times.saturating_sub(1),
    };
    row.record();
}
