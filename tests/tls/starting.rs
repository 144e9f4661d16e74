//! What the program says at start-up about TLS, and what the commands do that speak http.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use operator_runtime::{App, Config, endpoints, operator_api};
use tests::caller::SECRET;
use tests::certificates::Certificate;
use tests::process::{Server, build};

use crate::authority::Authority;
use crate::desk::{Desk, place, replace};

/// Does nothing. Use it only in this test.
#[operator_api(GET, "/nothing")]
async fn nothing() -> u8 {
    0
}

/// What `serve` prints if it does not start.
fn refused(package: &str, environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(build(package, "dev"));
    let output = Server::serving(command.arg("serve"), folder.path(), environment)
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn settings_of_tls_that_lack_another_or_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (Certificate::of_this_machine(), Certificate::of_this_machine());
    let (certificate, key) = (&*place(&own.shown()), &*place(&own.key()));
    let (cert_setting, key_setting) = ("OPERATOR_TLS_CERT", "OPERATOR_TLS_KEY");
    let (ca_setting, clients) = ("OPERATOR_CLIENT_CA", "OPERATOR_CLIENTS");
    let path = |name: &str| place(&folder.path().join(name));
    let (open, encrypted, broken, garbled) = (path("open"), path("encrypted"), path("broken"), path("garbled"));
    std::fs::copy(own.key(), &open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o606)).unwrap();
    let encrypting = [
        "pkey",
        "-aes256",
        "-passout",
        "pass:hush",
        "-in",
        key,
        "-out",
        &encrypted,
    ];
    assert!(Command::new("openssl").args(encrypting).status().unwrap().success());
    let strange = path("strange");
    let making = [
        "genpkey",
        "-algorithm",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:secp521r1",
        "-out",
        &strange,
    ];
    assert!(Command::new("openssl").args(making).status().unwrap().success());
    let authority = Authority::new();
    let version_1 = authority.issue_version_1("old");
    let (old, old_key) = (&*place(&version_1.certificate), &*place(&version_1.key));
    replace(
        Path::new(&broken),
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    );
    replace(
        Path::new(&garbled),
        "-----BEGIN CERTIFICATE-----\naGVs*G8=\n-----END CERTIFICATE-----\n",
    );
    let two_forms = format!("one/a=sha256:{},two/b=sha256:{}AB", "ab".repeat(32), "AB:".repeat(31));
    for (environment, said) in [
        (
            &[(cert_setting, certificate)][..],
            "OPERATOR_TLS_CERT is set, but OPERATOR_TLS_KEY or `Config::tls` is not",
        ),
        (
            &[(key_setting, key)],
            "OPERATOR_TLS_KEY is set, but OPERATOR_TLS_CERT or `Config::tls` is not",
        ),
        (
            &[(clients, "a=a.example")],
            "OPERATOR_CLIENTS is set, but OPERATOR_CLIENT_CA or `Config::clients` is not",
        ),
        (
            &[(ca_setting, certificate), (clients, "a=a.example")],
            "OPERATOR_CLIENT_CA is set, but OPERATOR_TLS_CERT or `Config::tls` is not",
        ),
        (
            &[(cert_setting, "/nowhere.pem"), (key_setting, key)],
            "The file /nowhere.pem (OPERATOR_TLS_CERT) cannot be read",
        ),
        (
            &[(cert_setting, certificate), (key_setting, "/nowhere")],
            "The file /nowhere (OPERATOR_TLS_KEY) cannot be read",
        ),
        (
            &[(cert_setting, key), (key_setting, key)],
            "(OPERATOR_TLS_CERT) has no certificate in it: name a PEM that begins with",
        ),
        (
            &[(cert_setting, certificate), (key_setting, certificate)],
            "(OPERATOR_TLS_KEY) has no private key in it: name a PEM",
        ),
        (
            &[(cert_setting, certificate), (key_setting, &place(&other.key()))],
            "(OPERATOR_TLS_KEY) is not the key of the certificate: name the files of one pair",
        ),
        (
            &[(cert_setting, certificate), (key_setting, &open)],
            "(OPERATOR_TLS_KEY) can be written by others, who could replace what it contains: run `chmod go-w",
        ),
        (
            &[(cert_setting, certificate), (key_setting, &encrypted)],
            "(OPERATOR_TLS_KEY) is encrypted with a password: decrypt it",
        ),
        (
            &[(cert_setting, certificate), (key_setting, &strange)],
            "(OPERATOR_TLS_KEY) is of a kind that this server cannot use: make a key for ECDSA",
        ),
        (
            &[(cert_setting, old), (key_setting, old_key)],
            "(OPERATOR_TLS_CERT) is not of version 3: issue one with extensions",
        ),
        (
            &[(cert_setting, &broken), (key_setting, key)],
            "(OPERATOR_TLS_CERT) cannot be read as an X.509 certificate: make a new one.",
        ),
        (
            &[(cert_setting, &garbled), (key_setting, key)],
            "(OPERATOR_TLS_CERT) has a part that is not valid base64",
        ),
        (
            &[
                (cert_setting, certificate),
                (key_setting, key),
                (ca_setting, &broken),
                (clients, "a=a.example"),
            ],
            "(OPERATOR_CLIENT_CA) has a certificate that cannot be read as an X.509 certificate: make a new one.",
        ),
        (
            &[
                (cert_setting, certificate),
                (key_setting, key),
                (ca_setting, certificate),
                (clients, "a=b c"),
            ],
            "has no name that a certificate can have: write a DNS name",
        ),
        (
            &[
                (cert_setting, certificate),
                (key_setting, key),
                (ca_setting, certificate),
                (clients, "a=agent.example.com."),
            ],
            "has no name that a certificate can have: write a DNS name",
        ),
        (
            &[
                (cert_setting, certificate),
                (key_setting, key),
                (ca_setting, certificate),
                (clients, "one/a=Agent.example.com,two/b=agent.example.com"),
            ],
            "the client two/b has the same name in its certificate as one/a, agent.example.com: give each id",
        ),
        (
            &[
                (cert_setting, certificate),
                (key_setting, key),
                (ca_setting, certificate),
                (clients, &two_forms),
            ],
            "the client two/b has the same name in its certificate as one/a, sha256:abab",
        ),
    ] {
        let told = refused("support-desk", environment);
        assert_eq!(told.matches(said).count(), 1, "{said}\n{told}");
        assert!(!told.contains("reasons"), "one mistake has one sentence:\n{told}");
    }
}

