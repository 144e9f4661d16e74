//! serde's attributes on a search parameter: honoured where one text can keep what they promise, else refused.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, LitStr, Token, token};

use crate::error::Errors;

/// What is done about one of serde's words.
enum Rule {
    /// It is read here too.
    Honoured,
    /// It changes nothing about the text.
    Foreign,
    /// It would make serde and the search parameter differ.
    Refused(&'static str),
}

/// `rename_all` of an enum.
pub(super) fn of_enum(attributes: &[Attribute], errors: &mut Errors) -> Option<LitStr> {
    read(attributes, errors, |word| match word {
        "rename_all" => Rule::Honoured,
        "rename" | "deny_unknown_fields" | "crate" | "bound" | "expecting" | "rename_all_fields" => Rule::Foreign,
        _ => Rule::Refused("remove it, or take the enum by POST"),
    })
}

/// The attributes of a struct of one field.
pub(super) fn of_struct(attributes: &[Attribute], errors: &mut Errors) {
    read(attributes, errors, |word| match word {
        "transparent" | "rename" | "rename_all" | "deny_unknown_fields" | "crate" | "bound" | "expecting" => {
            Rule::Foreign
        }
        _ => Rule::Refused("remove it, or take the struct by POST"),
    });
}

/// `rename` of a variant.
pub(super) fn of_variant(attributes: &[Attribute], errors: &mut Errors) -> Option<String> {
    let renamed = read(attributes, errors, |word| match word {
        "rename" => Rule::Honoured,
        "bound" | "rename_all" => Rule::Foreign,
        "alias" => Rule::Refused("keep one name, which `rename` gives: the schema lists the names that are accepted"),
        _ => Rule::Refused("remove it, or take the enum by POST"),
    });
    renamed.map(|name| name.value())
}

/// The attributes of the one field.
pub(super) fn of_field(attributes: &[Attribute], errors: &mut Errors) {
    read(attributes, errors, |word| match word {
        "rename" | "alias" | "bound" => Rule::Foreign,
        _ => Rule::Refused("remove it, or implement `SearchParam` by hand"),
    });
}

/// Reads every word; the text of the one that is honoured comes back.
fn read(attributes: &[Attribute], errors: &mut Errors, rule: impl Fn(&str) -> Rule) -> Option<LitStr> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let mut mistakes = Errors::default();
        let read = attribute.parse_nested_meta(|option| {
            let word = option.path.get_ident().map(ToString::to_string).unwrap_or_default();
            match rule(&word) {
                Rule::Honoured if option.input.peek(token::Paren) => mistakes.at(
                    &option.path,
                    format!("`{word}` gives one name to read and another to write"),
                    format!("write `{word} = \"…\"`, the same for both"),
                ),
                Rule::Honoured => {
                    found = Some(option.value()?.parse()?);
                    return Ok(());
                }
                Rule::Foreign => {}
                Rule::Refused(write) => mistakes.at(
                    &option.path,
                    format!("a search parameter is read without serde, so `{word}` would not hold"),
                    write,
                ),
            }
            skip(&option)
        });
        errors.keep(read);
        errors.absorb(mistakes);
    }
    found
}

/// Every word that serde is told. What it cannot read, it says itself.
pub(crate) fn words(attributes: &[Attribute]) -> Vec<String> {
    let mut words = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|option| {
            words.extend(option.path.get_ident().map(ToString::to_string));
            skip(&option)
        });
    }
    words
}

/// Reads over what follows a word.
fn skip(option: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if option.input.peek(Token![=]) {
        option.value()?.parse::<Expr>()?;
    } else if option.input.peek(token::Paren) {
        let content;
        syn::parenthesized!(content in option.input);
        content.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}
