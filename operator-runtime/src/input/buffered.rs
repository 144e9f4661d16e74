//! Finds where serde decodes a value from a buffer, as far as a schema shows that.
//!
//! Serde reads two kinds of values into a buffer: those of an untagged enum, and the fields of a struct that a flattened enum
//! or map may have. What is inside is decoded from a copy, and if the type contains itself, each level makes another one. See
//! [`attempts`](super::attempts) for the bound.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::schema::walk;

/// Whether serde may decode a part of a value several times, or copy it at several levels.
pub(super) fn may_repeat(schema: &Value) -> bool {
    let is_copied = |definition: &Value| {
        definition.as_object().is_some_and(|ty| is_one_of(ty) || is_map(ty)) || any_part(definition, is_collected)
    };
    may_try_again(schema) || recursive(schema).any(is_copied)
}

/// Whether serde may decode a part of a value several times: if one form after the other is tried, or if several flattened
/// enums read the same fields.
pub(super) fn may_try_again(schema: &Value) -> bool {
    any_part(schema, |part| tries_forms(part) || flattened_enums(part) > 1)
}

/// Whether serde collects fields of such an object in a buffer, because one of its fields is flattened. schemars writes the
/// forms of a flattened enum, or the reference to a newtype of one, beside the struct's type, the forms of several flattened
/// enums into an `allOf`, and the rule for the values of a flattened map beside the struct's own fields or, if there are also
/// forms, as `unevaluatedProperties`.
pub(super) fn is_collected(schema: &Map<String, Value>) -> bool {
    let has = |keyword: &str| schema.contains_key(keyword);
    let has_rule = |keyword: &str| schema.get(keyword).is_some_and(Value::is_object);
    flattened_enums(schema) > 0
        || (has("properties") && has_rule("additionalProperties"))
        || (has("patternProperties") && !has("additionalProperties"))
        || has_rule("unevaluatedProperties")
}

/// The number of flattened enums that the schema of a struct shows.
fn flattened_enums(schema: &Map<String, Value>) -> usize {
    let has = |keyword: &str| usize::from(schema.contains_key(keyword));
    let is_list = |part: &&Value| {
        part.as_object()
            .is_some_and(|part| part.keys().eq(["oneOf"]) || part.keys().eq(["anyOf"]))
    };
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let lists = parts.filter(is_list).count();
    let is_object = schema.get("type").is_some_and(|name| name == "object");
    if !is_object {
        return lists;
    }
    // A tagged variant of one field is a reference as well, beside nothing but its tag.
    let newtype = if is_tag_alone(schema) { 0 } else { has("$ref") };
    lists + has("oneOf") + has("anyOf") + newtype
}

fn is_tag_alone(schema: &Map<String, Value>) -> bool {
    let mut fields = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    matches!((fields.next(), fields.next()), (Some((_, tag)), None) if tag.get("const").is_some())
}

/// Whether the definition of a type is a map. A struct with nothing but a flattened map looks the same, so each map with a
/// definition of its own is taken for one.
pub(super) fn is_map(definition: &Map<String, Value>) -> bool {
    has_rule_for_others(definition)
}

fn has_rule_for_others(schema: &Map<String, Value>) -> bool {
    schema.get("additionalProperties").is_some_and(Value::is_object)
}

/// Whether this is an `anyOf` of more than a form and null: schemars describes untagged enums by it. The form of a flattened
/// field that is left out, `{}`, is not counted, nor are the forms of a text, such as the two of an IP address.
fn tries_forms(schema: &Map<String, Value>) -> bool {
    let is_counted = |form: &&Value| form["type"] != "null" && form.as_object().is_none_or(|form| !form.is_empty());
    let forms = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    schema.get("type").is_none_or(|name| name != "string") && forms.filter(is_counted).count() > 1
}

/// Whether the definition of a type is an `anyOf`. An optional value has no definition, so the type is an untagged enum,
/// also if only one of its forms is not null.
fn is_one_of(definition: &Map<String, Value>) -> bool {
    definition.contains_key("anyOf")
}

fn any_part(schema: &Value, is: impl Fn(&Map<String, Value>) -> bool + Copy) -> bool {
    schema.as_object().is_some_and(is) || walk::children(schema).into_iter().any(|child| any_part(child, is))
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
