//! `#[operator_api]`: parse, check, expand; after a mistake the function as written, with every mistake.

mod attribute;
mod bounds;
mod checks;
mod constraint;
mod expand;
mod mark;
mod model;
mod owned;
mod path;
mod pattern;
mod signature;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::Expr;

use self::attribute::Attribute;
pub(crate) use self::attribute::{Part, literal, once, parts, text};
use self::model::{Endpoint, Refused};
use crate::error::Errors;
use crate::function::{self, Function};

pub(crate) fn endpoint(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(function) = syn::parse2::<Function>(item.clone()) else {
        return not_a_function(item);
    };
    match check(attribute, &function) {
        Ok(endpoint) => expand::endpoint(&endpoint, &expand::cleaned(function)),
        Err(refused) => expand::refused(&refused, &expand::cleaned(function)),
    }
}

fn check(attribute: TokenStream, function: &Function) -> Result<Endpoint, Box<Refused>> {
    let mut errors = Errors::default();
    let attribute = Attribute::parse(attribute, &mut errors);
    Endpoint::check(&attribute, function, errors)
}

fn not_a_function(item: &TokenStream) -> TokenStream {
    let mistake = function::not_a_function(item);
    // Where an expression stands, only one may come back. Everything else stands as it was written, read or not: an editor
    // asks for what it is given while a function is being typed.
    if syn::parse2::<Expr>(item.clone()).is_ok() {
        mistake.to_compile_error()
    } else {
        expand::mistakes(&mistake, item)
    }
}
