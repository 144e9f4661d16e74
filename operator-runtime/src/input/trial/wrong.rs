//! The errors of the probe: what serde says when a type refuses a value, by its kind.

use std::fmt::Display;

use serde::de::{Error, Expected, Unexpected};
use serde_json::Value;

use super::samples::UNKNOWN;
use crate::schema::walk;

/// Why a type refuses a value.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("unknown variant `{given}`")]
    Variant {
        given: String,
        /// The variants of the enum, with their aliases.
        known: &'static [&'static str],
    },
    #[error("the same field twice")]
    Twice,
    /// The value has another form than the type, such as an object instead of a number.
    #[error("a wrong form")]
    Form,
    /// Any other reason.
    #[error("a wrong value")]
    Value,
}

impl Wrong {
    /// Whether the reason is the form of the value, for an input with that schema.
    pub(super) fn is_of_form(&self, schema: &Value) -> bool {
        match self {
            Self::Form => true,
            // A text of a sample is made up, unless the schema lists it. An enum whose schema is that of any text
            // refuses it.
            Self::Variant { given, .. } => lists(schema, given),
            Self::Twice | Self::Value => false,
        }
    }
}

impl Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        /// How messages of serde begin for which this trait has no function.
        const OF_FORM: [&str; 4] = [
            "unknown field ",
            "u128 is not supported",
            "i128 is not supported",
            "can only flatten ",
        ];
        let message = message.to_string();
        if OF_FORM.iter().any(|begin| message.starts_with(begin)) {
            Self::Form
        } else {
            Self::Value
        }
    }

    fn invalid_type(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match given {
            // Numbers and booleans are read from the keys of a map, and their schemas do not say which. Only the
            // message says what is expected.
            Unexpected::Str(text) if text == UNKNOWN || !is_of_several_values(&expected.to_string()) => Self::Value,
            _ => Self::Form,
        }
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Value
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Value
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        let given = given.to_owned();
        Self::Variant { given, known }
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::Form
    }

    fn missing_field(_: &'static str) -> Self {
        Self::Value
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Twice
    }
}

fn is_of_several_values(expected: &str) -> bool {
    const FORMS: [&str; 5] = ["a tuple", "tuple struct", "struct", "a map", "a sequence"];
    FORMS.iter().any(|form| expected.starts_with(form))
}

/// Whether the schema or one of its subschemas has that choice or field.
fn lists(schema: &Value, name: &str) -> bool {
    let is_choice = schema["const"] == name
        || schema["enum"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name));
    is_choice
        || schema["properties"].get(name).is_some()
        || walk::children(schema).into_iter().any(|child| lists(child, name))
}
