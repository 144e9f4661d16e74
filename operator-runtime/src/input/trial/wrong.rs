//! The errors of the probe: what serde says when a type refuses a value, by its kind.

use std::cell::RefCell;
use std::fmt::Display;

use serde::de::{Error, Expected, Unexpected};
use serde_json::Value;

use super::samples::UNKNOWN;
use crate::schema::walk;

/// Why a type refuses a value.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("unknown variant `{given}`")]
    Variant {
        given: String,
        /// The variants of the enum, with their aliases.
        known: &'static [&'static str],
    },
    #[error("the same field twice")]
    Twice,
    /// The type cannot decode any value of this form, whatever is in it: it has a field that the type refuses, or a
    /// number that serde cannot decode there.
    #[error("a wrong form")]
    Form,
    /// The value has another JSON type than the type, such as an object instead of a number.
    #[error("a wrong type")]
    Type,
    #[error("a missing field")]
    Missing,
    /// The value fits no variant of an untagged enum, for these reasons.
    #[error("no variant of an untagged enum")]
    Untagged(Vec<Self>),
    /// Any other reason.
    #[error("a wrong value")]
    Value,
}

thread_local! {
    /// The errors since the probe has last read a part of a value. serde makes an error for each variant of an untagged
    /// enum, after it has read the whole value, and drops these errors.
    static MADE: RefCell<Vec<Wrong>> = const { RefCell::new(Vec::new()) };
}

/// Forgets the errors of what was decoded before.
pub(super) fn begin() {
    MADE.take();
}

impl Wrong {
    /// Remembers the error, which may be dropped.
    fn made(self) -> Self {
        MADE.with_borrow_mut(|made| made.push(self.clone()));
        self
    }

    /// Whether the reason is the form of the value, for an input with that schema.
    pub(super) fn is_of_form(&self, schema: &Value) -> bool {
        match self {
            Self::Form | Self::Type => true,
            // A text of a sample is made up, unless the schema lists it. An enum whose schema is that of any text
            // refuses it.
            Self::Variant { given, .. } => lists(schema, given),
            // Each variant must refuse the form: one that refuses only the made-up values may accept others. A missing
            // field shows nothing, because a sample of one variant usually lacks the fields of the others.
            Self::Untagged(reasons) => {
                let is_of_form = |reason: &Self| reason.is_of_form(schema);
                let mut others = reasons.iter().filter(|reason| !matches!(reason, Self::Missing));
                let is_missing = reasons.iter().any(|reason| matches!(reason, Self::Missing));
                let shows = |reason: &Self| is_of_form(reason) && !(is_missing && matches!(reason, Self::Type));
                others.clone().all(is_of_form) && others.any(shows)
            }
            Self::Missing | Self::Twice | Self::Value => false,
        }
    }

    /// The variants that an enum has, if it does not have `given`.
    pub(super) fn variants_without(&self, given: &str) -> Option<&'static [&'static str]> {
        match self {
            Self::Variant { given: tried, known } => (tried == given).then_some(*known),
            Self::Untagged(reasons) => reasons.iter().find_map(|reason| reason.variants_without(given)),
            _ => None,
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
        let error = if OF_FORM.iter().any(|begin| message.starts_with(begin)) {
            Self::Form
        } else if message.starts_with("data did not match any variant of untagged enum ") {
            Self::Untagged(MADE.take())
        } else {
            Self::Value
        };
        error.made()
    }

    fn invalid_type(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let error = match given {
            // Booleans are read from the keys of a map, and their schemas do not say which. Only the message says what
            // is expected.
            Unexpected::Str(text)
                if text == UNKNOWN || !(is_of_several_values(&expected) || are_numbers(text, &expected)) =>
            {
                Self::Value
            }
            _ => Self::Type,
        };
        error.made()
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Value.made()
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Value.made()
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        let given = given.to_owned();
        Self::Variant { given, known }.made()
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::Form.made()
    }

    fn missing_field(_: &'static str) -> Self {
        Self::Missing.made()
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Twice.made()
    }
}

/// Whether a number is expected and the text is one: the key of a map whose keys are numbers, which serde cannot decode
/// from a buffer.
fn are_numbers(text: &str, expected: &str) -> bool {
    const NUMBERS: [&str; 12] = [
        "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
    ];
    NUMBERS.contains(&expected) && text.parse::<i128>().is_ok()
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
