//! Mutual TLS: whose certificate vouches for a call, and what the others are told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned, SupportedProtocolVersion};

use serde_json::json;
use tests::caller::{PUBLIC_URL, now};

use crate::authority::{Authority, Client, Valid};
use crate::desk::{Answer, Curl, Desk, file, folder_with, place, replace};
use crate::issuer::{Issuer, bearer};

const BODY: &str = r#"{"order_id":1004,"amount_cents":100}"#;
const NAME: &str = "DNS:agent.example.com";
const VERSIONS: [[&str; 3]; 2] = [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]];

/// A support desk that asks for the certificates of this authority, and for nothing else.
fn start(authority: &Authority, clients: &str) -> Desk {
    start_with(authority, clients, &[])
}

fn start_with(authority: &Authority, clients: &str, environment: &[(&str, &str)]) -> Desk {
    let ca = place(&authority.certificate());
    let mut all = vec![
        ("OPERATOR_SIGNING_KEY", ""),
        ("OPERATOR_CLIENT_CA", ca.as_str()),
        ("OPERATOR_CLIENTS", clients),
    ];
    all.extend_from_slice(environment);
    Desk::start(&all)
}

/// Refunds a cent, without a signature.
fn refund(desk: &Desk, curl: Curl, key: &str) -> Answer {
    curl.posting(key, BODY).get(&desk.url("/refunds"))
}

