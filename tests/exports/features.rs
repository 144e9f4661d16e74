//! Programs in which some crate turns on a feature of serde_json that changes how numbers are decoded or how objects are
//! ordered. The program in `features/` is a workspace of its own, because the packages of a workspace share features.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tests::caller::PUBLIC_URL;
use tests::process::{cargo, copy_program};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/exports/features");

/// Builds the program with a feature, and copies it into the test's folder, because the next build would replace it.
fn build(feature: &str, folder: &Path) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _building = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // The workspace's own folder, because it already contains most of the compiled dependencies.
    let into = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let status = cargo()
        .args(["build", "--quiet", "--locked", "--features", feature, "--target-dir"])
        .arg(&into)
        .current_dir(HERE)
        .status()
        .unwrap();
    assert!(status.success(), "the program does not build with {feature}");
    let own = folder.join(feature);
    copy_program(&into.join("debug/features"), &own);
    own
}

/// Runs the program with its endpoint of that name.
fn run(endpoint: &str, program: &Path, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("ENDPOINT", endpoint)
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .current_dir(folder)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn arbitrary_precision_is_refused_at_start_up_where_serde_cannot_decode_fractions() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(
        "numbers",
        &build("arbitrary_precision", folder.path()),
        &["try"],
        folder.path(),
    );
    for part in [
        "The app cannot start",
        "`numbers`",
        "`arbitrary_precision`",
        "cargo tree -e features -i serde_json",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for input in ["`value`", "`price`"] {
        assert!(
            said.contains(&format!("the input {input} does not work as described")),
            "{input}: {said}"
        );
    }
}

#[test]
fn whole_numbers_work_when_a_crate_turns_on_arbitrary_precision() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(
        "wholes",
        &build("arbitrary_precision", folder.path()),
        &["try"],
        folder.path(),
    );
    let value = r#"{"any":{"a":[2],"b":1},"tagged":{"count":7,"kind":"Count"},"wide":18446744073709551615}"#;
    assert_eq!(said, format!("200 OK [{value},5]\n"));
    check_documents("wholes", "arbitrary_precision");
}

#[test]
fn documents_stay_valid_when_a_crate_turns_on_preserve_order() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(
        "numbers",
        &build("preserve_order", folder.path()),
        &["try"],
        folder.path(),
    );
    assert!(said.starts_with("200 "), "{said}");
    check_documents("numbers", "preserve_order");
}

/// Checks that the program with the feature writes the same documents as without it.
fn check_documents(endpoint: &str, feature: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (plain, featured) = (build("default", folder.path()), build(feature, folder.path()));
    for options in [
        ["--format", "operator"],
        ["--format", "openapi"],
        ["--format", "openapi-3.0"],
        ["--format", "mcp"],
        ["--for", "openai"],
        ["--for", "gemini"],
        ["--for", "gpt-actions"],
    ] {
        let manifest = |program: &Path, more: &[&str]| {
            let arguments = [&["manifest"], &options[..], more].concat();
            run(endpoint, program, &arguments, folder.path())
        };
        manifest(&plain, &["--output", "document.json"]);
        // The message about a stale document names the command that writes it.
        let checked = manifest(&featured, &["--check", "document.json"]);
        assert!(!checked.contains("--output document.json"), "{options:?}: {checked}");
        manifest(&featured, &["--output", "again.json"]);
        let read = |file| std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert_eq!(read("again.json"), read("document.json"), "{options:?}");
    }
}
