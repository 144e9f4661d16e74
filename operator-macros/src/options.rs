//! The syntax that all options in parentheses share: those of `#[operator(…)]`, `#[operator_api(…)]` and
//! `#[operator_event(…)]`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Expr, Lit, LitStr, Meta, Token, token};

use crate::error::Errors;
use crate::runtime::Runtime;

/// One part of a comma-separated list, with its spans.
pub(crate) enum Part {
    /// `read_only`
    Word(Ident),
    /// `name = "…"`
    Value(Ident, Expr),
    /// `errors(…)`
    List(Ident, TokenStream),
    /// `"/path"`
    Other(Expr),
}

impl Part {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let Ok(name) = Ident::parse_any(&ahead) else {
            return Ok(Self::Other(input.parse()?));
        };
        // A word is a complete part if a literal or another word follows it directly: only the comma is missing between
        // the two.
        if ahead.is_empty() || ahead.peek(Token![,]) || begins_a_part(&ahead) {
            Ident::parse_any(input)?;
            Ok(Self::Word(name))
        } else if ahead.peek(Token![=]) && !ahead.peek(Token![==]) {
            Ident::parse_any(input)?;
            input.parse::<Token![=]>()?;
            match input.is_empty() || input.peek(Token![,]) {
                true => Err(syn::Error::new(
                    name.span(),
                    format!("`{name} =` needs a value: write `{name} = …`"),
                )),
                false => Ok(Self::Value(name, input.parse()?)),
            }
        } else if ahead.peek(token::Paren) {
            Ident::parse_any(input)?;
            let content;
            syn::parenthesized!(content in input);
            Ok(Self::List(name, content.parse()?))
        } else {
            Ok(Self::Other(input.parse()?))
        }
    }

    fn name(&self) -> Option<&Ident> {
        match self {
            Self::Word(name) | Self::Value(name, _) | Self::List(name, _) => Some(name),
            Self::Other(_) => None,
        }
    }
}

impl ToTokens for Part {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Word(name) => quote!(#name),
            Self::Value(name, value) => quote!(#name = #value),
            Self::List(name, inside) => quote!(#name(#inside)),
            Self::Other(other) => quote!(#other),
        });
    }
}

fn begins_a_part(input: ParseStream<'_>) -> bool {
    input.peek(Lit) || input.peek(Ident::peek_any)
}

/// Returns every part that can be parsed. A part that cannot be parsed is recorded as an error, and parsing continues
/// after the next comma. If only a comma is missing, parsing continues with the next part.
pub(crate) fn parts(tokens: TokenStream, errors: &mut Errors) -> Vec<Part> {
    let reader = |input: ParseStream<'_>| {
        let mut parts = Vec::new();
        while !input.is_empty() {
            let part = errors.keep(Part::parse(input));
            let is_read = part.is_some();
            parts.extend(part);
            let ends = input.is_empty() || input.peek(Token![,]);
            if is_read && !ends {
                errors.push(input.error("expected `,`: separate the parts with commas"));
            }
            if !(is_read && begins_a_part(input)) {
                skip_to_comma(input)?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(parts)
    };
    let read = reader.parse2(tokens);
    errors.keep(read).unwrap_or_default()
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// Passes the name of every option of every `#[operator(…)]` to `take`, together with the option. Messages show
/// `example` as an example of an option.
pub(crate) fn read(
    attributes: &[Attribute],
    example: &str,
    errors: &mut Errors,
    mut take: impl FnMut(&Ident, &Part, &mut Errors),
) {
    for attribute in operator_attributes(attributes) {
        match &attribute.meta {
            Meta::List(list) if !list.tokens.is_empty() => {
                for part in parts(list.tokens.clone(), errors) {
                    match part.name() {
                        Some(name) => take(name, &part, errors),
                        None => errors.at(&part, "this is not an option", format!("write one like `{example}`")),
                    }
                }
            }
            other => errors.at(
                other,
                "`#[operator]` needs options",
                format!("write them like `#[operator({example})]`, or remove it"),
            ),
        }
    }
}

/// Reads `#[operator(crate = …)]` on a type that derives one of our traits. Reports every other option; the message says
/// to `write` it elsewhere.
pub(crate) fn only_crate(attributes: &[Attribute], write: &str, errors: &mut Errors) -> Runtime {
    let mut runtime = Runtime::default();
    let example = "crate = \"my_wrapper::rt\"";
    read(attributes, example, errors, |name, part, errors| match part {
        Part::Value(name, value) if name == "crate" => runtime.take(name, value, errors),
        _ if name == "crate" => refuse_missing_value(name, errors),
        _ => errors.at(name, format!("`{name}` has no effect here"), write),
    });
    runtime
}

/// Reports every `#[operator(…)]` in `attributes`, a place where options have no effect.
pub(crate) fn refuse(attributes: &[Attribute], write: &str, errors: &mut Errors) {
    for attribute in operator_attributes(attributes) {
        errors.at(attribute, "`#[operator(…)]` has no effect here", write);
    }
}

fn operator_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("operator"))
}

/// Fills an option that can be given only once.
pub(crate) fn once<T>(slot: &mut Option<T>, at: &impl ToTokens, value: Option<T>, what: &str, errors: &mut Errors) {
    match slot {
        Some(_) => errors.at(at, format!("{what} is given twice"), "remove one"),
        None => *slot = value,
    }
}

/// The expression without the invisible group in which a `macro_rules!` macro wraps it.
pub(crate) fn bare(value: &Expr) -> &Expr {
    match value {
        Expr::Group(group) => bare(&group.expr),
        other => other,
    }
}

/// The literal, even if it comes from a `macro_rules!` macro.
pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match bare(value) {
        Expr::Lit(literal) => Some(&literal.lit),
        _ => None,
    }
}

/// The string literal of an option. Any other expression is reported; the message says to write `example`.
pub(crate) fn string(value: &Expr, what: &str, example: &str, errors: &mut Errors) -> Option<LitStr> {
    if let Some(Lit::Str(string)) = literal(value) {
        return Some(string.clone());
    }
    errors.at(
        value,
        format!("{what} must be a string literal"),
        format!("write `{example}`"),
    );
    None
}

/// Fills an option that can be given only once, with a string literal. Any other value is reported; the message shows
/// `example` as the value to write.
pub(crate) fn string_once(slot: &mut Option<LitStr>, name: &Ident, value: &Expr, example: &str, errors: &mut Errors) {
    let what = format!("`{name}`");
    let string = string(value, &what, &format!("{name} = \"{example}\""), errors);
    once(slot, name, string, &what, errors);
}

/// Reports an option that needs a value but has none.
pub(crate) fn refuse_missing_value(name: &Ident, errors: &mut Errors) {
    errors.at(name, format!("`{name}` needs a value"), format!("write `{name} = …`"));
}

/// Reports a value that was given to an option without values.
pub(crate) fn refuse_value(name: &Ident, errors: &mut Errors) {
    errors.at(
        name,
        format!("`{name}` takes no value"),
        format!("write `{name}` alone"),
    );
}
