//! The shape of one form of a schema: properties of a matching value that can be checked without a validator.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::JsonType;
use serde_json::{Map, Value};

/// The properties of a form that can be checked by the type of the value, its field names, and its fields' fixed
/// values.
#[derive(Default, Clone)]
pub(super) struct Shape {
    /// The allowed types; `None` if any type is allowed.
    pub(super) types: Option<BTreeSet<&'static str>>,
    /// The allowed values, if the form lists them.
    pub(super) values: Option<Vec<Value>>,
    /// Fields with a fixed value, such as a tag.
    pub(super) fixed: BTreeMap<String, Value>,
    pub(super) required: BTreeSet<String>,
    /// The allowed fields, if others are refused.
    pub(super) only: Option<BTreeSet<String>>,
}

impl Shape {
    pub(super) fn is_null(&self) -> bool {
        self.types.as_ref().is_some_and(|types| types.iter().eq(&["null"]))
    }

    /// Whether a value of that type may have this shape.
    pub(super) fn takes(&self, given: JsonType) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.iter().any(|name| type_of(name) == Some(given)))
    }

    pub(super) fn and_types(&mut self, types: Option<BTreeSet<&'static str>>) {
        self.types = match (self.types.take(), types) {
            (Some(own), Some(others)) => Some(own.intersection(&others).copied().collect()),
            (own, others) => own.or(others),
        };
    }

    pub(super) fn and(&mut self, other: Self) {
        self.and_types(other.types);
        self.values = self.values.take().or(other.values);
        self.fixed.extend(other.fixed);
        self.required.extend(other.required);
        self.only = match (self.only.take(), other.only) {
            (Some(own), Some(others)) => Some(own.intersection(&others).cloned().collect()),
            (own, others) => own.or(others),
        };
    }

    pub(super) fn of(schema: &Map<String, Value>) -> Self {
        let values = match (schema.get("const"), schema.get("enum")) {
            (Some(only), _) => Some(vec![only.clone()]),
            (None, Some(Value::Array(values))) => Some(values.clone()),
            _ => None,
        };
        let names = |keyword: &str| {
            let names = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
            names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
            && !schema.contains_key("patternProperties");
        let fields = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        Self {
            types: types_of(schema, values.as_deref()),
            values,
            fixed: BTreeMap::new(),
            required: names("required"),
            only: is_closed.then(|| fields.map(|(name, _)| name.clone()).collect()),
        }
    }
}

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

fn types_of(schema: &Map<String, Value>, values: Option<&[Value]>) -> Option<BTreeSet<&'static str>> {
    let known = |name: &Value| TYPES.into_iter().find(|known| name == known);
    match (schema.get("type"), values) {
        (Some(Value::Array(several)), _) => Some(several.iter().filter_map(known).collect()),
        (Some(only), _) => Some(known(only).into_iter().collect()),
        (None, Some(values)) => Some(values.iter().map(type_name).collect()),
        (None, None) => None,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Integers count as numbers here. The rule of a form checks whether the form allows only integers.
fn type_of(name: &str) -> Option<JsonType> {
    Some(match name {
        "array" => JsonType::Array,
        "boolean" => JsonType::Boolean,
        "integer" | "number" => JsonType::Number,
        "null" => JsonType::Null,
        "object" => JsonType::Object,
        "string" => JsonType::String,
        _ => return None,
    })
}