fn detail(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_certificate_vouches_by_each_kind_of_name() {
    let authority = Authority::new();
    let by_dns = authority.issue("dns", "DNS:other.example.com, DNS:Agent.Example.com", Valid::Today);
    let by_uri = authority.issue("uri", "URI:spiffe://example.com/ns/agent", Valid::Today);
    let urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let by_urn = authority.issue("urn", &format!("URI:{urn}"), Valid::Today);
    let by_digest = authority.issue("digest", "DNS:unlisted.example.com", Valid::Today);
    let clients = format!(
        "shop/by-dns=agent.example.com,by-uri=spiffe://example.com/ns/agent,by-urn={urn},shop/by-digest=sha256:{}",
        by_digest.digest()
    );
    let desk = start(&authority, &clients);
    for (client, tenant, id) in [
        (&by_dns, "shop", "by-dns"),
        (&by_uri, "default", "by-uri"),
        (&by_urn, "default", "by-urn"),
        (&by_digest, "shop", "by-digest"),
    ] {
        for version in VERSIONS {
            let answer = refund(
                &desk,
                desk.curl().with(&version).showing(client),
                &format!("{id}{}", version[0]),
            );
            assert_eq!(answer.status, 200, "{id} {version:?}: {answer:?}");
            let [tenant, id] =
                [("tenant", tenant), ("key_id", id)].map(|(name, value)| format!("\"{name}\":\"{value}\""));
            desk.log.wait_for(&["\"scheme\":\"mtls\"", &tenant, &id]);
        }
    }
    // Tenants do not see each other's operations.
    let other = refund(&desk, desk.curl().showing(&by_uri).with(&["-i"]), "by-dns--tlsv1.3");
    assert!(
        other.status == 200 && !other.body.contains("idempotent-replayed"),
        "{other:?}"
    );
    let recent = desk
        .curl()
        .showing(&by_uri)
        .get(&desk.url("/orders/recent?email=ana@example.com"));
    assert_eq!(recent.status, 200, "{recent:?}");
}

#[test]
fn a_certificate_that_vouches_for_nobody_is_refused_with_a_reason() {
    let (authority, strangers) = (Authority::new(), Authority::named("strangers"));
    // It has the name of the server's authority, and another key.
    let forgers = Authority::new();
    let own = authority.issue("own", NAME, Valid::Today);
    // Not even the digest of its certificate makes an authority a client, or a certificate that cannot be read.
    let (pinned, version_1) = (authority.itself(), authority.issue_version_1("old"));
    let clients = format!(
        "agent=agent.example.com,pinned=sha256:{},old=sha256:{}",
        pinned.digest(),
        version_1.digest()
    );
    let desk = start(&authority, &clients);
    let cases = [
        (
            Some(pinned),
            "401 invalid-certificate",
            "is the certificate of an authority: issue one with `basicConstraints = CA:FALSE`",
        ),
        (
            Some(strangers.itself()),
            "401 invalid-certificate",
            "is the certificate of an authority: issue one with `basicConstraints = CA:FALSE`",
        ),
        (
            Some(version_1),
            "401 invalid-certificate",
            "is not of version 3: issue one with extensions",
        ),
        (
            Some(strangers.issue_version_1("foreign-old")),
            "401 invalid-certificate",
            "is not of version 3: issue one with extensions",
        ),
        (
            Some(authority.issue_to_a_server("server", NAME)),
            "401 invalid-certificate",
            "is not for clients: issue one with `extendedKeyUsage = clientAuth`",
        ),
        (
            Some(authority.issue("expired", NAME, Valid::Before)),
            "401 invalid-certificate",
            "has expired",
        ),
        (
            Some(authority.issue("early", NAME, Valid::Later)),
            "401 invalid-certificate",
            "is not valid yet",
        ),
        (
            Some(strangers.issue("foreign", NAME, Valid::Today)),
            "401 invalid-certificate",
            "is not issued by an authority that this server knows",
        ),
        (
            Some(forgers.issue("forged", NAME, Valid::Today)),
            "401 invalid-certificate",
            "is not issued by an authority that this server knows",
        ),
        (
            Some(authority.issue("nobody", "DNS:agent.example.com.evil.example", Valid::Today)),
            "403 unknown-certificate",
            "agent.example.com.evil.example",
        ),
        (None, "401 invalid-certificate", "is missing"),
    ];
    for (client, problem, words) in &cases {
        for version in VERSIONS {
            let shown = |curl: Curl| match client {
                Some(client) => curl.showing(client),
                None => curl,
            };
            let answer = refund(&desk, shown(desk.curl().with(&version)), "refused");
            assert_eq!(answer.problem(), *problem, "{words}: {answer:?}");
            let detail = detail(&answer);
            assert!(detail.contains(words) && !detail.contains("Other("), "{answer:?}");
            for probe in ["/livez", "/readyz"] {
                assert_eq!(shown(desk.curl().with(&version)).get(&desk.url(probe)).status, 200);
            }
        }
    }
    // The operation is still free, because none of them reached it.
    let answer = refund(&desk, desk.curl().showing(&own).with(&["-i"]), "refused");
    assert!(
        answer.status == 200 && !answer.body.contains("idempotent-replayed"),
        "{answer:?}"
    );
}

#[test]
fn without_a_certificate_only_the_probes_are_answered() {
    let authority = Authority::new();
    let client = authority.issue("agent", NAME, Valid::Today);
    // Nothing listens at the issuer's port, and the server starts without the issuer's keys.
    let issuer = ("OPERATOR_OAUTH_ISSUER", "http://127.0.0.1:9");
    let desk = start_with(&authority, "agent=agent.example.com", &[issuer]);
    for (path, certified) in [
        ("/nowhere", "404 no-such-path"),
        // This endpoint answers only POST.
        ("/refunds", "405 method-not-allowed"),
        ("/.well-known/oauth-protected-resource", "200 none"),
    ] {
        let without = desk.curl().get(&desk.url(path));
        assert_eq!(without.problem(), "401 invalid-certificate", "{path}: {without:?}");
        let with = desk.curl().showing(&client).get(&desk.url(path));
        assert_eq!(with.problem(), certified, "{path}: {with:?}");
    }
    for probe in ["/livez", "/readyz"] {
        assert_eq!(desk.curl().get(&desk.url(probe)).status, 200, "{probe}");
    }
}

#[test]
fn with_signing_keys_a_call_needs_both_and_belongs_to_the_signer() {
    let authority = Authority::new();
    let client = authority.issue("agent", NAME, Valid::Today);
    let clients = "client-tenant/client-id=agent.example.com";
    let desk = start_with(&authority, clients, &[("OPERATOR_SIGNING_KEY", tests::caller::SECRET)]);
    let only_signed = desk.call(desk.curl(), "/refunds", "both", BODY);
    assert_eq!(only_signed.problem(), "401 invalid-certificate", "{only_signed:?}");
    let only_shown = refund(&desk, desk.curl().showing(&client), "both");
    assert_eq!(only_shown.problem(), "401 malformed-signature", "{only_shown:?}");
    let both = desk.call(desk.curl().showing(&client), "/refunds", "both", BODY);
    assert_eq!(both.status, 200, "{both:?}");
    desk.log.wait_for(&[
        "\"scheme\":\"hmac\"",
        "\"tenant\":\"default\"",
        "\"key_id\":\"default\"",
        "\"outcome\":\"done\"",
    ]);
}

#[test]
fn with_api_keys_endpoints_and_mcp_need_both() {
    let authority = Authority::new();
    let client = authority.issue("agent", NAME, Valid::Today);
    let desk = start_with(
        &authority,
        "agent=agent.example.com",
        &[("OPERATOR_API_KEYS", "shop/partner=token-of-the-partner")],
    );
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let token = [
        "-H",
        "x-api-key: token-of-the-partner",
        "-H",
        "accept: application/json, text/event-stream",
    ];
    for (path, body) in [("/refunds", BODY), ("/mcp", list)] {
        let send = |curl: Curl| curl.posting("k", body).get(&desk.url(path));
        let only_token = send(desk.curl().with(&token));
        assert_eq!(
            only_token.problem(),
            "401 invalid-certificate",
            "{path}: {only_token:?}"
        );
        let only_shown = send(desk.curl().showing(&client));
        assert_eq!(only_shown.problem(), "401 no-credential", "{path}: {only_shown:?}");
        let both = send(desk.curl().showing(&client).with(&token));
        assert_eq!(both.status, 200, "{path}: {both:?}");
    }
}

/// The headers of a call that is signed with an Ed25519 key, which OpenSSL does.
fn signed_by(key: &Path, idempotency_key: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (payload, signature) = (folder.path().join("payload"), folder.path().join("signature"));
    let timestamp = now();
    replace(
        &payload,
        &format!("{PUBLIC_URL}/refunds:{idempotency_key}:{timestamp}:{BODY}"),
    );
    let mut signing = Command::new("openssl");
    signing.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(key);
    let signed = signing.arg("-in").arg(&payload).arg("-out").arg(&signature).status();
    assert!(signed.unwrap().success());
    let digits = std::fs::read(&signature).unwrap();
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        "-H".to_owned(),
        format!("x-timestamp: {timestamp}"),
        "-H".to_owned(),
        format!("x-signature: {digits}"),
    ]
}

