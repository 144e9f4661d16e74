//! `serve` over https, called by curl and `openssl s_client`, and callers that speak something else at its port.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::desk::{Curl, Desk, s_client};

const BODY: &str = r#"{"order_id":1004,"amount_cents":100}"#;

#[test]
fn curl_calls_over_https_and_keeps_its_connection() {
    let desk = Desk::start(&[]);
    let ready = desk.curl().get(&desk.url("/readyz"));
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"), "{ready:?}");
    let refunded = desk.call(desk.curl(), "/refunds", "refund-1", BODY);
    assert_eq!(refunded.status, 200, "{refunded:?}");
    desk.log.wait_for(&["answered", "\"outcome\":\"done\"", "hmac"]);
    let replayed = desk.call(desk.curl().with(&["-i"]), "/refunds", "refund-1", BODY);
    assert!(replayed.body.contains("idempotent-replayed: true"), "{replayed:?}");
    let url = desk.url("/livez");
    let kept = desk
        .curl()
        .with(&["-w", "%{num_connects} %{ssl_verify_result}\n"])
        .output(&[&url, &url, &url]);
    assert_eq!(
        String::from_utf8(kept.stdout).unwrap(),
        "alive\n1 0\nalive\n0 0\nalive\n0 0\n"
    );
    // A large body does not fit into one record.
    let large = format!(
        r#"{{"order_id":1004,"amount_cents":1,"reason":"{}"}}"#,
        "x".repeat(100_000)
    );
    let large = desk.call(desk.curl(), "/refunds", "refund-2", &large);
    assert_eq!(large.status, 200, "{large:?}");
}

#[test]
fn tls_1_2_and_1_3_connect_and_older_versions_do_not() {
    let desk = Desk::start(&[]);
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (connected, said) = s_client(&desk, &[version]);
        assert!(connected && said.contains(name) && said.contains("alive"), "{said}");
    }
    // At its lowest security level, OpenSSL itself would speak TLS 1.1.
    for version in ["-tls1_1", "-tls1"] {
        let (connected, said) = s_client(&desk, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        assert!(!connected && said.contains("SSL alert number"), "{version}: {said}");
    }
    desk.log
        .wait_for(&["a TLS connection failed", "BrokenTls", "127.0.0.1:"]);
    let (connected, said) = s_client(&desk, &["-alpn", "h2"]);
    assert!(!connected && said.contains("no application protocol"), "{said}");
    desk.log.wait_for(&["HTTP/2 arrived"]);
    let (connected, said) = s_client(&desk, &["-alpn", "h2,http/1.1"]);
    assert!(connected && said.contains("alive"), "{said}");
}

#[test]
fn a_caller_that_does_not_trust_the_certificate_is_named_in_the_log() {
    let desk = Desk::start(&[]);
    let strangers = tests::certificates::Certificate::of_this_machine();
    let refused = Curl::trusting(&strangers.authority()).get(&desk.url("/livez"));
    assert!(
        refused.status == 0 && refused.said.contains("certificate"),
        "{refused:?}"
    );
    desk.log
        .wait_for(&["because of this server's certificate", "Untrusted"]);
}

/// Sends bytes without TLS, and returns what the server sends before it closes the connection.
fn without_tls(desk: &Desk, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", desk.server.port)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_request_without_tls_is_told_so_and_the_log_names_what_arrived() {
    let desk = Desk::start(&[]);
    let url = desk.url("/orders/find").replace("https", "http");
    let answer = desk.curl().signed("/orders/find", "k", "{}").get(&url);
    assert_eq!(answer.problem(), "400 malformed-request", "{answer:?}");
    assert!(answer.body.contains("This port speaks https"), "{answer:?}");
    desk.log
        .wait_for(&["an HTTP request without TLS arrived", "\"protocol\":\"Http\""]);
    for (bytes, protocol) in [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n".as_slice(), "ProxyV1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Http2"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "Unknown"),
        // A TLS record with wrong contents.
        (b"\x16\x03\x01\x00\x05hello", "BrokenTls"),
    ] {
        let answer = without_tls(&desk, bytes);
        assert!(!answer.contains("HTTP/1.1"), "{protocol}: {answer:?}");
        desk.log.wait_for(&[&format!("\"protocol\":\"{protocol}\"")]);
    }
    // Nothing was served, and the server goes on.
    assert_eq!(desk.log.count("answered"), 0);
    assert_eq!(desk.curl().get(&desk.url("/livez")).status, 200);
}

#[test]
fn calls_that_are_running_when_the_server_stops_are_answered() {
    let mut desk = Desk::start(&[("OPERATOR_STOP_DELAY", "8s")]);
    let (url, livez) = (desk.url("/refunds"), desk.url("/livez"));
    // The first request keeps a connection open; it is idle when the server stops.
    let idle = desk.curl().with(&["-o", "/dev/null"]).get(&livez);
    assert_eq!(idle.status, 200);
    desk.server.terminate();
    desk.log.wait_for(&["stopping"]);
    let answer = desk.curl().with(&["-i"]).signed("/refunds", "last", BODY).get(&url);
    assert!(
        answer.status == 200 && answer.body.contains("connection: close"),
        "{answer:?}"
    );
    assert_eq!(desk.server.exit_code(), Some(0));
    desk.log.wait_for(&["stopped"]);
}
