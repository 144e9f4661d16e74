//! Makes one schema of several forms.

use serde_json::{Map, Value, json};

use crate::schema::keywords::requires;

/// Removes null from the forms. If only one form is left, it takes the place of the choice. Returns whether it did.
pub(super) fn take_only_form(object: &mut Map<String, Value>, keyword: &str) -> bool {
    let Some(forms) = object.get_mut(keyword).and_then(Value::as_array_mut) else {
        return false;
    };
    let is_null = |form: &Value| form["type"] == "null" || form.get("const") == Some(&Value::Null);
    if !forms.iter().all(is_null) {
        forms.retain(|form| !is_null(form));
    }
    let [only] = forms.as_mut_slice() else {
        return false;
    };
    let only = only.take();
    object.remove(keyword);
    absorb(object, only);
    true
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

/// Adds the keywords of a schema to those of another schema, whose own keywords are kept.
pub(super) fn absorb(object: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (keyword, value) in part {
        match (object.get_mut(&keyword), value) {
            (Some(Value::Object(own)), Value::Object(other)) if keyword == "properties" => {
                for (name, field) in other {
                    own.entry(name).or_insert(field);
                }
            }
            (Some(Value::Array(own)), Value::Array(other)) if keyword == "required" => {
                let new: Vec<Value> = other.into_iter().filter(|name| !own.contains(name)).collect();
                own.extend(new);
            }
            // A part that allows no further field would forbid the fields beside it.
            (Some(own), any) if keyword == "additionalProperties" && any == json!({}) => *own = any,
            (Some(_), _) => {}
            (None, value) => {
                object.insert(keyword, value);
            }
        }
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
}
