//! Tokens that occur both in the expansion and in its assertions.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

use super::constraint::{Constraint, Value};
use super::model::Input;

/// A value of the runtime's `Constraint`.
pub(crate) fn constraint(constraint: &Constraint) -> TokenStream {
    let variant = Ident::new(constraint.variant, Span::call_site());
    let value = match &constraint.value {
        Value::Number(number) => {
            let number = number.as_number();
            quote!((#number))
        }
        Value::Count(count) => quote!((#count)),
        Value::Text(text) => quote!((#text)),
        Value::Nothing => TokenStream::new(),
    };
    quote!(__operator::Constraint::#variant #value)
}

/// The name of the function that returns an input's default. The prefix avoids a clash with functions that the user's
/// default calls.
pub(crate) fn default_name(input: &Input) -> Option<Ident> {
    let name = || format_ident!("__operator_default_{}", mangled(&input.name));
    input.options.default.as_ref().map(|_| name())
}

/// The name of an input, encoded so that it can be part of an identifier.
fn mangled(name: &str) -> String {
    let letter = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_string(),
        other => format!("_{:x}_", u32::from(other)),
    };
    name.chars().map(letter).collect()
}
