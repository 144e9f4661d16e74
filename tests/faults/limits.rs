//! Unverified callers that occupy bodies, heads, connections and answers: what they can occupy is bounded, and a signed
//! call is still answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::caller::{Answer, get, now, post, sign, signed_post};
use tests::process::{Server, build_into};

use crate::programs::Gate;
use crate::stop::Kept;

const MIB: usize = 1024 * 1024;
/// The time that the program gives callers to send a request.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// A longer time, for tests in which the usual time must not expire.
const LONG_READ: Duration = Duration::from_secs(10);
/// The setting for `LONG_READ`.
const LONG: (&str, &str) = ("FAULTS_READ_TIMEOUT_MS", "10000");

fn server(folder: &Path, limits: &[(&str, &str)]) -> Server {
    let program = build_into(folder, "faults-program");
    Server::start_with(&program, folder, limits)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a head, and returns once the server waits for the body.
fn begin_body(server: &Server, head: &str) -> TcpStream {
    begin_body_with(server, head, "")
}

/// Like [`begin_body`]; a part of the body comes with the head.
fn begin_body_with(server: &Server, head: &str, part: &str) -> TcpStream {
    let mut stream = connect(server);
    let head = head.trim_end().to_owned() + "\r\nExpect: 100-continue\r\n\r\n" + part;
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

fn unsigned(length: usize) -> String {
    format!("POST /charge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
}

/// The rest of what the server sends; `None` if it only closes the connection.
fn rest(mut stream: TcpStream) -> Option<Answer> {
    let mut text = Vec::new();
    // Even if a reset follows, the bytes before it were sent.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}

fn kind(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    format!("{} {}", answer.status, kind.rsplit(':').next().unwrap_or_default())
}

/// A line of the process's status file, in bytes.
fn memory(server: &Server, line: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// Sends a signed call whose body follows when the server asks for it.
fn post_in_two_segments(server: &Server, key: &str) -> Option<Answer> {
    let send = || {
        let began = Instant::now();
        let whole = signed_post(now(), "/ring", key, "{}");
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        let mut stream = begin_body(server, head);
        stream.write_all(body.as_bytes()).unwrap();
        (began.elapsed() < Duration::from_millis(900), rest(stream))
    };
    // A body has one second. If this process was slower, the call is sent again.
    let mut tries = std::iter::repeat_with(send).take(5);
    tries.find_map(|(in_time, answer)| in_time.then_some(answer)).flatten()
}

#[test]
fn begun_bodies_turn_no_signed_call_away_and_end_after_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(
        folder.path(),
        &[
            ("FAULTS_CONCURRENCY", "8"),
            ("FAULTS_MEMORY_FOR_BODIES", "1048576"),
            LONG,
        ],
    );
    let began = Instant::now();
    let begin = || {
        let mut stream = begin_body(&server, &unsigned(100_000));
        stream.write_all(b"{").unwrap();
        stream
    };
    let begun: Vec<TcpStream> = (0..100).map(|_| begin()).collect();
    let answer = post_in_two_segments(&server, "beside").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    for stream in begun {
        let answer = rest(stream).unwrap();
        assert_eq!(kind(&answer), "408 request-too-slow");
        assert!(answer.body.contains("less than 1 KiB a second"), "{}", answer.body);
    }
    assert!(began.elapsed() < LONG_READ, "they took {:?}", began.elapsed());
}

#[test]
fn bodies_short_of_one_byte_hold_no_more_than_their_room() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(
        folder.path(),
        &[("FAULTS_MEMORY_FOR_BODIES", &(8 * MIB).to_string()), LONG],
    );
    assert_eq!(post_in_two_segments(&server, "before").unwrap().status, 200);
    let before = memory(&server, "VmRSS");
    let short = vec![b'x'; MIB - 1];
    let begin = || {
        let mut stream = begin_body(&server, &unsigned(MIB));
        // A body that finds no room is refused before all of it is sent.
        let _ = stream.write_all(&short);
        stream
    };
    let begun: Vec<TcpStream> = (0..100).map(|_| begin()).collect();
    let together = post(server.port, "/ring", "together", "{}").unwrap();
    assert_eq!(
        together.status, 200,
        "a body that comes with its head needs no room: {}",
        together.body
    );
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for answer in begun.into_iter().filter_map(rest) {
        assert!(
            answer.status != 503 || answer.head.contains("retry-after: 1"),
            "{}",
            answer.head
        );
        *kinds.entry(kind(&answer)).or_default() += 1;
    }
    let grown = memory(&server, "VmHWM") - before;
    println!("{kinds:?}, {} KiB more", grown / 1024);
    assert!(
        kinds["503 server-full"] > 0 && kinds["408 request-too-slow"] <= 8,
        "{kinds:?}"
    );
    // Besides the bodies, the read buffers of the connections.
    assert!(grown < 40 * MIB, "{grown} bytes for {kinds:?}");
    assert_eq!(post_in_two_segments(&server, "after").unwrap().status, 200);
}

#[test]
fn unfinished_heads_use_no_more_memory_than_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[("FAULTS_UNFINISHED_HEADS", "8"), LONG]);
    assert_eq!(post(server.port, "/ring", "before", "{}").unwrap().status, 200);
    let before = memory(&server, "VmRSS");
    let head = format!("POST /charge HTTP/1.1\r\nX-Long: {}", "x".repeat(60_000));
    let begin = || {
        let mut stream = connect(&server);
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let begun: Vec<TcpStream> = (0..400).map(|_| begin()).collect();
    assert_eq!(post(server.port, "/ring", "beside", "{}").unwrap().status, 200);
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for answer in begun.into_iter().filter_map(rest) {
        *kinds.entry(kind(&answer)).or_default() += 1;
    }
    let grown = memory(&server, "VmHWM") - before;
    println!("{kinds:?}, {} KiB more", grown / 1024);
    assert!(
        kinds["503 server-full"] >= 380 && kinds["408 request-too-slow"] <= 8,
        "{kinds:?}"
    );
    assert!(grown < 10 * MIB, "{grown} bytes");
}

/// How much memory each of 400 connections still uses after it has sent these requests and got their answers.
fn memory_of_idle_connections(requests: &[&str]) -> usize {
    const COUNT: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[("FAULTS_UNFINISHED_HEADS", "8")]);
    assert_eq!(post(server.port, "/ring", "before", "{}").unwrap().status, 200);
    let before = memory(&server, "VmRSS");
    let ask = || {
        let mut stream = connect(&server);
        for request in requests {
            // If the server has closed the connection, the server holds no memory for it, so the rest need not be sent.
            if stream.write_all(request.as_bytes()).is_err() {
                break;
            }
            let mut answer = Vec::new();
            while !answer.ends_with(b"}") {
                let mut part = [0; 1024];
                match stream.read(&mut part) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => answer.extend_from_slice(&part[..read]),
                }
            }
        }
        stream
    };
    let idle: Vec<TcpStream> = (0..COUNT).map(|_| ask()).collect();
    let grown = memory(&server, "VmRSS") - before;
    let each = grown / idle.len();
    println!("{each} bytes for each connection");
    each
}

