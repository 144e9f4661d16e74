//! Requests that do not reach an endpoint, because they are too slow or their head cannot be parsed.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use tests::caller::{Answer, send};
use tests::process::{Server, build};

#[test]
fn slow_requests_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let slow_headers = "POST /refunds HTTP/1.1\r\nHost: localhost\r\nX-Timest".to_owned();
    let slow_body =
        "POST /refunds HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{".to_owned();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> = [slow_headers, slow_body]
            .into_iter()
            .map(|text| scope.spawn(move || send(server.port, &text).unwrap()))
            .collect();
        asked.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    for answer in answers {
        assert_eq!(answer.status, 408, "{}", answer.head);
        assert_eq!(answer.json()["type"], "urn:operator:problem:request-too-slow");
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
    }
}

#[test]
fn a_head_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let line = "GET /orders/recent HTTP/1.1\r\n";
    let longer_than_64_kib = format!("{line}X-Long: {}\r\n\r\n", "x".repeat(64 * 1024));
    let within = format!("{line}X-Long: {}\r\nConnection: close\r\n\r\n", "x".repeat(60 * 1024));
    let crowd: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (request, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET /a b HTTP/1.1\r\n\r\n".to_owned(), 400),
        (longer_than_64_kib, 431),
        (format!("{line}{crowd}\r\n"), 431),
        (within, 401),
    ] {
        let answer = send(server.port, &request).unwrap();
        assert_eq!(answer.status, status, "{}", answer.head);
    }
}
