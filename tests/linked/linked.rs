//! An endpoint in a private module is served even if the program only names the endpoint's crate, with and without
//! optimisation. The runtime may have another name, or be re-exported by another crate.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::process::Command;

use tests::caller::{get, post};
use tests::process::{Server, build};

fn endpoints(profile: &str) -> String {
    let output = Command::new(build("linked-program", profile))
        .arg("endpoints")
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn in_a_debug_build() {
    assert!(endpoints("dev").contains("/hidden"));
}

#[test]
fn in_a_whole_program_optimised_build() {
    assert!(endpoints("whole-program").contains("/hidden"));
}

/// Calls the endpoints that the programs have in common.
fn call(server: &Server) {
    let shown = |key, parameters: &[(&str, &str)]| get(server.port, "/shown", key, parameters).unwrap();
    let answer = shown("a", &[("word", "tea"), ("case", "Capitals"), ("limit", "3")]);
    assert_eq!((answer.status, answer.json()), (200, "TEA".into()));
    let answer = shown("b", &[("word", "tea"), ("limit", "2")]);
    assert_eq!(
        (answer.status, &answer.json()["detail"]),
        (409, &"tea is too long.".into())
    );
    assert_eq!(shown("c", &[("word", "many words of tea")]).status, 400);
    let counted = |key, body| post(server.port, "/counted", key, body).unwrap();
    assert_eq!(counted("d", r#"{"words":["tea"]}"#).json(), 1);
    assert_eq!(counted("e", r#"{"words":[]}"#).status, 404);
}

#[test]
fn with_a_renamed_runtime() {
    let folder = tempfile::tempdir().unwrap();
    call(&Server::start(&build("linked-renamed", "dev"), folder.path()));
}

#[test]
fn through_a_crate_that_re_exports_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("linked-wrapped", "dev"), folder.path());
    call(&server);
    assert_eq!(get(server.port, "/hello", "f", &[]).unwrap().json(), "hello");
}

#[test]
fn where_the_runtime_is_missing_the_error_names_the_option() {
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--locked",
            "-p",
            "linked-wrapped",
            "--features",
            "without-crate",
        ])
        .args(["--message-format", "short"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error")).collect();
    assert_eq!(errors.len(), 4, "{said}");
    for error in errors {
        let message = include_str!("../ui/elsewhere.txt")
            .lines()
            .find(|line| error.ends_with(line));
        assert!(message.is_some(), "{error}");
    }
}