#[test]
fn an_idle_connection_uses_little_memory_whatever_its_callers_sent() {
    let request = |header: &str| format!("GET /nope HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
    let long = request(&format!("X-Long: {}\r\n", "x".repeat(60_000)));
    let medium = request(&format!("X-Long: {}\r\n", "x".repeat(7_500)));
    let next = format!("{}GET /nope HTTP/1.1\r\nX-Long: {}", request(""), "x".repeat(60_000));
    let body = "x".repeat(60_000);
    let posted = format!("POST /ring HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{body}");
    for sent in [
        &[&*medium, &medium][..],
        &[&medium, &next],
        &[&long, &long],
        &[&long, &next],
        &[&posted, &posted, &next],
    ] {
        let each = memory_of_idle_connections(sent);
        assert!(each < 32 * 1024, "{each} bytes");
    }
}

/// Serves with at most 200 descriptors.
fn with_few_descriptors(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 200 && exec \"$0\" serve"]).arg(program);
    command
}

#[test]
fn connections_idle_longest_are_closed_when_descriptors_run_out() {
    idle_connections_make_room(&[]);
}

/// The handlers of a program may need descriptors as well.
#[test]
fn they_are_closed_even_if_more_connections_are_allowed_than_there_are_descriptors() {
    idle_connections_make_room(&[("FAULTS_CONNECTIONS", "1000")]);
}

fn idle_connections_make_room(settings: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let server = Server::start_by(with_few_descriptors(&program), folder.path(), settings);
    let warns = |line: &String| line.contains("may open only 200 files");
    assert_eq!(server.first_lines.iter().any(warns), !settings.is_empty());
    let mut idle: Vec<TcpStream> = (0..250).map(|_| connect(&server)).collect();
    let asked = Instant::now();
    assert_eq!(post(server.port, "/ring", "next", "{}").unwrap().status, 200);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        asked.elapsed()
    );
    let mut newest = idle.pop().unwrap();
    assert!(rest(idle.swap_remove(0)).is_none(), "the first of them is closed");
    newest
        .write_all(signed_post(now(), "/ring", "newest", "{}").as_bytes())
        .unwrap();
    assert_eq!(rest(newest).unwrap().status, 200, "the last one is served");
}

