//! The credentials that a server accepts, of every scheme. Each request is verified by the one scheme whose credential
//! it has.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue};

use super::api_keys::ApiKeys;
use super::caller::{Caller, Scheme};
use super::ed25519::{self, VerifyingKeys};
use super::envelope::{Credential, Signature, Signed, Token};
use super::refusal::Refusal;
use super::signature::{BoundKeys, Keys};

/// All credentials that a server accepts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) keys: Keys,
    pub(crate) verifying_keys: VerifyingKeys,
    pub(crate) api_keys: ApiKeys,
    #[cfg(feature = "oauth")]
    pub(crate) issuer: Option<Arc<super::oauth::Issuer>>,
    #[cfg(feature = "tls")]
    pub(crate) clients: Option<super::certificate::Clients>,
}

/// The schemes for which a server has credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "there is one for each scheme")]
pub(crate) struct Accepted {
    pub(super) hmac: bool,
    pub(super) ed25519: bool,
    pub(super) api_keys: bool,
    pub(crate) oauth: bool,
    pub(super) certificates: bool,
}

/// All credentials, prepared for one endpoint.
pub(crate) struct BoundCredentials {
    keys: BoundKeys,
    url: Box<str>,
    accepted: Accepted,
    all: Arc<Credentials>,
}

impl Credentials {
    #[allow(clippy::needless_update, reason = "without a feature, some fields are left out")]
    pub(crate) fn accepted(&self) -> Accepted {
        Accepted {
            hmac: !self.keys.is_empty(),
            ed25519: !self.verifying_keys.is_empty(),
            api_keys: !self.api_keys.is_empty(),
            #[cfg(feature = "oauth")]
            oauth: self.issuer.is_some(),
            #[cfg(feature = "tls")]
            certificates: self.clients.is_some(),
            ..Accepted::default()
        }
    }

    /// The value of `WWW-Authenticate` for a refusal (RFC 6750 §3, RFC 9728 §5.1), if callers may send tokens. `below` is
    /// what follows the path of the metadata.
    pub(crate) fn challenge(&self, refusal: &Refusal, realm: &str, below: &str) -> Option<String> {
        if !self.accepted().has_tokens() || !refusal.kind().is_of_caller() {
            return None;
        }
        // RFC 6750 §3 requires at least one parameter.
        let mut parts = vec![format!("realm=\"{realm}\"")];
        match refusal {
            Refusal::Authorization | Refusal::TwoCredentials | Refusal::HeaderTwice(_) => {
                parts.push("error=\"invalid_request\"".to_owned());
            }
            Refusal::Scope { wanted, .. } => {
                parts.push(format!("error=\"insufficient_scope\", scope=\"{wanted}\""));
            }
            Refusal::UnknownApiKey => parts.push("error=\"invalid_token\"".to_owned()),
            #[cfg(feature = "oauth")]
            Refusal::AccessToken(_) => parts.push("error=\"invalid_token\"".to_owned()),
            _ => {}
        }
        #[cfg(feature = "oauth")]
        if let Some(issuer) = &self.issuer {
            let metadata = &issuer.expected().metadata;
            parts.push(format!("resource_metadata=\"{metadata}{below}\""));
        }
        let _ = below;
        Some(format!("Bearer {}", parts.join(", ")))
    }

    /// Each credential: its kind, its tenant and id, and a digest that differs after it was changed.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&'static str, String, [u8; 32])> {
        let keys = self.keys.digests().map(|(name, digest)| ("signing key", name, digest));
        let verifying = self.verifying_keys.digests();
        let verifying = verifying.map(|(name, digest)| ("verifying key", name, digest));
        let api_keys = self.api_keys.digests().map(|(name, digest)| ("API key", name, digest));
        let all = keys.chain(verifying).chain(api_keys);
        #[cfg(feature = "tls")]
        let all = all.chain(self.clients.iter().flat_map(|clients| {
            let named = clients.digests();
            named.map(|(name, digest)| ("client", name, digest))
        }));
        let all = all.map(|(kind, name, digest)| (kind, format!("{name:?}"), digest));
        #[cfg(feature = "tls")]
        let all = all.chain(self.clients.iter().flat_map(|clients| {
            let authorities = clients.authorities();
            authorities.map(|digest| {
                (
                    "authority of clients",
                    format!("sha256:{}", const_hex::encode(digest)),
                    digest,
                )
            })
        }));
        all
    }

    /// Prepares the credentials for the endpoint with this published URL, which is a part of what is signed.
    pub(crate) fn bind(self: &Arc<Self>, url: &str) -> BoundCredentials {
        BoundCredentials {
            keys: self.keys.bind(url),
            url: url.into(),
            accepted: self.accepted(),
            all: Arc::clone(self),
        }
    }

    /// How many bytes are hashed before the caller of a request is known that is signed by HMAC, if its content has this
    /// length.
    pub(crate) fn to_hash_by_hmac(&self, length: usize) -> usize {
        self.keys.count().saturating_mul(length)
    }

    /// The same for a request that is signed by Ed25519.
    pub(crate) fn to_hash_by_ed25519(&self, length: usize) -> usize {
        let each = length.saturating_add(ed25519::WORTH_OF_HASHING);
        self.verifying_keys.count().saturating_mul(each)
    }

    /// Whether the request's caller can be verified only after the issuer's keys were fetched.
    pub(crate) fn needs_fetch(&self, headers: &HeaderMap) -> bool {
        #[cfg(feature = "oauth")]
        if let Some(issuer) = &self.issuer {
            return issuer.is_worth_a_fetch(headers);
        }
        let _ = headers;
        false
    }

    /// Fetches the issuer's keys, if the request needs it.
    #[cfg_attr(
        not(feature = "oauth"),
        expect(clippy::unused_async, reason = "only an issuer is waited for")
    )]
    pub(crate) async fn fetch(&self, headers: &HeaderMap) {
        #[cfg(feature = "oauth")]
        if let Some(issuer) = self.issuer.as_ref().filter(|issuer| issuer.is_worth_a_fetch(headers)) {
            issuer.refresh().await;
        }
        let _ = headers;
    }

    /// The holder of a token. `now` is in seconds since 1970-01-01 UTC.
    #[cfg_attr(
        not(feature = "oauth"),
        expect(unused_variables, reason = "only access tokens expire")
    )]
    pub(super) fn holder(&self, token: &Token<'_>, now: u64) -> Result<Caller, Refusal> {
        match token {
            Token::ApiKey(token) => self.api_keys.holder(token),
            #[cfg(feature = "oauth")]
            Token::AccessToken(token) => match &self.issuer {
                Some(issuer) => issuer.verify(token, now),
                None => Err(Refusal::NotAccepted("access tokens", self.accepted())),
            },
        }
    }

    /// Checks the certificate of the connection's client, if this server asks for one.
    pub(crate) fn certified(&self, connection: &Extensions, now: u64) -> Result<Option<Caller>, Refusal> {
        #[cfg(feature = "tls")]
        if let Some(clients) = &self.clients {
            return clients.holder(connection, now).map(Some);
        }
        let _ = (connection, now);
        Ok(None)
    }
}

