//! What only the type system and constant evaluation know of the options of an input, asked where each is written.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, Lit};

use super::attribute::literal;
use super::bounds::{self, Bound};
use super::constraint::{Bounded, Constraint, Value};
use super::expand;
use super::model::Input;
use crate::span;

/// One constant for each question, which does not compile where the answer is no.
pub(crate) fn checks(input: &Input) -> Vec<TokenStream> {
    let constraints = &input.options.constraints;
    let mut checks: Vec<_> = constraints.iter().map(|constraint| fits(input, constraint)).collect();
    if is_held_while_compiling(input) {
        checks.extend(constraints.iter().filter_map(|constraint| keeps(input, constraint)));
    }
    if let Some(example) = &input.options.example {
        checks.extend(example_fits(input, example));
    }
    checks
}

/// That an option fits its type, said of the option; and its bound, said of the bound.
fn fits(input: &Input, constraint: &Constraint) -> TokenStream {
    let ty = span::moved(&input.ty, constraint.name.span());
    let Value::Number(bound) = &constraint.value else {
        let fits = match constraint.bounds() {
            Bounded::Lists => quote!(ListInput),
            Bounded::Texts | Bounded::Numbers => quote!(TextInput),
        };
        return quote!(const _: () = <#ty as __operator::#fits>::FITS;);
    };
    let number = bound.as_number();
    let words = format!(
        "`{} = {bound}` is no number of the argument's type · write one that the type can hold",
        constraint.name
    );
    assertion(
        &quote!(<#ty as __operator::NumberInput>::RANGE.holds(#number)),
        &words,
        bound.place,
    )
}

/// Whether a default is a constant with bounds, which it can be held against while compiling: of literals they are
/// checked already, and what is neither is checked at start-up.
pub(crate) fn is_held_while_compiling(input: &Input) -> bool {
    let is_bounded = input.options.constraints.iter().any(is_bound);
    is_bounded && input.options.default.iter().flatten().any(is_path)
}

fn is_bound(constraint: &Constraint) -> bool {
    constraint.bounds() == Bounded::Numbers
}

/// The name of a constant, also one handed through by a `macro_rules!` macro.
fn is_path(value: &Expr) -> bool {
    match value {
        Expr::Path(_) => true,
        Expr::Group(group) => is_path(&group.expr),
        Expr::Paren(paren) => is_path(&paren.expr),
        _ => false,
    }
}

/// That a constant default is within one bound.
fn keeps(input: &Input, constraint: &Constraint) -> Option<TokenStream> {
    let Value::Number(bound) = &constraint.value else {
        return None;
    };
    let default = expand::default(input)?;
    let place = input.options.default.iter().flatten().next().map(span::ends)?;
    let (ty, name) = (&input.ty, &constraint.name);
    let words = format!("the default is refused by its own bound `{name} = {bound}` · write one that keeps it");
    let constraint = expand::constraint(constraint);
    // In a constant of its own, in which nothing is dropped.
    let value = quote!(__operator::Shown::<#ty>::READ.number(const { &#default() }));
    Some(assertion(&quote!(#constraint.keeps(#value)), &words, place))
}

/// That a literal example is a value of the argument's type; of a number, one that the type can hold.
fn example_fits(input: &Input, example: &Expr) -> Option<TokenStream> {
    let shown = |known: &str| {
        let (ty, known) = (&input.ty, Ident::new(known, Span::call_site()));
        quote!(__operator::Shown::<#ty>::#known)
    };
    let place = span::ends(example);
    if let Some(example) = Bound::read(example) {
        let number = example.as_number();
        let (is_text, is_boolean, range) = (shown("IS_TEXT"), shown("IS_BOOLEAN"), shown("RANGE"));
        let fits = quote!(!#is_text && !#is_boolean && #range.holds(#number));
        return Some(assertion(&fits, &no_value(&example), place));
    }
    if let Some(Lit::Bool(example)) = literal(example) {
        let (is_text, is_number) = (shown("IS_TEXT"), shown("IS_NUMBER"));
        let fits = quote!(!#is_text && !#is_number);
        return Some(assertion(&fits, &no_value(&example.value), place));
    }
    // A text's option says already that the type is a text.
    let is_of_texts = |constraint: &Constraint| constraint.bounds() == Bounded::Texts;
    let is_text = bounds::text_of(example).is_some() || matches!(literal(example), Some(Lit::Char(_)));
    if !is_text || input.options.constraints.iter().any(is_of_texts) {
        return None;
    }
    let (is_number, is_boolean) = (shown("IS_NUMBER"), shown("IS_BOOLEAN"));
    let words = "the example is a text, and the argument is a number or a boolean · write it without quotes";
    Some(assertion(&quote!(!#is_number && !#is_boolean), words, place))
}

fn no_value(example: &impl std::fmt::Display) -> String {
    format!("the example {example} is no value of the argument's type · write one that the type can hold")
}

/// A condition that is evaluated while compiling; where it does not hold, rustc says the words of the place.
fn assertion(condition: &TokenStream, words: &str, (first, last): (Span, Span)) -> TokenStream {
    let path = quote_spanned!(first=> ::core::assert!);
    let arguments = quote_spanned!(last=> (#condition, #words));
    quote!(const _: () = #path #arguments;)
}
