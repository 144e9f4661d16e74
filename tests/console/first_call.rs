//! Runs the command that `dev` prints, and tests other uses of `call`.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use tests::caller::{PUBLIC_URL, SECRET};
use tests::process::build;

use crate::dev::Dev;

#[test]
fn the_printed_call_reaches_a_dev_on_another_port() {
    let (printed, said) = print_and_paste(None);
    assert!(printed.contains("--url http://127.0.0.1:"), "{printed}: {said}");
}

#[test]
fn the_printed_call_reaches_a_dev_with_a_foreign_public_url() {
    let public_url = "https://api.example.com/support";
    let (printed, said) = print_and_paste(Some(public_url));
    let words = format!("--url {public_url} --at http://127.0.0.1:");
    assert!(printed.contains(&words), "{printed}: {said}");
}

#[test]
fn values_of_a_list_are_collected_and_other_inputs_are_given_once() {
    let dev = Dev::start("support-desk");
    let call = |words: &[&str]| {
        let mut command = Command::new(build("support-desk", "dev"));
        command
            .env("OPERATOR_SIGNING_KEY", SECRET)
            .env("OPERATOR_PUBLIC_URL", PUBLIC_URL);
        let output = command
            .args(["call", "--at", &dev.url("")])
            .args(words)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let ticket = [
        "open_ticket",
        "email=ana@example.com",
        "subject=Late",
        "body=Where is it?",
    ];
    let (done, said) = call(&[&ticket[..], &["tags=late", "tags=parcel"]].concat());
    assert!(done && said.contains("200 OK"), "{said}");
    for again in [
        &[&ticket[..], &["subject=Later"]].concat()[..],
        &["recent_orders", "email=a", "email=b"],
    ] {
        let (done, said) = call(again);
        assert!(
            !done && said.contains("is given twice, but it takes only one value"),
            "{said}"
        );
    }
}

#[test]
fn a_setting_that_is_not_utf8_is_refused_by_every_command() {
    let program = build("quickstart", "dev");
    for words in [&["manifest"][..], &["call", "stock"]] {
        let mut command = Command::new(&program);
        let output = command
            .args(words)
            .env("OPERATOR_PUBLIC_URL", OsStr::from_bytes(b"https://\xff"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{words:?}");
        assert!(said.contains("OPERATOR_PUBLIC_URL is not UTF-8"), "{words:?}: {said}");
    }
}

/// Returns the command that `dev` prints, and what it prints in another terminal, which has none of the environment
/// variables of the first.
fn print_and_paste(public_url: Option<&str>) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = build("quickstart", "dev");
    let command = || {
        let mut command = Command::new(&program);
        for given in ["OPERATOR_SIGNING_KEY", "OPERATOR_SIGNING_KEYS", "OPERATOR_PUBLIC_URL"] {
            command.env_remove(given);
        }
        command.current_dir(folder.path());
        command
    };
    let mut dev = command();
    dev.envs(public_url.map(|url| ("OPERATOR_PUBLIC_URL", url)));
    let mut dev = dev
        .arg("dev")
        .env("OPERATOR_LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(dev.stdout.take().unwrap()).lines();
    let printed = lines.map_while(Result::ok).find_map(|line| {
        let (_, words) = line.split_once(" call ")?;
        Some(words.to_owned())
    });
    let printed = printed.expect("`dev` prints a `call` command");
    let called = command().arg("call").args(printed.split(' ')).output().unwrap();
    // The program is stopped before the assertions, so that it also stops if one of them fails.
    dev.kill().unwrap();
    dev.wait().unwrap();
    let said = String::from_utf8_lossy(&called.stdout).into_owned();
    assert!(called.status.success() && said.contains("200 OK"), "{printed}: {said}");
    (printed, said)
}
