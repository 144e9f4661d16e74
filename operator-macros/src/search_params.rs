//! `#[derive(SearchParams)]`: each field of a struct is asked whether it is one text, where its type is written.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Field, Fields, Type};

use crate::derive_options;
use crate::error::Errors;
use crate::search_param::serde;

/// The checked struct.
struct SearchParams {
    name: Ident,
    fields: Vec<Asked>,
}

/// What is asked of the type of a field.
enum Asked {
    OneText(Type),
    Fields(Type),
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(unread) => return unread.to_compile_error(),
    };
    let mut errors = Errors::default();
    let checked = check(&item, &mut errors);
    match errors.finish(checked) {
        Ok(checked) => expand(&checked),
        Err(mistakes) => {
            // So that nothing is said of the endpoints that take it.
            let (mistakes, name) = (mistakes.to_compile_error(), &item.ident);
            let (parameters, arguments, conditions) = item.generics.split_for_impl();
            quote!(#mistakes impl #parameters ::operator_runtime::SearchParams for #name #arguments #conditions {})
        }
    }
}

fn check(item: &DeriveInput, errors: &mut Errors) -> SearchParams {
    let write = "remove it: bounds of a field are written as `#[schemars(range(min = 1))]`";
    derive_options::refuse(&item.attrs, write, errors);
    if !item.generics.params.is_empty() {
        let wrong = "a struct of search parameters is not generic";
        errors.at(&item.generics, wrong, "name the types of its fields");
    }
    let fields = match &item.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) | Data::Union(_) => &Fields::Unit,
    };
    if !matches!(fields, Fields::Named(_)) {
        let wrong = "search parameters have names, and this has no named fields";
        errors.at(&item.ident, wrong, "derive it for a struct of named fields");
    }
    for field in fields {
        derive_options::refuse(&field.attrs, write, errors);
    }
    SearchParams {
        name: item.ident.clone(),
        fields: fields.iter().filter_map(asked).collect(),
    }
}

/// Nothing is asked of a field that is not read, or by code of its own: start-up looks at its schema.
fn asked(field: &Field) -> Option<Asked> {
    let told = serde::words(&field.attrs);
    let is_told = |word: &str| told.iter().any(|one| one == word);
    let ty = field.ty.clone();
    if ["skip", "skip_deserializing", "with", "deserialize_with"]
        .into_iter()
        .any(is_told)
    {
        None
    } else if is_told("flatten") {
        Some(Asked::Fields(ty))
    } else {
        Some(Asked::OneText(ty))
    }
}

fn expand(checked: &SearchParams) -> TokenStream {
    let SearchParams { name, fields } = checked;
    let fields = fields.iter().map(|asked| match asked {
        Asked::OneText(ty) => quote!(let _ = <#ty as __operator::SearchInput>::INPUT;),
        Asked::Fields(ty) => quote!(let _ = <#ty as __operator::FlattenSearch>::INPUT;),
    });
    quote! {
        const _: () = {
            use ::operator_runtime::__private as __operator;
            #(#fields)*
            impl __operator::SearchParams for #name {}
        };
    }
}
