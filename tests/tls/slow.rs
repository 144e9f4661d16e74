//! Callers that are slow on purpose: in the handshake, in the head of a request, and when they read an answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::caller::{now, sign};

use crate::desk::{Desk, place, python};

/// The beginning of a handshake, as OpenSSL sends it.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
/// The time that the program gives callers to send a head, and to finish a handshake.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// A longer time, for tests in which the usual time must not expire.
const PATIENT: (&str, &str) = ("FAULTS_READ_TIMEOUT_MS", "60000");

fn start(environment: &[(&str, &str)]) -> Desk {
    Desk::run("faults-program", tempfile::tempdir().unwrap(), environment)
}

fn ring(desk: &Desk, key: &str) {
    let answer = desk.call(desk.curl(), "/ring", key, "{}");
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn connect(desk: &Desk, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", desk.server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn a_handshake_that_does_not_go_on_is_closed_in_the_time_of_a_head() {
    let desk = start(&[]);
    let began = Instant::now();
    let silent = connect(&desk, b"");
    let half = connect(&desk, HALF_A_HELLO);
    // One byte at a time does not extend the time.
    let mut trickling = connect(&desk, HALF_A_HELLO);
    let mut bytes = trickling.try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        while bytes.write_all(b"\0").is_ok() {
            std::thread::sleep(READ_TIMEOUT / 20);
        }
    });
    ring(&desk, "beside");
    for mut stream in [&silent, &half] {
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "nothing is said");
        let passed = began.elapsed();
        assert!(passed >= READ_TIMEOUT && passed < READ_TIMEOUT * 8, "{passed:?}");
    }
    // Bytes that nobody has read make the kernel reset the connection.
    let _ = trickling.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < READ_TIMEOUT * 8, "{:?}", began.elapsed());
    drop(trickling);
    trickle.join().unwrap();
}

#[test]
fn stalled_handshakes_count_as_unfinished_heads() {
    const STALLED: usize = 200;
    let desk = start(&[("FAULTS_UNFINISHED_HEADS", "8"), PATIENT, ("RUST_LOG", "debug")]);
    let stalled: Vec<TcpStream> = (0..STALLED).map(|_| connect(&desk, HALF_A_HELLO)).collect();
    // First, most of them have to be closed. If the server read their handshakes after the call's, it would close the
    // call's handshake as the oldest one.
    for _ in 0..STALLED - 10 {
        desk.log.wait_for(&["Surplus"]);
    }
    ring(&desk, "beside");
    drop(stalled);
}

#[test]
fn a_storm_of_stalled_handshakes_keeps_no_signed_call_away() {
    let desk = start(&[("FAULTS_CONNECTIONS", "100"), PATIENT]);
    let storm: Vec<TcpStream> = (0..200)
        .map(|index| connect(&desk, &HALF_A_HELLO[..index % HALF_A_HELLO.len()]))
        .collect();
    for call in 0..20 {
        ring(&desk, &format!("in-the-storm-{call}"));
    }
    drop(storm);
    ring(&desk, "after");
}

/// Sends half a head over TLS, and prints what the server answers. Fails if the answer is cut off: the server has to say
/// that nothing follows.
const HALF_A_HEAD: &str = "
import socket, ssl, sys
port, authority = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
plain = socket.create_connection(('127.0.0.1', int(port)), timeout=20)
stream = context.wrap_socket(plain, server_hostname='127.0.0.1', suppress_ragged_eofs=False)
stream.sendall(b'POST /ring HTTP/1.1\\r\\nHost: a\\r\\nX-Timest')
answer = b''
while part := stream.recv(4096):
    answer += part
print(answer.decode())
";

#[test]
fn a_slow_head_is_told_so_over_tls() {
    let desk = start(&[("FAULTS_READ_TIMEOUT_MS", "8000")]);
    let port = desk.server.port.to_string();
    let answer = python(HALF_A_HEAD, &[&port, &place(&desk.certificate.authority())]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:operator:problem:request-too-slow"), "{answer}");
}

/// Sends each request over a connection of its own, says so, and reads nothing until its input ends.
const READS_NOTHING: &str = "
import socket, ssl, sys
port, authority, *requests = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
kept = []
for request in requests:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(('127.0.0.1', int(port)))
    stream = context.wrap_socket(plain, server_hostname='127.0.0.1')
    stream.sendall(request.encode())
    kept.append(stream)
print('sent', flush=True)
sys.stdin.read()
";

fn long(length: usize) -> String {
    let timestamp = now();
    let signature = sign("/long", "k", timestamp, &format!("{{\"length\": \"{length}\"}}"));
    format!(
        "GET /long?length={length} HTTP/1.1\r\nHost: localhost\r\nX-Idempotency-Key: k\r\nX-Timestamp: {timestamp}\r\n\
         X-Signature: {signature}\r\n\r\n"
    )
}

/// How many connections the server has open.
fn sockets(desk: &Desk) -> usize {
    let folder = format!("/proc/{}/fd", desk.server.pid());
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let named = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    named
        .filter(|name| name.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Of an answer over TLS, the kernel may have a part, and the process another part. Wherever the answers end, nobody can
/// keep a connection open by not reading one.
#[test]
fn an_answer_that_nobody_reads_is_discarded_whatever_its_length() {
    let desk = start(&[("FAULTS_IDLE_TIMEOUT_MS", "2000")]);
    ring(&desk, "before");
    let before = sockets(&desk);
    let lengths = (1..=48).map(|step| step * 64 * 1024);
    let requests: Vec<String> = lengths.map(long).collect();
    let mut caller = Command::new("python3")
        .args(["-c", READS_NOTHING, &desk.server.port.to_string()])
        .arg(desk.certificate.authority())
        .args(&requests)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(caller.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "sent\n");
    ring(&desk, "beside");
    // The longest answer has 2 s, and then 6 s for its 3 MiB. An answer that fits into the kernel's memory is no longer
    // waited for; its connection is idle.
    let deadline = Instant::now() + Duration::from_secs(20);
    while sockets(&desk) > before {
        let open = sockets(&desk) - before;
        assert!(Instant::now() < deadline, "{open} connections stay open");
        std::thread::sleep(Duration::from_millis(100));
    }
    caller.kill().unwrap();
    caller.wait().unwrap();
}
