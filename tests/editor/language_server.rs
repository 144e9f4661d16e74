//! A rust-analyzer process that has opened this workspace, and the requests to it (Language Server Protocol 3.17).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The process. It ends when the test ends.
pub(crate) struct LanguageServer {
    program: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    requests: u64,
    versions: i64,
}

impl LanguageServer {
    /// Starts the process and waits until it has loaded the workspace and built the macros.
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

    /// Opens a file with this content. The content need not be saved on disk.
    pub(crate) fn open(&mut self, path: &Path, text: &str) {
        self.versions += 1;
        let document = json!({ "uri": uri(path), "languageId": "rust", "version": self.versions, "text": text });
        self.notify("textDocument/didOpen", &json!({ "textDocument": document }));
    }

    /// Closes the file.
    pub(crate) fn close(&mut self, path: &Path) {
        self.notify(
            "textDocument/didClose",
            &json!({ "textDocument": { "uri": uri(path) } }),
        );
    }

    /// Sends a request about a position in a file, and returns the answer.
    pub(crate) fn ask(&mut self, method: &str, path: &Path, (line, column): (usize, usize)) -> Value {
        let position = json!({ "line": line, "character": column });
        self.request(
            method,
            &json!({ "textDocument": { "uri": uri(path) }, "position": position }),
        )
    }

    /// The errors that rust-analyzer itself finds in a file, without compiling.
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
            // The errors "content modified" and "server cancelled" mean that the server's state has changed, so the
            // request is sent again.
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

    /// Reads messages until the wanted one arrives. Answers requests of the server with null.
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

/// The options: load only one program of the workspace and its dependencies, and do not run `cargo check`, because the
/// tests need only rust-analyzer.
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
