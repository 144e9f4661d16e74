//! The wire protocol: parses what a caller sends, and verifies its signature.
//!
//! Data passes through these types in this order only: headers → `Envelope` → `Unverified` → `Verified`. `bearer` is
//! the only other way to make a `Verified`.

#[cfg(feature = "mcp")]
pub(crate) mod bearer;
#[cfg(test)]
mod differential;
pub(crate) mod envelope;
mod freshness;
pub(crate) mod method;
pub(crate) mod outgoing;
pub(crate) mod parameters;
mod payload;
pub(crate) mod public_url;
mod python_json;
pub(crate) mod randomness;
mod refusal;
pub(crate) mod request;
mod secret_text;
pub(crate) mod secrets;
pub(crate) mod signature;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
