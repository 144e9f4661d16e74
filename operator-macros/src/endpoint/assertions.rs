//! Assertions in the expansion. They check an input's options where only the type system or constant evaluation knows
//! the answer.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, GenericArgument, Lit, PathArguments, Type};

use super::constraint::{Bounded, Constraint, Value};
use super::literal::{NumberLiteral, string_of};
use super::model::Input;
use super::owned::{self, bare};
use super::signature::undescribed;
use super::tokens;
use crate::doc::Description;
use crate::options::{self, literal};
use crate::span;

/// One constant for each assertion. The program does not compile if the assertion is false.
pub(crate) fn assertions(input: &Input) -> Vec<TokenStream> {
    let constraints = &input.options.constraints;
    let mut assertions: Vec<_> = constraints
        .iter()
        .map(|constraint| applies(input, constraint))
        .collect();
    if is_const_default(input) {
        assertions.extend(
            constraints
                .iter()
                .filter_map(|constraint| default_satisfies(input, constraint)),
        );
    }
    if let Some(example) = &input.options.example {
        assertions.extend(example_has_type(input, example));
    }
    if input.options.flatten.is_none() {
        assertions.extend(is_described(&input.description, undescribed(&input.name)));
    }
    assertions
}

/// Asserts that a description is not blank, if only rustc knows its text.
pub(crate) fn is_described(description: &Description, (wrong, write): (impl Display, &str)) -> Option<TokenStream> {
    let place = span::ends(description.made()?);
    let is_described = quote!(!::core::primitive::str::is_empty(#description));
    Some(assertion(&is_described, &format!("{wrong}: {write}"), place))
}

/// Asserts that the option applies to the type, and that a bound is in the type's range. rustc reports the first at the
/// option's name, the second at the bound.
fn applies(input: &Input, constraint: &Constraint) -> TokenStream {
    let ty = span::moved(&input.ty, constraint.name.span());
    let Value::Number(bound) = &constraint.value else {
        let applies = match constraint.bounds() {
            Bounded::Lists => quote!(ListInput),
            Bounded::Texts | Bounded::Numbers => quote!(TextInput),
        };
        return quote!(const _: () = <#ty as __operator::#applies>::FITS;);
    };
    let number = bound.as_number();
    let message = not_held(constraint.name.to_string().as_str(), bound, &input.ty);
    assertion(
        &quote!(__operator::Range::holds(<#ty as __operator::NumberInput>::RANGE, #number)),
        &message,
        bound.place,
    )
}

/// Whether the default is a constant and the input has number bounds. If so, an assertion compares the two at compile
/// time. Literals are compared by the macro itself; other expressions are evaluated at start-up.
pub(crate) fn is_const_default(input: &Input) -> bool {
    let is_bounded = input.options.constraints.iter().any(is_number_bound);
    is_bounded && input.options.default.iter().flatten().any(is_path)
}

fn is_number_bound(constraint: &Constraint) -> bool {
    constraint.bounds() == Bounded::Numbers
}

/// Whether the expression is the name of a constant.
fn is_path(value: &Expr) -> bool {
    match options::bare(value) {
        Expr::Path(_) => true,
        Expr::Paren(paren) => is_path(&paren.expr),
        _ => false,
    }
}

/// Asserts that a constant default satisfies a bound.
fn default_satisfies(input: &Input, constraint: &Constraint) -> Option<TokenStream> {
    let Value::Number(bound) = &constraint.value else {
        return None;
    };
    let default = tokens::default_name(input)?;
    let place = input.options.default.iter().flatten().next().map(span::ends)?;
    let (ty, name) = (&input.ty, &constraint.name);
    let message = format!("the default does not satisfy `{name} = {bound}`: change the default or `{name}`");
    let constraint = tokens::constraint(constraint);
    // The default is in a `const` block, because its type may have a destructor, and a constant cannot drop such a
    // value.
    let value = quote!(__operator::Shown::<#ty>::__OPERATOR_READ.__operator_number(const { &#default() }));
    Some(assertion(
        &quote!(__operator::Constraint::keeps(#constraint, #value)),
        &message,
        place,
    ))
}

/// Asserts that a literal example has the argument's type, and that a number is in the type's range.
fn example_has_type(input: &Input, example: &Expr) -> Option<TokenStream> {
    let ty = &input.ty;
    let shown = |known: &str| {
        let known = Ident::new(known, Span::call_site());
        quote!(__operator::Shown::<#ty>::#known)
    };
    let place = span::ends(example);
    if let Some(example) = NumberLiteral::read(example) {
        let number = example.as_number();
        let (is_text, is_boolean, range) = (
            shown("__OPERATOR_IS_TEXT"),
            shown("__OPERATOR_IS_BOOLEAN"),
            shown("__OPERATOR_RANGE"),
        );
        let has_type = quote!(!#is_text && !#is_boolean && __operator::Range::holds(#range, #number));
        return Some(assertion(&has_type, &not_held("example", &example, ty), place));
    }
    if let Some(Lit::Bool(example)) = literal(example) {
        let (is_text, is_number) = (shown("__OPERATOR_IS_TEXT"), shown("__OPERATOR_IS_NUMBER"));
        let has_type = quote!(!#is_text && !#is_number);
        let wrong = format!("`example = {}` is not a value of `{}`", example.value, owned::shown(ty));
        return Some(assertion(
            &has_type,
            &format!("{wrong}: use a value of this type"),
            place,
        ));
    }
    // An option for strings already asserts that the type is a string.
    let is_of_strings = |constraint: &Constraint| constraint.bounds() == Bounded::Texts;
    let is_string = string_of(example).is_some() || matches!(literal(example), Some(Lit::Char(_)));
    if !is_string || input.options.constraints.iter().any(is_of_strings) {
        return None;
    }
    let (is_number, is_boolean) = (shown("__OPERATOR_IS_NUMBER"), shown("__OPERATOR_IS_BOOLEAN"));
    let wrong = format!(
        "the example is a string, which is not a value of `{}`",
        owned::shown(ty)
    );
    let message = format!("{wrong}: write it without quotes");
    Some(assertion(&quote!(!#is_number && !#is_boolean), &message, place))
}

/// The message for a number that is not a value of the argument's type.
fn not_held(name: &str, number: &NumberLiteral, ty: &Type) -> String {
    let shown = owned::shown(ty);
    match integer_range(ty) {
        Some((least, most)) if number.is_float() => {
            format!("`{name} = {number}` is not a whole number, as `{shown}` requires: use {least} to {most}")
        }
        Some((least, most)) => format!("`{name} = {number}` is out of range for `{shown}`: use {least} to {most}"),
        None => format!("`{name} = {number}` is not a value of `{shown}`: use a value of this type"),
    }
}

/// The range of an integer type or of an `Option` of one. The macro sees only tokens, so it returns `None` for aliases
/// and for the user's own types.
fn integer_range(ty: &Type) -> Option<(i128, i128)> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last()?;
    if let PathArguments::AngleBracketed(arguments) = &last.arguments {
        return match arguments.args.first()? {
            GenericArgument::Type(inner) if last.ident == "Option" => integer_range(inner),
            _ => None,
        };
    }
    Some(match last.ident.to_string().as_str() {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" => (0, u64::MAX.into()),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" => (i64::MIN.into(), i64::MAX.into()),
        _ => return None,
    })
}

/// A condition that rustc evaluates at compile time. If the condition is false, rustc prints `message` at the given
/// place.
fn assertion(condition: &TokenStream, message: &str, (first, last): (Span, Span)) -> TokenStream {
    let path = quote_spanned!(first=> ::core::assert!);
    let arguments = quote_spanned!(last=> (#condition, #message));
    quote!(const _: () = #path #arguments;)
}
