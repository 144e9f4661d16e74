//! What is wrong with an endpoint's inputs, beyond what the macro sees: an app with such an endpoint does not start.

use jsonschema::ValidationError;

/// One mistake, as the end of the sentence "`endpoint` (file:line): …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputMistake {
    #[error(
        "{one} and {other} have the same name: rename one of them, by `#[operator(rename = \"…\")]` on an argument or by `#[serde(rename = \"…\")]` on a field"
    )]
    SharedName { one: String, other: String },
    #[error("the input `{input}` cannot be checked: {source}")]
    Unchecked {
        input: &'static str,
        source: Box<ValidationError<'static>>,
    },
    /// `what` is its default or its example.
    #[error("the {what} of the input `{input}` would be refused by the input itself: {source}")]
    RefusesItsOwn {
        what: &'static str,
        input: &'static str,
        source: Box<ValidationError<'static>>,
    },
    #[error("a `flatten` input is not a struct whose fields are always the same")]
    FieldsVary,
    #[error("the field `{field}` of a `flatten` input is not one text: take it by POST")]
    NotOneText { field: String },
}

impl InputMistake {
    pub(super) fn unchecked(input: &'static str, error: ValidationError<'static>) -> Self {
        let source = Box::new(error);
        Self::Unchecked { input, source }
    }
}
