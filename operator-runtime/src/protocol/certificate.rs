//! Client certificates: which client the certificate of a connection belongs to.
//!
//! The handshake only proves that the client has the certificate's private key. Whether the certificate is valid, and
//! whose it is, is decided for the requests, so that the answer can say what is wrong, and so that a certificate that
//! expires or is removed while its connection is open is refused too.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Extensions;
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

use super::caller::{Caller, Scheme};
use super::envelope::parse_hex;
use super::public_url::is_scheme;
use super::refusal::Refusal;
use super::secret_text::Words;
use super::secrets::{self, KeyName, Secret, SecretsError};

/// The words for a list of clients.
const NAMES: Words = Words {
    value: "name",
    form: "`[tenant/]id=NAME`",
    instead_of_pem: "write `[tenant/]id=NAME`, where NAME is a name in the client's certificate, or `sha256:` and the certificate's digest",
};
/// What stands before the `:` of a text that is not a URI: OpenSSL's kinds of names, and digests.
const NO_SCHEMES: [&str; 7] = ["DNS", "URI", "IP", "email", "SHA256", "sha1", "SHA1"];
/// A certificate is verified again after this many seconds.
const VALID_FOR: u64 = 60;
/// The most names of an unknown certificate that the answer shows.
const MOST_NAMES: usize = 5;

/// The clients that may call, and the authorities that issue their certificates.
#[derive(Clone)]
pub(crate) struct Clients {
    list: Arc<ClientList>,
    authorities: Authorities,
}

/// The authorities that issue the certificates of clients.
#[derive(Clone)]
pub(crate) struct Authorities {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// The SHA-256 digest of each authority's certificate.
    pub(crate) digests: Vec<[u8; 32]>,
}

/// The clients, each with the name that its certificate has.
#[derive(Debug, Default)]
pub(crate) struct ClientList(Vec<(KeyName, ClientName)>);

#[derive(Debug, PartialEq, Eq)]
enum ClientName {
    Dns(String),
    Uri(String),
    /// The SHA-256 digest of the certificate.
    Digest([u8; 32]),
}

/// The certificates that a connection's client sent, with its own first; empty if it sent none.
#[derive(Clone)]
pub(crate) struct PeerCertificates(Arc<Peer>);

struct Peer {
    chain: Vec<CertificateDer<'static>>,
    last: Mutex<Option<Verdict>>,
}

/// What was found out about a client: by which list, when, and who it is.
struct Verdict {
    list: Arc<ClientList>,
    at: u64,
    caller: Result<Caller, Refusal>,
}

impl PeerCertificates {
    pub(crate) fn new(chain: &[CertificateDer<'_>]) -> Self {
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned());
        Self(Arc::new(Peer {
            chain: chain.collect(),
            last: Mutex::default(),
        }))
    }
}

impl ClientList {
    /// Parses a comma-separated list of `[tenant/]id=NAME`.
    pub(crate) fn parse(place: &str, list: &str) -> Result<Self, SecretsError> {
        secrets::parse(NAMES, place, list, Self::accept).map(Self)
    }

    /// Parses lines of `[tenant/]id=NAME`.
    pub(crate) fn parse_lines(place: &str, lines: &str) -> Result<Self, SecretsError> {
        secrets::parse_lines(NAMES, place, lines, Self::accept).map(Self)
    }

    /// Reads a client. `earlier` are the clients of the earlier entries.
    fn accept(
        Secret { name, text }: Secret,
        earlier: &[(KeyName, ClientName)],
    ) -> Result<(KeyName, ClientName), String> {
        let client = ClientName::parse(&text).ok_or_else(|| {
            format!(
                "the client {name:?} has no name that a certificate can have: write a DNS name, a URI such as `spiffe://example.com/agent`, or `sha256:` and the 64 hexadecimal digits of the certificate's digest."
            )
        })?;
        // Compared as certificates are: two texts can be one name, for example in upper case and in lower case.
        if let Some((owner, _)) = earlier.iter().find(|(_, other)| *other == client) {
            return Err(format!(
                "the client {name:?} has the same name in its certificate as {owner:?}, {client}: give each id a certificate of its own."
            ));
        }
        Ok((name, client))
    }

    fn find(&self, names: &[ClientName]) -> Option<&KeyName> {
        let client = self.0.iter().find(|(_, client)| names.contains(client));
        client.map(|(name, _)| name)
    }
}

