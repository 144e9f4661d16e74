//! Reads doc comments, which become the descriptions that an agent reads.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::error::Errors;
use crate::options;

/// Whether the attribute is (part of) a doc comment.
pub(crate) fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

/// A description. Its text is known, unless parts of it are macros such as `include_str!(…)`, which rustc expands.
#[derive(Default)]
pub(crate) struct Description(Vec<Part>);

enum Part {
    Text(String),
    Macro(Expr),
}

impl Description {
    /// The whole doc comment, without the space at the start of each line and without blank lines around the text.
    /// Empty if there is no doc comment.
    pub(crate) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for attribute in attributes.iter().filter(|attribute| is_doc(attribute)) {
            // `#[doc(hidden)]` and `#[doc(alias = "…")]` are instructions for rustdoc, not part of the text.
            let Meta::NameValue(doc) = &attribute.meta else {
                continue;
            };
            match options::bare(&doc.value) {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(comment), ..
                }) => {
                    let lines = comment_lines(&comment.value()).join("\n");
                    match parts.last_mut() {
                        Some(Part::Text(text)) => *text = format!("{text}\n{lines}"),
                        _ => parts.push(Part::Text(lines)),
                    }
                }
                made @ Expr::Macro(_) => parts.push(Part::Macro(made.clone())),
                other => errors.at(
                    other,
                    "a description must be a string literal, or a macro that expands to one, because `concat!`, which joins its lines, takes no constants",
                    "write it as `/// …`, or like `#[doc = include_str!(\"orders.md\")]`",
                ),
            }
        }
        if let [Part::Text(text)] = parts.as_mut_slice() {
            *text = text.trim_matches('\n').trim_end().to_owned();
        }
        Self(parts)
    }

    /// The text, or `None` if only rustc knows it.
    pub(crate) fn known(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The first macro.
    pub(crate) fn made(&self) -> Option<&Expr> {
        self.0.iter().find_map(|part| match part {
            Part::Text(_) => None,
            Part::Macro(made) => Some(made),
        })
    }
}

impl ToTokens for Description {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Some(text) = self.known() {
            return text.to_tokens(tokens);
        }
        // rustc expands the macros inside `concat!`, so the description is a constant.
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.to_token_stream(),
            Part::Macro(made) => made.to_token_stream(),
        });
        tokens.extend(quote!(::core::primitive::str::trim_ascii(
            ::core::concat!(#(#parts, "\n"),*)
        )));
    }
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

    fn read(attributes: &[Attribute]) -> Description {
        let mut errors = Errors::default();
        let description = Description::read(attributes, &mut errors);
        errors.finish(description).unwrap()
    }

    #[test]
    fn the_whole_comment_is_read_and_its_layout_kept() {
        let lines: Vec<Attribute> = vec![
            parse_quote!(#[doc = " Lists orders."]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[doc = "   - indented"]),
            parse_quote!(#[doc(hidden)]),
        ];
        assert_eq!(read(&lines).known(), Some("Lists orders.\n\n  - indented"));
    }

    #[test]
    fn a_block_comment_loses_its_stars() {
        let block = read(&[parse_quote!(#[doc = "\n * One.\n *\n * Two.\n "])]);
        assert_eq!(block.known(), Some("One.\n\nTwo."));
    }

    #[test]
    fn rustc_expands_the_macros_in_a_description() {
        let lines: Vec<Attribute> = vec![
            parse_quote!(#[doc = " One."]),
            parse_quote!(#[doc = " Two."]),
            parse_quote!(#[doc = include_str!("three.md")]),
        ];
        let description = read(&lines);
        assert_eq!(description.known(), None);
        assert_eq!(
            description.to_token_stream().to_string(),
            quote!(::core::primitive::str::trim_ascii(::core::concat!(
                "One.\nTwo.",
                "\n",
                include_str!("three.md"),
                "\n"
            )))
            .to_string()
        );
    }

    #[test]
    fn a_description_that_is_not_text_is_refused() {
        let mut errors = Errors::default();
        let _ = Description::read(&[parse_quote!(#[doc = TEXT])], &mut errors);
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
