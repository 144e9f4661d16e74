//! `#[derive(SearchParam)]`: parses, checks and expands.

mod case;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Fields, Type, parse_quote};

use self::case::Case;
use crate::doc::Description;
use crate::error::Errors;
use crate::function::is_deprecated;
use crate::options::{self, Part, refuse_missing_value, string_once};
use crate::runtime::Runtime;
use crate::serde_attributes;

/// The checked type.
struct SearchParam {
    runtime: Runtime,
    name: Ident,
    description: Description,
    shape: Shape,
}

/// What to write instead of `#[operator(…)]` on a struct or its field.
const BOUNDS_ARE_ON_ARGUMENTS: &str = "remove it, and write bounds on the arguments that have this type";

enum Shape {
    Choice(Vec<Choice>),
    Newtype { inner: Box<Type>, wrap: TokenStream },
}

struct Choice {
    variant: Ident,
    wire: String,
    description: Description,
    deprecated: bool,
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

/// An implementation that is generated when the real one could not be derived. With it, rustc reports no further errors
/// at the endpoints whose arguments have this type, whatever options those arguments have.
fn stand_in(item: &DeriveInput, runtime: &Runtime) -> TokenStream {
    let name = &item.ident;
    if runtime.is_missing() {
        return TokenStream::new();
    }
    let mut generics = item.generics.clone();
    if !generics.params.is_empty() {
        generics
            .make_where_clause()
            .predicates
            .push(parse_quote!(Self: ::core::marker::Send));
    }
    let (parameters, arguments, conditions) = generics.split_for_impl();
    let mut with_options = item.generics.clone();
    with_options.params.push(parse_quote!(__OperatorOptions));
    let (with_options, ..) = with_options.split_for_impl();
    quote! {
        const _: () = {
            #runtime
            impl #parameters __operator::SearchParam for #name #arguments #conditions {
                fn from_text(_: &::core::primitive::str) -> ::core::result::Result<Self, __operator::Expected> {
                    ::core::result::Result::Err(__operator::Expected::new(""))
                }
                fn schema() -> __operator::Schema {
                    __operator::choices(&[], "")
                }
            }
            impl #with_options __operator::Takes<__OperatorOptions> for #name #arguments #conditions {}
        };
    }
}

fn check(item: &DeriveInput, errors: &mut Errors) -> SearchParam {
    if !item.generics.params.is_empty() {
        let wrong = "a search parameter cannot be generic";
        errors.at(&item.generics, wrong, "use concrete types");
    }
    let write = match &item.data {
        Data::Enum(_) => "write it above the variant that it is meant for",
        Data::Struct(_) | Data::Union(_) => BOUNDS_ARE_ON_ARGUMENTS,
    };
    let runtime = options::only_crate(&item.attrs, write, errors);
    runtime.check(errors);
    let shape = match &item.data {
        Data::Enum(data) => {
            let case = serde_attributes::of_enum(&item.attrs, errors);
            let case = case.and_then(|case| Case::parse(&case, errors));
            let each = data.variants.iter();
            let choices: Vec<Choice> = each.map(|variant| choice(variant, case, errors)).collect();
            refuse_clashes(&item.ident, &choices, errors);
            Shape::Choice(choices)
        }
        Data::Struct(data) => {
            serde_attributes::of_struct(&item.attrs, errors);
            newtype(&data.fields, &item.ident, errors)
        }
        Data::Union(_) => {
            let wrong = "`SearchParam` cannot be derived for a union";
            let write = "use an enum of unit variants or a struct with one field";
            errors.at(&item.ident, wrong, write);
            Shape::Choice(Vec::new())
        }
    };
    let description = Description::read(&item.attrs, errors);
    SearchParam {
        runtime,
        name: item.ident.clone(),
        description,
        shape,
    }
}

fn refuse_clashes(name: &Ident, choices: &[Choice], errors: &mut Errors) {
    if choices.is_empty() {
        let wrong = "a search parameter needs at least one variant";
        errors.at(name, wrong, "add the values that callers choose from");
    }
    for (index, choice) in choices.iter().enumerate() {
        if choices[..index].iter().any(|earlier| earlier.wire == choice.wire) {
            let wrong = format!("two variants are named `{}`", choice.wire);
            errors.at(&choice.variant, wrong, "rename one");
        }
    }
}

