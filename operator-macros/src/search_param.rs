//! `#[derive(SearchParam)]`: parse, check, expand.

pub(crate) mod serde;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Fields, LitStr, Type, parse_quote};

use crate::derive_options;
use crate::doc;
use crate::endpoint::{Part, once, text};
use crate::error::{Errors, did_you_mean};
use crate::function::is_deprecated;

/// The checked type.
struct SearchParam {
    name: Ident,
    description: String,
    shape: Shape,
}

const NONE_OF_A_STRUCT: &str = "remove it: bounds are written at the arguments that take the struct";

enum Shape {
    Choice(Vec<Choice>),
    Newtype { inner: Box<Type>, wrap: TokenStream },
}

struct Choice {
    variant: Ident,
    wire: String,
    description: String,
    deprecated: bool,
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

/// Stands for what could not be derived, so that nothing is said of the endpoints that take the type, with whatever
/// options.
fn stand_in(item: &DeriveInput) -> TokenStream {
    let name = &item.ident;
    let mut generics = item.generics.clone();
    if !generics.params.is_empty() {
        generics
            .make_where_clause()
            .predicates
            .push(parse_quote!(Self: ::core::marker::Send));
    }
    let (parameters, arguments, conditions) = generics.split_for_impl();
    let mut with_options = item.generics.clone();
    with_options.params.push(parse_quote!(__Options));
    let (with_options, ..) = with_options.split_for_impl();
    quote! {
        const _: () = {
            use ::operator_runtime::__private as __operator;
            impl #parameters ::operator_runtime::SearchParam for #name #arguments #conditions {
                fn from_text(_text: &str) -> ::core::result::Result<Self, __operator::Expected> {
                    ::core::result::Result::Err(__operator::Expected::new(""))
                }
                fn schema() -> __operator::Schema {
                    __operator::choices(&[], "")
                }
            }
            impl #with_options __operator::Takes<__Options> for #name #arguments #conditions {}
        };
    }
}

fn check(item: &DeriveInput) -> syn::Result<SearchParam> {
    let mut errors = Errors::default();
    if !item.generics.params.is_empty() {
        let wrong = "a search parameter's type is not generic";
        errors.at(&item.generics, wrong, "name the type that it holds");
    }
    let shape = match &item.data {
        Data::Enum(data) => {
            derive_options::refuse(&item.attrs, "write it above the variant that it is for", &mut errors);
            let case = serde::of_enum(&item.attrs, &mut errors);
            let case = case.and_then(|case| Case::parse(&case, &mut errors));
            let each = data.variants.iter();
            let choices: Vec<Choice> = each.map(|variant| choice(variant, case, &mut errors)).collect();
            refuse_clashes(&item.ident, &choices, &mut errors);
            Shape::Choice(choices)
        }
        Data::Struct(data) => {
            derive_options::refuse(&item.attrs, NONE_OF_A_STRUCT, &mut errors);
            serde::of_struct(&item.attrs, &mut errors);
            newtype(&data.fields, &item.ident, &mut errors)
        }
        Data::Union(_) => {
            let wrong = "a search parameter is one text, and a union is none";
            let write = "derive it for an enum of unit variants or a struct of one field";
            errors.at(&item.ident, wrong, write);
            Shape::Choice(Vec::new())
        }
    };
    let description = doc::text(&item.attrs, &mut errors);
    errors.finish(SearchParam {
        name: item.ident.clone(),
        description,
        shape,
    })
}

fn refuse_clashes(name: &Ident, choices: &[Choice], errors: &mut Errors) {
    if choices.is_empty() {
        let wrong = "an enum without variants is no search parameter";
        errors.at(name, wrong, "write the variants that callers choose from");
    }
    for (index, choice) in choices.iter().enumerate() {
        if choices[..index].iter().any(|earlier| earlier.wire == choice.wire) {
            let wrong = format!("two variants are named `{}` on the wire", choice.wire);
            errors.at(&choice.variant, wrong, "rename one");
        }
    }
}

fn choice(variant: &syn::Variant, case: Option<Case>, errors: &mut Errors) -> Choice {
    if !matches!(variant.fields, Fields::Unit) {
        let wrong = "a search parameter is one text, which holds no fields";
        let write = "remove the variant's fields, or take the enum by POST";
        errors.at(&variant.fields, wrong, write);
    }
    for field in &variant.fields {
        derive_options::refuse(&field.attrs, "write it above the variant", errors);
    }
    let own = variant.ident.unraw().to_string();
    let renamed = operator_rename(&variant.attrs, errors);
    let renamed = serde::of_variant(&variant.attrs, errors).or(renamed);
    Choice {
        variant: variant.ident.clone(),
        wire: renamed.unwrap_or_else(|| case.map_or(own.clone(), |case| case.apply(&own))),
        description: doc::text(&variant.attrs, errors),
        deprecated: is_deprecated(&variant.attrs),
    }
}

