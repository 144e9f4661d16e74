//! The inputs that a caller sent: values by name, and names that match no input.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::bound::{BoundInputs, Scalar};
use super::found::{Found, shortened};
use super::json::Fields;
use super::nearest;
use crate::problem::{Error, InputProblem};
use crate::protocol::request::{Content, Parameters};

/// The inputs of one call, split but not yet decoded.
#[derive(Clone)]
pub(super) enum Given<'c> {
    Search {
        parameters: &'c Parameters,
        /// The number of parameters that belong to an input.
        taken: usize,
    },
    Json {
        inputs: &'c BoundInputs,
        fields: Fields<'c>,
    },
}

impl<'c> Given<'c> {
    pub(super) fn of(inputs: &'c BoundInputs, content: &'c Content) -> Result<Self, Error> {
        Ok(match content {
            Content::Parameters(parameters) => Self::Search { parameters, taken: 0 },
            Content::Body(body) => {
                // UTF-8 is checked once for the whole body, rather than for each of its strings.
                let fields = match std::str::from_utf8(body) {
                    Ok(text) => Fields::read(inputs, serde_json::Deserializer::from_str(text)),
                    Err(_) => Fields::read(inputs, serde_json::Deserializer::from_slice(body)),
                };
                let fields = fields.map_err(|error| not_an_object(body, &error))?;
                Self::Json { inputs, fields }
            }
        })
    }

    /// The search parameter with that name.
    pub(super) fn parameter(&mut self, name: &str) -> Option<&'c str> {
        match self {
            Self::Search { parameters, taken } => parameters.get(name).inspect(|_| *taken += 1),
            Self::Json { .. } => None,
        }
    }

    /// Returns the input with that name, for an endpoint whose inputs are single texts. Call this exactly once for each
    /// input.
    pub(super) fn text(&mut self, name: &str, scalar: Scalar) -> Option<Text<'c>> {
        match self {
            Self::Search { .. } => self.parameter(name).map(|text| Text::Fits(Cow::Borrowed(text))),
            Self::Json { .. } => self.take_field(name).map(|raw| Text::of(raw, scalar)),
        }
    }

    /// Removes and returns the body's field with that name. Call this exactly once for each input.
    pub(super) fn take_field(&mut self, name: &str) -> Option<&'c RawValue> {
        match self {
            Self::Json { inputs, fields } => fields.take(inputs.place_of(name)?),
            Self::Search { .. } => None,
        }
    }

    /// Adds the problems of unknown and duplicate names. Call this after all inputs have been read.
    pub(super) fn refuse_rest(&self, inputs: &BoundInputs, found: &mut Found) {
        let is_known = |name: &str| inputs.place_of(name).is_some();
        match self {
            // As many parameters were taken as there are, and no name occurs twice, so none is left.
            Self::Search { parameters, taken } if *taken == parameters.len() => {}
            Self::Search { parameters, .. } => {
                for (name, _) in parameters.iter().filter(|(name, _)| !is_known(name)) {
                    found.push(|| unknown(inputs, name));
                }
            }
            Self::Json { fields, .. } => {
                for name in &fields.rest {
                    if is_known(name) {
                        found.push(|| twice(name));
                    } else {
                        found.push(|| unknown(inputs, name));
                    }
                }
            }
        }
    }
}

/// The value for an input that is a single text: the text, or JSON whose type is not the input's type.
pub(super) enum Text<'c> {
    Fits(Cow<'c, str>),
    Misfit(&'c str),
}

impl<'c> Text<'c> {
    /// Converts the argument of a tool call, which is JSON for both methods.
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
            Self::Json { .. } => "fields of a JSON object",
        })
    }
}

fn twice(name: &str) -> InputProblem {
    let shown = shortened(name);
    InputProblem {
        detail: format!("`{shown}` is given twice: give it once."),
        input: shown.into_owned(),
    }
}

fn unknown(inputs: &BoundInputs, name: &str) -> InputProblem {
    let mut names: Vec<&str> = inputs.names().collect();
    names.sort_unstable();
    let shown = shortened(name);
    let detail = match nearest(&shown, names.iter().copied()) {
        Some(near) => format!("There is no input `{shown}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("There is no input `{shown}`; this endpoint has no inputs."),
        None => format!("There is no input `{shown}`; the inputs are {}.", names.join(", ")),
    };
    InputProblem {
        input: shown.into_owned(),
        detail,
    }
}

fn not_an_object(body: &[u8], error: &serde_json::Error) -> Error {
    let detail = if body.is_empty() {
        "The body is empty: send one JSON object with the inputs as its fields.".to_owned()
    } else if error.is_data() {
        "The body is JSON but not an object: send one JSON object with the inputs as its fields.".to_owned()
    } else {
        format!("The body is not valid JSON ({error}): send one JSON object with the inputs as its fields.")
    };
    Error::malformed(detail)
}
