//! `#[operator(…)]` of a derive: read part by part where there are options, refused where there are none.

use proc_macro2::Ident;
use syn::{Attribute, Meta};

use crate::endpoint::{Part, parts};
use crate::error::Errors;

/// Refuses every `#[operator(…)]` of a place that has no options, and says which place has.
pub(crate) fn refuse(attributes: &[Attribute], write: &str, errors: &mut Errors) {
    for attribute in of_ours(attributes) {
        errors.at(attribute, "no option is read here", write);
    }
}

/// Hands every option to `take`, by its name; `example` is one as it should be written.
pub(crate) fn read(
    attributes: &[Attribute],
    example: &str,
    errors: &mut Errors,
    mut take: impl FnMut(&Ident, &Part, &mut Errors),
) {
    for attribute in of_ours(attributes) {
        match &attribute.meta {
            Meta::List(list) if !list.tokens.is_empty() => {
                for part in parts(list.tokens.clone(), errors) {
                    match &part {
                        Part::Word(name) | Part::Value(name, _) | Part::List(name, _) => take(name, &part, errors),
                        Part::Other(_) => errors.at(&part, "this is no option", format!("write one as `{example}`")),
                    }
                }
            }
            other => errors.at(
                other,
                "`operator` lacks its options",
                format!("write them, as `#[operator({example})]`, or remove it"),
            ),
        }
    }
}

fn of_ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("operator"))
}
