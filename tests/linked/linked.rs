//! An endpoint in a private module is served even if the program only names the endpoint's crate, with and without
//! optimisation. The runtime may have another name, or be re-exported by another crate.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::process::Command;

use tests::caller::{get, post};
use tests::process::{Server, build, cargo};

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

/// What rustc says about a program with a feature that turns on mistakes.
fn mistakes(program: &str, feature: &str) -> String {
    let output = cargo()
        .args(["check", "--locked", "-p", program, "--features", feature])
        .output()
        .unwrap();
    assert!(!output.status.success(), "{program} compiles with {feature}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn where_the_runtime_is_missing_the_error_names_the_option() {
    let said = mistakes("linked-wrapped", "without-crate");
    let messages = include_str!("../ui/elsewhere.txt").lines();
    let messages: Vec<&str> = messages.filter(|line| !line.starts_with('#')).collect();
    let [expected] = messages[..] else {
        panic!("this test shows one message, not {messages:?}");
    };
    let errors: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let (last, errors) = errors.split_last().unwrap();
    assert!(last.starts_with("could not compile"), "{said}");
    assert_eq!(errors, [expected; 4], "{said}");
}

#[test]
fn where_a_feature_is_off_the_error_names_it() {
    let said = mistakes("linked-renamed", "foreign");
    let errors: Vec<&str> = said.split("\nerror[E0277]: ").skip(1).collect();
    for ty in [
        "NaiveDate",
        "jiff::Timestamp",
        "Decimal",
        "time::Date",
        "Url",
        "Uuid",
        "bytes::Bytes",
        "std::option::Option<Uuid>",
        "Vec<Uuid>",
    ] {
        let error = errors.iter().find(|error| {
            error.starts_with(&format!("`{ty}` cannot be"))
                || error.starts_with(&format!("an endpoint cannot return `{ty}`"))
        });
        let error = error.unwrap_or_else(|| panic!("no error about {ty}: {said}"));
        assert!(
            error.contains("needs the feature of that name of `operator-runtime`"),
            "{error}"
        );
    }
    assert_eq!(errors.len(), 9, "{said}");
}
