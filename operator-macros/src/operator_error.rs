//! `#[derive(OperatorError)]`: parse, check, expand.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Fields, Lit, LitInt, LitStr};

use crate::derive_options;
use crate::doc;
use crate::endpoint::{Part, literal, once, text};
use crate::error::{Errors, did_you_mean};
use crate::span;

/// The checked type: one problem for each variant, or for the struct.
struct OperatorError {
    name: Ident,
    problems: Vec<Problem>,
}

struct Problem {
    /// `Self::Variant`, or `Self`.
    path: TokenStream,
    kind: String,
    fields: Fields,
    status: u16,
    retryable: bool,
    /// The one field is logged and never sent.
    internal: bool,
    detail: String,
    /// The fields that the sentence shows.
    shown: Vec<Shown>,
}

/// A field between braces.
struct Shown {
    field: String,
    /// As `{field}`, with no format of its own.
    plain: bool,
}

#[derive(Default)]
struct Options {
    status: Option<LitInt>,
    retryable: Option<()>,
    internal: Option<Ident>,
    detail: Option<LitStr>,
    /// Also where it cannot be read.
    detail_is_given: bool,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item = match syn::parse2(item) {
        Ok(item) => item,
        Err(unread) => return unread.to_compile_error(),
    };
    match check(&item) {
        Ok(checked) => expand(&checked),
        Err(mistakes) => {
            let (mistakes, stand_in) = (mistakes.to_compile_error(), stand_in(&item));
            quote!(#mistakes #stand_in)
        }
    }
}

/// Stands for what could not be derived, so that nothing is said of the endpoints that fail with the type.
fn stand_in(item: &DeriveInput) -> TokenStream {
    let name = &item.ident;
    let (parameters, arguments, conditions) = item.generics.split_for_impl();
    quote! {
        const _: () = {
            use ::operator_runtime::__private as __operator;
            impl #parameters ::core::convert::From<#name #arguments> for ::operator_runtime::Error #conditions {
                fn from(_error: #name #arguments) -> Self {
                    __operator::problem("", 500, false, ::std::string::String::new())
                }
            }
            impl #parameters __operator::DocumentedError for #name #arguments #conditions {
                const PROBLEMS: &'static [__operator::ProblemSpec] = &[];
            }
        };
    }
}

