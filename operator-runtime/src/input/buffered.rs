//! Finds where serde decodes a value from a buffer, as far as a schema shows that.
//!
//! Serde reads two kinds of values into a buffer: those of an untagged enum, and the fields of a struct that a flattened
//! enum or map may have. What is inside is decoded from a copy, and if the type contains itself, each level makes another
//! one. It also keeps all fields of a tagged enum in a buffer, even unknown ones, but moves what is inside out of it. See
//! [`attempts`](super::attempts) for the bound.
//!
//! A schema does not show that serde reads an enum with `tag` and `content` without a buffer if the tag comes first, so such
//! an enum is counted as if the tag came last. What a type buffers in its own `Deserialize`, or behind a schema that
//! describes another type, is not counted.

use serde_json::{Map, Value};

use crate::schema::walk;

/// What serde may do with a part of a value, at worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Repetition {
    /// It decodes each part once, and copies the part a number of times that depends on the type, not on the value.
    Once,
    /// It keeps each part in at most one buffer, because a tag selects the form of the value.
    Kept,
    /// It copies a part at each level around it.
    Copied,
    /// It decodes a part several times, so that a short value can take long.
    TriedAgain,
}

impl Repetition {
    /// The worst that the schema of an input shows. All definitions of such a schema contain themselves; see
    /// [`Input::own_property`](super::Input::own_property).
    pub(super) fn of(schema: &Value) -> Self {
        if any_part(schema, |part| tries_forms(part) || flattened_enums(part) > 1) {
            return Self::TriedAgain;
        }
        let mut definitions = schema["$defs"].as_object().into_iter().flatten();
        let is_copied = definitions.any(|(_, definition)| {
            definition.as_object().is_some_and(|ty| is_one_of(ty) || is_map(ty)) || any_part(definition, is_collected)
        });
        if is_copied {
            Self::Copied
        } else if any_part(schema, has_tagged_forms) {
            Self::Kept
        } else {
            Self::Once
        }
    }
}

/// Whether serde collects fields of such an object in a buffer, because one of its fields is flattened. schemars writes the
/// forms of a flattened enum, or the reference to a newtype of one, beside the struct's type, the forms of several flattened
/// enums into an `allOf`, and the rule for the values of a flattened map beside the struct's own fields or, if there are
/// also forms, as `unevaluatedProperties`. A flattened map whose keys are numbers has `patternProperties` and no
/// `additionalProperties`, unlike a map that is a field.
pub(super) fn is_collected(schema: &Map<String, Value>) -> bool {
    let has = |keyword: &str| schema.contains_key(keyword);
    flattened_enums(schema) > 0
        || (has("properties") && is_map(schema))
        || (has("patternProperties") && !has("additionalProperties"))
        || has_rule(schema, "unevaluatedProperties")
}

/// Whether the fields without a rule of their own have a common one, as in a map. The definition of a struct with nothing
/// but a flattened map looks like that of a map, so each map with a definition of its own is taken for such a struct.
pub(super) fn is_map(schema: &Map<String, Value>) -> bool {
    has_rule(schema, "additionalProperties")
}

fn has_rule(schema: &Map<String, Value>, keyword: &str) -> bool {
    schema.get(keyword).is_some_and(Value::is_object)
}

/// The number of flattened enums that the schema of a struct shows.
fn flattened_enums(schema: &Map<String, Value>) -> usize {
    let has = |keyword: &str| usize::from(schema.contains_key(keyword));
    let is_list = |part: &&Value| {
        let part = part.as_object();
        part.is_some_and(|part| part.keys().eq(["oneOf"]) || part.keys().eq(["anyOf"]))
    };
    let lists = list(schema, "allOf").filter(is_list).count();
    if schema.get("type").is_none_or(|name| name != "object") {
        return lists;
    }
    // A tagged variant of one field is a reference as well, beside nothing but its tag.
    let newtype = if is_tag_alone(schema) { 0 } else { has("$ref") };
    lists + has("oneOf") + has("anyOf") + newtype
}

fn is_tag_alone(schema: &Map<String, Value>) -> bool {
    let fields = schema.get("properties").and_then(Value::as_object);
    fields.is_some_and(|fields| fields.len() == 1 && fields.values().all(|tag| tag.get("const").is_some()))
}

/// Whether this is an `anyOf` of more than a form and null: schemars describes untagged enums by it. The form of a flattened
/// field that is left out, `{}`, is not counted, nor are the forms of a text, such as the two of an IP address.
pub(super) fn tries_forms(schema: &Map<String, Value>) -> bool {
    let is_counted = |form: &&Value| form["type"] != "null" && form.as_object().is_none_or(|form| !form.is_empty());
    let is_text = schema.get("type").is_some_and(|name| name == "string");
    !is_text && list(schema, "anyOf").filter(is_counted).count() > 1
}

/// Whether this is a `oneOf` of forms with a tag: a required field with a fixed value.
pub(super) fn has_tagged_forms(schema: &Map<String, Value>) -> bool {
    list(schema, "oneOf").any(|form| {
        let mut required = form["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        required.any(|field| form["properties"][field].get("const").is_some())
    })
}

/// Whether the definition of a type is an `anyOf`. An optional value has no definition, so the type is an untagged enum,
/// even if only one of its forms is not null.
fn is_one_of(definition: &Map<String, Value>) -> bool {
    definition.contains_key("anyOf")
}

fn list<'s>(schema: &'s Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'s Value> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn any_part(schema: &Value, is: impl Fn(&Map<String, Value>) -> bool + Copy) -> bool {
    schema.as_object().is_some_and(is) || walk::children(schema).into_iter().any(|child| any_part(child, is))
}
