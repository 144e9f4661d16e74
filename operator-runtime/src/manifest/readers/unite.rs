//! Makes one schema of several forms.

use serde_json::{Map, Value, json};

use crate::schema::definitions::is_annotation;
use crate::schema::keywords::{requires, stricter};

/// The keywords whose rules could not be combined.
pub(super) type Lost = Vec<String>;

/// Removes null from the forms. If only one form is left, it takes the place of the choice. `None` if there are other
/// forms.
pub(super) fn take_only_form(object: &mut Map<String, Value>, keyword: &str) -> Option<Lost> {
    let forms = object.get_mut(keyword).and_then(Value::as_array_mut)?;
    let is_null = |form: &Value| form["type"] == "null" || form.get("const") == Some(&Value::Null);
    if !forms.iter().all(is_null) {
        forms.retain(|form| !is_null(form));
    }
    let [only] = forms.as_mut_slice() else {
        return None;
    };
    let only = only.take();
    object.remove(keyword);
    Some(absorb(object, only))
}

/// The type that all forms have, if it is a type without parts. The inner value is `None` if no form has a type.
pub(super) fn shared_type(forms: &[Value]) -> Option<Option<Value>> {
    let first = forms.first()?.get("type");
    let has_parts = |one: &Value| ["object", "array"].iter().any(|name| one == name) || one.is_array();
    let is_shared = forms.iter().all(|form| form.is_object() && form.get("type") == first);
    let rules = ["$ref", "oneOf", "anyOf", "allOf", "properties", "items"];
    let is_plain = forms
        .iter()
        .all(|form| rules.iter().all(|keyword| form.get(*keyword).is_none()));
    (is_shared && is_plain && !first.is_some_and(has_parts)).then(|| first.cloned())
}

/// One object with the fields of all forms. Only fields that all forms require are required.
pub(super) fn joined(forms: &[Value]) -> Value {
    let mut fields = Map::new();
    let mut words = String::new();
    for form in forms {
        for (name, field) in form["properties"].as_object().into_iter().flatten() {
            match fields.get_mut(name) {
                None => {
                    fields.insert(name.clone(), field.clone());
                }
                Some(known) => join_values(known, field),
            }
        }
        if let Some(description) = form.get("description").and_then(Value::as_str) {
            words += &format!("\n- {description}");
        }
    }
    let required: Vec<&String> = fields
        .keys()
        .filter(|name| forms.iter().all(|form| requires(form, name)))
        .collect();
    let mut object = json!({ "type": "object", "required": required });
    object["properties"] = fields.into();
    if !words.is_empty() {
        object["description"] = words.trim_start().into();
    }
    object
}

/// Adds the constants of a field to those of the same field in another form.
fn join_values(known: &mut Value, other: &Value) {
    let values = |field: &Value| match (field.get("const"), field.get("enum")) {
        (Some(value), _) => Some(vec![value.clone()]),
        (None, Some(Value::Array(values))) => Some(values.clone()),
        _ => None,
    };
    if let (Some(mut all), Some(more), Some(object)) = (values(known), values(other), known.as_object_mut()) {
        all.extend(
            more.into_iter()
                .filter(|value| !all.contains(value))
                .collect::<Vec<_>>(),
        );
        object.remove("const");
        object.insert("enum".into(), all.into());
    }
}

/// Adds the keywords of a schema to those of another schema, for a value that matches both. Words of the other schema
/// are kept. Returns the keywords of the schema whose rules are lost.
pub(super) fn absorb(object: &mut Map<String, Value>, part: Value) -> Lost {
    let mut lost = Vec::new();
    // `true` has no rules.
    let Value::Object(part) = part else { return lost };
    for (keyword, value) in part {
        match object.get_mut(&keyword) {
            None => drop(object.insert(keyword, value)),
            Some(own) if *own == value || is_annotation(&keyword) => {}
            Some(own) => {
                if !combine(&keyword, own, value, &mut lost) {
                    lost.push(keyword);
                }
            }
        }
    }
    lost
}

