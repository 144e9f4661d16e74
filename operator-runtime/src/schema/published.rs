//! What every reader of a manifest understands: the schemas as they are published. Inputs are checked against the schemas
//! before this step, which are more exact.

use serde_json::{Map, Value, json};

use super::choices::Choices;
use super::exact::DIGITS;
use super::{secrets, walk};

/// The kind of document that a schema is published in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// JSON Schema, for example for MCP clients. Some readers refuse a format that JSON Schema does not define.
    JsonSchema,
    /// OpenAPI, whose registry of formats has those of number types.
    OpenApi,
}

/// The largest whole number that every reader represents exactly: 2^53 - 1 (RFC 8259 §6).
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// The formats that JSON Schema defines (2020-12, validation §7.3).
pub(crate) const FORMATS: [&str; 19] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// Rewrites a schema and all its subschemas for the readers of such a document. A published schema accepts every value
/// that the schema accepts. Its keywords are sorted, even if a crate of the program turns on serde_json's
/// `preserve_order`.
pub(crate) fn publish(schema: &mut Value, within: Within) {
    walk::rewrite(schema, &mut |schema| {
        let Some(schema) = schema.as_object_mut() else { return };
        list_choices(schema);
        end_list(schema, within);
        schema.retain(|keyword, value| match keyword.as_str() {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                value.as_f64().is_none_or(|bound| bound.abs() <= LARGEST)
            }
            "format" => within == Within::OpenApi || FORMATS.iter().any(|format| value == format),
            DIGITS => false,
            keyword => keyword != secrets::KEYWORD,
        });
    });
    schema.sort_all_objects();
}

/// Replaces alternatives that are only texts by one `enum`, because several readers refuse `oneOf`.
fn list_choices(schema: &mut Map<String, Value>) {
    let Some(forms) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let forms_are_texts = forms.iter().filter_map(Value::as_object).all(is_text);
    let Some(choices) = Choices::of(forms).filter(|choices| choices.are_texts() && choices.are_different()) else {
        return;
    };
    let has_others = ["enum", "const"].iter().any(|keyword| schema.contains_key(*keyword));
    if forms_are_texts && is_text(schema) && !has_others {
        schema.remove("oneOf");
        choices.write_to(schema);
    }
}

/// Whether the schema's type is a text, as far as the schema says it.
fn is_text(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_none_or(|name| name == "string")
}

/// Says of a list with a fixed number of items that no item follows, because some readers do not conclude this from
/// `maxItems`. Every other list gets a schema of its items, which some generators require.
fn end_list(schema: &mut Map<String, Value>, within: Within) {
    let is_list = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == "array"),
        only => only.is_some_and(|name| name == "array"),
    };
    if !is_list {
        return;
    }
    let length = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
    let most = schema
        .get("maxItems")
        .and_then(Value::as_u64)
        .and_then(|most| usize::try_from(most).ok());
    let is_complete = length > 0 && most.is_some_and(|most| most <= length);
    let items = match (is_complete, within) {
        (false, _) => json!({}),
        (true, Within::JsonSchema) => json!(false),
        // Some generators refuse a schema that is not an object.
        (true, Within::OpenApi) => json!({ "not": {} }),
    };
    schema.entry("items").or_insert(items);
}
