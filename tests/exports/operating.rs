//! Each example in docs/operating.md is accepted by the tool that reads it, and the page names only settings, commands
//! and metrics that exist. docs/callers.md names only settings that exist.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use operator_runtime::rusqlite;
use tests::process::{self, installed};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

fn page() -> String {
    read("docs/operating.md")
}

/// The only code block in this language that contains `part`.
fn block(language: &str, part: &str) -> String {
    let (page, fence) = (page(), format!("```{language}\n"));
    let blocks = page.split(&fence).skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let found: Vec<&str> = blocks.filter(|block| block.contains(part)).collect();
    assert_eq!(found.len(), 1, "{language}: {part}");
    found[0].to_owned()
}

/// Replaces text that has to be there, so that an example that was changed is still the one that is checked.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example does not contain {from}");
    text.replace(from, to)
}

/// Runs a tool, and returns what it printed.
fn accepts(command: &mut Command) -> String {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let Output { status, stdout, stderr } = command.env("PATH", path).output().unwrap();
    let text = [stdout, stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(status.success(), "{command:?}:\n{text}");
    text
}

/// The words of a text that begin with `prefix`.
fn words(text: &str, prefix: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

#[test]
fn nginx_accepts_its_example() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    let (certificate, key) = (format!("{shown}/certificate.pem"), format!("{shown}/key.pem"));
    let subject = ["-subj", "/CN=api.shop.example", "-keyout", &key, "-out", &certificate];
    let mut openssl = Command::new("openssl");
    accepts(
        openssl
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(subject),
    );
    let example = block("nginx", "upstream");
    let example = replaced(&example, "/etc/ssl/api.shop.example.pem", &certificate);
    let example = replaced(&example, "/etc/ssl/private/api.shop.example.key", &key);
    // Only root may listen on a port below 1024.
    let example = replaced(&example, "listen 443 ssl", "listen 8443 ssl");
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {shown}/{name};\n"))
        .concat();
    let config = format!("pid {shown}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{example}}}\n");
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let printed = accepts(
        Command::new("nginx")
            .args(["-t", "-p", &shown, "-e", &format!("{shown}/log"), "-c"])
            .arg(&file),
    );
    assert!(!printed.contains("[warn]"), "{printed}");
}

#[test]
fn caddy_accepts_its_example() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Caddyfile");
    fs::write(&file, block("caddyfile", "reverse_proxy")).unwrap();
    let mut caddy = Command::new("caddy");
    caddy
        .args(["adapt", "--validate", "--adapter", "caddyfile", "--config"])
        .arg(&file);
    // Caddy keeps certificates and its own state in the home directory.
    let printed = accepts(caddy.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()));
    assert!(!printed.contains("not formatted"), "{printed}");
}

#[test]
fn systemd_accepts_its_example() {
    let folder = tempfile::tempdir().unwrap();
    // systemd checks that the program exists.
    let unit = replaced(
        &block("systemd", "[Service]"),
        "/usr/local/bin/support-desk",
        "/bin/true",
    );
    let file = folder.path().join("support-desk.service");
    fs::write(&file, unit).unwrap();
    let printed = accepts(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file));
    let complaints: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("support-desk.service"))
        .collect();
    assert!(complaints.is_empty(), "{printed}");
}

#[test]
fn hadolint_accepts_the_dockerfile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Dockerfile");
    fs::write(&file, block("dockerfile", "FROM")).unwrap();
    let printed = accepts(
        Command::new(installed("python/bin/hadolint"))
            .arg("--no-color")
            .arg(&file),
    );
    assert_eq!(printed, "");
}

#[test]
fn the_manifest_fits_the_schemas_of_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    for (index, resource) in block("yaml", "kind: Deployment").split("---\n").enumerate() {
        let file = folder.path().join(format!("{index}.yaml"));
        fs::write(&file, resource).unwrap();
        accepts(
            Command::new(installed("python/bin/kubernetes-validate"))
                .args(["--strict", "--no-warn"])
                .arg(&file),
        );
    }
}

#[test]
fn the_alerts_are_queries_of_metrics_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    let rules = block("yaml", "alert:");
    let file = folder.path().join("rules.yaml");
    fs::write(&file, &rules).unwrap();
    let parse = "import promql_parser, sys, yaml
