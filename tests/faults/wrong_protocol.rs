//! Connections to the plain port that speak another protocol: the log says once a minute what came and what to set.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use tests::caller::post;
use tests::process::{Server, build_into};

const CONNECTIONS: usize = 1_000;

/// A protocol, the first bytes of a connection that speaks it, and words of the line in the log.
const PROTOCOLS: [(&str, &[u8], &str); 5] = [
    ("Tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "terminates TLS"),
    (
        "ProxyV1",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\nGET /readyz HTTP/1.1\r\nhost: a\r\n\r\n",
        "PROXY protocol off",
    ),
    (
        "ProxyV2",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x00\x50GET / HTTP/1.1\r\n\r\n",
        "PROXY protocol off",
    ),
    ("Http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1"),
    (
        "Unknown",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01",
        "scanner",
    ),
];

/// Sends the bytes in pieces of this length, and returns what the server answers before it closes the connection.
fn answer_to(port: u16, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for (index, part) in bytes.chunks(piece).enumerate() {
        if index > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        // The server may have closed the connection already.
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    // A reset is an end like any other; only a connection that stays open is a fault.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    answer
}

#[test]
fn another_protocol_is_named_in_the_log_once_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let mut command = std::process::Command::new(&program);
    command.arg("serve");
    let (server, log) = Server::start_with_log(command, folder.path(), &[]);
    for (protocol, bytes, _) in PROTOCOLS {
        let answer = answer_to(server.port, bytes, bytes.len());
        let is_refused = answer.starts_with(b"HTTP/1.1 400 ");
        assert!(is_refused || answer.is_empty(), "{protocol}: {answer:?}");
        answer_to(server.port, bytes, 3);
    }
    for number in 0..CONNECTIONS {
        let (_, bytes, _) = PROTOCOLS[number % PROTOCOLS.len()];
        answer_to(server.port, bytes, bytes.len());
    }
    // A caller of the right protocol whose headers are too long is not a stranger.
    let long = format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    answer_to(server.port, long.as_bytes(), long.len());
    assert_eq!(post(server.port, "/ring", "after", "{}").unwrap().status, 200);
    server.terminate();
    let lines: Vec<serde_json::Value> = log
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .filter(|entry: &serde_json::Value| entry["fields"]["protocol"].is_string())
        .collect();
    let protocols: Vec<&str> = lines
        .iter()
        .map(|line| line["fields"]["protocol"].as_str().unwrap())
        .collect();
    assert_eq!(protocols, PROTOCOLS.map(|(protocol, ..)| protocol), "{lines:#?}");
    for (line, (protocol, _, words)) in lines.iter().zip(PROTOCOLS) {
        assert_eq!(line["level"], "WARN", "{line}");
        assert!(
            line["fields"]["peer"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{line}"
        );
        assert!(
            line["fields"]["message"].as_str().unwrap().contains(words),
            "{protocol}: {line}"
        );
    }
}