impl BoundCredentials {
    /// Only these signing keys, for the endpoint with this URL.
    #[cfg(test)]
    pub(super) fn of_keys(keys: &Keys, url: &str) -> Self {
        let keys = keys.clone();
        Arc::new(Credentials {
            keys,
            ..Credentials::default()
        })
        .bind(url)
    }

    pub(crate) fn accepted(&self) -> Accepted {
        self.accepted
    }

    pub(crate) fn all(&self) -> &Arc<Credentials> {
        &self.all
    }

    /// How many bytes are hashed before the caller of a request is known, if its content has this length. The number of the
    /// signature's digits decides which keys are tried.
    pub(crate) fn to_hash(&self, headers: &HeaderMap, length: usize) -> usize {
        match headers.get("x-signature").map(HeaderValue::len) {
            Some(ed25519::DIGITS) => self.all.to_hash_by_ed25519(length),
            _ => self.all.to_hash_by_hmac(length),
        }
    }

    /// Verifies a signature of the content. The number of its digits decides which keys are tried.
    pub(super) fn signer(&self, signed: &Signed<'_>, content: &[u8]) -> Result<Caller, Refusal> {
        match &signed.signature {
            Signature::Hmac(signature) => {
                let key = self.keys.verify(signed, signature, content);
                key.map(|name| Caller::of(Scheme::Hmac, name))
            }
            Signature::Ed25519(signature) => {
                let key = self.all.verifying_keys.verify(&self.url, signed, signature, content);
                key.map(|name| Caller::of(Scheme::Ed25519, name))
            }
        }
    }
}

impl Accepted {
    /// Whether every caller signs.
    pub(super) fn only_signatures(self) -> bool {
        self.signatures() && !self.has_tokens()
    }

    /// Whether callers have no other credential than a client certificate.
    fn only_certificates(self) -> bool {
        self.certificates && !self.signatures() && !self.has_tokens()
    }

    /// What MCP accepts: its requests are not signed.
    #[cfg(feature = "mcp")]
    pub(super) fn without_signatures(self) -> Self {
        Self {
            hmac: false,
            ed25519: false,
            ..self
        }
    }

    /// Whether a caller can send a token with each request.
    pub(crate) fn has_tokens(self) -> bool {
        self.api_keys || self.oauth
    }

    pub(super) fn signatures(self) -> bool {
        self.hmac || self.ed25519
    }

    pub(super) fn api_key(self, token: &[u8]) -> Result<Credential<'_>, Refusal> {
        if self.api_keys {
            Ok(Credential::Token(Token::ApiKey(token)))
        } else {
            Err(Refusal::NotAccepted("API keys", self))
        }
    }

    /// A request without a credential in its headers, for which a certificate may vouch.
    pub(super) fn nothing<'h>(self) -> Result<Credential<'h>, Refusal> {
        if self.only_certificates() {
            Ok(Credential::Nothing)
        } else {
            Err(Refusal::NoCredential(self))
        }
    }
}

/// What a caller has to send.
impl fmt::Display for Accepted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = [
            (
                self.signatures(),
                "sign the request (X-Idempotency-Key, X-Timestamp and X-Signature)",
            ),
            (
                self.api_keys,
                "send an API key as `Authorization: Bearer …` or `X-API-Key: …`",
            ),
            (
                self.oauth,
                "send an access token of this server's issuer as `Authorization: Bearer …`",
            ),
            (self.only_certificates(), "connect with a client certificate"),
        ];
        let ways = ways
            .into_iter()
            .filter_map(|(is_accepted, way)| is_accepted.then_some(way));
        formatter.write_str(&ways.collect::<Vec<_>>().join(", or "))
    }
}

#[cfg(test)]
mod tests;
