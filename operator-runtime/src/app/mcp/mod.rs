//! The MCP server: every endpoint is a tool, and a tool call goes through the pipeline like a signed call.

pub(super) mod http;
mod outcome;
mod server;
#[cfg(feature = "cli")]
pub(super) mod stdio;
mod tools;

use server::Server;
use tools::Tools;

/// In `_meta` of a `tools/call`: the client's key for an operation that the client may repeat. In `_meta` of the
/// result: the operation's key.
const IDEMPOTENCY_KEY: &str = "operator/idempotency-key";
/// In `_meta` of a result: whether this is the stored answer of an earlier call with the same key.
const REPLAYED: &str = "operator/replayed";
/// In `_meta` of a result that is an error: the problem document (RFC 9457), for programs.
const PROBLEM: &str = "operator/problem";
