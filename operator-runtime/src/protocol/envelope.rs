//! The headers of the protocol, found in one pass and parsed into types.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::credentials::Accepted;
#[cfg(feature = "oauth")]
use super::oauth::NO_JWT;
use super::refusal::{Mistake, Refusal};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The headers of a call, which are not verified yet.
#[derive(Debug)]
pub(super) struct Envelope<'h> {
    pub(super) idempotency_key: Option<&'h HeaderValue>,
    pub(super) credential: Credential<'h>,
    pub(super) mistake: Option<Mistake>,
}

/// What a request gives to show who sends it. Each request has one, so no credential is tried as another kind.
#[derive(Debug)]
pub(super) enum Credential<'h> {
    Signature(Signed<'h>),
    Token(Token<'h>),
    /// Nothing in the headers: only a certificate can vouch.
    Nothing,
}

/// A token, which vouches for its holder whatever the request's content is.
#[derive(Debug)]
pub(super) enum Token<'h> {
    ApiKey(&'h [u8]),
    #[cfg(feature = "oauth")]
    AccessToken(&'h str),
}

/// The headers of a signature.
#[derive(Debug)]
pub(super) struct Signed<'h> {
    pub(super) idempotency_key: &'h HeaderValue,
    pub(super) timestamp: u64,
    pub(super) timestamp_text: &'h HeaderValue,
    pub(super) signature: Signature,
}

/// The signature's bytes. Their number says which scheme it belongs to.
#[derive(Debug)]
pub(super) enum Signature {
    Hmac([u8; 32]),
    Ed25519([u8; 64]),
}

/// The headers that verification reads, as they were received.
#[derive(Default)]
pub(super) struct Headers<'h> {
    idempotency_key: Header<'h>,
    /// `Idempotency-Key`, the header of the IETF's draft.
    plain_idempotency_key: Header<'h>,
    timestamp: Header<'h>,
    signature: Header<'h>,
    authorization: Header<'h>,
    api_key: Header<'h>,
    pub(super) content_type: Header<'h>,
    /// Whether there is a `Content-Encoding` other than `identity`.
    pub(super) encoded: bool,
}

/// A header that is missing, given once, or given more than once.
#[derive(Clone, Copy, Default)]
pub(super) enum Header<'h> {
    #[default]
    Missing,
    Once(&'h HeaderValue),
    Twice,
}

impl<'h> Headers<'h> {
    pub(super) fn find(headers: &'h HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-idempotency-key" => found.idempotency_key.add(value),
                "idempotency-key" => found.plain_idempotency_key.add(value),
                "x-timestamp" => found.timestamp.add(value),
                "x-signature" => found.signature.add(value),
                "authorization" => found.authorization.add(value),
                "x-api-key" => found.api_key.add(value),
                "content-type" => found.content_type.add(value),
                "content-encoding" => found.encoded |= !value.as_bytes().eq_ignore_ascii_case(b"identity"),
                _ => {}
            }
        }
        found
    }

    /// The only credential of the request. A request with two is refused, because the server does not choose one for
    /// the caller.
    fn credential(&self, key: Option<&'h HeaderValue>, accepted: Accepted) -> Result<Credential<'h>, Refusal> {
        let bearer = self.bearer()?;
        let is_signed = !self.signature.is_missing();
        let has_api_key = !self.api_key.is_missing();
        if u8::from(is_signed) + u8::from(bearer.is_some()) + u8::from(has_api_key) > 1 {
            return Err(Refusal::TwoCredentials);
        }
        if let Some(token) = bearer {
            return of_token(token, accepted);
        }
        if has_api_key {
            let token = self.api_key.exactly_one("X-API-Key")?;
            return accepted.api_key(token.as_bytes());
        }
        if is_signed || !self.timestamp.is_missing() || accepted.only_signatures() {
            return self.signed(key, accepted).map(Credential::Signature);
        }
        if !self.authorization.is_missing() && accepted.has_tokens() {
            return Err(Refusal::Authorization);
        }
        accepted.nothing()
    }

    /// The token of the only `Authorization` header, if there is one.
    fn bearer(&self) -> Result<Option<&'h [u8]>, Refusal> {
        match self.authorization.at_most_one("Authorization")?.and_then(bearer) {
            Some(b"") => Err(Refusal::Authorization),
            token => Ok(token),
        }
    }

    fn signed(&self, key: Option<&'h HeaderValue>, accepted: Accepted) -> Result<Signed<'h>, Refusal> {
        if !accepted.signatures() {
            return Err(Refusal::NotAccepted("signatures", accepted));
        }
        let idempotency_key = key.ok_or(Refusal::HeaderMissing("X-Idempotency-Key"))?;
        let timestamp_text = self.timestamp.exactly_one("X-Timestamp")?;
        let timestamp = parse_timestamp(timestamp_text.as_bytes()).ok_or(Refusal::Timestamp)?;
        let signature = self.signature.exactly_one("X-Signature")?;
        let signature = Signature::parse(signature.as_bytes(), accepted)?;
        Ok(Signed {
            idempotency_key,
            timestamp,
            timestamp_text,
            signature,
        })
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1), which may be empty. Other schemes of that header are ignored.
fn bearer(authorization: &HeaderValue) -> Option<&[u8]> {
    let value = authorization.as_bytes();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

/// Removes the tokens of a verified request, so that no handler sees or logs them.
pub(crate) fn remove_tokens(headers: &mut HeaderMap) {
    if headers.get(AUTHORIZATION).is_some_and(|value| bearer(value).is_some()) {
        headers.remove(AUTHORIZATION);
    }
    headers.remove(API_KEY);
}

/// The access token of a request, which is not verified.
#[cfg(feature = "oauth")]
pub(super) fn bearer_jwt(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION).and_then(bearer).and_then(as_jwt)
}

/// A token with the form of a JWT is an access token and never an API key; start-up refuses API keys of that form.
fn of_token(token: &[u8], accepted: Accepted) -> Result<Credential<'_>, Refusal> {
    match as_jwt(token) {
        #[cfg(feature = "oauth")]
        None if accepted.oauth && !accepted.api_keys => Err(Refusal::AccessToken(NO_JWT.to_owned())),
        None => accepted.api_key(token),
        #[cfg(feature = "oauth")]
        Some(token) if accepted.oauth => Ok(Credential::Token(Token::AccessToken(token))),
        Some(_) => Err(Refusal::NotAccepted("access tokens", accepted)),
    }
}