#[test]
fn with_ed25519_or_oauth_a_call_needs_both_and_belongs_to_the_other_credential() {
    let authority = Authority::new();
    let client = authority.issue("agent", NAME, Valid::Today);
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = (folder.path().join("private"), folder.path().join("public"));
    let (private_file, public_file) = (place(&private), place(&public));
    for arguments in [
        &["genpkey", "-algorithm", "ed25519", "-out", &private_file][..],
        &["pkey", "-in", &private_file, "-pubout", "-out", &public_file],
    ] {
        assert!(Command::new("openssl").args(arguments).status().unwrap().success());
    }
    let verifying_key = format!("shop/signer=file:{public_file}");
    let mut issuer = Issuer::start();
    let token = format!("authorization: {}", bearer(&issuer.token(json!({}))));
    for (setting, key, caller) in [
        (
            ("OPERATOR_VERIFYING_KEYS", verifying_key.as_str()),
            Some(&private),
            ["shop", "signer", "ed25519"],
        ),
        (issuer.setting(), None, ["default", "agent", "oauth"]),
    ] {
        let start = || start_with(&authority, "client-tenant/client-id=agent.example.com", &[setting]);
        // If the issuer was too slow for a server, another one is started.
        let mut all = std::iter::repeat_with(start).take(10);
        let desk = all.find(|desk| !desk.server.missed_its_issuer());
        let desk = desk.expect("the issuer answers in time");
        let headers = match key {
            Some(key) => signed_by(key, "k"),
            None => vec!["-H".to_owned(), token.clone()],
        };
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let only_other = refund(&desk, desk.curl().with(&headers), "k");
        assert_eq!(only_other.problem(), "401 invalid-certificate", "{only_other:?}");
        let only_shown = refund(&desk, desk.curl().showing(&client), "k");
        assert!(only_shown.problem().starts_with("401 "), "{only_shown:?}");
        let both = refund(&desk, desk.curl().showing(&client).with(&headers), "k");
        assert_eq!(both.status, 200, "{setting:?}: {both:?}");
        let [tenant, id, scheme] = caller;
        desk.log.wait_for(&[
            &format!("\"tenant\":\"{tenant}\""),
            &format!("\"key_id\":\"{id}\""),
            &format!("\"scheme\":\"{scheme}\""),
            "\"outcome\":\"done\"",
        ]);
    }
}

