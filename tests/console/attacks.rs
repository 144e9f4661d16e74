//! Attacks on the console: by other sites in the same browser, by host names that resolve to this machine, and by
//! requests without the token.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;
use tests::process::{Server, build};

use super::browser::Browser;
use super::dev::Dev;

#[test]
fn every_route_is_refused_to_others() {
    let dev = Dev::start("support-desk");
    let (host, origin, token) = (dev.host(), dev.url(""), format!("Bearer {}", dev.token()));
    let own = [
        ("Host", host.as_str()),
        ("Origin", origin.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
        ("Authorization", token.as_str()),
        ("Content-Type", "application/json"),
    ];
    let refund = json!({
        "endpoint": "refund_order", "idempotency_key": "attack", "inputs": r#"{"order_id":1004,"amount_cents":1}"#,
    })
    .to_string();
    let compare = json!({ "request": "", "payload": "" }).to_string();
    for (path, body) in [
        ("preview", &refund),
        ("call", &refund),
        ("limits", &refund),
        ("compare", &compare),
    ] {
        let path = format!("/console/{path}");
        for missing in ["Host", "Origin", "Authorization"] {
            let left: Vec<_> = own.into_iter().filter(|(name, _)| *name != missing).collect();
            let answer = dev.send("POST", &path, &left, body);
            // If the Host header is missing, the HTTP server itself may refuse the request first, with 400 (RFC 9112
            // §3.2).
            assert!(
                [400, 403].contains(&answer.status),
                "{path} without {missing}: {}",
                answer.head
            );
        }
        for (name, value) in [
            ("Host", "rebound.example"),
            ("Host", &format!("rebound.example:{}", dev.port)),
            ("Origin", "https://evil.example"),
            ("Origin", "http://127.0.0.1:1"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Authorization", &format!("Bearer {}", "0".repeat(64))),
        ] {
            let changed = own.map(|(own, held)| if own == name { (own, value) } else { (own, held) });
            let answer = dev.send("POST", &path, &changed, body);
            assert_eq!(answer.status, 403, "{path} with {name}: {value}");
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
    }
    for (path, headers) in [
        ("/console", vec![("Host", "rebound.example")]),
        ("/console/console.js", vec![("Host", "rebound.example")]),
        ("/console", vec![own[0], ("Sec-Fetch-Site", "cross-site")]),
        ("/console/endpoints", vec![own[0]]),
        ("/console/endpoints", vec![own[3], ("Host", "rebound.example")]),
    ] {
        assert_eq!(dev.send("GET", path, &headers, "").status, 403, "{path} {headers:?}");
    }
    // A preflight request is never granted, so pages of other origins cannot send the header with the token.
    let preflight = dev.send(
        "OPTIONS",
        "/console/call",
        &[own[0], ("Origin", "https://evil.example")],
        "",
    );
    assert!(
        !preflight.head.to_lowercase().contains("access-control"),
        "{}",
        preflight.head
    );
    assert_ne!(preflight.status, 200);
    // None of the requests above made a refund. The same request from the console's own page makes one.
    assert_eq!(refunds(&dev), 0);
    assert_eq!(dev.send("POST", "/console/call", &own, &refund).status, 200);
    assert_eq!(refunds(&dev), 1);
}

fn refunds(dev: &Dev) -> usize {
    let wanted = json!({ "endpoint": "order_refunds", "idempotency_key": "look", "inputs": r#"{"order_id":"1004"}"# });
    let called = dev.ask("/console/call", &wanted).json();
    let body: serde_json::Value = serde_json::from_str(called["answer"]["body"].as_str().unwrap()).unwrap();
    body["refunds"].as_array().unwrap().len()
}

#[test]
fn refusals_of_the_console_are_problem_documents() {
    let dev = Dev::start("support-desk");
    let (host, origin, token) = (dev.host(), dev.url(""), format!("Bearer {}", dev.token()));
    let send = |method: &str, path: &str, content_type: &str, body: &str| {
        let headers = [
            ("Host", host.as_str()),
            ("Origin", origin.as_str()),
            ("Authorization", token.as_str()),
            ("Content-Type", content_type),
        ];
        dev.send(method, path, &headers, body)
    };
    let json = "application/json";
    let compare = json!({ "request": "", "payload": "" }).to_string();
    let large = json!({ "request": "a".repeat(2 * 1024 * 1024 + 64 * 1024), "payload": "" }).to_string();
    for (method, path, content_type, body, status, kind) in [
        ("POST", "/console/compare", json, large.as_str(), 413, "body-too-large"),
        (
            "POST",
            "/console/compare",
            "text/plain",
            &compare,
            415,
            "unsupported-media-type",
        ),
        (
            "POST",
            "/console/compare",
            "application/json; charset=utf-16",
            &compare,
            415,
            "unsupported-media-type",
        ),
        ("POST", "/console/compare", json, "{", 400, "malformed-request"),
        ("POST", "/console/preview", json, "{}", 400, "malformed-request"),
        ("POST", "/console/call", json, "", 400, "malformed-request"),
        ("PUT", "/console/call", json, &compare, 405, "method-not-allowed"),
        ("GET", "/console/call", json, "", 405, "method-not-allowed"),
        ("POST", "/console/endpoints", json, "", 405, "method-not-allowed"),
        ("POST", "/console", json, "", 405, "method-not-allowed"),
        ("DELETE", "/console/console.js", json, "", 405, "method-not-allowed"),
        ("GET", "/console/nothing", json, "", 404, "no-such-path"),
        ("GET", "/console/", json, "", 404, "no-such-path"),
    ] {
        let answer = send(method, path, content_type, body);
        let what = format!("{method} {path}: {}\n{}", answer.head, answer.body);
        assert_eq!(answer.status, status, "{what}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{what}");
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:operator:problem:{kind}"), "{what}");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.')),
            "{what}"
        );
        assert_eq!(answer.head.contains("allow: "), status == 405, "{what}");
    }
    let right = send("POST", "/console/compare", "application/json; charset=utf-8", &compare);
    assert_eq!(right.status, 200, "{}", right.body);
}

#[test]
fn the_page_is_closed_to_the_outside_by_its_headers() {
    let dev = Dev::start("support-desk");
    let page = dev.send("GET", "/console", &[("Host", &dev.host())], "");
    let head = page.head.to_lowercase();
    assert_eq!(page.status, 200);
    for part in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "frame-ancestors 'none'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "cross-origin-resource-policy: same-origin",
        "referrer-policy: no-referrer",
    ] {
        assert!(head.contains(part), "{part}\n{head}");
    }
    assert!(!head.contains("access-control"), "{head}");
    assert!(
        !page.body.contains("http://") && !page.body.contains("https://"),
        "the page loads nothing from other servers"
    );
    assert_ne!(
        dev.token(),
        Dev::start("support-desk").token(),
        "each run has its own token"
    );
}

#[test]
fn serve_has_no_console() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    for path in ["/console", "/console/console.js", "/console/endpoints"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            server.port
        );
        assert_eq!(
            tests::caller::send(server.port, &request).unwrap().status,
            404,
            "{path}"
        );
    }
}

#[test]
fn another_site_in_the_same_browser_gets_nothing() {
    let dev = Dev::start("support-desk");
    let site = evil_site(&dev);
    let browser = Browser::open();
    browser.go(&site);
    browser.until("document.title !== ''");
    assert_eq!(browser.run("return document.title"), "blocked blocked blocked");
    assert_eq!(refunds(&dev), 0);
    // The attacker's host name resolves to this machine (DNS rebinding).
    browser.go(&format!("http://rebound.example:{}/console", dev.port));
    let text = browser.run("return document.body.innerText");
    assert!(text.as_str().unwrap().contains("only at a loopback address"), "{text}");
}

/// A page at another port of this machine, which to the browser is another origin. The page tries to read the console,
/// to call endpoints through the console, and to call endpoints without reading the answers.
fn evil_site(dev: &Dev) -> String {
    let body = r#"{"order_id":1004,"amount_cents":1}"#;
    let target = dev.url("");
    let page = format!(
        "<!doctype html><script>
        const wanted = JSON.stringify({{ endpoint: 'refund_order', idempotency_key: 'evil', inputs: '{body}' }});
        (async () => {{
          const read = await fetch('{target}/console').then((answer) => answer.text(), () => 'blocked');
          const call = await fetch('{target}/console/call', {{ method: 'POST', body: wanted,
            headers: {{ 'Content-Type': 'application/json', Authorization: 'Bearer x' }} }}).then(() => 'called', () => 'blocked');
          const blind = await fetch('{target}/console/call', {{ method: 'POST', mode: 'no-cors', body: wanted }})
            .then((answer) => answer.type, () => 'blocked');
          document.title = [read, call, blind].join(' ');
        }})();
        </script>"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // One thread for each connection, because a browser also opens connections that it never uses. The threads end
    // together with the test process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().take(16).map_while(Result::ok) {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
            std::thread::spawn(move || {
                if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    url
}
