//! Reads doc comments, which become the descriptions that an agent reads.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::error::Errors;

/// Whether the attribute is (part of) a doc comment.
pub(crate) fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

/// The whole doc comment, without the space at the start of each line and without blank lines around the text. Empty if
/// there is no doc comment.
pub(crate) fn text(attributes: &[Attribute], errors: &mut Errors) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| is_doc(attribute)) {
        match &attribute.meta {
            Meta::NameValue(doc) => match &doc.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(line), ..
                }) => lines.extend(comment_lines(&line.value())),
                other => errors.at(other, "a description must be a string literal", "write it as `/// …`"),
            },
            // `#[doc(hidden)]` and `#[doc(alias = "…")]` are instructions for rustdoc, not part of the text.
            Meta::Path(_) | Meta::List(_) => {}
        }
    }
    lines.join("\n").trim_matches('\n').trim_end().to_owned()
}

/// The lines of one `///` comment or of one `/** … */` comment, without the `*` at the start of each line.
fn comment_lines(comment: &str) -> Vec<String> {
    if comment.is_empty() {
        return vec![String::new()];
    }
    let block = comment.contains('\n');
    comment
        .lines()
        .map(|line| {
            let line = if block {
                line.trim_start().strip_prefix('*').unwrap_or(line)
            } else {
                line
            };
            line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
        })
        .collect()
}

/// Whether the description only repeats the name, as `/// The email.` does for `email`.
pub(crate) fn only_repeats(description: &str, name: &str) -> bool {
    letters(description).eq(letters(name))
}

/// The letters of a text in lowercase, without spaces, punctuation and articles.
fn letters(text: &str) -> impl Iterator<Item = char> {
    let is_article = |word: &&str| {
        ["the", "a", "an"]
            .iter()
            .any(|article| word.eq_ignore_ascii_case(article))
    };
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(move |word| !is_article(word))
        .flat_map(str::chars)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn read(attributes: &[Attribute]) -> String {
        let mut errors = Errors::default();
        let text = text(attributes, &mut errors);
        errors.finish(text).unwrap()
    }

    #[test]
    fn the_whole_comment_is_read_and_its_layout_kept() {
        let lines: Vec<Attribute> = vec![
            parse_quote!(#[doc = " Lists orders."]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[doc = "   - indented"]),
            parse_quote!(#[doc(hidden)]),
        ];
        assert_eq!(read(&lines), "Lists orders.\n\n  - indented");
    }

    #[test]
    fn a_block_comment_loses_its_stars() {
        assert_eq!(
            read(&[parse_quote!(#[doc = "\n * One.\n *\n * Two.\n "])]),
            "One.\n\nTwo."
        );
    }

    #[test]
    fn an_included_description_is_refused() {
        let mut errors = Errors::default();
        text(&[parse_quote!(#[doc = include_str!("x.md")])], &mut errors);
        assert!(errors.finish(()).is_err());
    }

    #[test]
    fn a_description_that_repeats_the_name_is_recognized() {
        assert!(only_repeats("The order id.", "order_id"));
        assert!(!only_repeats(
            "The order's number, as printed on the receipt.",
            "order_id"
        ));
    }
}
