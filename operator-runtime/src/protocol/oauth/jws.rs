//! A signed token in its compact form (RFC 7515 §3.1). Only asymmetric algorithms are known, so neither `none` nor an
//! HMAC with a public key as its secret is possible.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::NO_JWT;
use super::keys::{IssuerKey, IssuerKeys};

/// The algorithms that a token may name (RFC 7518 §3.1, RFC 9864).
const ALGORITHMS: [&str; 10] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519",
];

/// The most characters of a wrong algorithm that the refusal and the log show.
const MOST_SHOWN: usize = 20;

/// A token whose signature is not verified yet.
pub(super) struct Token<'t> {
    header: Header,
    /// What is signed: header and claims as they are written.
    message: &'t str,
    claims: &'t str,
    signature: &'t str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, rename = "crit", deserialize_with = "is_given")]
    has_extensions: bool,
}

/// Whether a member is given, with any value. With an `Option`, null would count as a missing member.
fn is_given<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl<'t> Token<'t> {
    /// The error is a clause that follows "The access token".
    pub(super) fn parse(token: &'t str) -> Result<Self, String> {
        let no_jws = || NO_JWT.to_owned();
        let (message, signature) = token.rsplit_once('.').ok_or_else(no_jws)?;
        let (header, claims) = message.split_once('.').ok_or_else(no_jws)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| no_jws())?;
        let header = serde_json::from_slice(&header).map_err(|_| no_jws())?;
        Ok(Self {
            header,
            message,
            claims,
            signature,
        })
    }

    /// The key that the token names.
    pub(super) fn key<'k>(&self, keys: &'k IssuerKeys) -> Option<&'k IssuerKey> {
        keys.find(self.header.kid.as_deref())
    }

    /// The claims, once the signature is verified. The error is a clause.
    pub(super) fn verified(&self, keys: &IssuerKeys) -> Result<Map<String, Value>, String> {
        let Header { alg, kid, typ, .. } = &self.header;
        if !ALGORITHMS.contains(&alg.as_str()) {
            let shown: String = alg.chars().take(MOST_SHOWN).collect();
            return Err(format!(
                "names the algorithm `{}`, but only asymmetric signatures are accepted ({})",
                shown.escape_debug(),
                ALGORITHMS.join(", ")
            ));
        }
        // An ID token must not pass as an access token (RFC 9068 §4).
        let is_access_token = typ.as_deref().is_some_and(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ == "at+jwt" || typ == "application/at+jwt"
        });
        if !is_access_token {
            return Err("has no `typ` of `at+jwt`: let the issuer make access tokens by RFC 9068".to_owned());
        }
        if self.header.has_extensions {
            return Err("has extensions in `crit`, and this server supports no extension".to_owned());
        }
        let key = self.key(keys).ok_or_else(|| match kid {
            None => "names no key in `kid`".to_owned(),
            Some(_) => "names a key in `kid` that the issuer does not publish".to_owned(),
        })?;
        let undecodable = |_| "is not in base64url".to_owned();
        let signature = URL_SAFE_NO_PAD.decode(self.signature).map_err(undecodable)?;
        key.verify(alg, self.message.as_bytes(), &signature)?;
        let claims = URL_SAFE_NO_PAD.decode(self.claims).map_err(undecodable)?;
        serde_json::from_slice(&claims).map_err(|_| "has claims that are not a JSON object".to_owned())
    }
}
