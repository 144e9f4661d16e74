//! Files of credentials and certificates that are replaced while the program runs.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::caller::SECRET;
use tests::certificates::Certificate;
use tests::process::{Server, build};

use crate::authority::{Authority, Valid};
use crate::desk::{Curl, Desk, file, folder_with, place, replace};

const FIND: &str = r#"{"filter":{}}"#;
const EVENT: &str = r#"{"id":"ev_1","payload":{"type":"conversation.ended","status":"completed"}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn keys() -> String {
    format!("agent={SECRET}\n")
}

/// The public key of a new Ed25519 pair, as a PEM.
fn public_key() -> String {
    let folder = tempfile::tempdir().unwrap();
    let pair = folder.path().join("pair.pem");
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).arg(&pair).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["genpkey", "-algorithm", "ed25519", "-out"]);
    run(&["pkey", "-pubout", "-in"])
}

/// A desk whose credentials are all in files.
fn start() -> Desk {
    let authority = Authority::new();
    let pem = fs::read_to_string(authority.certificate()).unwrap();
    let folder = folder_with(&[
        ("keys", &keys()),
        ("tokens", "partner=token-of-the-partner\n"),
        ("public.pem", &public_key()),
        ("verifying", ""),
        ("clients", "agent=agent.example.com\n"),
        ("ca.pem", &pem),
    ]);
    let verifying = format!("signer=file:{}\n", folder.path().join("public.pem").display());
    replace(&folder.path().join("verifying"), &verifying);
    Desk::start_in(
        folder,
        &[
            ("OPERATOR_SIGNING_KEY", ""),
            ("OPERATOR_SIGNING_KEYS", "@{folder}/keys"),
            ("OPERATOR_API_KEYS", "@{folder}/tokens"),
            ("OPERATOR_VERIFYING_KEYS", "@{folder}/verifying"),
            ("OPERATOR_CLIENTS", "@{folder}/clients"),
            ("OPERATOR_CLIENT_CA", "{folder}/ca.pem"),
        ],
    )
}

/// A desk whose signing keys are in the file `keys`.
fn start_with_keys() -> Desk {
    Desk::start_in(
        folder_with(&[("keys", &keys())]),
        &[
            ("OPERATOR_SIGNING_KEY", ""),
            ("OPERATOR_SIGNING_KEYS", "@{folder}/keys"),
        ],
    )
}

fn find(desk: &Desk) -> u16 {
    desk.call(desk.curl(), "/orders/find", "k", FIND).status
}

#[test]
fn every_file_is_taken_up_within_ten_seconds() {
    let desk = start();
    // In a list with lines, a comma is a part of the path.
    let other_pem = file(&desk, "other,1.pem");
    let other = place(&other_pem);
    replace(&other_pem, &public_key());
    let changed = Instant::now();
    replace(
        &file(&desk, "keys"),
        &format!("agent={SECRET}\nshop/next=op_sk_the_next_key\n"),
    );
    replace(&file(&desk, "tokens"), "shop/partner=new-token-of-the-partner\n");
    replace(
        &file(&desk, "verifying"),
        &format!(
            "signer=file:{}\nshop/second=file:{other}\n",
            place(&file(&desk, "public.pem"))
        ),
    );
    replace(
        &file(&desk, "clients"),
        "agent=agent.example.com\nshop/robot=robot.example.com\n",
    );
    // Of one look at the files, the removed credentials come first, and each kind is in the order of the alphabet.
    desk.log.wait_for(&["removed the API key default/partner"]);
    for added in [
        "added the API key shop/partner",
        "added the client shop/robot",
        "added the signing key shop/next",
        "added the verifying key shop/second",
    ] {
        desk.log.wait_for(&[added]);
    }
    assert!(changed.elapsed() < Duration::from_secs(10), "{:?}", changed.elapsed());
    // A PEM that a list names is a file of its own.
    let changed = Instant::now();
    replace(&file(&desk, "public.pem"), &public_key());
    desk.log.wait_for(&["removed the verifying key default/signer"]);
    desk.log.wait_for(&["added the verifying key default/signer"]);
    // So is a PEM that the list did not name at start-up.
    replace(&other_pem, &public_key());
    desk.log.wait_for(&["added the verifying key shop/second"]);
    assert!(changed.elapsed() < Duration::from_secs(20), "{:?}", changed.elapsed());
    let authority = Authority::new();
    replace(
        &file(&desk, "ca.pem"),
        &fs::read_to_string(authority.certificate()).unwrap(),
    );
    desk.log.wait_for(&["removed the authority of clients sha256:"]);
    desk.log.wait_for(&["added the authority of clients sha256:"]);
    let robot = authority.issue("robot", "DNS:robot.example.com", Valid::Today);
    assert_eq!(
        desk.call(desk.curl().showing(&robot), "/orders/find", "k", FIND).status,
        200
    );
    // Events and MCP use the same credentials as the endpoints.
    for (secret, status) in [("op_sk_the_next_key", 200), ("op_sk_another_key", 401)] {
        let event = desk.curl().showing(&robot).signed_with(secret, "/events", "e", EVENT);
        assert_eq!(event.get(&desk.url("/events")).status, status, "{secret}");
    }
    for (token, status) in [("new-token-of-the-partner", 200), ("token-of-the-partner", 401)] {
        let asked = desk.curl().showing(&robot).posting("m", LIST).with(&[
            "-H",
            &format!("authorization: Bearer {token}"),
            "-H",
            "accept: application/json, text/event-stream",
        ]);
        assert_eq!(asked.get(&desk.url("/mcp")).status, status, "{token}");
    }
}