impl ClientName {
    fn parse(text: &str) -> Option<Self> {
        let scheme = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
        if let Some(("sha256", digest)) = scheme {
            let digits: Vec<u8> = digest.bytes().filter(|byte| *byte != b':').collect();
            return parse_hex(&digits).map(Self::Digest);
        }
        if let Some((scheme, rest)) = scheme {
            // Otherwise, `agent.example.com:443` would be a URI, and so would each name as OpenSSL shows it.
            let is_port = rest.bytes().all(|byte| byte.is_ascii_digit());
            let is_uri = !is_port && !NO_SCHEMES.contains(&scheme) && rest.bytes().all(|byte| byte.is_ascii_graphic());
            return is_uri.then(|| Self::Uri(text.to_owned()));
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*');
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_allowed);
        text.split('.')
            .all(is_label)
            .then(|| Self::Dns(text.to_ascii_lowercase()))
    }

    /// All names of a certificate.
    fn all(certificate: &CertificateDer<'_>, parsed: &EndEntityCert<'_>) -> Vec<Self> {
        let dns = parsed
            .valid_dns_names()
            .map(|name| Self::Dns(name.to_ascii_lowercase()));
        let uris = parsed.valid_uri_names().map(|name| Self::Uri(name.to_owned()));
        let digest = Self::Digest(Sha256::digest(certificate).into());
        dns.chain(uris).chain([digest]).collect()
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Uri(name) => formatter.write_str(name),
            Self::Digest(digest) => write!(formatter, "sha256:{}", const_hex::encode(digest)),
        }
    }
}

impl Clients {
    pub(crate) fn new(list: ClientList, authorities: Authorities) -> Self {
        Self {
            list: Arc::new(list),
            authorities,
        }
    }

