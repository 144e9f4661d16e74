//! `#[operator_secrets]`: marks the fields of a type that the audit must not show. Each mark becomes a keyword of the
//! field's schema, so that it holds wherever the type is used, even inside other types.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Fields, parse_quote};

use crate::error::Errors;
use crate::options::{self, Part};
use crate::serde_attributes;

pub(crate) fn secrets(attribute: &TokenStream, item: TokenStream) -> TokenStream {
    let mut item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(unread) => return unread.to_compile_error(),
    };
    let mut errors = Errors::default();
    if !attribute.is_empty() {
        let write = "remove them, and write `#[operator(secret)]` on a field";
        errors.at(attribute, "`#[operator_secrets]` takes no options", write);
    }
    // A derive above this attribute has already read the fields, and would not know that they are secret.
    if !item.attrs.iter().any(derives_a_schema) {
        let wrong = "`#[operator_secrets]` needs a `#[derive(…)]` with `JsonSchema` below it";
        let write =
            "write `#[operator_secrets]` above the derives of the type, which must include `schemars::JsonSchema`";
        errors.at(&item.ident, wrong, write);
    }
    let before = errors.count();
    let mut has_secrets = false;
    match &mut item.data {
        Data::Struct(data) => has_secrets = mark_all(&mut data.fields, &mut errors),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                has_secrets |= mark_all(&mut variant.fields, &mut errors);
            }
        }
        Data::Union(_) => {}
    }
    if !has_secrets && errors.count() == before {
        let write = "write `#[operator(secret)]` on a field, or remove `#[operator_secrets]`";
        errors.at(&item.ident, "this type has no secret field", write);
    }
    let mistakes = errors.finish(()).err().map(|mistakes| mistakes.to_compile_error());
    quote!(#item #mistakes)
}

/// Whether the attribute derives `JsonSchema`, even if a `cfg_attr` decides it.
fn derives_a_schema(attribute: &Attribute) -> bool {
    let is_derive = attribute.path().is_ident("derive") || attribute.path().is_ident("cfg_attr");
    let words = attribute.meta.require_list().map(|list| list.tokens.to_string());
    is_derive
        && words.is_ok_and(|words| {
            words
                .split(|letter: char| !letter.is_alphanumeric())
                .any(|word| word == "JsonSchema")
        })
}

/// Marks the secret fields, and returns whether there are any.
fn mark_all(fields: &mut Fields, errors: &mut Errors) -> bool {
    let mut has_secrets = false;
    for field in fields {
        if is_secret(field, errors) {
            has_secrets = true;
            field
                .attrs
                .push(parse_quote!(#[schemars(extend("x-operator-secret" = true))]));
        }
        field.attrs.retain(|attribute| !attribute.path().is_ident("operator"));
    }
    has_secrets
}

fn is_secret(field: &Field, errors: &mut Errors) -> bool {
    let mut secret = None;
    options::read(&field.attrs, "secret", errors, |name, part, errors| match part {
        Part::Word(word) if word == "secret" => {
            options::once(&mut secret, name, Some(word.clone()), "`secret`", errors);
        }
        _ if name == "secret" => options::refuse_value(name, errors),
        _ => errors.unknown(name, "option", &name.to_string(), &["secret"]),
    });
    let Some(word) = secret else { return false };
    if field.ident.is_none() {
        let write = "give the field a name, or mark the fields that have this type";
        errors.at(&word, "only a field with a name can be secret", write);
    }
    if serde_attributes::words(&field.attrs)
        .iter()
        .any(|option| option == "flatten")
    {
        let write = "mark the fields of its type";
        errors.at(&word, "a flattened field is not a value of its own", write);
    }
    true
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::secrets;

    fn expanded(item: proc_macro2::TokenStream) -> String {
        secrets(&proc_macro2::TokenStream::new(), item).to_string()
    }

    #[test]
    fn a_secret_field_gets_a_keyword_in_its_schema() {
        let expanded = expanded(quote! {
            #[derive(Serialize, schemars::JsonSchema)]
            struct Account { #[operator(secret)] iban: String, owner: String }
        });
        let wanted = quote! {
            #[derive(Serialize, schemars::JsonSchema)]
            struct Account { #[schemars(extend("x-operator-secret" = true))] iban: String, owner: String }
        };
        assert_eq!(expanded, wanted.to_string());
    }

    #[test]
    fn a_mark_without_effect_does_not_compile() {
        for (item, said) in [
            (
                quote!(
                    struct A {
                        #[operator(secret)]
                        a: u8,
                    }
                ),
                "above the derives",
            ),
            (
                quote!(
                    #[derive(JsonSchema)]
                    struct A {
                        a: u8,
                    }
                ),
                "no secret field",
            ),
            (
                quote!(
                    #[derive(JsonSchema)]
                    struct A {
                        #[operator(secrt)]
                        a: u8,
                    }
                ),
                "did you mean `secret`",
            ),
            (
                quote!(
                    #[derive(JsonSchema)]
                    struct A {
                        #[operator(secret = true)]
                        a: u8,
                    }
                ),
                "takes no value",
            ),
            (
                quote!(
                    #[derive(JsonSchema)]
                    struct A(#[operator(secret)] u8);
                ),
                "with a name",
            ),
            (
                quote!(
                    #[derive(JsonSchema)]
                    struct A {
                        #[serde(flatten)]
                        #[operator(secret)]
                        b: B,
                    }
                ),
                "flattened",
            ),
            (
                quote!(
                    #[derive(JsonSchema)]
                    enum A {
                        B {
                            #[operator(secret, secret)]
                            b: u8,
                        },
                    }
                ),
                "given twice",
            ),
        ] {
            let expanded = expanded(item);
            assert!(
                expanded.contains("compile_error") && expanded.contains(said),
                "{expanded}"
            );
        }
    }
}