fn check(item: &DeriveInput) -> syn::Result<OperatorError> {
    let mut errors = Errors::default();
    if !item.generics.params.is_empty() {
        errors.at(&item.generics, "an endpoint's error is not generic", "name a type");
    }
    let name = item.ident.clone();
    let problems = match &item.data {
        Data::Enum(data) => {
            derive_options::refuse(&item.attrs, "write it above the variant that it is for", &mut errors);
            let each = data.variants.iter().map(|variant| {
                let ident = &variant.ident;
                let write = "write it above the variant";
                refuse_on_fields(&variant.fields, write, &mut errors);
                problem(
                    quote!(#name::#ident),
                    ident,
                    &variant.attrs,
                    &variant.fields,
                    &mut errors,
                )
            });
            each.collect()
        }
        Data::Struct(data) => {
            refuse_on_fields(&data.fields, "write it above the struct", &mut errors);
            vec![problem(quote!(#name), &name, &item.attrs, &data.fields, &mut errors)]
        }
        Data::Union(_) => {
            errors.at(&name, "a union cannot be an endpoint's error", "derive it for an enum");
            Vec::new()
        }
    };
    errors.finish(OperatorError { name, problems })
}

fn refuse_on_fields(fields: &Fields, write: &str, errors: &mut Errors) {
    for field in fields {
        derive_options::refuse(&field.attrs, write, errors);
    }
}

fn problem(path: TokenStream, name: &Ident, attributes: &[Attribute], fields: &Fields, errors: &mut Errors) -> Problem {
    let options = options(attributes, errors);
    let detail = options
        .detail
        .as_ref()
        .map_or_else(|| doc::text(attributes, errors).replace('\n', " "), LitStr::value);
    if let Some(internal) = &options.internal {
        for (given, word) in [
            (options.status.is_some(), "status"),
            (options.retryable.is_some(), "retryable"),
            (options.detail.is_some(), "detail"),
        ] {
            if given {
                let wrong =
                    format!("an internal error is always answered with 500 and no detail, so `{word}` has no effect");
                errors.at(internal, wrong, format!("remove `{word}`, or `internal`"));
            }
        }
    }
    if let Some(internal) = options.internal.as_ref().filter(|_| fields.len() != 1) {
        errors.at(
            internal,
            "an internal error is one field, which is logged and never sent",
            "keep one field",
        );
    }
    let is_unread = options.detail_is_given && options.detail.is_none();
    if detail.trim().is_empty() && options.internal.is_none() && !is_unread {
        errors.at(
            name,
            "the agent has nothing to say for this error",
            "write a sentence in a `///` line above it, or `#[operator(detail = \"…\")]`",
        );
    }
    let place = options
        .detail
        .as_ref()
        .map_or_else(|| name.to_token_stream(), ToTokens::to_token_stream);
    let shown = placeholders(&detail, &place, errors);
    let known: Vec<String> = fields.members().map(|member| member_name(&member)).collect();
    for Shown { field, .. } in shown.iter().filter(|shown| !known.contains(&shown.field)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let advice = if known.is_empty() {
            "write `{{` and `}}` for braces".to_owned()
        } else {
            did_you_mean(field, &known)
        };
        errors.at(
            &place,
            format!("the sentence shows `{field}`, which is no field"),
            advice,
        );
    }
    Problem {
        path,
        kind: kebab(&name.unraw().to_string()),
        fields: fields.clone(),
        status: status(options.status.as_ref(), errors),
        retryable: options.retryable.is_some(),
        internal: options.internal.is_some(),
        detail,
        shown,
    }
}

fn options(attributes: &[Attribute], errors: &mut Errors) -> Options {
    let mut options = Options::default();
    derive_options::read(attributes, "status = 404", errors, |name, part, errors| {
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
                once(&mut options.detail, name, text(value, &what, errors), &what, errors);
            }
            ("retryable", Part::Word(_)) => once(&mut options.retryable, name, Some(()), &what, errors),
            ("internal", Part::Word(word)) => once(&mut options.internal, name, Some(word.clone()), &what, errors),
            ("status" | "detail", _) => {
                options.detail_is_given |= name == "detail";
                errors.at(name, format!("{what} lacks its value"), format!("write `{name} = …`"));
            }
            ("retryable" | "internal", _) => {
                errors.at(name, format!("{what} takes no value"), format!("write `{name}` alone"));
            }
            (unknown, _) => errors.at(
                name,
                format!("`{unknown}` is no option of an error"),
                did_you_mean(unknown, &["status", "retryable", "detail", "internal"]),
            ),
        }
    });
    options
}

fn refuse_status(place: &impl ToTokens, errors: &mut Errors) {
    errors.at(place, "an error's status is from 400 to 599", "write `status = 404`");
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

/// The names between braces, without their format.
fn placeholders(detail: &str, place: &TokenStream, errors: &mut Errors) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut rest = detail.replace("{{", "").replace("}}", "");
    while let Some(open) = rest.find('{') {
        let after = rest.split_off(open + 1);
        let Some((inside, behind)) = after.split_once('}') else {
            errors.at(place, "a brace is not closed", "write `{field}`, or `{{` for a brace");
            break;
        };
        let (field, format) = inside.split_once(':').unwrap_or((inside, ""));
        match shown.iter_mut().find(|shown| shown.field == field) {
            Some(again) => again.plain &= format.is_empty(),
            None => shown.push(Shown {
                field: field.to_owned(),
                plain: format.is_empty(),
            }),
        }
        rest = behind.to_owned();
    }
    shown
}

fn member_name(member: &syn::Member) -> String {
    match member {
        syn::Member::Named(name) => name.unraw().to_string(),
        syn::Member::Unnamed(index) => index.index.to_string(),
    }
}

fn kebab(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn expand(checked: &OperatorError) -> TokenStream {
    let name = &checked.name;
    let arms = checked.problems.iter().map(arm);
    let specs = checked.problems.iter().filter(|problem| !problem.internal).map(
        |Problem {
             kind,
             status,
             detail,
             retryable,
             ..
         }| {
            quote!(__operator::ProblemSpec { kind: #kind, status: #status, detail: #detail, retryable: #retryable })
        },
    );
    // An enum without variants has no value to match by reference.
    let error = if checked.problems.is_empty() {
        quote!(match error {})
    } else {
        quote!(match error { #(#arms),* })
    };
    quote! {
        const _: () = {
            use ::operator_runtime::__private as __operator;
            impl ::core::convert::From<#name> for ::operator_runtime::Error {
                fn from(error: #name) -> Self {
                    #error
                }
            }
            impl __operator::DocumentedError for #name {
                const PROBLEMS: &'static [__operator::ProblemSpec] = &[#(#specs),*];
            }
        };
    }
}

fn arm(problem: &Problem) -> TokenStream {
    let Problem {
        path,
        kind,
        fields,
        status,
        retryable,
        internal,
        detail,
        shown,
    } = problem;
    if let (true, Some(member)) = (internal, fields.members().next()) {
        return quote!(#path { #member: source } => Self::internal(source));
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
    let text = with_named_fields(detail, fields);
    quote!(#path { #(#bound,)* .. } => __operator::problem(#kind, #status, #retryable, ::std::format!(#text #(, #named)*)))
}

/// The sentence with a name for `{0}`, which has none of its own; `{{0}}` is no field.
fn with_named_fields(detail: &str, fields: &Fields) -> String {
    let name_fields = |part: &str| {
        fields.members().fold(part.to_owned(), |text, member| match member {
            syn::Member::Unnamed(syn::Index { index, .. }) => text
                .replace(&format!("{{{index}}}"), &format!("{{field_{index}}}"))
                .replace(&format!("{{{index}:"), &format!("{{field_{index}:")),
            syn::Member::Named(_) => text,
        })
    };
    detail.split("{{").map(name_fields).collect::<Vec<_>>().join("{{")
}

/// A field's value, standing where its type does, so that rustc points there where it cannot be formatted.
fn local(member: &syn::Member, field: &syn::Field) -> Ident {
    Ident::new(&format!("field_{}", member_name(member)), span::ends(&field.ty).0)
}

#[cfg(test)]
mod tests {
    use super::{check, derive};
    use proc_macro2::TokenStream;
    use quote::quote;

    fn mistakes(item: TokenStream) -> Vec<String> {
        let refused = check(&syn::parse2(item).unwrap()).err().unwrap();
        refused.into_iter().map(|mistake| mistake.to_string()).collect()
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let item = quote!(
            enum RefundError {
                #[operator(status = 200)]
                /// One.
                A,
                B,
                /// Shows {what}.
                C {
                    order_id: u64,
                },
                #[operator(statuss = 404)]
                /// Four.
                D,
            }
        );
        let mistakes = mistakes(item);
        assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
        assert!(mistakes[3].contains("did you mean `status`?"), "{mistakes:#?}");
    }

    #[test]
    fn an_option_that_cannot_be_read_hides_no_other_mistake() {
        let item = quote!(
            enum RefundError {
                #[operator(status = "404", detail = "{what}", 3, internal = true)]
                A,
                #[operator(detail = 3, retryable, retryable)]
                B,
                #[operator(status, detail)]
                C,
                #[operator]
                /// Four.
                D,
            }
        );
        let mistakes = mistakes(item);
        assert_eq!(mistakes.len(), 9, "{mistakes:#?}");
        assert!(mistakes.iter().all(|mistake| mistake.contains(" · ")), "{mistakes:#?}");
    }

    #[test]
    fn braces_that_are_written_twice_are_no_field() {
        let tokens = derive(quote!(
            #[operator(detail = "Write {{0}} for {0}, {{{0:?}}}.")]
            struct E(u8);
        ))
        .to_string();
        assert!(
            tokens.contains("Write {{0}} for {field_0}, {{{field_0:?}}}."),
            "{tokens}"
        );
    }

    #[test]
    fn fields_are_bound_only_where_the_sentence_shows_them() {
        let tokens = derive(quote!(
            enum E {
                #[operator(status = 404)]
                /** There is no order {order_id}. */
                NoSuchOrder { order_id: u64, why: String },
            }
        ))
        .to_string();
        assert!(tokens.contains("\"no-such-order\""), "{tokens}");
        assert!(!tokens.contains("field_why"), "{tokens}");
    }
}