fn choice(variant: &syn::Variant, case: Option<Case>, errors: &mut Errors) -> Choice {
    if !matches!(variant.fields, Fields::Unit) {
        let wrong = "a variant of a search parameter cannot have fields";
        let write = "remove them, or take the enum in a POST";
        errors.at(&variant.fields, wrong, write);
    }
    for field in &variant.fields {
        options::refuse(&field.attrs, "write it above the variant", errors);
    }
    let own = variant.ident.unraw().to_string();
    let renamed = operator_rename(&variant.attrs, errors);
    let renamed = serde_attributes::of_variant(&variant.attrs, errors).or(renamed);
    Choice {
        variant: variant.ident.clone(),
        wire: renamed.unwrap_or_else(|| case.map_or(own.clone(), |case| case.apply(&own))),
        description: Description::read(&variant.attrs, errors),
        deprecated: is_deprecated(&variant.attrs),
    }
}

/// The shape of a struct. After a mistake it is an enum without variants, which is never expanded.
fn newtype(fields: &Fields, name: &Ident, errors: &mut Errors) -> Shape {
    let mut each = fields.iter();
    let (Some(field), None) = (each.next(), each.next()) else {
        let wrong = format!(
            "a search parameter must have exactly one field, and this struct has {}",
            fields.len()
        );
        errors.at(name, wrong, "use one field, or take the struct in a POST");
        return Shape::Choice(Vec::new());
    };
    options::refuse(&field.attrs, BOUNDS_ARE_ON_ARGUMENTS, errors);
    serde_attributes::of_field(&field.attrs, errors);
    let wrap = field.ident.as_ref().map_or_else(
        || quote!(Self),
        |field| quote!(|__operator_value| Self { #field: __operator_value }),
    );
    Shape::Newtype {
        inner: Box::new(field.ty.clone()),
        wrap,
    }
}

fn operator_rename(attributes: &[Attribute], errors: &mut Errors) -> Option<String> {
    let mut renamed = None;
    options::read(attributes, "rename = \"…\"", errors, |name, part, errors| match part {
        Part::Value(name, value) if name == "rename" => {
            string_once(&mut renamed, name, value, "open", errors);
        }
        _ if name == "rename" => refuse_missing_value(name, errors),
        _ => errors.unknown(name, "option", &name.to_string(), &["rename"]),
    });
    renamed.map(|name| name.value())
}

fn expand(checked: &SearchParam) -> TokenStream {
    let SearchParam {
        runtime,
        name,
        description,
        shape,
    } = checked;
    let (from_text, schema, newtype) = match shape {
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
                quote!(__operator::choose(__operator_text, &[#((#wires, || Self::#variants)),*])),
                quote!(__operator::choices(&[#(#described),*], #description)),
                None,
            )
        }
        Shape::Newtype { inner, wrap } => (
            quote!(::core::result::Result::map(<#inner as __operator::SearchInput>::read(__operator_text), #wrap)),
            quote!(<#inner as __operator::SearchInput>::described(#description)),
            Some(quote!(impl __operator::Newtype for #name { type Field = #inner; })),
        ),
    };
    quote! {
        const _: () = {
            #runtime
            #[automatically_derived]
            impl __operator::SearchParam for #name {
                fn from_text(__operator_text: &::core::primitive::str) -> ::core::result::Result<Self, __operator::Expected> {
                    #from_text
                }
                fn schema() -> __operator::Schema {
                    #schema
                }
            }
            #newtype
        };
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::error::Errors;
    use quote::quote;

    fn mistakes(item: proc_macro2::TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        let checked = check(&syn::parse2(item).unwrap(), &mut errors);
        errors
            .finish(checked)
            .err()
            .into_iter()
            .flatten()
            .map(|error| error.to_string())
            .collect()
    }

    #[test]
    fn every_variant_with_fields_is_reported_at_once() {
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
