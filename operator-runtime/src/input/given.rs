//! What a caller sent: a value by its name, and names that no input has.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::bound::{BoundInputs, Scalar};
use super::found::{Found, shortened};
use super::json::Fields;
use super::nearest;
use crate::problem::{Error, InputProblem};
use crate::protocol::request::{Content, Parameters};

/// The inputs of one call, split but not yet decoded.
pub(super) enum Given<'c> {
    Search {
        parameters: &'c Parameters,
        /// How many of them an input has asked for.
        taken: usize,
    },
    Json(Fields<'c>),
}

impl<'c> Given<'c> {
    pub(super) fn of(content: &'c Content) -> Result<Self, Error> {
        Ok(match content {
            Content::Parameters(parameters) => Self::Search { parameters, taken: 0 },
            Content::Body(body) => {
                // Text is looked at once, as a whole, and not again with each of its strings.
                let fields = match std::str::from_utf8(body) {
                    Ok(text) => serde_json::from_str(text),
                    Err(_) => serde_json::from_slice(body),
                };
                Self::Json(fields.map_err(|error| not_an_object(body, &error))?)
            }
        })
    }

    /// The search parameter of that name.
    pub(super) fn parameter(&mut self, name: &str) -> Option<&'c str> {
        match self {
            Self::Search { parameters, taken } => parameters.get(name).inspect(|_| *taken += 1),
            Self::Json(_) => None,
        }
    }

    /// The input of that name, of an endpoint whose inputs are one text each. Each input asks for its own once.
    pub(super) fn text(&mut self, name: &str, scalar: Scalar) -> Option<Text<'c>> {
        match self {
            Self::Search { .. } => self.parameter(name).map(|text| Text::Fits(Cow::Borrowed(text))),
            Self::Json(_) => self.take_field(name).map(|raw| Text::of(raw, scalar)),
        }
    }

    /// The body's field of that name, which is then no longer there. Each input asks for its own once.
    pub(super) fn take_field(&mut self, name: &str) -> Option<&'c RawValue> {
        match self {
            Self::Json(Fields(fields)) => {
                let place = fields.iter().position(|(field, _)| field == name)?;
                Some(fields.remove(place).1)
            }
            Self::Search { .. } => None,
        }
    }

    /// Finds what no input is named, and what is given twice, once every input has taken what is its own.
    pub(super) fn refuse_rest(&self, inputs: &BoundInputs, found: &mut Found) {
        match self {
            // `Parameters` keeps no name twice.
            Self::Search { parameters, taken } if *taken == parameters.len() => {}
            Self::Search { parameters, .. } => {
                for (name, _) in parameters.iter().filter(|(name, _)| !inputs.know(name)) {
                    found.push(|| unknown(inputs, name));
                }
            }
            Self::Json(Fields(fields)) => {
                for (name, _) in fields {
                    if inputs.know(name) {
                        found.push(|| twice(name));
                    } else {
                        found.push(|| unknown(inputs, name));
                    }
                }
            }
        }
    }
}

/// What was given for an input that is one text: the text; or other JSON than such an input is written as.
pub(super) enum Text<'c> {
    Fits(Cow<'c, str>),
    Misfit(&'c str),
}

impl<'c> Text<'c> {
    /// Of a tool's argument, which is JSON whatever the method.
    fn of(raw: &'c RawValue, scalar: Scalar) -> Self {
        let json = raw.get();
        let fits = match scalar {
            Scalar::Text => serde_json::from_str(json).ok().map(Cow::Owned),
            Scalar::Number => json
                .starts_with(|first: char| first == '-' || first.is_ascii_digit())
                .then_some(Cow::Borrowed(json)),
            Scalar::Boolean => matches!(json, "true" | "false").then_some(Cow::Borrowed(json)),
        };
        fits.map_or(Self::Misfit(json), Self::Fits)
    }
}

impl std::fmt::Debug for Given<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Search { .. } => "search parameters",
            Self::Json(_) => "fields of a JSON object",
        })
    }
}

fn twice(name: &str) -> InputProblem {
    let shown = shortened(name);
    InputProblem {
        detail: format!("`{shown}` is given twice; it must be given once."),
        input: shown.into_owned(),
    }
}

fn unknown(inputs: &BoundInputs, name: &str) -> InputProblem {
    let mut names: Vec<&str> = inputs.names().collect();
    names.sort_unstable();
    let shown = shortened(name);
    let detail = match nearest(&shown, names.iter().copied()) {
        Some(near) => format!("There is no input `{shown}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("There is no input `{shown}`; this endpoint takes none."),
        None => format!("There is no input `{shown}`; the inputs are {}.", names.join(", ")),
    };
    InputProblem {
        input: shown.into_owned(),
        detail,
    }
}

fn not_an_object(body: &[u8], error: &serde_json::Error) -> Error {
    let detail = if body.is_empty() {
        "The body is empty; it must be one JSON object with the inputs as its fields.".to_owned()
    } else if error.is_data() {
        "The body must be one JSON object with the inputs as its fields, and it is another kind of JSON.".to_owned()
    } else {
        format!("The body is not valid JSON ({error}); it must be one JSON object with the inputs as its fields.")
    };
    Error::malformed(detail)
}
