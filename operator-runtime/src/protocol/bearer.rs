//! Bearer tokens (RFC 6750) for calls over MCP, which are not signed. A `Bearer` is the only alternative to a
//! signature. It is made from a valid token, or for the person who started the process.

use std::fmt;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::envelope::is_idempotency_key;
use super::randomness::{self, NoRandomBytes};
use super::request::Verified;
use super::secrets::{self, KeyName, Secret, SecretsError};
use super::signature::Keys;

/// The SHA-256 hashes of all accepted tokens. Hashes have the same length, as the comparison requires, and no token
/// stays in memory.
pub(crate) struct Tokens(Vec<(KeyName, [u8; 32])>);

/// The caller: the holder of a token, or the person who started the process.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(KeyName);

/// A valid idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey(HeaderValue);

/// A tool call of an MCP client.
pub(crate) struct ToolCall {
    pub(crate) key: IdempotencyKey,
    /// One JSON object, for endpoints of both methods.
    pub(crate) arguments: Bytes,
    /// The request head, for the endpoint's extractors.
    pub(crate) head: Parts,
}

impl Tokens {
    /// Parses a comma-separated list of `[tenant/]id=token`. No token may equal a signing key, because a token is sent
    /// with each request, and a signing key must never be sent.
    pub(crate) fn parse(place: &str, list: &str, keys: Option<&Keys>) -> Result<Self, SecretsError> {
        Self::of(place, secrets::parse(place, list)?, keys)
    }

    /// Parses lines of `[tenant/]id=token`.
    pub(crate) fn parse_lines(place: &str, lines: &str, keys: Option<&Keys>) -> Result<Self, SecretsError> {
        Self::of(place, secrets::parse_lines(place, lines)?, keys)
    }

    fn of(place: &str, tokens: Vec<Secret>, keys: Option<&Keys>) -> Result<Self, SecretsError> {
        if let Some(key) = keys.and_then(|keys| keys.in_common(&tokens)) {
            return Err(SecretsError::new(format!(
                "{place}: an MCP token equals the signing key {key:?}: use another token (`keygen` makes one), because a token is sent with each request and a signing key must never be sent."
            )));
        }
        let digest = |token: Secret| (token.name, Sha256::digest(token.text.as_bytes()).into());
        Ok(Self(tokens.into_iter().map(digest).collect()))
    }

    /// Returns the holder of the request's token. Each token is compared completely, in constant time.
    pub(crate) fn bearer(&self, headers: &HeaderMap) -> Result<Bearer, NoBearer> {
        let given = token(headers)?;
        let given: [u8; 32] = Sha256::digest(given).into();
        let mut matching = u32::MAX;
        for (index, (_, digest)) in (0_u32..).zip(&self.0) {
            let matches: Choice = digest.as_slice().ct_eq(&given);
            matching.conditional_assign(&index, matches);
        }
        let token = usize::try_from(matching).ok().and_then(|index| self.0.get(index));
        token.map(|(name, _)| Bearer(name.clone())).ok_or(NoBearer::Unknown)
    }
}

/// The token of the only `Authorization: Bearer …` header (RFC 6750 §2.1).
fn token(headers: &HeaderMap) -> Result<&[u8], NoBearer> {
    let mut given = headers.get_all(AUTHORIZATION).into_iter();
    let only = given.next().ok_or(NoBearer::Missing)?;
    if given.next().is_some() {
        return Err(NoBearer::Malformed);
    }
    let mut parts = only.as_bytes().splitn(2, |byte| *byte == b' ');
    match (parts.next(), parts.next()) {
        (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case(b"bearer") => Ok(token.trim_ascii()),
        _ => Err(NoBearer::Malformed),
    }
}

/// Why a request has no valid bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBearer {
    Missing,
    Malformed,
    Unknown,
}

impl NoBearer {
    /// The value of `WWW-Authenticate` (RFC 6750 §3), without an error code if the request has no token.
    pub(crate) fn challenge(self) -> &'static str {
        match self {
            Self::Missing => "Bearer realm=\"MCP\"",
            Self::Malformed => "Bearer realm=\"MCP\", error=\"invalid_request\"",
            Self::Unknown => "Bearer realm=\"MCP\", error=\"invalid_token\"",
        }
    }
}

impl fmt::Display for NoBearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => {
                "The request has no token: send one of the server's MCP tokens as `Authorization: Bearer …`."
            }
            Self::Malformed => {
                "The header `Authorization` is not valid: send it once, as `Authorization: Bearer TOKEN`."
            }
            Self::Unknown => "The token is not valid for this server: send one of the server's MCP tokens.",
        })
    }
}

