//! A Python caller gets 200 from every endpoint of the support desk. It is written only from the text of the protocol.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::process::Command;

use tests::caller::{PUBLIC_URL, SECRET};
use tests::process::{Server, build};

#[test]
fn every_endpoint_answers_the_python_caller() {
    let folder = tempfile::tempdir().unwrap();
    answers_the_python_caller(&Server::start(&build("support-desk", "dev"), folder.path()), PUBLIC_URL);
}

/// The public URL is not written as clients write it. The caller signs the URL that it reads in the manifest.
#[test]
fn the_python_caller_signs_the_url_that_the_manifest_has() {
    let folder = tempfile::tempdir().unwrap();
    let program = build("support-desk", "dev");
    let public_url = [("OPERATOR_PUBLIC_URL", "HTTPS://Api.Shop.Example:443/Support/")];
    let manifest = Command::new(&program)
        .arg("manifest")
        .envs(public_url)
        .output()
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.stdout).unwrap();
    let mut urls = manifest["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|endpoint| endpoint["url"].as_str());
    let base = urls.find_map(|url| url.strip_suffix("/orders/recent")).unwrap();
    assert_eq!(base, "https://api.shop.example/Support");
    answers_the_python_caller(&Server::start_with(&program, folder.path(), &public_url), base);
}

fn answers_the_python_caller(server: &Server, public_url: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/wire/vendor.py");
    let port = server.port.to_string();
    let output = Command::new("python3")
        .args([script, &port, public_url, SECRET])
        .output()
        .expect("python3 is the caller of this test, and must be installed (Debian: apt-get install python3)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
