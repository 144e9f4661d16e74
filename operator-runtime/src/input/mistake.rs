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
    #[error("{input} does not work as described: {what}")]
    Disagrees { input: String, what: Disagreement },
}

/// A value about which the schema of an input and its type disagree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Disagreement {
    #[error(
        "its schema accepts {value}, but its type refuses this value ({error}). serde and schemars read the type's attributes differently: change the attributes, for example remove `deny_unknown_fields` next to `flatten` or inside a tagged enum, take another type, or write `#[operator(lenient)]` (in a POST), so that the type alone decides"
    )]
    Refused { value: String, error: String },
    #[error(
        "its schema accepts {value}, but its type refuses this value ({error}), because some crate of this program turns on serde_json's feature `arbitrary_precision`, with which serde cannot decode fractions in tagged, untagged and flattened types. `cargo tree -e features -i serde_json` names the crate: turn the feature off, or take a type without such numbers (for `rust_decimal`, turn on its feature `serde-arbitrary-precision`)"
    )]
    Precision { value: String, error: String },
    #[error(
        "its type accepts the {kind} `{name}`, which its schema does not have (is it a `#[serde(alias)]`, or does only schemars skip it?). Remove the name, skip it with `#[serde(skip_deserializing)]`, or write `#[operator(lenient)]` (in a POST), so that the type alone decides"
    )]
    Hidden { kind: &'static str, name: String },
    #[error(
        "its type accepts any text as a variant (`#[serde(other)]`), but its schema lists the variants, and other texts would be refused. Remove `other`, or write `#[operator(lenient)]` (in a POST), so that the type alone decides"
    )]
    AnyChoice,
}

impl InputMistake {
    pub(super) fn unchecked(input: &'static str, error: ValidationError<'static>) -> Self {
        let source = Box::new(error);
        Self::Unchecked { input, source }
    }
}
