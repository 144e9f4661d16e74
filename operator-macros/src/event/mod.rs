//! `#[operator_event]`: parses and checks a handler of events. The expansion is that of an endpoint.

pub(crate) mod attribute;
mod check;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

use self::attribute::Attribute;
use crate::endpoint;
use crate::endpoint::model::{Endpoint, Refused};
use crate::error::Errors;
use crate::function::Function;

pub(crate) fn handler(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    endpoint::expanded("operator_event", item, |function| parse_and_check(attribute, function))
}

fn parse_and_check(attribute: TokenStream, function: &Function) -> Result<Endpoint, Box<Refused>> {
    let mut errors = Errors::default();
    let attribute = Attribute::parse(attribute, &mut errors);
    check::check(&attribute, function, errors)
}
