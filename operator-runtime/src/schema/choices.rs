//! Choices between fixed values, which schemars writes as alternatives, so that each value can have a description.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::definitions::is_annotation;

/// The values of a choice, and what their descriptions say.
pub(crate) struct Choices {
    values: Vec<Value>,
    words: String,
}

impl Choices {
    /// The choice between these alternatives. Returns `None` if one of them is more than values with a description.
    pub(crate) fn of(forms: &[Value]) -> Option<Self> {
        let mut choices = Self {
            values: Vec::new(),
            words: String::new(),
        };
        for form in forms {
            choices.add(form.as_object()?)?;
        }
        (!choices.values.is_empty()).then_some(choices)
    }

    fn add(&mut self, form: &Map<String, Value>) -> Option<()> {
        let is_plain =
            |keyword: &String| matches!(keyword.as_str(), "type" | "const" | "enum") || is_annotation(keyword);
        let values = match (form.get("const"), form.get("enum")) {
            (Some(only), None) => vec![only.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => return None,
        };
        if !form.keys().all(is_plain) {
            return None;
        }
        let said = form.get("description").and_then(Value::as_str).unwrap_or_default();
        let mut words: Vec<&str> = said.split_whitespace().collect();
        if form.get("deprecated") == Some(&Value::Bool(true)) {
            words.push("Deprecated.");
        }
        let words = words.join(" ");
        for value in values {
            if !words.is_empty() {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = write!(self.words, "\n- `{shown}`: {words}");
            }
            self.values.push(value);
        }
        Some(())
    }

    pub(crate) fn are_texts(&self) -> bool {
        self.values.iter().all(Value::is_string)
    }

    /// Whether no value occurs twice. A value that matches two alternatives does not match their `oneOf`.
    pub(crate) fn are_different(&self) -> bool {
        (1..self.values.len()).all(|index| !self.values[..index].contains(&self.values[index]))
    }

    /// Writes the choice into a schema as one `enum`, and the words into its description.
    pub(crate) fn write_to(self, schema: &mut Map<String, Value>) {
        if self.are_texts() {
            schema.insert("type".into(), "string".into());
        }
        schema.insert("enum".into(), self.values.into());
        if !self.words.is_empty() {
            let own = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let description = match own {
                "" => self.words.trim_start().to_owned(),
                own => format!("{own}\n{}", self.words),
            };
            schema.insert("description".into(), description.into());
        }
    }
}
