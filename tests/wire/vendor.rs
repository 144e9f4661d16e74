//! A Python caller gets 200 from every endpoint of the support desk. It is written only from the text of the protocol.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::process::Command;

use tests::caller::{PUBLIC_URL, SECRET};
use tests::process::{Server, build};

#[test]
fn every_endpoint_answers_the_python_caller() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/wire/vendor.py");
    let port = server.port.to_string();
    let output = Command::new("python3")
        .args([script, &port, PUBLIC_URL, SECRET])
        .output()
        .expect("python3 is the caller of this test, and must be installed (Debian: apt-get install python3)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