/// The text, if it has the form of a JWT: three parts in base64url.
pub(super) fn as_jwt(token: &[u8]) -> Option<&str> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let parts = token.split(|byte| *byte == b'.');
    let is_jwt = parts.clone().count() == 3 && parts.clone().take(2).all(|part| !part.is_empty());
    (is_jwt && parts.flatten().all(is_digit))
        .then(|| str::from_utf8(token).ok())
        .flatten()
}

impl Signature {
    /// Parses 64 or 128 hexadecimal digits, if the server has keys for that number of digits.
    fn parse(digits: &[u8], accepted: Accepted) -> Result<Self, Refusal> {
        let hmac = accepted.hmac.then(|| parse_hex(digits)).flatten().map(Self::Hmac);
        let ed25519 = || accepted.ed25519.then(|| parse_hex(digits)).flatten().map(Self::Ed25519);
        hmac.or_else(ed25519).ok_or(Refusal::SignatureShape(accepted))
    }
}

impl<'h> Header<'h> {
    fn add(&mut self, value: &'h HeaderValue) {
        *self = match self {
            Self::Missing => Self::Once(value),
            Self::Once(_) | Self::Twice => Self::Twice,
        };
    }

    fn is_missing(self) -> bool {
        matches!(self, Self::Missing)
    }

    fn at_most_one(self, shown: &'static str) -> Result<Option<&'h HeaderValue>, Refusal> {
        match self {
            Self::Missing => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Twice => Err(Refusal::HeaderTwice(shown)),
        }
    }

    fn exactly_one(self, shown: &'static str) -> Result<&'h HeaderValue, Refusal> {
        self.at_most_one(shown)?.ok_or(Refusal::HeaderMissing(shown))
    }
}

impl<'h> Envelope<'h> {
    pub(super) fn parse(headers: &Headers<'h>, accepted: Accepted) -> Result<Self, Refusal> {
        let own = headers.idempotency_key.at_most_one("X-Idempotency-Key")?;
        let plain = headers.plain_idempotency_key.at_most_one("Idempotency-Key")?;
        let idempotency_key = own.or(plain);
        let differ = matches!((own, plain), (Some(own), Some(plain)) if own != plain);
        let is_valid = idempotency_key.is_none_or(|key| is_idempotency_key(key.as_bytes()));
        let mistake = (!is_valid).then_some(Mistake::IdempotencyKey);
        Ok(Self {
            idempotency_key,
            credential: headers.credential(idempotency_key, accepted)?,
            mistake: mistake.or_else(|| differ.then_some(Mistake::TwoIdempotencyKeys)),
        })
    }
}

/// Whether a key is 1–255 visible ASCII characters without `:`. With a colon in the key, two different calls could have
/// the same payload.
pub(crate) fn is_idempotency_key(key: &[u8]) -> bool {
    // The check has no early exit, so that the compiler can check many bytes at a time.
    let allowed = |all: bool, byte: &u8| all & byte.is_ascii_graphic() & (*byte != b':');
    (1..=255).contains(&key.len()) && key.iter().fold(true, allowed)
}

/// Parses 1–15 ASCII digits, which always fit into a `u64`.
fn parse_timestamp(text: &[u8]) -> Option<u64> {
    let digits = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        text.iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    })
}

/// Parses exactly two hexadecimal digits for each byte. The length is checked first, because the decoder would accept a
/// prefix `0x`.
pub(crate) fn parse_hex<const BYTES: usize>(text: &[u8]) -> Option<[u8; BYTES]> {
    (text.len() == 2 * BYTES)
        .then(|| const_hex::decode_to_array(text).ok())
        .flatten()
}
