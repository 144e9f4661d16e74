//! The callers of MCP, who send no signature with a call. A `Bearer` is made from a valid API key or access token, or for
//! the person who started the process.

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue};

use super::caller::Caller;
#[cfg(feature = "cli")]
use super::caller::Scheme;
use super::credentials::Credentials;
use super::envelope::{Credential, Envelope, Headers, is_idempotency_key};
use super::randomness::{self, NoRandomBytes};
use super::refusal::Refusal;
use super::request::Verified;
#[cfg(feature = "cli")]
use super::secrets::KeyName;

/// The caller: the holder of a token, or the person who started the process.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Caller);

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

impl Bearer {
    /// Returns the holder of the request's token. A client certificate alone is not enough, because MCP is only served
    /// to the holders of tokens.
    pub(crate) fn of(
        credentials: &Credentials,
        headers: &HeaderMap,
        connection: &Extensions,
        now: u64,
    ) -> Result<Self, Refusal> {
        credentials.certified(connection, now)?;
        let accepted = credentials.accepted().without_signatures();
        let envelope = Envelope::parse(&Headers::find(headers), accepted)?;
        match &envelope.credential {
            Credential::Token(token) => credentials.holder(token, now).map(Self),
            Credential::Nothing | Credential::Signature(_) => Err(Refusal::NoCredential(accepted)),
        }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.0
    }

    /// The person who started the process, and sends calls over its standard input. That person may call all endpoints.
    #[cfg(feature = "cli")]
    pub(crate) fn starter_of_this_process() -> Self {
        Self(Caller::of(Scheme::Stdio, KeyName::new("default", "stdio")))
    }

    /// Makes a `Verified` for a call from this caller, without a signature. (A signed call becomes `Verified` when its
    /// signature is verified.) `now` is in seconds since 1970-01-01 UTC.
    pub(crate) fn vouch<'k>(&self, key: Option<&'k IdempotencyKey>, arguments: Bytes, now: u64) -> Verified<'k> {
        Verified::of_bearer(self.0.clone(), key.map(|key| &key.0), arguments, now)
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

#[cfg(test)]
mod tests {
    use super::IdempotencyKey;

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
