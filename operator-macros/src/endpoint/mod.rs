//! `#[operator_api]`: parses, checks and expands. After mistakes, returns the function as written together with every
//! mistake.

mod assertions;
pub(crate) mod attribute;
mod bounds;
pub(crate) mod check;
pub(crate) mod constraint;
mod expand;
mod key;
pub(crate) mod limit;
mod literal;
pub(crate) mod mark;
pub(crate) mod model;
mod owned;
mod path;
mod pattern;
pub(crate) mod signature;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;

use proc_macro2::TokenStream;
use syn::Expr;

use self::attribute::Attribute;
use self::model::{Endpoint, Refused};
use crate::error::Errors;
use crate::function::{self, Function};

pub(crate) fn endpoint(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    expanded("operator_api", item, |function| parse_and_check(attribute, function))
}

/// The expansion of the attribute with this name on an item. `check` parses the attribute, and checks it and the
/// function.
pub(crate) fn expanded(
    attribute: &str,
    item: &TokenStream,
    check: impl FnOnce(&Function) -> Result<Endpoint, Box<Refused>>,
) -> TokenStream {
    let Ok(function) = syn::parse2::<Function>(item.clone()) else {
        return not_a_function(attribute, item);
    };
    match check(&function) {
        Ok(endpoint) => expand::endpoint(&endpoint, &expand::cleaned(function)),
        Err(refused) => expand::refused(&refused, &expand::cleaned(function)),
    }
}

fn parse_and_check(attribute: TokenStream, function: &Function) -> Result<Endpoint, Box<Refused>> {
    let mut errors = Errors::default();
    let attribute = Attribute::parse(attribute, &mut errors);
    check::check(&attribute, function, errors)
}

/// The mistake of an attribute on anything but a function.
fn not_a_function(attribute: &str, item: &TokenStream) -> TokenStream {
    let mistake = function::not_a_function(attribute, item);
    // If the macro is used where an expression is expected, it can return only one expression. Any other item is
    // returned as written, even if it cannot be parsed, so that an editor can complete a function that is still being
    // typed.
    if syn::parse2::<Expr>(item.clone()).is_ok() {
        mistake.to_compile_error()
    } else {
        expand::mistakes(&mistake, item)
    }
}
