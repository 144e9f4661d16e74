//! What every reader of a manifest understands: the schemas as they are published. Inputs are checked against the schemas
//! before this step, which are more exact.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::definitions::is_annotation;
use super::walk;

/// The readers of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Readers of JSON Schema, such as MCP clients. Some refuse a format that JSON Schema does not define.
    JsonSchema,
    /// Readers of OpenAPI, whose registry of formats has those of number types.
    OpenApi,
}

/// The largest whole number that every reader represents exactly: 2^53 - 1 (RFC 8259 §6).
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// The formats that JSON Schema defines (2020-12, validation §7.3).
const FORMATS: [&str; 19] = [
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

/// Rewrites a schema and all its subschemas for their readers. A published schema accepts every value that the schema
/// accepts. Its keywords are sorted, also if a crate of the program turns on serde_json's `preserve_order`.
pub(crate) fn publish(schema: &mut Value, readers: Readers) {
    walk::rewrite(schema, &mut |schema| {
        let Some(schema) = schema.as_object_mut() else { return };
        list_choices(schema);
        end_list(schema, readers);
        schema.retain(|keyword, value| match keyword.as_str() {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                value.as_f64().is_none_or(|bound| bound.abs() <= LARGEST)
            }
            "format" => readers == Readers::OpenApi || FORMATS.iter().any(|format| value == format),
            _ => true,
        });
    });
    schema.sort_all_objects();
}

/// Replaces alternatives that are only texts by one `enum`, because several readers refuse `oneOf`. The description lists
/// what the alternatives say about themselves.
fn list_choices(schema: &mut Map<String, Value>) {
    let Some(forms) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let Some(choices) = forms.iter().map(choices_of).collect::<Option<Vec<_>>>() else {
        return;
    };
    let values: Vec<Value> = choices.iter().flat_map(|(values, _)| values.clone()).collect();
    // A value that matches two alternatives does not match their `oneOf`.
    let is_ambiguous = (1..values.len()).any(|index| values[..index].contains(&values[index]));
    let has_others = ["enum", "const"].iter().any(|keyword| schema.contains_key(*keyword));
    if is_ambiguous || has_others || !is_text(schema) {
        return;
    }
    let mut described = String::new();
    for (values, words) in &choices {
        for value in values.iter().filter(|_| !words.is_empty()) {
            let _ = write!(described, "\n- `{}`: {words}", value.as_str().unwrap_or_default());
        }
    }
    schema.remove("oneOf");
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), values.into());
    if !described.is_empty() {
        let own = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = match own {
            "" => described.trim_start().to_owned(),
            own => format!("{own}\n{described}"),
        };
        schema.insert("description".into(), description.into());
    }
}

/// The texts that a schema accepts, and its words about them. Returns `None` if the schema has any other keyword.
fn choices_of(form: &Value) -> Option<(Vec<Value>, String)> {
    let form = form.as_object()?;
    let is_plain = |keyword: &String| matches!(keyword.as_str(), "type" | "const" | "enum") || is_annotation(keyword);
    let values = match (form.get("const"), form.get("enum")) {
        (Some(only), None) => vec![only.clone()],
        (None, Some(Value::Array(values))) => values.clone(),
        _ => return None,
    };
    if !is_text(form) || !form.keys().all(is_plain) || !values.iter().all(Value::is_string) {
        return None;
    }
    let said = form.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut words: Vec<&str> = said.split_whitespace().collect();
    if form.get("deprecated") == Some(&Value::Bool(true)) {
        words.push("Deprecated.");
    }
    Some((values, words.join(" ")))
}

/// Whether the schema's type is a text, as far as the schema says it.
fn is_text(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_none_or(|name| name == "string")
}

/// Says of a list with a fixed number of items that no item follows, because some readers do not conclude this from
/// `maxItems`. Every other list gets a schema of its items, which some generators require.
fn end_list(schema: &mut Map<String, Value>, readers: Readers) {
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
    let items = match (is_complete, readers) {
        (false, _) => json!({}),
        (true, Readers::JsonSchema) => json!(false),
        // Some generators refuse a schema that is not an object.
        (true, Readers::OpenApi) => json!({ "not": {} }),
    };
    schema.entry("items").or_insert(items);
}
