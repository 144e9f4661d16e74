//! Finds where serde decodes a value from a buffer, as far as a schema shows that.
//!
//! Serde reads two kinds of values into a buffer: those of an untagged enum, and the fields of a struct with a flattened
//! enum or map. What is inside is decoded from a copy, and if the type contains itself, each level makes another one. See
//! [`attempts`](super::attempts) for the bound.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::schema::walk;

/// Whether serde may decode a part of a value again and again, or copy it: if the schema has an `anyOf` of several forms, or
/// if a type that contains itself is decoded from a buffer.
pub(super) fn may_repeat(schema: &Value) -> bool {
    tries_forms(schema)
        || recursive(schema).any(|definition| is_one_of(definition) || is_map(definition) || collects(definition))
}

/// Whether serde collects the fields of such an object in a buffer, because one of them is flattened: schemars writes the
/// forms of a flattened enum, or the rule for the values of a flattened map, beside the struct's own fields, and the forms of
/// several flattened enums into an `allOf`.
pub(super) fn is_collected(schema: &Map<String, Value>) -> bool {
    let has = |keyword: &str| schema.contains_key(keyword);
    has("allOf") || (has("properties") && (has("anyOf") || has("oneOf") || has_rule_for_others(schema)))
}

/// Whether the definition of a type is a map. A struct with nothing but a flattened map looks the same, so each map with a
/// definition of its own is taken for one.
pub(super) fn is_map(definition: &Value) -> bool {
    definition.as_object().is_some_and(has_rule_for_others)
}

fn has_rule_for_others(schema: &Map<String, Value>) -> bool {
    schema.get("additionalProperties").is_some_and(Value::is_object)
}

/// Whether any part of the schema has an `anyOf` of more than a form and null: schemars describes untagged enums by it.
fn tries_forms(schema: &Value) -> bool {
    let is_null = |form: &&Value| form["type"] == "null";
    let forms = schema["anyOf"]
        .as_array()
        .map(|forms| forms.iter().filter(|form| !is_null(form)).count());
    forms.is_some_and(|forms| forms > 1) || walk::children(schema).into_iter().any(tries_forms)
}

/// Whether the definition of a type is an `anyOf`. An optional value has no definition, so the type is an untagged enum,
/// also if only one of its forms is not null.
fn is_one_of(definition: &Value) -> bool {
    definition.get("anyOf").is_some()
}

fn collects(schema: &Value) -> bool {
    schema.as_object().is_some_and(is_collected) || walk::children(schema).into_iter().any(collects)
}

/// The definitions that contain themselves.
fn recursive(root: &Value) -> impl Iterator<Item = &Value> {
    let definitions = root["$defs"].as_object().into_iter().flatten();
    definitions
        .map(|(_, definition)| definition)
        .filter(|definition| reaches(root, definition, definition, &mut BTreeSet::new()))
}

/// Whether a reference leads from this part of the schema to `target`.
fn reaches<'s>(root: &'s Value, from: &'s Value, target: &Value, followed: &mut BTreeSet<&'s str>) -> bool {
    let referred = from["$ref"].as_str().filter(|reference| followed.insert(reference));
    let referred = referred.and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    referred.is_some_and(|referred| std::ptr::eq(referred, target) || reaches(root, referred, target, followed))
        || walk::children(from)
            .into_iter()
            .any(|child| reaches(root, child, target, followed))
}
