//! The wire protocol: parses what a caller sends, and verifies who sends it.
//!
//! Data passes through these types in this order only: headers → `Envelope` → `Unverified` → `Verified`. `bearer` is
//! the only other way to make a `Verified`. Each scheme has a file: `signature` (HMAC), `ed25519`, `api_keys`, `oauth`
//! and `certificate`; `credentials` chooses among them by the one credential of a request.

pub(crate) mod api_keys;
#[cfg(feature = "mcp")]
pub(crate) mod bearer;
pub(crate) mod caller;
#[cfg(feature = "tls")]
pub(crate) mod certificate;
pub(crate) mod credentials;
#[cfg(test)]
mod differential;
pub(crate) mod ed25519;
pub(crate) mod envelope;
mod freshness;
pub(crate) mod method;
#[cfg(feature = "oauth")]
pub(crate) mod oauth;
pub(crate) mod outgoing;
pub(crate) mod parameters;
mod payload;
pub(crate) mod public_url;
mod python_json;
pub(crate) mod randomness;
mod refusal;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod secret_text;
pub(crate) mod secrets;
pub(crate) mod signature;
#[cfg(test)]
mod tests;
pub(crate) mod trace_parent;
#[cfg(test)]
mod vectors;