for rule in yaml.safe_load(open(sys.argv[1]))['groups'][0]['rules']:
    promql_parser.parse(rule['expr'])
    print(rule['alert'])";
    let printed = accepts(
        Command::new(installed("python/bin/python"))
            .args(["-c", parse])
            .arg(&file),
    );
    let page = page();
    let explained = page.split("\n### What to do\n").nth(1).unwrap();
    assert!(printed.lines().count() > 5, "{printed}");
    for alert in printed.lines() {
        assert!(
            explained.contains(&format!("| `{alert}` |")),
            "{alert} is not explained"
        );
    }
    let known = words(&read("operator-runtime/src/meter.rs"), "operator_");
    // The page also names tables, an index, and an attribute.
    let tables =
        read("operator-runtime/src/store/postgres/schema.rs") + &read("operator-runtime/src/store/postgres/audit.rs");
    let others = words(&(tables + &read("operator-runtime/src/lib.rs")), "operator_");
    for name in words(&page, "operator_") {
        let named = name.trim_end_matches("_bucket").trim_end_matches("_pkey");
        assert!(
            known.contains(named) || others.contains(named),
            "there is no metric or table {name}"
        );
    }
    let outcomes = read("operator-runtime/src/problem/outcome.rs");
    for selector in rules.split("outcome=").skip(1) {
        let value = selector.split('"').nth(1).unwrap();
        for outcome in value.split('|') {
            assert!(
                outcomes.contains(&format!("\"{outcome}\"")),
                "there is no outcome {outcome}"
            );
        }
    }
}

#[test]
fn the_pages_name_only_settings_and_commands_that_exist() {
    let readme = read("README.md");
    let page = page();
    for text in [&page, &read("docs/callers.md")] {
        for setting in words(text, "OPERATOR_") {
            // The README has no row for the earlier name of a setting.
            let is_earlier = text.contains(&format!("(`{setting}` is the earlier name of "));
            assert!(
                is_earlier || readme.contains(&format!("| `{setting}` |")),
                "{setting} is not in the README"
            );
        }
    }
    for limit in page.split("`Config::").skip(1) {
        let limit = limit.split('`').next().unwrap();
        assert!(
            readme.contains(&format!("| `{limit}` |")),
            "{limit} is not in the README"
        );
    }
    let program = process::build("support-desk", "dev");
    let example = block("systemd", "[Service]");
    let started = example.split("ExecStart=").nth(1).unwrap().lines().next().unwrap();
    let commands = page.split("`support-desk ").skip(1);
    let commands = commands.map(|rest| rest.split('`').next().unwrap());
    let commands = commands.chain(page.lines().filter_map(|line| line.strip_prefix("$ support-desk ")));
    for command in commands.chain(started.split_once(' ').map(|(_, command)| command)) {
        let name = command.split(' ').next().unwrap();
        let help = process::run(&program, &[name, "--help"]);
        for option in command.split(' ').filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "`{name}` has no option {option}:\n{help}");
        }
    }
}

const REFUND: &str = "INSERT INTO operator_audit
    (ended, operation, idempotency_key, tenant, endpoint, inputs, outcome, attempts) VALUES
    ('2026-01-31T09:30:00.250Z', 'o', 'before-the-backup', 'shop', 'refund_order', '{}', 'done', 1)";

#[test]
fn the_commands_on_a_sqlite_store_run_on_it_and_on_its_backup() {
    let folder = tempfile::tempdir().unwrap();
    let program = process::build("support-desk", "dev");
    let run = |arguments: &[&str]| process::run_in(folder.path(), &program, arguments);
    run(&["migrate"]);
    let page = page();
    let run_all = || {
        let commands: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("$ support-desk "))
            .collect();
        assert!(commands.len() > 2, "{commands:?}");
        for command in commands {
            let arguments = command.split(" > ").next().unwrap();
            let arguments: Vec<_> = arguments.split(' ').collect();
            run(&arguments);
        }
    };
    run_all();
    let connection = rusqlite::Connection::open(folder.path().join("operator.db")).unwrap();
    connection.execute_batch(REFUND).unwrap();
    drop(connection);
    let row = page.lines().find(|line| line.starts_with("| `sqlite:` |")).unwrap();
    let backup = row.split('`').find(|part| part.starts_with("sqlite3 ")).unwrap();
    accepts(Command::new("sh").args(["-c", backup]).current_dir(folder.path()));
    let restore = "rm -f operator.db operator.db-wal operator.db-shm && mv copy.db operator.db";
    accepts(Command::new("sh").args(["-c", restore]).current_dir(folder.path()));
    run_all();
    let kept = run(&["audit", "--format", "jsonl"]);
    assert!(kept.contains("before-the-backup"), "{kept}");
}

#[test]
fn the_page_gives_a_process_the_time_that_a_stop_takes() {
    // The stop delay and the linger of idle connections, then the longest handler, and twice the read timeout.
    let longest = 5 + 2 + 60 + 20;
    for (language, part, setting) in [
        ("systemd", "[Service]", "TimeoutStopSec="),
        ("yaml", "kind: Deployment", "terminationGracePeriodSeconds: "),
    ] {
        let example = block(language, part);
        let seconds = example.split(setting).nth(1).unwrap().lines().next().unwrap();
        assert!(seconds.parse::<u32>().unwrap() >= longest, "{setting}{seconds}");
    }
}