#[test]
fn sighup_takes_the_files_up_at_once_and_a_removed_key_no_longer_signs() {
    let desk = start_with_keys();
    assert_eq!(find(&desk), 200);
    let began = Instant::now();
    for _ in 0..5 {
        replace(&file(&desk, "keys"), "shop/next=op_sk_the_next_key\n");
        desk.signal("HUP");
        desk.log.wait_for(&["removed the signing key default/agent"]);
        desk.log.wait_for(&["added the signing key shop/next"]);
        assert_eq!(find(&desk), 401);
        replace(&file(&desk, "keys"), &keys());
        desk.signal("HUP");
        desk.log.wait_for(&["removed the signing key shop/next"]);
        desk.log.wait_for(&["added the signing key default/agent"]);
        assert_eq!(find(&desk), 200);
    }
    // Ten changes, each within its own time, would take more than a minute.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn dev_takes_the_files_up_too() {
    let folder = folder_with(&[("keys", &keys())]);
    let path = folder.path().join("keys");
    let list = format!("@{}", place(&path));
    let mut command = Command::new(build("support-desk", "dev"));
    let environment = [("OPERATOR_SIGNING_KEY", ""), ("OPERATOR_SIGNING_KEYS", &*list)];
    let mut child = Server::serving(command.arg("dev"), folder.path(), &environment)
        .env("RUST_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = |output| BufReader::new(output).lines().map_while(Result::ok);
    let mut printed = lines(Box::new(child.stdout.take().unwrap()) as Box<dyn Read>);
    assert!(printed.any(|line| line.starts_with("Serving at http://")));
    replace(&path, "shop/next=op_sk_the_next_key\n");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let mut log = lines(Box::new(child.stderr.take().unwrap()));
    assert!(log.any(|line| line.contains("added the signing key shop/next")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_token_of_the_admin_page_never_becomes_a_credential_of_a_caller() {
    const ADMIN: &str = "op_sk_token_of_a_person";
    let desk = Desk::start_in(
        folder_with(&[
            ("tokens", "agent=op_sk_token_of_the_agent\n"),
            ("people", &format!("ana={ADMIN}\n")),
        ]),
        &[
            ("OPERATOR_API_KEYS", "@{folder}/tokens"),
            ("OPERATOR_ADMIN", "127.0.0.1:0"),
            ("OPERATOR_ADMIN_TOKENS", "@{folder}/people"),
        ],
    );
    let calls_with = |token: &str| {
        let header = format!("authorization: Bearer {token}");
        let calling = desk.curl().posting("k", FIND).with(&["-H", &header]);
        calling.get(&desk.url("/orders/find")).status
    };
    let not_replaced = "credentials were not replaced, and the old ones stay in use";
    let usual = "agent=op_sk_token_of_the_agent\n";
    for taken in [format!("agent={ADMIN}\n"), format!("{usual}other={ADMIN}\n")] {
        replace(&file(&desk, "tokens"), &taken);
        desk.signal("HUP");
        desk.log
            .wait_for(&[not_replaced, "equals the token default/ana of the admin page"]);
        assert_eq!((calls_with(ADMIN), calls_with("op_sk_token_of_the_agent")), (401, 200));
        replace(&file(&desk, "tokens"), usual);
    }
    // Once it is no longer a person's, it may become a caller's.
    replace(&file(&desk, "people"), "ana=op_sk_next_token_of_a_person\n");
    replace(&file(&desk, "tokens"), &format!("agent={ADMIN}\n"));
    desk.signal("HUP");
    desk.log.wait_for(&["added the API key default/agent"]);
    assert_eq!((calls_with(ADMIN), calls_with("op_sk_token_of_the_agent")), (200, 401));
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_is_named_once() {
    let desk = start_with_keys();
    let path = file(&desk, "keys");
    let not_replaced = "credentials were not replaced, and the old ones stay in use";
    let mode = |mode: u32| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let cases: [(&dyn Fn(), &str); 6] = [
        (&|| fs::remove_file(&path).unwrap(), "cannot be read"),
        (&|| replace(&path, ""), "There is no secret"),
        (
            &|| replace(&path, "agent=next-key-of-the-agent\nno secret\n"),
            "Line 2 of",
        ),
        (&|| fs::write(&path, b"agent=\xff\xff\n").unwrap(), "is not UTF-8"),
        // The contents are right; only the mode is not.
        (
            &|| {
                let new = path.with_extension("new");
                fs::write(&new, "agent=next-key-of-the-agent\n").unwrap();
                fs::set_permissions(&new, Permissions::from_mode(0o622)).unwrap();
                fs::rename(&new, &path).unwrap();
            },
            "can be written by others",
        ),
        (
            &|| {
                let new = path.with_extension("new");
                assert!(Command::new("mkfifo").arg(&new).status().unwrap().success());
                fs::rename(&new, &path).unwrap();
            },
            "is a pipe or a device",
        ),
    ];
    for (number, (change, why)) in cases.iter().enumerate() {
        change();
        let line = desk.log.wait_for(&[not_replaced, why]);
        assert!(
            line.contains(&place(&path)) && line.contains("OPERATOR_SIGNING_KEYS"),
            "{line}"
        );
        assert!(!line.contains("next-key-of-the-agent"), "{line}");
        assert_eq!(find(&desk), 200, "{why}");
        assert_eq!(desk.log.count(not_replaced), number + 1, "{why}");
    }
    replace(&path, "shop/next=op_sk_the_next_key\n");
    desk.log.wait_for(&["added the signing key shop/next"]);
    assert_eq!(desk.log.count(not_replaced), cases.len(), "each change is named once");
    assert_eq!(find(&desk), 401);
    // Only the mode changes, and then changes back.
    mode(0o666);
    desk.log.wait_for(&[not_replaced, "can be written by others"]);
    mode(0o600);
    replace(&path, &keys());
    desk.log.wait_for(&["added the signing key default/agent"]);
}

#[test]
fn a_file_that_is_still_being_written_is_not_taken_up() {
    let desk = start_with_keys();
    let path = file(&desk, "keys");
    // A list that grows line by line for some seconds: at first, the key that is in use is not in it.
    fs::write(&path, "").unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut list = fs::File::options().append(true).open(&path).unwrap();
            for line in 0..60 {
                writeln!(list, "other-{line}=op_sk_of_another_caller_{line}").unwrap();
                std::thread::sleep(Duration::from_millis(100));
            }
            write!(list, "{}", keys()).unwrap();
        });
        while !writing.is_finished() {
            assert_eq!(find(&desk), 200);
        }
    });
    desk.log.wait_for(&["added the signing key default/other-59"]);
    assert_eq!(desk.log.count("removed the signing key"), 0);
    assert_eq!(find(&desk), 200);
}

#[test]
fn a_folder_that_is_replaced_by_a_symbolic_link_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let version = |name: &str, text: &str| {
        fs::create_dir(folder.path().join(name)).unwrap();
        replace(&folder.path().join(name).join("keys"), text);
    };
    // As Kubernetes mounts a secret: `keys` leads to `..data/keys`, and `..data` to the folder of a version.
    version("..1", &keys());
    version("..2", "shop/next=op_sk_the_next_key\n");
    symlink("..1", folder.path().join("..data")).unwrap();
    symlink("..data/keys", folder.path().join("keys")).unwrap();
    let desk = Desk::start_in(
        folder,
        &[
            ("OPERATOR_SIGNING_KEY", ""),
            ("OPERATOR_SIGNING_KEYS", "@{folder}/keys"),
        ],
    );
    symlink("..2", file(&desk, "..next")).unwrap();
    fs::rename(file(&desk, "..next"), file(&desk, "..data")).unwrap();
    desk.log.wait_for(&["removed the signing key default/agent"]);
    desk.log.wait_for(&["added the signing key shop/next"]);
}