/// Neither the port of the admin page nor that of the metrics can use up the descriptors of the process.
#[test]
fn begun_heads_on_the_other_ports_leave_descriptors_for_calls() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let settings = [
        LONG,
        ("OPERATOR_ADMIN", "127.0.0.1:0"),
        ("OPERATOR_ADMIN_TOKENS", "ana=0123456789abcdef0123456789abcdef"),
        ("OPERATOR_METRICS", "127.0.0.1:0"),
    ];
    let server = Server::start_by(with_few_descriptors(&program), folder.path(), &settings);
    for (path, port) in [("/admin", server.admin_port), ("/metrics", server.metrics_port)] {
        let port = port.unwrap();
        let begin = || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            // A connection may be closed before its head is sent.
            let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: ").as_bytes());
            stream
        };
        let began = Instant::now();
        let begun: Vec<TcpStream> = (0..250).map(|_| begin()).collect();
        assert_eq!(post(server.port, "/ring", path, "{}").unwrap().status, 200);
        assert!(began.elapsed() < LONG_READ, "it took {:?}", began.elapsed());
        let mut newest = begin();
        newest
            .write_all(format!("127.0.0.1:{port}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        assert_eq!(rest(newest).unwrap().status, 200, "the last one is served: {path}");
        let answers = begun.into_iter().filter_map(rest);
        let slow = answers.filter(|answer| kind(answer) == "408 request-too-slow").count();
        assert!(slow > 0 && began.elapsed() >= LONG_READ, "{path}: {slow}");
    }
}

#[test]
fn without_idle_connections_the_one_waited_for_longest_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[("FAULTS_CONNECTIONS", "2"), LONG]);
    let at_work = |name: &str| {
        let gate = Gate::new(folder.path(), name);
        let mut stream = connect(&server);
        stream
            .write_all(signed_post(now(), "/ring", name, &gate.body()).as_bytes())
            .unwrap();
        gate.wait_until_reached();
        (gate, stream)
    };
    let first = at_work("first");
    // At a KiB a second, a body of this size has longer than the read timeout.
    let begun = begin_body_with(&server, &unsigned(100_000), &"x".repeat(20_000));
    assert_eq!(get(server.port, "/presence", "newcomer", &[]).unwrap().status, 200);
    assert!(rest(begun).is_none(), "what was waited for is closed");
    let second = at_work("second");
    let refusal = rest(connect(&server)).unwrap();
    assert_eq!(kind(&refusal), "503 server-full");
    assert!(refusal.head.contains("retry-after: 1"), "{}", refusal.head);
    for (gate, stream) in [first, second] {
        gate.open();
        assert_eq!(rest(stream).unwrap().status, 200, "what is at work goes on");
    }
}

#[test]
fn a_connection_without_a_request_is_closed_without_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[("FAULTS_IDLE_TIMEOUT_MS", "3000"), LONG]);
    let began = Instant::now();
    let mut used = connect(&server);
    used.write_all(b"GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut head = connect(&server);
    head.write_all(b"GET /nope HTTP/1.1\r\nHost: ").unwrap();
    let unused = connect(&server);
    assert!(rest(unused).is_none());
    let answer = rest(used).unwrap();
    assert_eq!(
        kind(&answer),
        "404 no-such-path",
        "and no second answer: {}",
        answer.body
    );
    assert!(began.elapsed() < LONG_READ, "it took {:?}", began.elapsed());
    // An unfinished head has its own time limit.
    assert_eq!(kind(&rest(head).unwrap()), "408 request-too-slow");
    assert!(began.elapsed() >= LONG_READ);
}

/// A proxy may send a call over a connection that it has kept for longer than a request may take.
#[test]
fn a_kept_connection_may_be_idle_for_longer_than_the_read_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[]);
    let mut kept = Kept::open(&server);
    let first = kept.ring("first");
    std::thread::sleep(READ_TIMEOUT + Duration::from_secs(1));
    let second = kept.ring("second");
    assert!([first, second].iter().all(|head| head.starts_with("http/1.1 200")));
}

#[test]
fn an_answer_that_is_read_slowly_has_one_limit_for_all_of_it() {
    // More than the kernel's buffers take.
    const LENGTH: usize = 4_500_000;
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        // Few bytes are in flight to a caller with a small receive buffer.
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(([127, 0, 0, 1], server.port).into()).await.unwrap();
        let timestamp = now();
        let signature = sign(
            "/long",
            "slow-reader",
            timestamp,
            &format!("{{\"length\": \"{LENGTH}\"}}"),
        );
        let request = format!(
            "GET /long?length={LENGTH} HTTP/1.1\r\nHost: localhost\r\nX-Idempotency-Key: slow-reader\r\n\
             X-Timestamp: {timestamp}\r\nX-Signature: {signature}\r\n\r\n"
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut taken = Vec::new();
        let mut drop_by_drop = [0; 512];
        // Reads at 10 KiB a second, which is the attack.
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let ended = loop {
            pace.tick().await;
            match stream.read(&mut drop_by_drop).await {
                Ok(0) | Err(_) => break began.elapsed(),
                Ok(read) => taken.extend_from_slice(&drop_by_drop[..read]),
            }
            assert!(began.elapsed() < Duration::from_secs(19), "it still holds its answer");
        };
        assert!(
            taken.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&taken)
        );
        // The time limit for reading, and a second for each 512 KiB of the answer.
        assert!(
            ended >= READ_TIMEOUT + Duration::from_secs(8),
            "it ended after {ended:?}"
        );
        assert!(taken.len() < LENGTH / 10, "{} bytes were taken", taken.len());
    });
}