impl Bearer {
    /// The person who started the process, and sends calls over its standard input. That person may call all endpoints.
    #[cfg(feature = "cli")]
    pub(crate) fn starter_of_this_process() -> Self {
        Self(KeyName::new("default", "stdio"))
    }

    /// Makes a `Verified` for a call from this caller, without a signature. (A signed call becomes `Verified` when its
    /// signature is verified.) `now` is in seconds since 1970-01-01 UTC.
    pub(crate) fn vouch<'k>(&self, key: &'k IdempotencyKey, arguments: Bytes, now: u64) -> Verified<'k> {
        Verified::of_bearer(self.0.clone(), &key.0, arguments, now)
    }
}

impl IdempotencyKey {
    /// A key that the client chose; `None` if it is not 1 to 255 visible ASCII characters without a colon.
    pub(crate) fn of_client(key: &str) -> Option<Self> {
        let is_valid = is_idempotency_key(key.as_bytes());
        HeaderValue::from_str(key).ok().filter(|_| is_valid).map(Self)
    }

    /// A random key that no other call has.
    pub(crate) fn random() -> Result<Self, NoRandomBytes> {
        let mut bytes = [0; 16];
        randomness::fill(&mut bytes)?;
        let text = format!("mcp-{}", const_hex::encode(bytes));
        // This cannot fail, because letters, digits and a hyphen are valid in a header value.
        HeaderValue::try_from(text)
            .map(Self)
            .map_err(|_| NoRandomBytes(getrandom::Error::UNEXPECTED))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Shows the names of the tokens, never the tokens.
impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{IdempotencyKey, NoBearer, Tokens};
    use crate::protocol::signature::Keys;

    fn asked(authorization: &[&'static str]) -> Result<String, NoBearer> {
        let tokens = Tokens::parse("the list", "shop/new=n3w, old=0ld", None).unwrap();
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append("authorization", HeaderValue::from_static(value));
        }
        tokens.bearer(&headers).map(|bearer| format!("{:?}", bearer.0))
    }

    #[test]
    fn each_token_belongs_to_its_tenant() {
        assert_eq!(asked(&["Bearer n3w"]), Ok("shop/new".to_owned()));
        assert_eq!(asked(&["bearer  0ld"]), Ok("default/old".to_owned()));
    }

    #[test]
    fn missing_unknown_and_malformed_tokens_are_refused() {
        assert_eq!(asked(&[]), Err(NoBearer::Missing));
        for unknown in ["Bearer n3", "Bearer n3w0ld", "Bearer ", "Bearer new=n3w"] {
            assert_eq!(asked(&[unknown]), Err(NoBearer::Unknown), "{unknown}");
        }
        for malformed in ["Basic n3w", "n3w", "Bearer", ""] {
            assert_eq!(asked(&[malformed]), Err(NoBearer::Malformed), "{malformed}");
        }
        assert_eq!(asked(&["Bearer n3w", "Bearer n3w"]), Err(NoBearer::Malformed));
    }

    #[test]
    fn a_signing_key_is_refused_as_a_token_and_neither_is_shown() {
        let keys = Keys::parse("the list", "a=hush, b=secret").unwrap();
        let problem = Tokens::parse("the list", "c=hush", Some(&keys))
            .unwrap_err()
            .to_string();
        assert!(problem.contains("default/a") && !problem.contains("hush"), "{problem}");
        let problem = Tokens::parse("the list", "hush", None).unwrap_err().to_string();
        assert!(
            problem.contains("Entry 1 of the list") && !problem.contains("hush"),
            "{problem}"
        );
        let shown = format!(
            "{:?}",
            Tokens::parse_lines("the file", "# ours\nc=hush\n", None).unwrap()
        );
        assert_eq!(shown, "[default/c]");
    }

    #[test]
    fn client_keys_follow_the_rules_of_signed_calls_and_random_keys_differ() {
        assert!(IdempotencyKey::of_client("refund-1004").is_some());
        for wrong in ["", "a:b", "a b", "é", "a\nb"] {
            assert!(IdempotencyKey::of_client(wrong).is_none(), "{wrong:?}");
        }
        let own = || IdempotencyKey::random().unwrap();
        assert!(IdempotencyKey::of_client(own().as_str()).is_some());
        assert_ne!(own().as_str(), own().as_str());
    }
}
