//! The arguments of a tool call, as the client wrote them. rmcp parses a message into a tree, which rounds a number of more
//! than 64 bits and a decimal number of more than 17 digits. So the arguments go through rmcp as a single text.

use std::collections::BTreeMap;

use rmcp::model::JsonObject;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// The one argument that rmcp reads: the text of all arguments.
const WRITTEN: &str = "operator/arguments";

/// The message with its arguments as a text; `None` if it does not call a tool with arguments.
pub(super) fn as_text(message: &[u8]) -> Option<Vec<u8>> {
    type Fields<'m> = BTreeMap<String, &'m RawValue>;
    let mut fields: Fields<'_> = serde_json::from_slice(message).ok()?;
    let method: String = serde_json::from_str(fields.get("method")?.get()).ok()?;
    let mut params: Fields<'_> = serde_json::from_str(fields.get("params")?.get()).ok()?;
    let written = params.get("arguments")?.get();
    if method != "tools/call" || !written.starts_with('{') {
        return None;
    }
    let arguments = to_raw_value(&json!({ WRITTEN: written })).ok()?;
    params.insert("arguments".to_owned(), &arguments);
    let params = to_raw_value(&params).ok()?;
    fields.insert("params".to_owned(), &params);
    serde_json::to_vec(&fields).ok()
}

/// The arguments as the client wrote them.
pub(super) fn written(arguments: Option<JsonObject>) -> String {
    let mut arguments = arguments.unwrap_or_default();
    match arguments.remove(WRITTEN) {
        Some(Value::String(written)) => written,
        _ => Value::from(arguments).to_string(),
    }
}
