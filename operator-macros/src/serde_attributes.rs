//! serde's attributes on search parameters. A search parameter is not read by serde, so each attribute is followed,
//! ignored or refused.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, LitStr, Token, token};

use crate::error::Errors;

/// What to do about one of serde's options.
enum Rule {
    /// Follow it as serde does.
    Followed,
    /// Ignore it: it does not change the text of the parameter.
    Ignored,
    /// Refuse it, because serde and the search parameter would behave differently. The text says what to write instead.
    Refused(&'static str),
}

/// The `rename_all` of an enum.
pub(crate) fn of_enum(attributes: &[Attribute], errors: &mut Errors) -> Option<LitStr> {
    read(attributes, errors, |word| match word {
        "rename_all" => Rule::Followed,
        "rename" | "deny_unknown_fields" | "crate" | "bound" | "expecting" | "rename_all_fields" => Rule::Ignored,
        _ => Rule::Refused("remove it, or take the enum in a POST"),
    })
}

/// Checks the attributes of a struct with one field.
pub(crate) fn of_struct(attributes: &[Attribute], errors: &mut Errors) {
    read(attributes, errors, |word| match word {
        "transparent" | "rename" | "rename_all" | "deny_unknown_fields" | "crate" | "bound" | "expecting" => {
            Rule::Ignored
        }
        _ => Rule::Refused("remove it, or take the struct in a POST"),
    });
}

/// The `rename` of a variant.
pub(crate) fn of_variant(attributes: &[Attribute], errors: &mut Errors) -> Option<String> {
    let renamed = read(attributes, errors, |word| match word {
        "rename" => Rule::Followed,
        "bound" | "rename_all" => Rule::Ignored,
        "alias" => Rule::Refused("give each variant one name, with `rename`"),
        _ => Rule::Refused("remove it, or take the enum in a POST"),
    });
    renamed.map(|name| name.value())
}

/// Checks the attributes of the field of a struct with one field.
pub(crate) fn of_field(attributes: &[Attribute], errors: &mut Errors) {
    read(attributes, errors, |word| match word {
        "rename" | "alias" | "bound" => Rule::Ignored,
        _ => Rule::Refused("remove it, or implement `SearchParam` by hand"),
    });
}

/// Applies `rule` to every option. Returns the value of the option whose rule is `Followed`.
fn read(attributes: &[Attribute], errors: &mut Errors, rule: impl Fn(&str) -> Rule) -> Option<LitStr> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let mut mistakes = Errors::default();
        let read = attribute.parse_nested_meta(|option| {
            let word = option.path.get_ident().map(ToString::to_string).unwrap_or_default();
            match rule(&word) {
                Rule::Followed if option.input.peek(token::Paren) => mistakes.at(
                    &option.path,
                    format!("`{word}(…)` gives one name for reading and another for writing"),
                    format!("write `{word} = \"…\"`, which is used for both"),
                ),
                Rule::Followed => {
                    found = Some(option.value()?.parse()?);
                    return Ok(());
                }
                Rule::Ignored => {}
                Rule::Refused(write) => mistakes.at(
                    &option.path,
                    format!("`{word}` has no effect, because serde does not read search parameters"),
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

/// The names of all serde options. An option that cannot be parsed is left out: serde's own derive reports it.
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

/// Skips the value of an option.
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