/// Makes one rule of two. Returns false if that is not possible.
fn combine(keyword: &str, own: &mut Value, other: Value, lost: &mut Lost) -> bool {
    match (keyword, own, other) {
        ("properties" | "patternProperties" | "$defs", Value::Object(own), Value::Object(other)) => {
            for (name, field) in other {
                match own.get_mut(&name) {
                    None => drop(own.insert(name, field)),
                    Some(one) => absorb_value(one, field, lost),
                }
            }
        }
        ("required", Value::Array(own), Value::Array(other)) => {
            let new: Vec<Value> = other.into_iter().filter(|name| !own.contains(name)).collect();
            own.extend(new);
        }
        ("allOf", Value::Array(own), Value::Array(other)) => own.extend(other),
        ("enum", Value::Array(own), Value::Array(other)) if own.iter().any(|value| other.contains(value)) => {
            own.retain(|value| other.contains(value));
        }
        // A part that allows no further field would forbid the fields beside it.
        ("additionalProperties", own, any) if any == json!({}) => *own = any,
        ("additionalProperties", Value::Bool(false), _) | ("additionalProperties", _, Value::Bool(_)) => {}
        ("items" | "additionalProperties", own @ Value::Object(_), other @ Value::Object(_)) => {
            absorb_value(own, other, lost);
        }
        ("type", own, other) => match both_types(own, &other) {
            Some(both) => *own = both,
            None => return false,
        },
        ("uniqueItems", own, Value::Bool(other)) => *own = (other || *own == true).into(),
        (_, own, other) => match (stricter(keyword), own.as_f64(), other.as_f64()) {
            (Some(stricter), Some(one), Some(two)) => {
                if stricter(&two, &one) {
                    *own = other;
                }
            }
            _ => return false,
        },
    }
    true
}

fn absorb_value(own: &mut Value, other: Value, lost: &mut Lost) {
    match own {
        Value::Object(own) => lost.extend(absorb(own, other)),
        // `true` has no rules, and `false` has all.
        Value::Bool(true) => *own = other,
        _ => {}
    }
}

/// The types of a value that has one of the first types and one of the second types. `None` if there are none.
fn both_types(first: &Value, second: &Value) -> Option<Value> {
    let list = |types: &Value| types.as_array().cloned().unwrap_or_else(|| vec![types.clone()]);
    let (first, second) = (list(first), list(second));
    let has =
        |types: &[Value], one: &Value| types.contains(one) || (*one == "integer" && types.contains(&json!("number")));
    let (of_first, of_second) = (first.iter().filter(|one| has(&second, one)), second.iter());
    let mut both: Vec<Value> = of_first.cloned().collect();
    let more: Vec<Value> = of_second
        .filter(|one| has(&first, one) && !both.contains(one))
        .cloned()
        .collect();
    both.extend(more);
    match both.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        _ => Some(both.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_allows_any_field_opens_the_whole_and_other_rules_of_the_whole_stay() {
        let mut whole = Map::from_iter([
            ("additionalProperties".to_owned(), json!(false)),
            ("type".to_owned(), json!("object")),
        ]);
        absorb(
            &mut whole,
            json!({ "additionalProperties": { "type": "string" }, "type": "string" }),
        );
        assert_eq!(whole["additionalProperties"], json!(false));
        absorb(&mut whole, json!({ "additionalProperties": {} }));
        assert_eq!(
            Value::from(whole),
            json!({ "additionalProperties": {}, "type": "object" })
        );
    }

    #[test]
    fn the_stricter_of_two_rules_stays_and_rules_that_cannot_be_combined_are_told() {
        for (one, other, both, lost) in [
            (
                json!({ "minimum": 1, "maxItems": 4 }),
                json!({ "minimum": 2, "maxItems": 5 }),
                json!({ "minimum": 2, "maxItems": 4 }),
                vec![],
            ),
            (
                json!({ "type": ["string", "number"] }),
                json!({ "type": ["integer", "string"] }),
                json!({ "type": ["string", "integer"] }),
                vec![],
            ),
            (
                json!({ "enum": [1, 2, 3] }),
                json!({ "enum": [3, 4, 1] }),
                json!({ "enum": [1, 3] }),
                vec![],
            ),
            (
                json!({ "uniqueItems": false, "title": "A" }),
                json!({ "uniqueItems": true, "title": "B" }),
                json!({ "uniqueItems": true, "title": "A" }),
                vec![],
            ),
            (
                json!({ "properties": { "a": { "minLength": 1 }, "b": true }, "items": { "maximum": 3 } }),
                json!({ "properties": { "a": { "minLength": 2 }, "b": { "type": "null" } }, "items": { "maximum": 2 } }),
                json!({ "properties": { "a": { "minLength": 2 }, "b": { "type": "null" } }, "items": { "maximum": 2 } }),
                vec![],
            ),
            (
                json!({ "pattern": "a" }),
                json!({ "pattern": "b" }),
                json!({ "pattern": "a" }),
                vec!["pattern"],
            ),
            (
                json!({ "enum": [1] }),
                json!({ "enum": [2] }),
                json!({ "enum": [1] }),
                vec!["enum"],
            ),
            (
                json!({ "properties": { "a": { "$ref": "#/$defs/A" } } }),
                json!({ "properties": { "a": { "$ref": "#/$defs/B" } } }),
                json!({ "properties": { "a": { "$ref": "#/$defs/A" } } }),
                vec!["$ref"],
            ),
        ] {
            let mut whole = one.as_object().cloned().unwrap_or_default();
            assert_eq!(absorb(&mut whole, other), lost, "{one}");
            assert_eq!(Value::from(whole), both, "{one}");
        }
    }
}
