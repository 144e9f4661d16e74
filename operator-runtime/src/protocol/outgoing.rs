//! An outgoing call, as a caller sends it: URL, body, and the content to sign.

use super::signature::{Keys, content_of_parameters};
use crate::protocol::method::Method;

/// One call, ready to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "only the command line sends calls over a socket")
    )]
    pub(crate) method: Method,
    /// The published URL, which is part of the signed payload.
    pub(crate) url: String,
    /// The query without the `?`; empty if there is none.
    pub(crate) query: String,
    pub(crate) body: String,
    /// The signed content, which follows URL, idempotency key and timestamp in the payload.
    pub(crate) content: String,
}

impl Outgoing {
    /// A GET with these search parameters.
    pub(crate) fn get(url: String, parameters: &[(String, String)]) -> Self {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        Self {
            method: Method::Get,
            url,
            query: query.finish(),
            body: String::new(),
            content: content_of_parameters(parameters),
        }
    }

    /// A POST with this body.
    pub(crate) fn post(url: String, body: String) -> Self {
        Self {
            method: Method::Post,
            url,
            query: String::new(),
            content: body.clone(),
            body,
        }
    }

    /// The URL or path `base`, followed by the query.
    pub(crate) fn target(&self, base: &str) -> String {
        let separator = if self.query.is_empty() { "" } else { "?" };
        format!("{base}{separator}{}", self.query)
    }

    /// Signs the call with the first key. `timestamp` is in seconds since 1970-01-01 UTC.
    pub(crate) fn sign(&self, keys: &Keys, idempotency_key: &str, timestamp: u64) -> String {
        keys.sign(&self.url, idempotency_key, timestamp, self.content.as_bytes())
    }
}
