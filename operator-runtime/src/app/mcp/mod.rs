//! The MCP server: every endpoint is a tool, and a tool call goes through the pipeline like a signed call.

mod arguments;
pub(super) mod http;
mod outcome;
mod parsing;
mod server;
mod size;
#[cfg(feature = "cli")]
pub(super) mod stdio;
mod tools;

use server::Server;
use tools::Tools;

/// The field of `_meta` for the idempotency key. In a `tools/call`, a client that may repeat the call sets it; in the
/// result, the server sets it.
const IDEMPOTENCY_KEY: &str = "operator/idempotency-key";
/// The field of a result's `_meta` that is `true` if the result is the stored answer of an earlier call with the same
/// key.
const REPLAYED: &str = "operator/replayed";
/// The field of an error result's `_meta` that contains the problem document (RFC 9457), for programs.
const PROBLEM: &str = "operator/problem";
