//! The JSON Schema of one input, including its options.

use serde_json::Value;

use super::{Constraint, Input, Number};
use crate::schema::definitions::{self, Inline};
use crate::schema::secrets::KEYWORD;

impl Input {
    /// The names on the wire: the input's own name, or those of the fields of a flattened struct.
    pub(crate) fn names(&self) -> Vec<String> {
        if self.flatten.is_none() {
            return vec![self.name.to_owned()];
        }
        let schema = self.own_property();
        let fields = schema["properties"].as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).collect()
    }

    /// The schema with named types inlined, except recursive ones.
    pub(crate) fn own_property(&self) -> Value {
        definitions::inline(self.property(), Inline::NotRecursive)
    }

    /// The schema with every named type as a definition.
    pub(crate) fn property(&self) -> Value {
        let mut schema = (self.schema)();
        let object = schema.ensure_object();
        if !self.description.is_empty() {
            object.insert("description".into(), self.description.into());
        }
        for constraint in self.constraints {
            let (keyword, value) = keyword_of(*constraint);
            object.insert(keyword.into(), value);
        }
        if self.secret {
            object.insert(KEYWORD.into(), Value::Bool(true));
        }
        if let Some(default) = self.default {
            object.insert("default".into(), default());
        }
        if let Some(example) = self.example {
            object.insert("examples".into(), Value::Array(vec![example()]));
        }
        schema.to_value()
    }
}

fn keyword_of(constraint: Constraint) -> (&'static str, Value) {
    match constraint {
        Constraint::Min(number) => ("minimum", number_value(number)),
        Constraint::Max(number) => ("maximum", number_value(number)),
        Constraint::ExclusiveMin(number) => ("exclusiveMinimum", number_value(number)),
        Constraint::ExclusiveMax(number) => ("exclusiveMaximum", number_value(number)),
        Constraint::MultipleOf(number) => ("multipleOf", number_value(number)),
        Constraint::MinLength(length) => ("minLength", length.into()),
        Constraint::MaxLength(length) => ("maxLength", length.into()),
        Constraint::Pattern(pattern) => ("pattern", pattern.into()),
        Constraint::Format(format) => ("format", format.into()),
        Constraint::MinItems(length) => ("minItems", length.into()),
        Constraint::MaxItems(length) => ("maxItems", length.into()),
        Constraint::UniqueItems => ("uniqueItems", true.into()),
    }
}

fn number_value(number: Number) -> Value {
    match number {
        Number::Integer(integer) => serde_json::Number::from_i128(integer).map_or(Value::Null, Value::Number),
        Number::Float(float) => float.into(),
    }
}
