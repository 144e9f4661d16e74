//! `#[derive(SearchParams)]`: requires that each field of a struct is a search parameter.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Field, Fields, Type};

use crate::error::Errors;
use crate::runtime::Runtime;
use crate::{options, serde_attributes};

/// The checked struct.
struct SearchParams {
    runtime: Runtime,
    name: Ident,
    fields: Vec<Required>,
}

/// What the type of a field must be.
enum Required {
    SearchParam(Type),
    SearchParams(Type),
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(unread) => return unread.to_compile_error(),
    };
    let mut errors = Errors::default();
    let checked = check(&item, &mut errors);
    let runtime = checked.runtime.clone();
    match errors.finish(checked) {
        Ok(checked) => expand(&checked),
        Err(mistakes) if runtime.is_missing() => mistakes.to_compile_error(),
        Err(mistakes) => {
            // An empty implementation, so that rustc reports no further errors at the endpoints that use the struct.
            let (mistakes, name) = (mistakes.to_compile_error(), &item.ident);
            let (parameters, arguments, conditions) = item.generics.split_for_impl();
            quote! {
                #mistakes
                const _: () = {
                    #runtime
                    impl #parameters __operator::SearchParams for #name #arguments #conditions {}
                };
            }
        }
    }
}

fn check(item: &DeriveInput, errors: &mut Errors) -> SearchParams {
    let write = "remove it, and write the bounds of a field as `#[schemars(range(min = 1))]`";
    let runtime = options::only_crate(&item.attrs, write, errors);
    runtime.check(errors);
    if !item.generics.params.is_empty() {
        let wrong = "a struct of search parameters cannot be generic";
        errors.at(&item.generics, wrong, "use concrete types");
    }
    let fields = match &item.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) | Data::Union(_) => &Fields::Unit,
    };
    if !matches!(fields, Fields::Named(_)) {
        let wrong = "`SearchParams` needs a struct with named fields";
        errors.at(&item.ident, wrong, "name the fields, or take the type in a POST");
    }
    for field in fields {
        options::refuse(&field.attrs, write, errors);
    }
    SearchParams {
        runtime,
        name: item.ident.clone(),
        fields: fields.iter().filter_map(required).collect(),
    }
}

/// What the type of `field` must be. `None` for a field that serde skips or reads with the user's own function; the
/// schema of such a field is checked at start-up.
fn required(field: &Field) -> Option<Required> {
    let words = serde_attributes::words(&field.attrs);
    let has = |word: &str| words.iter().any(|one| one == word);
    let ty = field.ty.clone();
    if ["skip", "skip_deserializing", "with", "deserialize_with"]
        .into_iter()
        .any(has)
    {
        None
    } else if has("flatten") {
        Some(Required::SearchParams(ty))
    } else {
        Some(Required::SearchParam(ty))
    }
}

fn expand(checked: &SearchParams) -> TokenStream {
    let SearchParams { runtime, name, fields } = checked;
    let fields = fields.iter().map(|required| match required {
        Required::SearchParam(ty) => quote!(let _ = <#ty as __operator::SearchInput>::INPUT;),
        Required::SearchParams(ty) => quote!(let _ = <#ty as __operator::FlattenSearch>::INPUT;),
    });
    quote! {
        const _: () = {
            #runtime
            #(#fields)*
            impl __operator::SearchParams for #name {}
        };
    }
}
