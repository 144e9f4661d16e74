//! `#[derive(OperatorError)]`: parses, checks and expands.

mod detail;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use heck::ToKebabCase as _;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, Lit, LitInt, LitStr};

use self::detail::{Shown, member_name};
use crate::doc::Description;
use crate::error::Errors;
use crate::options::{self, Part, literal, once, refuse_missing_value, refuse_value, string_once};
use crate::runtime::Runtime;
use crate::span;

/// The type that derives `OperatorError`. Each variant of an enum, or the struct itself, becomes one problem response.
struct OperatorError {
    runtime: Runtime,
    name: Ident,
    problems: Vec<Problem>,
}

struct Problem {
    /// `RefundError::Closed` for a variant, `RefundError` for a struct.
    path: TokenStream,
    kind: String,
    fields: Fields,
    status: u16,
    retryable: bool,
    /// What the error means if its only field is logged and never sent to the caller.
    unsent: Option<Unsent>,
    detail: String,
    /// The fields that the detail mentions as `{field}`.
    shown: Vec<Shown>,
}

/// An error without a detail of its own.
#[derive(Clone, Copy)]
enum Unsent {
    Internal,
    /// The handler does not know whether the operation took effect.
    Unknown,
}

impl Unsent {
    /// Why an option that says what to send has no effect.
    fn why(self) -> &'static str {
        match self {
            Self::Internal => "an internal error, which is sent as 500 without a detail",
            Self::Unknown => "an unknown outcome, for which the endpoint's effect decides what is sent",
        }
    }
}

#[derive(Default)]
struct Options {
    status: Option<LitInt>,
    retryable: Option<()>,
    internal: Option<Ident>,
    unknown: Option<Ident>,
    detail: Option<LitStr>,
    /// Whether a detail was given, even if it is not a string literal.
    detail_is_given: bool,
    /// The option `crate`, which only a type can have.
    runtime: Runtime,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item = match syn::parse2(item) {
        Ok(item) => item,
        Err(unread) => return unread.to_compile_error(),
    };
    let mut errors = Errors::default();
    let checked = check(&item, &mut errors);
    let runtime = checked.runtime.clone();
    match errors.finish(checked) {
        Ok(checked) => expand(&checked),
        Err(mistakes) => {
            let (mistakes, stand_in) = (mistakes.to_compile_error(), stand_in(&item, &runtime));
            quote!(#mistakes #stand_in)
        }
    }
}

/// Empty implementations, generated when the real ones could not be derived. With them, rustc reports no further errors
/// at the endpoints that return the type.
fn stand_in(item: &DeriveInput, runtime: &Runtime) -> TokenStream {
    let name = &item.ident;
    if runtime.is_missing() {
        return TokenStream::new();
    }
    let (parameters, arguments, conditions) = item.generics.split_for_impl();
    quote! {
        const _: () = {
            #runtime
            impl #parameters ::core::convert::From<#name #arguments> for __operator::Error #conditions {
                fn from(_: #name #arguments) -> Self {
                    __operator::problem("", 500, false, ::std::string::String::new())
                }
            }
            impl #parameters __operator::DocumentedError for #name #arguments #conditions {
                const PROBLEMS: &'static [__operator::ProblemSpec] = &[];
            }
        };
    }
}

