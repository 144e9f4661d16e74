//! Walks over the subschemas of a JSON Schema (2020-12). Data such as `default` is not a subschema.

use serde_json::Value;

const MAPS: [&str; 4] = ["$defs", "properties", "patternProperties", "dependentSchemas"];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const SINGLE: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The direct subschemas of a schema.
pub(crate) fn children(schema: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let keyword = keyword.as_str();
        if MAPS.contains(&keyword) {
            found.extend(value.as_object().into_iter().flatten().map(|(_, child)| child));
        } else if LISTS.contains(&keyword) {
            found.extend(value.as_array().into_iter().flatten());
        } else if SINGLE.contains(&keyword) {
            found.push(value);
        }
    }
    found
}

/// The direct subschemas of a schema, mutable.
pub(crate) fn children_mut(schema: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (keyword, value) in schema.as_object_mut().into_iter().flatten() {
        let keyword = keyword.as_str();
        if MAPS.contains(&keyword) {
            found.extend(value.as_object_mut().into_iter().flatten().map(|(_, child)| child));
        } else if LISTS.contains(&keyword) {
            found.extend(value.as_array_mut().into_iter().flatten());
        } else if SINGLE.contains(&keyword) {
            found.push(value);
        }
    }
    found
}

/// Changes a schema and all its subschemas, the inner ones first.
pub(crate) fn rewrite(schema: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    for child in children_mut(schema) {
        rewrite(child, change);
    }
    change(schema);
}