#[test]
fn a_program_without_the_feature_says_how_to_turn_it_on() {
    let told = refused(
        "linked-program",
        &[("OPERATOR_TLS_CERT", "a.pem"), ("OPERATOR_TLS_KEY", "a.key")],
    );
    assert!(
        told.contains("OPERATOR_TLS_CERT is set, but this program was built without TLS: turn it on with `operator-runtime = { features = [\"tls\"] }`"),
        "{told}"
    );
}

#[tokio::test]
async fn an_app_inside_another_server_refuses_settings_of_tls() {
    let own = Certificate::of_this_machine();
    let config = || {
        let config = Config::new().store("memory:").public_url("https://api.example.com");
        config.signing_key(SECRET)
    };
    let app = |config| App::new().only(endpoints![nothing]).config(config);
    assert!(app(config()).router().await.is_ok());
    let with_tls = config().tls(place(&own.shown()), place(&own.key()));
    let error = app(with_tls).router().await.unwrap_err().to_string();
    assert!(
        error.contains("`Config::tls` is set, but this app is served by another server: leave `Config::tls` unset"),
        "{error}"
    );
}

#[test]
fn serve_says_once_that_something_has_to_terminate_tls() {
    let (in_clear, encrypted) = (
        "which everybody on the way can read without TLS",
        "this server speaks https",
    );
    let logged = |environment: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(build("support-desk", "dev"));
        let mut child = Server::serving(command.arg("serve"), folder.path(), environment)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut logged = Vec::new();
        for line in lines {
            let is_last = line.contains("\"listening\"");
            logged.push(line);
            if is_last {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let count = |words: &str| logged.iter().filter(|line| line.contains(words)).count();
        (count(in_clear), count(encrypted))
    };
    let own = Certificate::of_this_machine();
    let (certificate, key) = (place(&own.shown()), place(&own.key()));
    let token = ("OPERATOR_API_KEYS", "partner=token-of-the-partner");
    let tls = [("OPERATOR_TLS_CERT", certificate.as_str()), ("OPERATOR_TLS_KEY", &key)];
    assert_eq!(logged(&[]), (0, 0), "signatures need no secrecy");
    assert_eq!(logged(&[token]), (1, 0));
    assert_eq!(logged(&[token, tls[0], tls[1]]), (0, 1));
}

#[test]
fn dev_speaks_http_and_says_that_tls_has_no_effect() {
    let (folder, own) = (tempfile::tempdir().unwrap(), Certificate::of_this_machine());
    let authority = Authority::new();
    let values = [own.shown(), own.key(), authority.certificate()].map(|path| place(&path));
    let environment = [
        ("OPERATOR_TLS_CERT", &*values[0]),
        ("OPERATOR_TLS_KEY", &values[1]),
        ("OPERATOR_CLIENT_CA", &values[2]),
        ("OPERATOR_CLIENTS", "a=a.example"),
    ];
    let program = build("support-desk", "dev");
    let mut command = Command::new(&program);
    let mut child = Server::serving(command.arg("dev"), folder.path(), &environment)
        .env_remove("OPERATOR_PUBLIC_URL")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let serving = lines.find(|line| line.starts_with("Serving at http://")).unwrap();
    let port = serving.split(':').nth(2).unwrap().split(',').next().unwrap();
    let called = Command::new(&program)
        .args(["call", "recent_orders", "email=ana@example.com", "--url"])
        .arg(format!("http://127.0.0.1:{port}"))
        .env("OPERATOR_SIGNING_KEY", SECRET)
        .output()
        .unwrap();
    assert!(called.status.success(), "{}", String::from_utf8_lossy(&called.stderr));
    // A killed program would lose the lines that it has not written yet.
    let terminated = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(terminated.success());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    child.wait().unwrap();
    assert!(
        log.contains("OPERATOR_TLS_CERT has no effect here: `dev` speaks http"),
        "{log}"
    );
}

#[test]
fn call_and_simulate_reach_a_server_whose_authority_the_system_trusts() {
    let desk = Desk::start(&[("OPERATOR_API_KEYS", "partner=token-of-the-partner")]);
    let at = desk.url("");
    let run = |arguments: &[&str], trusted: &Path| {
        let output = Command::new(build("support-desk", "dev"))
            .args(arguments)
            .args(["--url", tests::caller::PUBLIC_URL, "--at", &at])
            .env("OPERATOR_SIGNING_KEY", SECRET)
            .env("SSL_CERT_FILE", trusted)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let call = ["call", "recent_orders", "email=ana@example.com"];
    let (called, said) = run(&call, &desk.certificate.authority());
    assert!(called && said.contains("200 OK"), "{said}");
    let (simulated, said) = run(&["simulate", "recent_orders"], &desk.certificate.authority());
    assert!(simulated && said.contains("a correct call is answered"), "{said}");
    let stranger = Certificate::of_this_machine();
    let (called, said) = run(&call, &stranger.authority());
    let advice = "its certificate is not issued by an authority that this system trusts; if the authority is your own, set SSL_CERT_FILE";
    assert!(!called && said.contains(advice), "{said}");
    // Over http, the answer says what to do.
    let plain = at.replace("https", "http");
    let output = Command::new(build("support-desk", "dev"))
        .args(call)
        .args(["--url", tests::caller::PUBLIC_URL, "--at", &plain])
        .env("OPERATOR_SIGNING_KEY", SECRET)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !output.status.success() && said.contains("This port speaks https"),
        "{said}"
    );
}

#[test]
fn call_says_what_is_wrong_with_a_certificate_that_signs_itself() {
    let authority = Authority::new();
    let own = authority.itself();
    let (certificate, key) = (place(&own.certificate), place(&own.key));
    let desk = Desk::start(&[("OPERATOR_TLS_CERT", &certificate), ("OPERATOR_TLS_KEY", &key)]);
    let output = Command::new(build("support-desk", "dev"))
        .args(["call", "recent_orders", "email=ana@example.com"])
        .args(["--url", tests::caller::PUBLIC_URL, "--at", &desk.url("")])
        .env("OPERATOR_SIGNING_KEY", SECRET)
        .env("SSL_CERT_FILE", &certificate)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let why = "did not answer: its certificate is the certificate of an authority; issue one to the server with `basicConstraints = CA:FALSE`.";
    assert!(!output.status.success() && said.contains(why), "{said}");
}
