//! The door for MCP clients: every endpoint as a tool, called through the pipeline as a signed call is.

pub(super) mod http;
mod outcome;
mod server;
#[cfg(feature = "cli")]
pub(super) mod stdio;
mod tools;

use server::Server;
use tools::Tools;

/// In `_meta` of a `tools/call`: the client's key for an operation that it may ask for again. In `_meta` of the result:
/// the key that the operation has.
const IDEMPOTENCY_KEY: &str = "operator/idempotency-key";
/// In `_meta` of a result: it was kept from an earlier call with the same key.
const REPLAYED: &str = "operator/replayed";
/// In `_meta` of a result that is an error: the problem document (RFC 9457), for programs.
const PROBLEM: &str = "operator/problem";