    /// Verifies that a certificate is issued by one of the authorities.
    pub(crate) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.authorities.verifier
    }

    /// The name of each client and the SHA-256 of what its certificate is known by.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&KeyName, [u8; 32])> {
        let clients = self.list.0.iter();
        clients.map(|(name, client)| (name, Sha256::digest(client.to_string()).into()))
    }

    /// The digest of each authority's certificate.
    pub(super) fn authorities(&self) -> impl Iterator<Item = [u8; 32]> {
        self.authorities.digests.iter().copied()
    }

    /// The client to whom the connection's certificate belongs. `now` is in seconds since 1970-01-01 UTC.
    pub(super) fn holder(&self, connection: &Extensions, now: u64) -> Result<Caller, Refusal> {
        let missing = || Refusal::Certificate("is missing: connect with the certificate of a client".to_owned());
        let peer = connection.get::<PeerCertificates>().ok_or_else(missing)?;
        let (own, issuers) = peer.0.chain.split_first().ok_or_else(missing)?;
        let mut last = peer.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = &*last
            && Arc::ptr_eq(&verdict.list, &self.list)
            && now.abs_diff(verdict.at) < VALID_FOR
        {
            return verdict.caller.clone();
        }
        let caller = self.verify(own, issuers, now);
        *last = Some(Verdict {
            list: Arc::clone(&self.list),
            at: now,
            caller: caller.clone(),
        });
        caller
    }

    fn verify(&self, own: &CertificateDer<'_>, issuers: &[CertificateDer<'_>], now: u64) -> Result<Caller, Refusal> {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let verified = self.authorities.verifier.verify_client_cert(own, issuers, time);
        verified.map_err(|error| Refusal::Certificate(why(&error)))?;
        let unreadable = |_| Refusal::Certificate(UNREADABLE.to_owned());
        let parsed = EndEntityCert::try_from(own).map_err(unreadable)?;
        let names = ClientName::all(own, &parsed);
        match self.list.find(&names) {
            Some(name) => Ok(Caller::of(Scheme::Certificate, name.clone())),
            None => {
                // From the end, because the digest, which every certificate has, is the last name.
                let shown = names.iter().rev().take(MOST_NAMES).map(ClientName::to_string);
                Err(Refusal::UnknownCertificate(shown.collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

/// Why a client's certificate is not valid, as a clause.
fn why(error: &rustls::Error) -> String {
    let clause = match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "has expired: ask for a new one"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "is not valid yet: check the clocks",
        // A signature is bad if the issuer has the name of a known authority, but another key.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "is not issued by an authority that this server knows: use a certificate of its authority"
        }
        error => unusable(error),
    };
    clause.to_owned()
}

/// Why no certificate like this one can be used, whoever issued it: a clause. It is written here, because rustls prints
/// most of these errors only as `Debug`.
pub(crate) fn unusable(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(error) = error else {
        return "cannot be used: make a new one";
    };
    match error {
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => WRONG_PURPOSE,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => UNKNOWN_ALGORITHM,
        CertificateError::UnhandledCriticalExtension => UNKNOWN_EXTENSION,
        CertificateError::Other(cause) => match cause.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "is the certificate of an authority: issue one with `basicConstraints = CA:FALSE`"
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                "is not of version 3: issue one with extensions, such as `subjectAltName` and `basicConstraints = CA:FALSE`"
            }
            Some(webpki::Error::EmptyEkuExtension) => WRONG_PURPOSE,
            Some(webpki::Error::SignatureAlgorithmMismatch) => UNKNOWN_ALGORITHM,
            Some(webpki::Error::UnsupportedCriticalExtension) => UNKNOWN_EXTENSION,
            Some(
                webpki::Error::EndEntityUsedAsCa
                | webpki::Error::NameConstraintViolation
                | webpki::Error::PathLenConstraintViolated,
            ) => "has an issuer that may not issue it: have it issued by an authority whose constraints allow it",
            _ => UNREADABLE,
        },
        _ => UNREADABLE,
    }
}

const WRONG_PURPOSE: &str =
    "is not for clients: issue one with `extendedKeyUsage = clientAuth`, or without this extension";
const UNKNOWN_ALGORITHM: &str = "is signed with an algorithm that is not accepted: use ECDSA with P-256 or P-384, Ed25519, or RSA of at least 2048 bits, and SHA-256 or longer";
const UNKNOWN_EXTENSION: &str = "has a critical extension that is not known here: issue one without it";
const UNREADABLE: &str = "cannot be read as an X.509 certificate: make a new one";

impl fmt::Debug for Clients {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientList, ClientName};

    #[test]
    fn a_uri_has_a_scheme_and_needs_no_slashes() {
        for uri in [
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "spiffe://example.com/ns/agent",
            "https://example.com:8443/agent",
            "tag:example.com,2026:agent",
            "mailto:agent@example.com",
            "web+agent-1.0:a",
        ] {
            assert_eq!(ClientName::parse(uri), Some(ClientName::Uri(uri.to_owned())));
        }
        for dns in ["agent.example.com", "localhost"] {
            assert_eq!(ClientName::parse(dns), Some(ClientName::Dns(dns.to_owned())));
        }
        for wrong in [
            "agent.example.com:443",
            "agent.example.com:",
            "DNS:agent.example.com",
            "URI:urn:example:agent",
            "IP:127.0.0.1",
            "SHA256:ab",
            "sha256:ab",
            "urn:a b",
            "1urn:a",
            "://a",
            ":a",
        ] {
            assert_eq!(ClientName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_problem_of_a_list_of_clients_is_told_with_its_line() {
        let wrong = "# ours\na=not a name\n\nb= b.example\nb.example\nc=\nd=d.example\ne=d.example\nf=sha256:0\n";
        let problems = ClientList::parse_lines("/clients", wrong).unwrap_err().into_problems();
        let expected = [
            "Line 2 of /clients: the client default/a has no name that a certificate can have",
            "Line 4 of /clients: the name has a space before it; write only the name,",
            "Line 5 of /clients has no `=`: write `[tenant/]id=NAME`.",
            "Line 6 of /clients: the name is empty; write `[tenant/]id=NAME`.",
            "Line 8 of /clients: default/e has the same name as default/d: give each id a name of its own",
            "Line 9 of /clients: the client default/f has no name that a certificate can have",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}");
        }
        let none = ClientList::parse("CLIENTS", ",").unwrap_err().to_string();
        assert_eq!(none, "There is no name in CLIENTS: write `[tenant/]id=NAME`.");
        let many: Vec<String> = (0..30).map(|id| format!("c{id}=not a name")).collect();
        let problems = ClientList::parse("CLIENTS", &many.join(","))
            .unwrap_err()
            .into_problems();
        assert!(
            problems.len() == 21 && problems[20].starts_with("There may be more problems in CLIENTS"),
            "{problems:?}"
        );
    }
}
