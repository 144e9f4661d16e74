//! What the command line refuses, and the texts with which it does. The program runs as a person runs it, and has only
//! the settings that a test names.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tests::caller::{PUBLIC_URL, SECRET};
use tests::process::{self, Server};

/// The output of a program that has ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

fn say(program: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    for name in [
        "OPERATOR_SIGNING_KEY",
        "OPERATOR_SIGNING_KEYS",
        "OPERATOR_PUBLIC_URL",
        "OPERATOR_LISTEN",
        "OPERATOR_STORE",
        "OPERATOR_LOG",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    let output = command
        .current_dir(folder.path())
        .envs(environment.iter().copied())
        .args(arguments)
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_manifest_without_a_public_url_says_so() {
    let desk = process::build("support-desk", "dev");
    for (url, why) in [
        ("ftp://x y/?q", "is not a URL"),
        ("ftp://a.example", "is neither https nor http"),
    ] {
        let said = say(&desk, &[("OPERATOR_PUBLIC_URL", url)], &["manifest"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(
            said.error.starts_with(&format!("The public URL `{url}` {why}")),
            "{said:?}"
        );
    }
    let unset = say(&desk, &[], &["manifest"]);
    assert_eq!(unset.code, Some(0), "{unset:?}");
    assert!(unset.out.contains("\"http://127.0.0.1:8080/refunds\""), "{unset:?}");
    assert_eq!(unset.error.lines().count(), 1, "{unset:?}");
    assert!(
        unset
            .error
            .contains("set OPERATOR_PUBLIC_URL or `Config::public_url` to"),
        "{unset:?}"
    );
    let set = say(&desk, &[("OPERATOR_PUBLIC_URL", "https://a.example/")], &["manifest"]);
    assert!(set.out.contains("\"https://a.example/refunds\""), "{set:?}");
    assert_eq!(set.error, "");
    let nowhere = say(&desk, &[("OPERATOR_LISTEN", "nowhere")], &["manifest"]);
    assert!(
        nowhere
            .error
            .starts_with("OPERATOR_LISTEN is `nowhere`, which is not an IP address"),
        "{nowhere:?}"
    );
    // No lint is about URLs, so `lint` does not need a valid one.
    let lint = say(&desk, &[], &["lint"]);
    assert_eq!((lint.code, lint.error.as_str()), (Some(0), ""), "{lint:?}");
}

#[test]
fn an_invalid_call_is_refused_before_anything_is_sent() {
    let desk = process::build("support-desk", "dev");
    let long = "k".repeat(256);
    for (arguments, why) in [
        (
            ["--url", "ftp://a.example"],
            "The public URL `ftp://a.example` is neither https nor http: `--url` takes",
        ),
        (["--url", "x y"], "The public URL `x y` is not a URL"),
        (
            ["--at", "127.0.0.1:8080"],
            "`127.0.0.1:8080` is not an address to send to",
        ),
        (["--idempotency-key", "a:b"], "`a:b` is not an idempotency key"),
        (["--idempotency-key", ""], "`` is not an idempotency key"),
        (
            ["--idempotency-key", long.as_str()],
            "1 to 255 visible ASCII characters",
        ),
        (["--repeat", "0"], "0 is not in 1.."),
    ] {
        let mut call = vec!["call", "order_refunds", "order_id=1004", "--key", "op_sk_tests"];
        call.extend(arguments);
        let said = say(&desk, &[], &call);
        assert!(said.code != Some(0) && said.out.is_empty(), "{arguments:?}: {said:?}");
        assert!(said.error.contains(why), "{arguments:?}: {said:?}");
        assert!(!said.error.contains("Is the server running"), "{arguments:?}: {said:?}");
    }
}

#[test]
fn numbers_are_sent_and_printed_as_they_are_written() {
    let zoo = process::build_example("tests", "zoo");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&zoo, folder.path());
    let at = format!("http://127.0.0.1:{}", server.port);
    let value = r#"value={"unsigned":[1,2,3,18446744073709551615,5],"signed":[-1,2,3,-9223372036854775808,5],"wide":[340282366920938463463374607431768211455,18446744073709551617],"floats":[1.5,-2.0],"never_zero":[1,1]}"#;
    let to = ["--url", PUBLIC_URL, "--at", &at, "--key", SECRET];
    let said = say(&zoo, &[], &[&["call", "numbers", value], &to[..]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<&str> = said.out.lines().map(str::trim).collect();
    for number in [
        "18446744073709551615,",
        "-9223372036854775808,",
        "340282366920938463463374607431768211455,",
        "18446744073709551617",
        "-2.0",
    ] {
        assert!(lines.contains(&number), "{number}: {said:?}");
    }
}

#[test]
fn the_message_asks_whether_a_server_runs_only_if_none_was_reached() {
    let desk = process::build("support-desk", "dev");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let call = [
        "call",
        "order_refunds",
        "order_id=1004",
        "--key",
        "op_sk_tests",
        "--url",
        &url,
    ];
    let hangs_up = std::thread::spawn(move || {
        use std::io::Read as _;
        // The server first reads a byte, so that it closes a connection that it has accepted.
        let (mut taken, _) = listener.accept().unwrap();
        let _ = taken.read(&mut [0; 1]).unwrap();
    });
    let cut_off = say(&desk, &[], &call);
    hangs_up.join().unwrap();
    assert_eq!(cut_off.code, Some(1), "{cut_off:?}");
    assert!(
        cut_off.error.contains("did not answer") && !cut_off.error.contains("running"),
        "{cut_off:?}"
    );
    let refused = say(&desk, &[], &call);
    assert!(refused.error.contains("Is the server running there?"), "{refused:?}");
}

#[test]
fn a_wrong_log_setting_is_refused() {
    let desk = process::build("support-desk", "dev");
    let serve = |filter| {
        let wrong = [
            ("RUST_LOG", filter),
            ("OPERATOR_LOG", "xml"),
            ("OPERATOR_LISTEN", "nowhere"),
        ];
        say(&desk, &wrong, &["serve"]).error
    };
    let nonsense = serve("info,support_desk=loud");
    for problem in [
        "for 5 reasons",
        "OPERATOR_LOG is `xml`",
        "RUST_LOG is `info,support_desk=loud`",
        "There is no signing key",
        "There is no public URL",
        "OPERATOR_LISTEN is `nowhere`",
    ] {
        assert!(nonsense.contains(problem), "{problem}: {nonsense}");
    }
    assert!(serve("").contains("for 4 reasons"));
    let dev = say(&desk, &[("OPERATOR_LOG", "xml")], &["dev"]).error;
    assert!(dev.starts_with("The app cannot start. OPERATOR_LOG is `xml`"), "{dev}");
}

#[test]
fn a_program_without_sqlite_asks_for_a_store_that_it_supports() {
    let billing = process::build("billing", "dev");
    let said = say(&billing, &[], &["dev"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.error
            .contains("There is no store: set OPERATOR_STORE or `Config::store` to `postgres://…` or `memory:`;"),
        "{said:?}"
    );
    let said = say(&billing, &[("OPERATOR_STORE", "redis://127.0.0.1:1")], &["dev"]);
    assert!(said.error.contains("or use `postgres://…` or `memory:`"), "{said:?}");
}

#[test]
fn a_program_without_the_named_store_says_which_feature_adds_it() {
    let program = process::build("linked-program", "dev");
    for (feature, address) in [
        ("sqlite", "sqlite:operator.db"),
        ("postgres", "postgres://ana:hunter2@127.0.0.1:1/shop"),
        ("redis", "redis://:hunter2@127.0.0.1:1"),
    ] {
        let said = say(&program, &[("OPERATOR_STORE", address)], &["dev"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        let sentence = format!(
            "this program was built without the `{feature}` store: turn it on with `operator-runtime = {{ features = [\"{feature}\"] }}` \
             in its Cargo.toml, or use `memory:`"
        );
        assert!(said.error.contains(&sentence), "{said:?}");
        assert!(!said.error.contains("hunter2"), "{said:?}");
    }
}

#[test]
fn help_describes_the_program_itself() {
    let help = say(&process::build("support-desk", "dev"), &[], &["--help"]);
    assert!(help.out.starts_with("support-desk: "), "{help:?}");
    assert!(!help.out.contains("operator-runtime"), "{help:?}");
}

#[test]
fn lint_prints_a_better_form_and_fails_if_asked_to() {
    let zoo = process::build_example("tests", "zoo");
    let said = say(&zoo, &[], &["lint"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let finding = said
        .out
        .split("\n\n")
        .find(|one| one.contains("renamed: output oldNumber"));
    let lines: Vec<&str> = finding.unwrap().lines().collect();
    assert_eq!(
        lines[0],
        "warning[undescribed_output]: renamed: output oldNumber: The field has no description"
    );
    assert!(
        lines[1].starts_with("  at ") && lines[1].contains("serde_forms.rs:"),
        "{lines:?}"
    );
    assert_eq!(
        lines[2],
        "  better: Write a doc comment on the field: what it means, and in which unit or format."
    );
    for level in ["warnings", "notes"] {
        let denied = say(&zoo, &[], &["lint", "--deny", level]);
        assert_eq!(
            (denied.code, denied.out.as_str()),
            (Some(1), said.out.as_str()),
            "{level}"
        );
    }
}

#[test]
fn dev_refuses_to_serve_its_console_to_other_machines() {
    let desk = process::build("support-desk", "dev");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let said = say(&desk, &[("OPERATOR_LISTEN", address)], &["dev"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(
            said.error
                .contains("`dev` listens only on a loopback address: set OPERATOR_LISTEN"),
            "{said:?}"
        );
    }
}

#[test]
fn an_unknown_reader_is_answered_with_the_readers() {
    let desk = process::build("support-desk", "dev");
    for command in ["lint", "manifest"] {
        let said = say(&desk, &[], &[command, "--for", "claude"]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        let readers = "[possible values: openai, anthropic, gemini, copilot, gpt-actions]";
        assert!(said.error.contains(readers), "{said:?}");
        let twice = say(&desk, &[], &[command, "--for", "gemini", "--for", "openai"]);
        assert_eq!(twice.code, Some(2), "{twice:?}");
        assert!(twice.error.contains("cannot be used multiple times"), "{twice:?}");
        let help = say(&desk, &[], &[command, "--help"]);
        assert!(
            help.out.contains("--for <READER>") && help.out.contains("gpt-actions"),
            "{help:?}"
        );
    }
}

#[test]
fn a_reader_gets_only_the_format_that_it_takes() {
    let desk = process::build("support-desk", "dev");
    let url = ("OPERATOR_PUBLIC_URL", "https://a.example");
    for (reader, format) in [
        ("openai", "mcp"),
        ("anthropic", "mcp"),
        ("gemini", "mcp"),
        ("copilot", "mcp"),
        ("gpt-actions", "openapi"),
    ] {
        let alone = say(&desk, &[url], &["manifest", "--for", reader]);
        assert_eq!(alone.code, Some(0), "{alone:?}");
        let with_format = say(&desk, &[url], &["manifest", "--format", format, "--for", reader]);
        assert_eq!(with_format.out, alone.out, "{reader}");
        for other in [
            "operator",
            "openapi-3.0",
            if format == "mcp" { "openapi" } else { "mcp" },
        ] {
            let refused = say(&desk, &[url], &["manifest", "--format", other, "--for", reader]);
            assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
            let sentence = format!("does not take the format `{other}`: write `--format {format} --for {reader}`.\n");
            assert!(refused.error.ends_with(&sentence), "{refused:?}");
        }
    }
    let usual = say(&desk, &[url], &["manifest"]);
    assert!(usual.out.starts_with("{\n  \"endpoints\""), "{usual:?}");
    let actions = say(&desk, &[url], &["manifest", "--for", "gpt-actions"]);
    assert!(
        actions.error.starts_with("GPT Actions sends no headers of its own"),
        "{actions:?}"
    );
}

#[test]
fn lint_for_a_reader_adds_its_findings_and_can_fail_on_them() {
    let zoo = process::build_example("tests", "zoo");
    let usual = say(&zoo, &[], &["lint"]);
    let said = say(&zoo, &[], &["lint", "--for", "gemini"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!usual.out.contains("unfit_for_reader"));
    assert!(
        said.out
            .contains("warning[unfit_for_reader]: tagged: input value: The value has one of several forms"),
        "{said:?}"
    );
    assert!(
        said.out.contains("\n  better: Take a struct with named fields.\n"),
        "{said:?}"
    );
    let desk = process::build("support-desk", "dev");
    let clean = say(&desk, &[], &["lint", "--for", "openai", "--deny", "notes"]);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    let actions = say(&desk, &[], &["lint", "--for", "gpt-actions", "--deny", "warnings"]);
    assert_eq!(actions.code, Some(1), "{actions:?}");
    assert!(
        actions
            .out
            .contains("may run for 1m, but GPT Actions waits for only 45s"),
        "{actions:?}"
    );
}
