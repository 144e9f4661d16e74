//! The command `mcp`, over standard input and output.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tests::process;

use crate::tool_call;

/// A process of the command `mcp`, and what it writes to standard output.
struct Started {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(process::build("support-desk", "dev"))
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir(folder)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn say(&mut self, message: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{message}").unwrap();
    }

    /// Reads the next message. Every line is one message.
    fn next(&mut self) -> Option<Value> {
        let line = self.said.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"tests","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[test]
fn requests_before_the_end_of_standard_input_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Started::start(folder.path());
    let refund = tool_call("refund_order", &json!({ "order_id": 1004, "amount_cents": 100 }), "k");
    for message in [INITIALIZE, INITIALIZED, &refund] {
        server.say(message);
    }
    drop(server.child.stdin.take());
    assert_eq!(server.next().unwrap()["id"], 0);
    let answer = server.next().unwrap();
    assert_eq!(answer["result"]["structuredContent"]["refund_id"], 1, "{answer}");
    assert_eq!(server.next(), None);
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn a_message_that_is_too_large_is_answered_with_an_error_and_the_next_one_as_usual() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Started::start(folder.path());
    let many = tool_call("notify_customer", &json!({ "message": vec![json!({}); 50_000] }), "k");
    let long = tool_call("notify_customer", &json!({ "message": "a".repeat(1024 * 1024) }), "k");
    let commas = tool_call("notify_customer", &json!({ "message": ",\"[{:\\".repeat(50_000) }), "k");
    for message in [INITIALIZE, INITIALIZED, &many, &long, &commas] {
        server.say(message);
    }
    drop(server.child.stdin.take());
    let mut answers: Vec<Value> = std::iter::from_fn(|| server.next()).collect();
    // Answers may overtake each other.
    answers.sort_by_key(|answer| (answer["id"].as_u64(), answer["result"].is_object()));
    let [too_long, begun, too_many, called] = answers.as_slice() else {
        panic!("{answers:#?}");
    };
    assert_eq!(begun["id"], 0);
    let said = |answer: &Value| answer["error"]["message"].as_str().unwrap().to_owned();
    assert!(said(too_long).contains("longer than 1048576 bytes"), "{too_long}");
    assert!(
        too_many["id"] == 1 && said(too_many).contains("50000 JSON values"),
        "{too_many}"
    );
    assert!(called["id"] == 1 && called["result"].is_object(), "{called}");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn a_signal_ends_the_server_although_standard_input_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Started::start(folder.path());
    server.say(INITIALIZE);
    server.next().unwrap();
    let told = Command::new("kill")
        .arg("-TERM")
        .arg(server.child.id().to_string())
        .status();
    assert!(told.unwrap().success());
    // Keeps standard input open, because `wait` would close it.
    let _open = server.child.stdin.take();
    let status = server.child.wait().unwrap();
    assert!(status.success(), "{status}");
}
