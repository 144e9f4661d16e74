//! Makes inputs of an endpoint from its schema and the fuzzer's bytes. Most inputs have the right form, and they are
//! nested as deeply as there are bytes.

use std::fmt::Write as _;

use http::Method;
use serde_json::{Map, Value};

use crate::Endpoint;

/// serde_json reads at most 128 levels of nesting. The decoder has most to do at depths near that limit.
const DEPTH: usize = 130;
const LONGEST: usize = 64 * 1024;
/// Values that are written in place of a value that fits the schema.
const WRONG: [&str; 10] = [
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "0.5",
    "\"text\"",
    "[]",
    "{}",
    "[{\"a\":[null]},\"\\ud83d\\ude00\"]",
];

/// Returns the body of a POST, or the query of a GET.
#[must_use]
pub fn inputs_of(endpoint: &Endpoint<'_>, manifest: &Value, bytes: &[u8]) -> String {
    let mut making = Making {
        manifest,
        bytes,
        json: String::new(),
    };
    if endpoint.method == Method::GET {
        return making.query(&endpoint.operation["parameters"]);
    }
    making.value(
        &endpoint.operation["requestBody"]["content"]["application/json"]["schema"],
        0,
    );
    making.json
}

struct Making<'m> {
    manifest: &'m Value,
    bytes: &'m [u8],
    json: String,
}

impl<'m> Making<'m> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        *first
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let byte = usize::from(self.byte());
        from.get(byte.checked_rem(from.len())?).copied()
    }

    fn query(&mut self, parameters: &'m Value) -> String {
        let mut pairs = Vec::new();
        for parameter in parameters.as_array().into_iter().flatten() {
            self.value(&parameter["schema"], 0);
            let json = std::mem::take(&mut self.json);
            let text = serde_json::from_str(&json).unwrap_or(json);
            let name = parameter["name"].as_str().unwrap_or_default();
            pairs.push(format!("{name}={}", text.replace(['&', '#', '+', '%'], "_")));
        }
        pairs.join("&")
    }

    fn value(&mut self, schema: &'m Value, depth: usize) {
        let done = self.bytes.is_empty() || depth > DEPTH || self.json.len() > LONGEST;
        if done || self.byte() > 240 {
            let wrong = self.choose(&WRONG).unwrap_or("null");
            return self.json.push_str(wrong);
        }
        let mut fields = Vec::new();
        let shape = self.shape(schema, &mut fields, depth);
        if !fields.is_empty() {
            return self.object(&fields, shape, depth);
        }
        if let Some(values) = shape.get("enum").and_then(Value::as_array) {
            let all: Vec<&Value> = values.iter().collect();
            if let Some(value) = self.choose(&all) {
                let _ = write!(self.json, "{value}");
            }
        } else if let Some(value) = shape.get("const") {
            let _ = write!(self.json, "{value}");
        } else {
            self.of_type(shape, depth);
        }
    }

    /// Follows references and chooses among branches. Adds the fields of each schema on the way to `fields`, and
    /// returns the last schema. A branch can contain itself, so each step counts as a level.
    fn shape(&mut self, schema: &'m Value, fields: &mut Vec<(&'m str, &'m Value)>, depth: usize) -> &'m Value {
        let Some(keywords) = schema.as_object().filter(|_| depth <= 2 * DEPTH) else {
            return schema;
        };
        fields.extend(properties(keywords));
        let mut end = schema;
        if let Some(Value::String(reference)) = keywords.get("$ref") {
            let target = self.manifest.pointer(reference.trim_start_matches('#'));
            end = target.map_or(end, |target| self.shape(target, fields, depth + 1));
        }
        for part in list(keywords, "allOf") {
            end = self.shape(part, fields, depth + 1);
        }
        for keyword in ["oneOf", "anyOf"] {
            let branches: Vec<&Value> = list(keywords, keyword).collect();
            if let Some(branch) = self.choose(&branches) {
                end = self.shape(branch, fields, depth + 1);
            }
        }
        end
    }

    fn object(&mut self, fields: &[(&'m str, &'m Value)], shape: &'m Value, depth: usize) {
        self.json.push('{');
        for (index, (name, schema)) in fields.iter().enumerate() {
            self.name(index, name);
            self.value(schema, depth + 1);
        }
        if let Some(schema) = shape.get("additionalProperties").filter(|schema| schema.is_object()) {
            for number in 0..self.byte() % 4 {
                self.name(fields.len() + usize::from(number), &number.to_string());
                self.value(schema, depth + 1);
            }
        }
        self.json.push('}');
    }

    fn name(&mut self, index: usize, name: &str) {
        if index > 0 {
            self.json.push(',');
        }
        let _ = write!(self.json, "{}:", Value::from(name));
    }

    fn of_type(&mut self, shape: &'m Value, depth: usize) {
        let types = match shape.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            _ => vec![],
        };
        match self.choose(&types) {
            Some("object") => self.object(&[], shape, depth),
            Some("array") => self.array(shape, depth),
            Some("string") => self.text(shape),
            Some("integer" | "number") => {
                let _ = write!(self.json, "{}", self.bytes.first().copied().unwrap_or(1));
                self.byte();
            }
            Some("boolean") => self.json.push_str("true"),
            Some("null") => self.json.push_str("null"),
            _ => self.json.push_str(
                self.bytes
                    .first()
                    .map_or("null", |byte| WRONG[usize::from(*byte) % WRONG.len()]),
            ),
        }
    }

    fn array(&mut self, shape: &'m Value, depth: usize) {
        let keywords = shape.as_object();
        let mut items: Vec<&Value> = keywords
            .into_iter()
            .flat_map(|keywords| list(keywords, "prefixItems"))
            .collect();
        let size = self.byte();
        if let Some(item) = shape.get("items").filter(|item| item.is_object()) {
            items.extend(std::iter::repeat_n(item, usize::from(size % 5)));
        }
        self.json.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.json.push(',');
            }
            let start = self.json.len();
            self.value(item, depth + 1);
            // A long list repeats its last item, because the fuzzer has too few bytes for as many different items.
            if index + 1 == items.len() && size > 200 {
                let item = format!(",{}", &self.json[start..]);
                let times = (usize::from(size) - 200) * 100;
                self.json
                    .push_str(&item.repeat(times.min((LONGEST / item.len()).saturating_sub(depth))));
            }
        }
        self.json.push(']');
    }

    fn text(&mut self, shape: &Value) {
        let example = shape
            .pointer("/examples/0")
            .or_else(|| shape.get("example"))
            .or_else(|| shape.get("default"));
        let text = match shape.get("format").and_then(Value::as_str) {
            _ if example.is_some_and(Value::is_string) => example.and_then(Value::as_str).unwrap_or_default(),
            Some("uuid") => "67e55044-10b1-426f-9247-bb680e5fe0c8",
            Some("date") => "2024-02-29",
            Some("date-time") => "2024-02-29T12:00:00Z",
            Some("uri") => "https://a.example/b?c=d",
            Some("email") => "ana@a.example",
            _ => ["", "a", "ab", "1", "-1.5", "12:00:00", "é😀\\\"\u{1}", "P1D"][usize::from(self.byte()) % 8],
        };
        let _ = write!(self.json, "{}", Value::from(text));
    }
}

fn properties(keywords: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let properties = keywords.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.as_str(), schema))
}

fn list<'m>(keywords: &'m Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'m Value> + use<'m> {
    keywords.get(keyword).and_then(Value::as_array).into_iter().flatten()
}
