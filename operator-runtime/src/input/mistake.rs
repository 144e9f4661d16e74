//! Mistakes in an endpoint's inputs that the macro cannot see. An app with such an endpoint does not start.

use jsonschema::ValidationError;

/// One mistake, as the end of the sentence "`endpoint` (file:line): …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputMistake {
    #[error(
        "{one} and {other} have the same name: rename one of them, by `#[operator(rename = \"…\")]` on an argument or by `#[serde(rename = \"…\")]` on a field"
    )]
    SharedName { one: String, other: String },
    #[error("the schema of the input `{input}` is not valid: {source}")]
    Unchecked {
        input: &'static str,
        source: Box<ValidationError<'static>>,
    },
    /// `what` is the word "default" or "example".
    #[error("the {what} of the input `{input}` is not a valid value of this input: {source}")]
    RefusesItsOwn {
        what: &'static str,
        input: &'static str,
        source: Box<ValidationError<'static>>,
    },
    #[error(
        "the type of a `flatten` input is not a struct with a fixed set of fields: take it as one input, without `flatten`"
    )]
    FieldsVary,
    #[error(
        "the field `{field}` of a `flatten` input cannot be a search parameter, because its value may be a list or an object: use POST"
    )]
    NotOneText { field: String },
}

impl InputMistake {
    pub(super) fn unchecked(input: &'static str, error: ValidationError<'static>) -> Self {
        let source = Box::new(error);
        Self::Unchecked { input, source }
    }
}