#[test]
fn no_call_fails_while_the_files_are_replaced() {
    let desk = start_with_keys();
    let path = file(&desk, "keys");
    let both = format!("{}shop/next=op_sk_the_next_key\n", keys());
    let (is_over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let call = || {
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(find(&desk), 200);
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        let mut rounds = 0;
        while rounds < 20 || (calls.load(Ordering::Relaxed) <= 20 && rounds < 1_000) {
            rounds += 1;
            for (text, change) in [
                (&both, "added the signing key shop/next"),
                (&keys(), "removed the signing key shop/next"),
            ] {
                replace(&path, text);
                desk.signal("HUP");
                desk.log.wait_for(&[change]);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().unwrap();
        }
    });
    assert!(calls.into_inner() > 20);
}

/// Puts a certificate and a key into the folder, one after the other.
fn put(desk: &Desk, certificate: &Certificate, key: &Certificate) {
    let read = |path| fs::read_to_string(path).unwrap();
    replace(&file(desk, "server.pem"), &read(certificate.shown()));
    replace(&file(desk, "server.key"), &read(key.key()));
}

#[test]
fn a_new_certificate_is_used_and_one_that_does_not_match_its_key_is_not() {
    let [first, second] = [(); 2].map(|()| Certificate::of_this_machine());
    let read = |path| fs::read_to_string(path).unwrap();
    let desk = Desk::start_in(
        folder_with(&[("server.pem", &read(first.shown())), ("server.key", &read(first.key()))]),
        &[
            ("OPERATOR_TLS_CERT", "{folder}/server.pem"),
            ("OPERATOR_TLS_KEY", "{folder}/server.key"),
        ],
    );
    let trusts =
        |certificate: &Certificate| Curl::trusting(&certificate.authority()).get(&desk.url("/livez")).status == 200;
    assert!(trusts(&first) && !trusts(&second));
    let replaced = "replaced the server's certificate";
    let not_replaced = "the server's certificate was not replaced, and the old one stays in use";
    put(&desk, &second, &second);
    desk.log.wait_for(&[replaced]);
    assert!(trusts(&second) && !trusts(&first));
    // Back again, on SIGHUP.
    put(&desk, &first, &first);
    desk.signal("HUP");
    desk.log.wait_for(&[replaced]);
    assert!(trusts(&first) && !trusts(&second));
    for (change, setting, why) in [
        (
            &(|| put(&desk, &second, &first)) as &dyn Fn(),
            "OPERATOR_TLS_KEY",
            "is not the key of the certificate",
        ),
        (
            &|| replace(&file(&desk, "server.pem"), "not a PEM"),
            "OPERATOR_TLS_CERT",
            "has no certificate in it",
        ),
        (
            &|| fs::remove_file(file(&desk, "server.key")).unwrap(),
            "OPERATOR_TLS_KEY",
            "cannot be read",
        ),
    ] {
        change();
        let line = desk.log.wait_for(&[not_replaced, why]);
        assert!(line.contains(setting), "{line}");
        assert!(trusts(&first), "{why}");
    }
    put(&desk, &second, &second);
    desk.log.wait_for(&[replaced]);
    assert!(trusts(&second));
    assert_eq!(desk.log.count(not_replaced), 3, "each change is named once");
}
