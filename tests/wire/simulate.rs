//! `simulate` finds nothing wrong with the support desk, and finds the faults of a careless server in Python.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use serde_json::{Value, json};
use tests::caller::{self, PUBLIC_URL, SECRET};
use tests::process::{Server, build};

static SUPPORT_DESK: LazyLock<PathBuf> = LazyLock::new(|| build("support-desk", "dev"));

/// The output of a simulation.
#[derive(Debug)]
struct Simulated {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Simulated {
    /// The verdict on each promise of the table, in its order.
    fn verdicts(&self) -> Vec<(&str, &str)> {
        let table = self.out.split("\n\n").next().unwrap();
        let lines = table.lines().skip(1);
        lines
            .map(|line| {
                let verdict = ["kept ", "NOT KEPT ", "not shown "]
                    .iter()
                    .find(|one| line.starts_with(**one));
                let (verdict, rest) = line.split_at(verdict.unwrap_or_else(|| panic!("{line}")).len());
                (verdict.trim(), rest.trim_start().split("  ").next().unwrap())
            })
            .collect()
    }

    fn with(&self, verdict: &str) -> Vec<&str> {
        let verdicts = self.verdicts();
        verdicts
            .iter()
            .filter(|(one, _)| *one == verdict)
            .map(|(_, promise)| *promise)
            .collect()
    }
}

fn simulate(folder: &Path, arguments: &[&str]) -> Simulated {
    let output = Command::new(&*SUPPORT_DESK)
        .current_dir(folder)
        .env_remove("OPERATOR_SIGNING_KEYS")
        .env("OPERATOR_SIGNING_KEY", SECRET)
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .arg("simulate")
        .args(arguments)
        .output()
        .unwrap();
    Simulated {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes a manifest with an endpoint that changes something and an endpoint that reads.
fn manifest(folder: &Path, origin: &str) -> String {
    let document = json!({ "endpoints": [
        {
            "name": "refund_order", "description": "Refunds an order.", "method": "POST", "url": format!("{origin}/refunds"),
            "inputs": {
                "type": "object", "additionalProperties": false, "required": ["order_id"],
                "properties": { "order_id": { "type": "integer", "examples": [1004] }, "reason": { "type": "string" } },
            },
            "outputs": {},
        },
        {
            "name": "stock", "description": "Says what is in stock.", "method": "GET", "url": format!("{origin}/stock"),
            "inputs": {
                "type": "object", "required": ["product"],
                "properties": { "product": { "type": "string", "examples": ["red teapot"] }, "shop": { "type": "string", "default": "é" } },
            },
            "outputs": {},
        },
    ] });
    let path = folder.join("manifest.json");
    fs::write(&path, document.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn refunds_of(server: &Server, order: &str) -> Value {
    let key = format!("look-{order}");
    caller::get(server.port, "/orders/refunds", &key, &[("order_id", order)])
        .unwrap()
        .json()["refunds"]
        .clone()
}

#[test]
fn the_support_desk_holds_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&SUPPORT_DESK, folder.path());
    let at = format!("http://127.0.0.1:{}", server.port);
    let all = simulate(folder.path(), &["--at", &at]);
    assert_eq!(all.code, Some(0), "{all:?}");
    assert_eq!(all.verdicts().len(), 15, "{all:?}");
    assert_eq!(all.with("kept").len(), 15, "{all:?}");
    // Each of the four operations acted once, and no refused request acted.
    assert_eq!(refunds_of(&server, "1004").as_array().unwrap().len(), 4);

    // One endpoint, with inputs that can be repeated.
    let cent = simulate(
        folder.path(),
        &["--at", &at, "refund_order", "order_id=1009", "amount_cents=1"],
    );
    assert_eq!((cent.code, cent.with("kept").len()), (Some(0), 13), "{cent:?}");
    assert_eq!(cent.with("NOT KEPT"), [""; 0]);
    assert!(
        cent.out
            .contains("refund_order: `left_cents` counted 9999999, 9999998, 9999997, 9999996"),
        "{cent:?}"
    );
    assert_eq!(refunds_of(&server, "1009").as_array().unwrap().len(), 4);

    // An operation that the server declines shows nothing, and is not a fault.
    let declined = simulate(folder.path(), &["--at", &at, "refund_order", "order_id=1"]);
    assert_eq!(
        (declined.code, declined.with("NOT KEPT")),
        (Some(0), vec![]),
        "{declined:?}"
    );
    let why =
        "because the server declined these inputs with 404 (There is no order 1. Ask for the number on the receipt.)";
    assert!(declined.out.contains(why), "{declined:?}");
    assert_eq!(declined.with("not shown").len(), 8, "{declined:?}");
    assert!(
        declined
            .with("kept")
            .contains(&"a timestamp from the future is refused"),
        "{declined:?}"
    );
}

#[test]
fn an_endpoint_that_could_not_be_tried_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&SUPPORT_DESK, folder.path());
    let at = format!("http://127.0.0.1:{}", server.port);
    let endpoint = |name: &str, method: &str, path: &str, input: &str, schema: Value| {
        let inputs = json!({ "type": "object", "required": [input], "properties": { input: schema } });
        json!({
            "name": name, "description": "One of two.", "method": method, "url": format!("{PUBLIC_URL}{path}"),
            "inputs": inputs, "outputs": {},
        })
    };
    // No value is made for this pattern.
    let pattern = json!({ "type": "string", "pattern": "^(?=x)[a-z]{30}Q$" });
    let email = json!({ "type": "string", "examples": ["ana@example.com"] });
    let document = json!({ "endpoints": [
        endpoint("coded", "POST", "/refunds", "code", pattern),
        endpoint("recent_orders", "GET", "/orders/recent", "email", email),
    ] });
    let path = folder.path().join("manifest.json");
    fs::write(&path, document.to_string()).unwrap();
    let options = ["--manifest", path.to_str().unwrap(), "--at", &at];
    let both = simulate(folder.path(), &options);
    assert_eq!((both.code, both.with("NOT KEPT")), (Some(1), vec![]), "{both:?}");
    assert!(both.out.contains("\nNot tried: coded. "), "{both:?}");
    assert_eq!(
        both.out.matches("no endpoint of this kind was tried").count(),
        5,
        "{both:?}"
    );
    // The endpoint that was tried is a success alone.
    let one = simulate(folder.path(), &[&options[..], &["recent_orders"]].concat());
    assert_eq!((one.code, one.with("kept").len()), (Some(0), 9), "{one:?}");
}

#[test]
fn a_wrong_key_is_found_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&SUPPORT_DESK, folder.path());
    let at = format!("http://127.0.0.1:{}", server.port);
    let refused = simulate(folder.path(), &["--at", &at, "--key", "op_sk_other", "open_ticket"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(refused.with("NOT KEPT"), ["a correct call is answered"], "{refused:?}");
    assert!(refused.out.contains("was answered with 401 {"), "{refused:?}");
    assert_eq!(
        refused.with("kept"),
        [""; 0],
        "a server that refuses everything shows nothing"
    );
}

/// The careless server. It is killed when this value is dropped.
struct Careless {
    child: Child,
    port: u16,
}

impl Careless {
    fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/wire/careless.py");
        let mut child = Command::new("python3")
            .args([script, SECRET])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is the server of this test, and must be installed (Debian: apt-get install python3)");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            port: port.trim().parse().unwrap(),
            child,
        }
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_faults_of_a_careless_server_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let server = Careless::start(&[]);
    let manifest = manifest(folder.path(), &format!("http://127.0.0.1:{}", server.port));
    let found = simulate(folder.path(), &["--manifest", &manifest, "--duration", "2m"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert_eq!(
        found.with("NOT KEPT"),
        [
            "of duplicates sent at once, one acts",
            "a caller that hangs up and retries acts once",
            "other inputs under a used key are refused",
            "a timestamp from the future is refused",
            "a payload that can be split in two ways is refused",
        ],
        "{found:?}"
    );
    assert_eq!(found.with("not shown"), ["a refused request does not act"], "{found:?}");
    // The request that shows the split payload: its key contains a colon.
    let split = found.out.split("NOT KEPT by refund_order: a payload").nth(1).unwrap();
    let key = split
        .lines()
        .find_map(|line| line.trim().strip_prefix("X-Idempotency-Key: "));
    assert!(key.unwrap().contains(':'), "{found:?}");
    assert!(split.contains("was answered with 200 {\"refund_id\":"), "{found:?}");
    assert!(
        split.contains("What to do: Refuse an idempotency key with a colon"),
        "{found:?}"
    );

    let reading = simulate(folder.path(), &["--manifest", &manifest, "stock"]);
    assert_eq!(reading.code, Some(1), "{reading:?}");
    let accepted = [
        "parameters in another order are accepted",
        "parameters in another encoding are accepted",
    ];
    assert!(
        accepted.iter().all(|one| reading.with("kept").contains(one)),
        "{reading:?}"
    );
}

#[test]
fn duplicates_that_act_are_found_although_all_get_the_answer_that_was_stored_first() {
    let folder = tempfile::tempdir().unwrap();
    let server = Careless::start(&["first"]);
    let manifest = manifest(folder.path(), &format!("http://127.0.0.1:{}", server.port));
    let found = simulate(
        folder.path(),
        &["--manifest", &manifest, "--duration", "2m", "refund_order"],
    );
    assert_eq!(found.code, Some(1), "{found:?}");
    assert_eq!(
        found.with("NOT KEPT"),
        [
            "of duplicates sent at once, one acts",
            "a caller that hangs up and retries acts once",
        ],
        "{found:?}"
    );
    let about_gets = [
        "parameters in another order are accepted",
        "parameters in another encoding are accepted",
    ];
    assert_eq!(found.with("not shown"), about_gets, "{found:?}");
    for counted in [
        "one acts; `refund_id` counted 4 operations instead of 1.",
        "acts once; `refund_id` counted 2 operations instead of 1.",
    ] {
        assert!(found.out.contains(counted), "{counted}: {found:?}");
    }
}

#[test]
fn another_machine_is_not_changed_without_a_yes() {
    let folder = tempfile::tempdir().unwrap();
    // This address is not a loopback address, but a connection to it would reach this listener.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let manifest = manifest(folder.path(), &format!("http://0.0.0.0:{port}"));
    listener.set_nonblocking(true).unwrap();
    for arguments in [&[][..], &["refund_order"]] {
        let refused = simulate(folder.path(), &[&["--manifest", &manifest], arguments].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        let why = format!(
            "0.0.0.0:{port} may be another machine, and a simulation of `refund_order` changes something there: add `--yes`"
        );
        assert!(refused.error.starts_with(&why), "{refused:?}");
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "nothing has connected"
        );
    }
    // A simulation that only reads needs no `--yes`, and with `--yes` the endpoint is called.
    for arguments in [&["stock"][..], &["refund_order", "--yes"]] {
        let sent = simulate(
            folder.path(),
            &[&["--manifest", &manifest, "--duration", "1s"], arguments].concat(),
        );
        assert_eq!(sent.code, Some(1), "{sent:?}");
        assert!(sent.error.starts_with("Simulating a caller of"), "{sent:?}");
        assert_eq!(sent.with("kept"), [""; 0], "{sent:?}");
        let mut connections = 0;
        while listener.accept().is_ok() {
            connections += 1;
        }
        assert!(connections > 0, "{sent:?}");
    }
}

#[test]
fn a_simulation_ends_in_its_time() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody accepts its connections, so every call waits for an answer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let manifest = manifest(folder.path(), &format!("http://{}", listener.local_addr().unwrap()));
    LazyLock::force(&SUPPORT_DESK);
    let began = Instant::now();
    let silent = simulate(folder.path(), &["--manifest", &manifest, "--duration", "1s"]);
    assert!(began.elapsed().as_secs() < 20, "{silent:?}");
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert_eq!(silent.verdicts().len(), silent.with("not shown").len(), "{silent:?}");
    assert!(silent.out.contains("give more with `--duration`"), "{silent:?}");
}

#[test]
fn what_cannot_be_simulated_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let here = format!("http://{unused}");
    let good = manifest(folder.path(), &here);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let not_json = file("not.json", "{");
    let openapi = file("openapi.json", r#"{ "openapi": "3.1.0", "paths": {} }"#);
    let empty = file("empty.json", r#"{ "endpoints": [] }"#);
    for (arguments, code, why) in [
        (&["--manifest", "missing.json"][..], 1, "missing.json cannot be read: "),
        (&["--manifest", &not_json], 1, "not.json is not JSON ("),
        (
            &["--manifest", &openapi],
            1,
            "is not a manifest (missing field `endpoints`): give a manifest in the format `operator`",
        ),
        (&["--manifest", &empty], 1, "empty.json has no endpoint"),
        (
            &["--manifest", &good, "refund_ordr"],
            1,
            "There is no endpoint `refund_ordr`; did you mean `refund_order`?",
        ),
        (
            &["--manifest", &good, "refund_order", "ordr_id=1"],
            1,
            "`refund_order` has no input `ordr_id`; did you mean `order_id`?",
        ),
        (
            &["--manifest", &good, "refund_order", "order_id=x"],
            1,
            "order_id: \"x\" is not of type \"integer\"",
        ),
        (
            &["--manifest", &good, "--url", "https://a.example"],
            2,
            "cannot be used with",
        ),
        (
            &["--manifest", &good, "--at", "127.0.0.1"],
            1,
            "`127.0.0.1` is not an address to send to",
        ),
        (&["--manifest", &good], 1, "did not answer: "),
        (&["--manifest", &good], 1, "Is the server running there?"),
        (
            &["--url", &here, "no_such"],
            1,
            "There is no endpoint `no_such`; the endpoints are",
        ),
        (&["--duration", "nonsense"], 2, "write a time such as `30s` or `2m`"),
        (&["--duration", "1h"], 2, "write a time from `1s` to `5m`"),
    ] {
        let refused = simulate(folder.path(), arguments);
        assert_eq!(
            (refused.code, refused.out.as_str()),
            (Some(code), ""),
            "{arguments:?}: {refused:?}"
        );
        assert!(refused.error.contains(why), "{arguments:?}: {refused:?}");
    }
}
