//! A rust-analyzer that has opened this workspace, asked by the Language Server Protocol 3.17 over its pipes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program, ended with the test.
pub(crate) struct LanguageServer {
    program: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    requests: u64,
    versions: i64,
}

impl LanguageServer {
    /// Starts it, and waits until it has loaded the workspace and built the macros.
    pub(crate) fn start() -> Self {
        let mut program = Command::new("rust-analyzer")
            .current_dir(WORKSPACE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("rust-analyzer is installed: `rustup component add rust-analyzer rust-src`");
        let input = program.stdin.take().unwrap();
        let output = BufReader::new(program.stdout.take().unwrap());
        let mut server = Self {
            program,
            input,
            output,
            requests: 0,
            versions: 0,
        };
        server.request("initialize", &initialize());
        server.notify("initialized", &json!({}));
        server.wait("experimental/serverStatus", |status| status["quiescent"] == true);
        server
    }

    /// Shows it a file as a person has it in the editor, saved or not.
    pub(crate) fn open(&mut self, path: &Path, text: &str) {
        self.versions += 1;
        let document = json!({ "uri": uri(path), "languageId": "rust", "version": self.versions, "text": text });
        self.notify("textDocument/didOpen", &json!({ "textDocument": document }));
    }

    /// Closes it again.
    pub(crate) fn close(&mut self, path: &Path) {
        self.notify(
            "textDocument/didClose",
            &json!({ "textDocument": { "uri": uri(path) } }),
        );
    }

    /// What a request about a place in a file is answered with.
    pub(crate) fn ask(&mut self, method: &str, path: &Path, (line, column): (usize, usize)) -> Value {
        let position = json!({ "line": line, "character": column });
        self.request(
            method,
            &json!({ "textDocument": { "uri": uri(path) }, "position": position }),
        )
    }

    /// What it says is wrong with a file, by itself: nothing is compiled.
    pub(crate) fn diagnostics(&mut self, path: &Path) -> Vec<String> {
        let report = self.request(
            "textDocument/diagnostic",
            &json!({ "textDocument": { "uri": uri(path) } }),
        );
        let items = report["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["message"].as_str().unwrap().to_owned())
            .collect()
    }

    fn request(&mut self, method: &str, parameters: &Value) -> Value {
        loop {
            self.requests += 1;
            let id = self.requests;
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
            let answer = self.until(|message| message["id"] == id && message.get("method").is_none());
            // "Content modified", "server cancelled": what it was working on has changed, so ask again.
            match answer["error"]["code"].as_i64() {
                Some(-32801 | -32802) => {}
                Some(_) => panic!("{method}: {answer}"),
                None => return answer["result"].clone(),
            }
        }
    }

    fn notify(&mut self, method: &str, parameters: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters }));
    }

    fn wait(&mut self, method: &str, done: impl Fn(&Value) -> bool) {
        self.until(|message| message["method"] == method && done(&message["params"]));
    }

    /// Reads until the message comes; what the server asks for itself is answered with nothing.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.receive();
            if message.get("method").is_some() && message.get("id").is_some() {
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
            }
            if wanted(&message) {
                return message;
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "rust-analyzer has ended");
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", digits)) => length = digits.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

impl Drop for LanguageServer {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.canonicalize().unwrap().display())
}

/// One program of the workspace and what it depends on; no checking of its own beside the tests.
fn initialize() -> Value {
    let check = [
        env!("CARGO"),
        "check",
        "-q",
        "-p",
        "quickstart",
        "--locked",
        "--message-format=json",
    ];
    json!({
        "processId": std::process::id(),
        "rootUri": uri(Path::new(WORKSPACE)),
        "capabilities": {
            "experimental": { "serverStatusNotification": true },
            "textDocument": { "diagnostic": {} },
        },
        "initializationOptions": {
            "cachePriming": { "enable": false },
            "cargo": { "buildScripts": { "overrideCommand": check, "invocationStrategy": "once" } },
            "checkOnSave": false,
        },
    })
}
