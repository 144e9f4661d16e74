//! `Call`: what a handler can find out about the call that it answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use crate::protocol::request::Kept;
use crate::protocol::trace_parent::TraceParent;

/// The call that a handler answers. A handler takes it as an argument of type `&Call`.
///
/// A `Call` exists only for a verified request. Pass the idempotency key on to a payment provider: the key is the same
/// on each retry, so the provider can tell a retry from a second payment.
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
/// User code cannot construct a `Call`:
///
/// ```compile_fail,E0451
/// let forged = operator_runtime::Call { endpoint: "whoami", kept: unreachable!(), headers: unreachable!(), key_of_content: None };
/// ```
#[derive(Debug)]
pub struct Call {
    pub(crate) endpoint: &'static str,
    pub(crate) kept: Kept,
    pub(crate) headers: HeaderMap,
    /// The operation's key, if it is made from the content of the request.
    pub(crate) key_of_content: Option<Box<str>>,
}

impl Call {
    /// A copy for a second run of the handler.
    pub(crate) fn again(&self) -> Self {
        Self {
            endpoint: self.endpoint,
            kept: self.kept.clone(),
            headers: self.headers.clone(),
            key_of_content: self.key_of_content.clone(),
        }
    }

    /// The name of the endpoint that is called.
    #[must_use]
    pub fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// The key of this operation, which is the same for each retry. A caller that sends a key uses it for no other
    /// operation within 24 hours. If the caller sends none, the key is made from the inputs that the endpoint's `key(…)`
    /// names: `inputs-` and 64 hexadecimal digits. The key of an event is the event's id.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        let of_content = self.key_of_content.as_deref();
        of_content.unwrap_or_else(|| self.kept.idempotency_key())
    }

    /// When this attempt was signed, by the caller's clock; or, if it is not signed, when it arrived. The precision is one
    /// second.
    #[must_use]
    pub fn timestamp(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.kept.timestamp())
    }

    /// The id of the signing key that verified the call, or of the MCP client's token; `stdio` for an MCP client that
    /// started this process.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.kept.key().id()
    }

    /// The tenant that the signing key or the token belongs to; `default` if the key or token names no tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.kept.key().tenant()
    }

    /// The caller's trace, in which this call is one step, if the request names it (`traceparent`). The span of the call
    /// and its log line have the same ids.
    #[must_use]
    pub fn trace_parent(&self) -> Option<TraceParent> {
        TraceParent::of(&self.headers)
    }

    /// The request's headers. The signature covers only the three headers of the protocol. Over MCP, no header is
    /// signed, and the header with the token is removed.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}
