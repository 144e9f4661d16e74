//! An endpoint in a private module is served even if the program only names the endpoint's crate, with and without
//! optimisation.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::process::Command;

use tests::process::build;

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