/// The shape of a struct; an enum of nothing after a mistake.
fn newtype(fields: &Fields, name: &Ident, errors: &mut Errors) -> Shape {
    let mut each = fields.iter();
    let (Some(field), None) = (each.next(), each.next()) else {
        let wrong = format!(
            "a search parameter is one text, and this struct has {} fields",
            fields.len()
        );
        errors.at(name, wrong, "keep one field, or take the struct by POST");
        return Shape::Choice(Vec::new());
    };
    derive_options::refuse(&field.attrs, NONE_OF_A_STRUCT, errors);
    serde::of_field(&field.attrs, errors);
    let wrap = field
        .ident
        .as_ref()
        .map_or_else(|| quote!(Self), |field| quote!(|value| Self { #field: value }));
    Shape::Newtype {
        inner: Box::new(field.ty.clone()),
        wrap,
    }
}

fn operator_rename(attributes: &[Attribute], errors: &mut Errors) -> Option<String> {
    let mut renamed = None;
    derive_options::read(attributes, "rename = \"…\"", errors, |name, part, errors| match part {
        Part::Value(name, value) if name == "rename" => {
            once(&mut renamed, name, text(value, "`rename`", errors), "`rename`", errors);
        }
        _ if name == "rename" => errors.at(name, format!("`{name}` lacks its value"), format!("write `{name} = …`")),
        _ => errors.at(
            name,
            format!("`{name}` is no option of a variant"),
            "write `rename = \"…\"`",
        ),
    });
    renamed.map(|name| name.value())
}

/// serde's cases for variants.
#[derive(Clone, Copy)]
enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const CASES: [(&str, Case); 8] = [
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
    ("PascalCase", Case::Pascal),
    ("camelCase", Case::Camel),
    ("snake_case", Case::Snake),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("kebab-case", Case::Kebab),
    ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
];

impl Case {
    fn parse(literal: &LitStr, errors: &mut Errors) -> Option<Self> {
        let text = literal.value();
        let found = CASES.iter().find(|(name, _)| *name == text).map(|(_, case)| *case);
        if found.is_none() {
            errors.at(
                literal,
                format!("`{text}` is none of serde's cases"),
                did_you_mean(&text, &CASES.map(|(name, _)| name)),
            );
        }
        found
    }

    fn apply(self, variant: &str) -> String {
        match self {
            Self::Lower => variant.to_ascii_lowercase(),
            Self::Upper => variant.to_ascii_uppercase(),
            Self::Pascal => variant.to_owned(),
            Self::Camel => {
                let mut letters = variant.chars();
                letters.next().map_or_else(String::new, |first| {
                    first.to_ascii_lowercase().to_string() + letters.as_str()
                })
            }
            Self::Snake => separated(variant),
            Self::ScreamingSnake => separated(variant).to_ascii_uppercase(),
            Self::Kebab => separated(variant).replace('_', "-"),
            Self::ScreamingKebab => separated(variant).replace('_', "-").to_ascii_uppercase(),
        }
    }
}

fn separated(variant: &str) -> String {
    let mut words = String::new();
    for (index, letter) in variant.char_indices() {
        if index > 0 && letter.is_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn expand(checked: &SearchParam) -> TokenStream {
    let SearchParam {
        name,
        description,
        shape,
    } = checked;
    let (from_text, schema, takes) = match shape {
        Shape::Choice(choices) => {
            let wires = choices.iter().map(|choice| &choice.wire);
            let variants = choices.iter().map(|choice| &choice.variant);
            let described = choices.iter().map(|choice| {
                let Choice {
                    wire,
                    description,
                    deprecated,
                    ..
                } = choice;
                quote!((#wire, #description, #deprecated))
            });
            (
                quote!(__operator::choose(text, &[#((#wires, || Self::#variants)),*])),
                quote!(__operator::choices(&[#(#described),*], #description)),
                None,
            )
        }
        Shape::Newtype { inner, wrap } => (
            quote!(<#inner as __operator::SearchInput>::read(text).map(#wrap)),
            quote!(<#inner as __operator::SearchInput>::described(#description)),
            // Generic over the options, so that it may say nothing where the field takes none.
            Some(quote! {
                #[diagnostic::do_not_recommend]
                impl<__Options> __operator::Takes<__Options> for #name
                where
                    #inner: __operator::Takes<__Options>,
                {
                    const RANGE: __operator::Range = <#inner as __operator::Takes<__Options>>::RANGE;
                }
            }),
        ),
    };
    quote! {
        const _: () = {
            use ::operator_runtime::__private as __operator;
            #[automatically_derived]
            impl ::operator_runtime::SearchParam for #name {
                fn from_text(text: &str) -> ::core::result::Result<Self, __operator::Expected> {
                    #from_text
                }
                fn schema() -> __operator::Schema {
                    #schema
                }
            }
            #takes
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{CASES, check};
    use quote::quote;

    fn mistakes(item: proc_macro2::TokenStream) -> Vec<String> {
        let checked = syn::parse2(item).and_then(|item| check(&item));
        checked
            .err()
            .into_iter()
            .flatten()
            .map(|error| error.to_string())
            .collect()
    }

    #[test]
    fn cases_are_serdes() {
        let applied = CASES.map(|(_, case)| case.apply("VeryUrgent"));
        let expected = [
            "veryurgent",
            "VERYURGENT",
            "VeryUrgent",
            "veryUrgent",
            "very_urgent",
            "VERY_URGENT",
            "very-urgent",
            "VERY-URGENT",
        ];
        assert_eq!(applied, expected);
    }

    #[test]
    fn every_variant_with_fields_is_named_at_once() {
        assert_eq!(
            mistakes(quote!(
                enum A {
                    B(u8),
                    C { d: u8 },
                    D,
                }
            ))
            .len(),
            2
        );
        assert_eq!(
            mistakes(quote!(
                struct A(u8, u8);
            ))
            .len(),
            1
        );
        assert_eq!(
            mistakes(quote!(
                #[serde(rename_all = "kebab-case", deny_unknown_fields)]
                enum A {
                    B,
                }
            )),
            Vec::<String>::new()
        );
        assert!(
            mistakes(quote!(
                #[serde(rename_all = "kebabcase")]
                enum A {
                    B,
                }
            ))[0]
                .contains("did you mean `kebab-case`?")
        );
    }
}
