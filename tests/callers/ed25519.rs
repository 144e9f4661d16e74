//! CPython signs with Ed25519, by the package `cryptography`. OpenSSL makes the keys in files.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::caller::PUBLIC_URL;
use tests::process::installed;

use crate::desk::{Desk, NO_KEY, refusal_to_start};

const VERIFYING_KEYS: &str = "OPERATOR_VERIFYING_KEYS";

fn python(arguments: &[&str]) -> String {
    let output = Command::new(installed("python/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/callers/ed25519.py"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A new key pair: the private key, and the base64 of the public key and of its SPKI.
pub(crate) fn key_pair() -> [String; 3] {
    let said = python(&["make"]);
    let mut lines = said.lines().map(str::to_owned);
    std::array::from_fn(|_| lines.next().unwrap())
}

/// A folder with the files that these commands of openssl write.
fn made_by_openssl(commands: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for command in commands {
        let made = Command::new("openssl")
            .args(command.split(' '))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    folder
}

/// Calls with a private key, and returns the status and the body.
fn call(desk: &Desk, key: &str, method: &str, path: &str, inputs: &Value, idempotency_key: &str) -> (u64, Value) {
    let port = desk.server.port.to_string();
    let inputs = inputs.to_string();
    let said = python(&["call", &port, PUBLIC_URL, key, method, path, &inputs, idempotency_key]);
    let mut answer: Value = serde_json::from_str(&said).unwrap();
    (answer["status"].as_u64().unwrap(), answer["body"].take())
}

#[test]
fn python_signs_a_get_and_a_post_with_a_key_in_each_form() {
    let files = made_by_openssl(&[
        "genpkey -algorithm ed25519 -out private.pem",
        "pkey -in private.pem -pubout -out public.pem",
    ]);
    let [raw, public, _] = key_pair();
    let [spki, _, public_spki] = key_pair();
    let public_pem = files.path().join("public.pem").display().to_string();
    let private_pem = format!("file:{}", files.path().join("private.pem").display());
    let keys = format!("shop/raw={public}, spki={public_spki}, other/pem=file:{public_pem}");
    let desk = Desk::start(&[NO_KEY, ("OPERATOR_VERIFYING_KEYS", &keys)]);
    for (number, (key, tenant, id)) in [
        (raw, "shop", "raw"),
        (spki, "default", "spki"),
        (private_pem, "other", "pem"),
    ]
    .into_iter()
    .enumerate()
    {
        let recent = json!({ "email": "josé@example.com", "limit": 2 });
        let (status, body) = call(&desk, &key, "GET", "/orders/recent", &recent, "read");
        assert_eq!(
            (status, &body["orders"][0]["order_id"]),
            (200, &json!(1009)),
            "{id}: {body}"
        );
        assert_eq!(desk.next_caller(), [tenant, id, "ed25519"]);
        let refund = json!({ "order_id": 1004, "amount_cents": 1, "reason": "Zu spät – 遅い 😀" });
        let first = call(&desk, &key, "POST", "/refunds", &refund, "same");
        assert_eq!(first.0, 200, "{}", first.1);
        assert_eq!(first.1["refund_id"], number + 1);
        assert_eq!(call(&desk, &key, "POST", "/refunds", &refund, "same"), first);
        assert_eq!(desk.next_caller(), [tenant, id, "ed25519"]);
        desk.next_caller();
    }
    let [stranger, ..] = key_pair();
    let (status, body) = call(
        &desk,
        &stranger,
        "GET",
        "/orders/recent",
        &json!({ "email": "a@b.example" }),
        "k",
    );
    assert_eq!(status, 401);
    assert_eq!(body["type"], "urn:operator:problem:signature-mismatch", "{body}");
}

#[test]
fn a_private_key_or_another_kind_of_key_is_a_start_up_problem_that_does_not_show_it() {
    let files = made_by_openssl(&[
        "genpkey -algorithm ed25519 -out private.pem",
        "genpkey -algorithm ed25519 -aes256 -pass pass:hush -out encrypted.pem",
        "genpkey -algorithm x25519 -out other.key",
        "pkey -in other.key -pubout -out x25519.pem",
        "genrsa -out rsa.key 2048",
        "pkey -in rsa.key -pubout -out rsa.pem",
        "req -x509 -newkey ed25519 -nodes -subj /CN=tests -keyout certified.key -out certificate.pem",
        "pkey -in private.pem -outform DER -out private.der",
    ]);
    for (file, why) in [
        (
            "private.pem",
            "is in a file with a private key, which must stay with the caller",
        ),
        ("encrypted.pem", "is in a file with a private key"),
        ("x25519.pem", "has 44 bytes and is not an Ed25519 key"),
        ("rsa.pem", "has 294 bytes and is not an Ed25519 key"),
        ("certificate.pem", "is in a file that is not the PEM of a public key"),
        ("private.der", "is binary, as a key in DER"),
        ("missing.pem", "cannot be read"),
    ] {
        let path = files.path().join(file);
        let keys = format!("shop/vendor=file:{}", path.display());
        let said = refusal_to_start(&[NO_KEY, ("OPERATOR_VERIFYING_KEYS", &keys)]);
        assert!(said.contains("shop/vendor") && said.contains(why), "{file}: {said}");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!said.contains(line), "{file}: {said}");
        }
    }
}

#[test]
fn a_pem_that_is_pasted_or_named_as_a_list_has_one_sentence() {
    let files = made_by_openssl(&[
        "genpkey -algorithm ed25519 -out private.pem",
        "pkey -in private.pem -pubout -out public.pem",
        "req -x509 -newkey ed25519 -nodes -subj /CN=tests -keyout certified.key -out certificate.pem",
    ]);
    let text = |file: &str| std::fs::read_to_string(files.path().join(file)).unwrap();
    let list = |name: &str, list: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, list).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("@{}", path.display())
    };
    let (private, public) = (text("private.pem"), text("public.pem"));
    let private_words = "There is a private key, which must stay with the caller, in ";
    for (setting, value, words) in [
        (VERIFYING_KEYS, list("1", &private), private_words),
        (VERIFYING_KEYS, format!("a={private}"), private_words),
        (VERIFYING_KEYS, list("2", &format!("a={private}")), private_words),
        (
            VERIFYING_KEYS,
            list("3", "a=-----BEGIN PRIVATE KEY-----\n"),
            private_words,
        ),
        (VERIFYING_KEYS, list("4", &public), "There is a PEM in "),
        (VERIFYING_KEYS, format!("a={public}"), "There is a PEM in "),
        ("OPERATOR_API_KEYS", list("5", &private), private_words),
        ("OPERATOR_SIGNING_KEYS", format!("a={private}"), private_words),
        (
            "OPERATOR_CLIENTS",
            list("6", &text("certificate.pem")),
            "There is a PEM in ",
        ),
    ] {
        let tls = [
            ("OPERATOR_TLS_CERT", "a"),
            ("OPERATOR_TLS_KEY", "a"),
            ("OPERATOR_CLIENT_CA", "a"),
        ];
        let tls = if setting == "OPERATOR_CLIENTS" { &tls[..] } else { &[] };
        let said = refusal_to_start(&[&[NO_KEY, (setting, value.as_str())], tls].concat());
        let about = said.lines().filter(|line| line.contains(setting));
        assert_eq!(about.clone().count(), 1, "{setting}={value}: {said}");
        assert!(
            about.clone().all(|line| line.contains(words)),
            "{setting}={value}: {said}"
        );
        let advice = if setting == VERIFYING_KEYS {
            "`[tenant/]id=file:PATH`"
        } else {
            "write `[tenant/]id="
        };
        assert!(said.contains(advice), "{setting}={value}: {said}");
        for line in text("private.pem").lines().filter(|line| !line.starts_with("-----")) {
            assert!(!said.contains(line), "{setting}: {said}");
        }
    }
}
