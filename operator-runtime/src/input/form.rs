//! Whether a caller can write a value of an input in several ways that `identity` tells apart.

use serde_json::Value;

use super::Input;
use crate::schema::definitions::{self, Inline};
use crate::schema::exact::DIGITS;
use crate::schema::keywords::lists_type;

/// The values of a type that has only one form. The file `identity` knows the spellings of each form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Integer,
    Boolean,
    Text,
    Uuid,
}

impl Input {
    /// Whether equal values have equal identities, however the caller writes them.
    pub(crate) fn has_one_identity(&self) -> bool {
        !self.lenient && self.form().is_some()
    }

    /// The form of the type's values, other than null. A format that an option adds is not part of the type: the handler
    /// gets such a text as it is written.
    pub(super) fn form(&self) -> Option<Form> {
        let schema = (self.schema)().to_value();
        let forms = forms(&definitions::inline(schema, Inline::NotRecursive))?;
        let (first, rest) = forms.split_first()?;
        rest.iter().all(|form| form == first).then_some(*first)
    }
}

/// The forms of all values except null; `None` if a value has several spellings.
fn forms(schema: &Value) -> Option<Vec<Form>> {
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().filter(|value| !value.is_null()).map(form_of).collect();
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![form_of(value)?]);
    }
    if let Some(branches) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let forms: Option<Vec<_>> = branches.iter().map(forms).collect();
        return Some(forms?.concat());
    }
    if ["object", "array", "number"]
        .iter()
        .any(|kind| lists_type(schema, kind))
    {
        return None;
    }
    let text = match schema["format"].as_str() {
        Some("uuid") => Some(Form::Uuid),
        // These have one spelling. Rust reads no IPv4 address with leading zeros.
        None | Some("date" | "email" | "ipv4") if schema.get(DIGITS).is_none() => Some(Form::Text),
        _ => None,
    };
    let kinds = [
        ("integer", Some(Form::Integer)),
        ("boolean", Some(Form::Boolean)),
        ("string", text),
    ];
    let mut listed = kinds
        .into_iter()
        .filter(|(kind, _)| lists_type(schema, kind))
        .peekable();
    // A schema without types allows any value.
    if listed.peek().is_none() && !lists_type(schema, "null") {
        return None;
    }
    listed.map(|(_, form)| form).collect()
}

fn form_of(value: &Value) -> Option<Form> {
    match value {
        Value::String(_) => Some(Form::Text),
        Value::Bool(_) => Some(Form::Boolean),
        Value::Number(number) if !number.is_f64() => Some(Form::Integer),
        _ => None,
    }
}
