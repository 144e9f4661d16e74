//! The MCP project's clients for Python and TypeScript list every tool and call it. `tests/exports/install` installs
//! the clients.

use std::path::Path;
use std::process::{Command, Output};

use tests::process::{self, Server};

use crate::TOKENS;

fn in_python(arguments: &[&str], folder: &Path) -> Output {
    Command::new(process::installed("python/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/exports/mcp_client.py"))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Runs the TypeScript client. Its folder is the current one, because Node searches for imports there.
fn in_typescript(arguments: &[&str]) -> Output {
    let node = process::installed("node/node_modules/@modelcontextprotocol").join("../..");
    Command::new(process::installed("node/node_modules/.bin/node"))
        .args(["--input-type=module", "--eval", include_str!("mcp_client.mjs"), "--"])
        .args(arguments)
        .current_dir(node)
        .output()
        .unwrap()
}

fn succeeded(output: Output) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (said, log) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{said}{log}");
    said
}

#[test]
fn each_client_lists_and_calls_every_tool_over_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let program = program.to_str().unwrap();
    let said = succeeded(in_python(&["stdio", program], folder.path()));
    assert_eq!(said, "stdio, legacy: 2025-11-25\nstdio, auto: 2026-07-28\n");
    let said = succeeded(in_typescript(&["stdio", program, folder.path().to_str().unwrap()]));
    assert_eq!(said, "stdio: 6 tools\n");
}

#[test]
fn each_client_lists_and_calls_every_tool_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&process::build("support-desk", "dev"), folder.path(), &[TOKENS]);
    let url = format!("http://127.0.0.1:{}/mcp", server.port);
    let said = succeeded(in_python(&["http", &url, "n3w"], folder.path()));
    assert_eq!(said, "http, legacy: 2025-11-25\nhttp, auto: 2026-07-28\n");
    assert_eq!(succeeded(in_typescript(&["http", &url, "n3w"])), "http: 6 tools\n");
    assert!(!in_python(&["http", &url, "guess"], folder.path()).status.success());
    assert!(!in_typescript(&["http", &url, "guess"]).status.success());
}