/// A connection of `openssl s_client` that stays open. It sends what it is given.
struct Kept {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Kept {
    fn open(desk: &Desk, client: Option<&Client>, arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile"])
            .arg(desk.certificate.authority())
            .arg("-connect")
            .arg(format!("127.0.0.1:{}", desk.server.port))
            .args(arguments);
        if let Some(client) = client {
            command
                .arg("-cert")
                .arg(&client.certificate)
                .arg("-key")
                .arg(&client.key);
        }
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = piped.spawn().unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The status of the answer to a GET that nothing but the certificate vouches for.
    fn status(&mut self) -> String {
        let request = b"GET /orders/recent?email=ana@example.com HTTP/1.1\r\nhost: a\r\n\r\n";
        self.stdin.write_all(request).unwrap();
        self.stdin.flush().unwrap();
        let mut lines = Vec::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut body = vec![0; length];
        self.stdout.read_exact(&mut body).unwrap();
        lines.first().map_or_else(
            || "closed".to_owned(),
            |line| line.split(' ').nth(1).unwrap().to_owned(),
        )
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_client_that_is_removed_is_refused_on_its_open_connection_and_when_it_resumes_its_session() {
    let authority = Authority::new();
    let (gone, stays) = (
        authority.issue("gone", "DNS:gone.example.com", Valid::Today),
        authority.issue("stays", "DNS:stays.example.com", Valid::Today),
    );
    let both = "gone=gone.example.com\nstays=stays.example.com\n";
    let folder = folder_with(&[("clients", both)]);
    let ca = place(&authority.certificate());
    let desk = Desk::start_in(
        folder,
        &[
            ("OPERATOR_SIGNING_KEY", ""),
            ("OPERATOR_CLIENT_CA", &ca),
            ("OPERATOR_CLIENTS", "@{folder}/clients"),
        ],
    );
    let session = place(&file(&desk, "session"));
    for version in ["-tls1_2", "-tls1_3"] {
        replace(&file(&desk, "clients"), both);
        desk.signal("HUP");
        desk.log.wait_for(&["SIGHUP"]);
        let mut of_gone = Kept::open(&desk, Some(&gone), &[version, "-sess_out", &session]);
        let mut of_stays = Kept::open(&desk, Some(&stays), &[version]);
        // `added the client` may come after the first call, so the first answer is waited for.
        while of_gone.status() != "200" {}
        assert_eq!(of_stays.status(), "200");
        let resumed = |desk: &Desk| Kept::open(desk, None, &[version, "-sess_in", &session]).status();
        assert_eq!(resumed(&desk), "200", "the session remembers the certificate");
        replace(&file(&desk, "clients"), "stays=stays.example.com\n");
        desk.signal("HUP");
        desk.log.wait_for(&["removed the client default/gone"]);
        assert_eq!(of_gone.status(), "403");
        assert_eq!(of_stays.status(), "200");
        assert!(["401", "403"].contains(&resumed(&desk).as_str()));
        let again = refund(&desk, desk.curl().showing(&gone), "again");
        assert_eq!(again.problem(), "403 unknown-certificate", "{again:?}");
    }
}

/// Shows a certificate and signs with a key, whether or not they belong together.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The answer to a GET of `/orders/recent` with this certificate and this private key; an error if there is none.
fn with_key(
    desk: &Desk,
    certificate: &Client,
    key: &Client,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(desk.certificate.authority()).unwrap())
        .unwrap();
    let chain = vec![CertificateDer::from_pem_file(&certificate.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&key.key).unwrap();
    let shown = CertifiedKey::new(chain, ring::sign::any_supported_type(&key).unwrap());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Shows(Arc::new(shown))));
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(("127.0.0.1", desk.server.port))?);
    stream.write_all(b"GET /orders/recent?email=ana@example.com HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// OpenSSL and CPython do not show a certificate without its key, so rustls is the forger. A certificate is public; only
/// its key proves who shows it.
#[test]
fn a_certificate_without_its_private_key_fails_the_handshake() {
    let authority = Authority::new();
    let victim = authority.issue("victim", NAME, Valid::Today);
    let forger = authority.issue("forger", "DNS:forger.example.com", Valid::Today);
    let desk = start(&authority, "agent=agent.example.com");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let answer = with_key(&desk, &victim, &victim, version).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        desk.log.wait_for(&["\"outcome\":\"done\""]);
        let forged = with_key(&desk, &victim, &forger, version).unwrap_err();
        assert!(forged.to_string().contains("alert"), "{forged}");
        // Failed handshakes are logged once a minute, so the second one may have no line.
        if desk.log.count("BadSignature") == 0 {
            desk.log.wait_for(&["BrokenTls", "BadSignature"]);
        }
    }
    assert_eq!(desk.log.count("\"outcome\":\"done\""), 2);
}
