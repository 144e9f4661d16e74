//! The support desk as a process, its log, and requests with any headers.

use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::caller::{self, Answer};
use tests::process::{self, Server};

/// The server is told no signing key.
pub(crate) const NO_KEY: (&str, &str) = ("OPERATOR_SIGNING_KEY", "");
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A server, and the entries of its log.
pub(crate) struct Desk {
    pub(crate) server: Server,
    _folder: TempDir,
    log: Mutex<Receiver<Value>>,
}

impl Desk {
    /// Starts a server. If the issuer was too slow for it, another one is started.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let mut all = std::iter::repeat_with(|| Self::start_once(environment)).take(10);
        let started = all.find(|desk| !desk.server.missed_its_issuer());
        started.expect("the issuer answers in time")
    }

    pub(crate) fn start_once(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(process::build("support-desk", "dev"));
        command.arg("serve");
        let (server, rest) = Server::start_with_log(command, folder.path(), environment);
        let (entries, log) = channel();
        let first = server.first_lines.clone();
        std::thread::spawn(move || {
            for line in first.into_iter().chain(rest.map_while(Result::ok)) {
                // The test may have ended.
                let _ = entries.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        Self {
            server,
            _folder: folder,
            log: Mutex::new(log),
        }
    }

    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        caller::send(self.server.port, &request).unwrap()
    }

    /// Reads the recent orders of a customer.
    pub(crate) fn read(&self, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", "/orders/recent?email=ana%40example.com", headers, "")
    }

    /// Pays back one cent of an order.
    pub(crate) fn refund(&self, headers: &[(&str, &str)]) -> Answer {
        let headers = [headers, &[JSON]].concat();
        self.send("POST", "/refunds", &headers, r#"{"order_id":1004,"amount_cents":1}"#)
    }

    /// A request to the MCP server.
    pub(crate) fn ask(&self, headers: &[(&str, &str)], message: &str) -> Answer {
        let own = [
            JSON,
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        self.send("POST", "/mcp", &[headers, &own].concat(), message)
    }

    /// The next entry of the log that has this message, or begins with it.
    pub(crate) fn next_entry(&self, message: &str) -> Value {
        let log = self.log.lock().unwrap();
        loop {
            let entry = log.recv_timeout(Duration::from_secs(20)).unwrap();
            if entry["fields"]["message"]
                .as_str()
                .is_some_and(|said| said.starts_with(message))
            {
                return entry;
            }
        }
    }

    /// The tenant, the id and the scheme in the log line of the next call.
    pub(crate) fn next_caller(&self) -> [String; 3] {
        let entry = self.next_entry("answered");
        ["tenant", "key_id", "scheme"].map(|field| entry["span"][field].as_str().unwrap_or_default().to_owned())
    }
}

/// The program's messages when it does not start.
pub(crate) fn refusal_to_start(environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(process::build("support-desk", "dev"));
    let output = Server::serving(command.arg("serve"), folder.path(), environment)
        .env("OPERATOR_LOG", "")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// The last part of the type of a problem.
pub(crate) fn slug(answer: &Answer) -> String {
    let problem = answer.json();
    let of_type = problem["type"].as_str().unwrap_or_default();
    of_type.rsplit(':').next().unwrap_or_default().to_owned()
}

/// The sentence of a problem.
pub(crate) fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().unwrap_or_default().to_owned()
}

/// The value of a header; empty if it is missing.
pub(crate) fn header(answer: &Answer, name: &str) -> String {
    let values = answer.head.lines().filter_map(|line| line.split_once(": "));
    let mut values = values.filter(|(own, _)| own.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
}

pub(crate) fn tool_call(name: &str, arguments: &Value, key: &str) -> String {
    let params = json!({ "name": name, "arguments": arguments, "_meta": { "operator/idempotency-key": key } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}
