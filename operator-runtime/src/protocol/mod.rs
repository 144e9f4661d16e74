//! The wire contract: what was signed, by whom, when, and whether it holds.
//!
//! Data passes through types in one order only: headers → `Envelope` → `Unverified` → `Verified`. The one other way in is `bearer`.

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
mod refusal;
pub(crate) mod request;
mod secret_text;
pub(crate) mod secrets;
pub(crate) mod signature;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
