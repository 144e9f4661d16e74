//! Turns the reply to a call into the result of a tool: a value that fits the output schema, or the text of a problem.

use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use serde_json::{Value, json};

use super::tools::ToolEndpoint;
use super::{IDEMPOTENCY_KEY, PROBLEM, REPLAYED};
use crate::pipeline::reply::Reply;

/// The result of a tool; `key` is the operation's key, by which the client can repeat the call.
pub(super) fn result_of(reply: &Reply, tool: &ToolEndpoint, key: Option<&str>) -> CallToolResult {
    let mut meta = MetaObject::new();
    if let Some(key) = key.filter(|_| tool.bound.endpoint.effect.is_recorded()) {
        meta.insert(IDEMPOTENCY_KEY.to_owned(), json!(key));
    }
    if reply.replayed {
        meta.insert(REPLAYED.to_owned(), json!(true));
    }
    let body = String::from_utf8_lossy(&reply.body);
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let result = if (200..300).contains(&reply.status) {
        answer(&body, value, tool.wraps_result)
    } else {
        let result = CallToolResult::error(vec![ContentBlock::text(sentences(&value, reply.retry_after()))]);
        meta.insert(PROBLEM.to_owned(), value);
        result
    };
    result.with_meta(Some(meta).filter(|meta| !meta.is_empty()))
}

/// The result of a successful call. Its text is the reply's exact bytes, so that no digit of a large number is lost.
fn answer(body: &str, value: Value, wraps_result: bool) -> CallToolResult {
    let (text, value) = if wraps_result {
        (format!("{{\"result\":{body}}}"), json!({ "result": value }))
    } else {
        (body.to_owned(), value)
    };
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(value);
    result
}

/// The error as sentences that the agent can repeat to a person. The problem's detail already names each wrong input.
fn sentences(problem: &Value, retry_after: Option<u32>) -> String {
    let detail = problem["detail"].as_str().unwrap_or("The server failed.");
    match retry_after {
        Some(1) => format!("{detail} Try the call again in one second."),
        Some(seconds) => format!("{detail} Try the call again in {seconds} seconds."),
        None => detail.to_owned(),
    }
}