fn check(item: &DeriveInput, errors: &mut Errors) -> OperatorError {
    if !item.generics.params.is_empty() {
        errors.at(
            &item.generics,
            "an endpoint's error cannot be generic",
            "use concrete types",
        );
    }
    let name = item.ident.clone();
    let above_a_variant = "write it above the variant that it is meant for";
    let (runtime, problems) = match &item.data {
        Data::Enum(data) => {
            let runtime = options::only_crate(&item.attrs, above_a_variant, errors);
            let each = data.variants.iter().map(|variant| {
                let ident = &variant.ident;
                let write = "write it above the variant";
                refuse_on_fields(&variant.fields, write, errors);
                let options = read_options(&variant.attrs, errors);
                if let Some(path) = &options.runtime.0 {
                    errors.at(path, "`crate` has no effect on a variant", "write it above the enum");
                }
                problem(
                    quote!(#name::#ident),
                    ident,
                    &variant.attrs,
                    &options,
                    &variant.fields,
                    errors,
                )
            });
            let problems: Vec<_> = each.collect();
            refuse_same_kinds(data, &problems, errors);
            (runtime, problems)
        }
        Data::Struct(data) => {
            refuse_on_fields(&data.fields, "write it above the struct", errors);
            let options = read_options(&item.attrs, errors);
            let problem = problem(quote!(#name), &name, &item.attrs, &options, &data.fields, errors);
            (options.runtime, vec![problem])
        }
        Data::Union(_) => {
            errors.at(&name, "`OperatorError` cannot be derived for a union", "use an enum");
            (options::only_crate(&item.attrs, above_a_variant, errors), Vec::new())
        }
    };
    runtime.check(errors);
    OperatorError {
        runtime,
        name,
        problems,
    }
}

/// Refuses two variants that are sent with the same kind. Variants that are not sent have no kind of their own.
fn refuse_same_kinds(data: &DataEnum, problems: &[Problem], errors: &mut Errors) {
    let mut named = BTreeMap::new();
    let variants = data.variants.iter().map(|variant| &variant.ident).zip(problems);
    for (name, Problem { kind, .. }) in variants.filter(|(_, problem)| problem.unsent.is_none()) {
        if let Some(other) = named.insert(kind, name) {
            let wrong = format!("`{other}` and `{name}` would both be sent as `{kind}`");
            errors.at(name, wrong, "rename one of the variants");
        }
    }
}

fn refuse_on_fields(fields: &Fields, write: &str, errors: &mut Errors) {
    for field in fields {
        options::refuse(&field.attrs, write, errors);
    }
}

fn problem(
    path: TokenStream,
    name: &Ident,
    attributes: &[Attribute],
    options: &Options,
    fields: &Fields,
    errors: &mut Errors,
) -> Problem {
    let before = errors.count();
    let detail = options
        .detail
        .as_ref()
        .map_or_else(|| commented(attributes, errors), LitStr::value);
    let is_unread = errors.count() > before || (options.detail_is_given && options.detail.is_none());
    let unsent = options.unsent();
    if let Some((unsent, word)) = unsent {
        check_unsent(unsent, word, options, fields, errors);
    }
    if detail.trim().is_empty() && unsent.is_none() && !is_unread {
        errors.at(
            name,
            "this error has no detail for the agent to read",
            "write a sentence in a `///` line above it, or `#[operator(detail = \"…\")]`",
        );
    }
    let place = options
        .detail
        .as_ref()
        .map_or_else(|| name.to_token_stream(), ToTokens::to_token_stream);
    let shown = detail::shown(&detail, fields, &place, errors);
    Problem {
        path,
        kind: name.unraw().to_string().to_kebab_case(),
        fields: fields.clone(),
        status: status(options.status.as_ref(), errors),
        retryable: options.retryable.is_some(),
        unsent: unsent.map(|(unsent, _)| unsent),
        detail,
        shown,
    }
}

/// The detail in a doc comment. The macro has to know its text, because it may contain `{field}`.
fn commented(attributes: &[Attribute], errors: &mut Errors) -> String {
    let comment = Description::read(attributes, errors);
    if let Some(made) = comment.made() {
        let wrong = "the detail of an error must be a string literal, because its `{field}`s are read before macros are expanded";
        errors.at(made, wrong, "write it as `/// …`");
    }
    comment.known().unwrap_or_default().replace('\n', " ")
}

impl Options {
    /// What the error means if it has no detail of its own, and the option that says so.
    fn unsent(&self) -> Option<(Unsent, &Ident)> {
        let unknown = self.unknown.as_ref().map(|word| (Unsent::Unknown, word));
        unknown.or_else(|| self.internal.as_ref().map(|word| (Unsent::Internal, word)))
    }
}

fn check_unsent(unsent: Unsent, option: &Ident, options: &Options, fields: &Fields, errors: &mut Errors) {
    for (given, word) in [
        (options.status.is_some(), "status"),
        (options.retryable.is_some(), "retryable"),
        (options.detail.is_some(), "detail"),
        (options.internal.is_some() && option != "internal", "internal"),
    ] {
        if given {
            let wrong = format!("`{word}` has no effect on {}", unsent.why());
            errors.at(option, wrong, format!("remove `{word}` or `{option}`"));
        }
    }
    if fields.len() != 1 {
        errors.at(
            option,
            format!("an error with `{option}` must have exactly one field, which is logged and never sent"),
            "use one field",
        );
    }
}

fn read_options(attributes: &[Attribute], errors: &mut Errors) -> Options {
    let mut options = Options::default();
    options::read(attributes, "status = 404", errors, |name, part, errors| {
        let what = format!("`{name}`");
        match (name.to_string().as_str(), part) {
            ("status", Part::Value(_, value)) => {
                let status = match literal(value) {
                    Some(Lit::Int(number)) => Some(number.clone()),
                    _ => None,
                };
                if status.is_none() {
                    refuse_status(value, errors);
                }
                once(&mut options.status, name, status, &what, errors);
            }
            ("detail", Part::Value(_, value)) => {
                options.detail_is_given = true;
                string_once(&mut options.detail, name, value, "…", errors);
            }
            ("retryable", Part::Word(_)) => once(&mut options.retryable, name, Some(()), &what, errors),
            ("internal", Part::Word(word)) => once(&mut options.internal, name, Some(word.clone()), &what, errors),
            ("unknown", Part::Word(word)) => once(&mut options.unknown, name, Some(word.clone()), &what, errors),
            ("crate", Part::Value(_, value)) => options.runtime.take(name, value, errors),
            ("crate", _) => refuse_missing_value(name, errors),
            ("status" | "detail", _) => {
                options.detail_is_given |= name == "detail";
                refuse_missing_value(name, errors);
            }
            ("retryable" | "internal" | "unknown", _) => refuse_value(name, errors),
            (other, _) => {
                let options = ["status", "retryable", "detail", "internal", "unknown"];
                errors.unknown(name, "option", other, &options);
            }
        }
    });
    options
}

fn refuse_status(place: &impl ToTokens, errors: &mut Errors) {
    let wrong = "the status of an error must be a number from 400 to 599";
    errors.at(place, wrong, "write one like `status = 404`");
}

fn status(literal: Option<&LitInt>, errors: &mut Errors) -> u16 {
    const BAD_REQUEST: u16 = 400;
    let Some(literal) = literal else {
        return BAD_REQUEST;
    };
    let status = literal
        .base10_parse()
        .ok()
        .filter(|status| (400..=599).contains(status));
    if status.is_none() {
        refuse_status(literal, errors);
    }
    status.unwrap_or(BAD_REQUEST)
}

fn expand(checked: &OperatorError) -> TokenStream {
    let (runtime, name) = (&checked.runtime, &checked.name);
    let arms = checked.problems.iter().map(arm);
    let specs = checked.problems.iter().filter_map(spec);
    quote! {
        const _: () = {
            #runtime
            impl ::core::convert::From<#name> for __operator::Error {
                fn from(__operator_error: #name) -> Self {
                    match __operator_error { #(#arms),* }
                }
            }
            impl __operator::DocumentedError for #name {
                const PROBLEMS: &'static [__operator::ProblemSpec] = &[#(#specs),*];
            }
        };
    }
}

/// The problem in the endpoint's documents. An internal error has none of its own: every endpoint can fail.
fn spec(problem: &Problem) -> Option<TokenStream> {
    let Problem {
        kind,
        status,
        detail,
        retryable,
        ..
    } = problem;
    match problem.unsent {
        Some(Unsent::Internal) => None,
        Some(Unsent::Unknown) => Some(quote!(__operator::ProblemSpec::UNKNOWN)),
        None => Some(
            quote!(__operator::ProblemSpec { kind: #kind, status: #status, detail: #detail, retryable: #retryable }),
        ),
    }
}

fn arm(problem: &Problem) -> TokenStream {
    let Problem {
        path,
        kind,
        fields,
        status,
        retryable,
        unsent,
        detail,
        shown,
    } = problem;
    if let (Some(unsent), Some(member)) = (unsent, fields.members().next()) {
        let error = match unsent {
            Unsent::Internal => quote!(internal),
            Unsent::Unknown => quote!(unknown),
        };
        return quote!(#path { #member: __operator_source } => Self::#error(__operator_source));
    }
    let uses = |member: &syn::Member| shown.iter().find(|shown| shown.field == member_name(member));
    let each = || fields.iter().zip(fields.members());
    let bound = each()
        .filter(|(_, member)| uses(member).is_some())
        .map(|(field, member)| {
            let local = local(&member, field);
            quote!(#member: #local)
        });
    let named = each().filter_map(|(field, member)| {
        let local = local(&member, field);
        let ty = &field.ty;
        let value = if uses(&member)?.plain {
            quote!(<#ty as __operator::ShownField>::shown(&#local))
        } else {
            quote!(#local)
        };
        Some(match &member {
            syn::Member::Named(field) => quote!(#field = #value),
            syn::Member::Unnamed(_) => quote!(#local = #value),
        })
    });
    let text = detail::with_named_fields(detail, fields);
    quote!(#path { #(#bound,)* .. } => __operator::problem(#kind, #status, #retryable, ::std::format!(#text #(, #named)*)))
}

/// The variable for a field. It has the span of the field's type, because rustc reports there if the field cannot be
/// formatted.
fn local(member: &syn::Member, field: &syn::Field) -> Ident {
    Ident::new(
        &format!("__operator_field_{}", member_name(member)),
        span::ends(&field.ty).0,
    )
}
