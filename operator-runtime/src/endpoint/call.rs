//! What a handler may know of the call it answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use crate::protocol::request::Kept;

/// The call that a handler answers: take it as `&Call`.
///
/// Only a verified request makes one. The idempotency key is worth passing on to a payment provider: it is the same on
/// each retry, so the provider can tell a retry from a second wish.
///
/// ```
/// use operator_runtime::{Call, operator_api};
///
/// /// Says which key signed the call. Use it to see whether a key rotation has reached the caller.
/// #[operator_api(GET, "/whoami")]
/// async fn whoami(call: &Call) -> String {
///     let seconds = call.timestamp().elapsed().unwrap_or_default().as_secs();
///     format!("{}, {seconds} s ago", call.key_id())
/// }
/// # fn main() {}
/// ```
///
/// It cannot be made up:
///
/// ```compile_fail,E0451
/// let forged = operator_runtime::Call { endpoint: "whoami", kept: unreachable!(), headers: unreachable!() };
/// ```
#[derive(Debug)]
pub struct Call {
    pub(crate) endpoint: &'static str,
    pub(crate) kept: Kept,
    pub(crate) headers: HeaderMap,
}

impl Call {
    /// The same call, for a handler that runs again.
    pub(crate) fn again(&self) -> Self {
        Self {
            endpoint: self.endpoint,
            kept: self.kept.clone(),
            headers: self.headers.clone(),
        }
    }

    /// The name of the endpoint that is called.
    #[must_use]
    pub fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// The caller's key for this operation: the same on each retry, and no other operation's for 24 hours.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.kept.idempotency_key()
    }

    /// When this attempt was signed on the caller's clock, or came in over MCP; to the second.
    #[must_use]
    pub fn timestamp(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.kept.timestamp())
    }

    /// The id of the signing key that verified the call, or of the MCP client's token; `stdio` for one that started the
    /// process.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.kept.key().id()
    }

    /// The tenant that the signing key or the token belongs to; `default` unless it names one.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.kept.key().tenant()
    }

    /// The request's headers. Only the three of the protocol are covered by the signature; over MCP, nothing is signed and
    /// the token is not among them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}
