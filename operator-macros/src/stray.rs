//! `#[operator(…)]` that a derive reads elsewhere only, or an option of it that is given twice.

use proc_macro2::Ident;
use syn::Attribute;
use syn::meta::ParseNestedMeta;

use crate::error::Errors;

/// Refuses every `#[operator(…)]` of a place that has no options, and says which place has.
pub(crate) fn refuse(attributes: &[Attribute], write: &str, errors: &mut Errors) {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("operator"))
    {
        errors.at(attribute, "no option is read here", write);
    }
}

/// The options that were given so far.
#[derive(Default)]
pub(crate) struct Seen(Vec<Ident>);

impl Seen {
    /// Refuses an option that was given before.
    pub(crate) fn take(&mut self, option: &ParseNestedMeta<'_>, errors: &mut Errors) {
        let Some(name) = option.path.get_ident() else { return };
        if self.0.contains(name) {
            errors.at(name, format!("`{name}` is given twice"), "keep one");
        }
        self.0.push(name.clone());
    }
}
