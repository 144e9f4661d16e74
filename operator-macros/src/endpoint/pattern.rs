//! Checks a `pattern`, a regular expression. The `regex` crate runs it, and callers read it in the schema as ECMA-262.
//! So a pattern must use only syntax that both share.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, AssertionKind, Ast, ClassSetItem, ClassUnicode, ClassUnicodeKind};
use regex_syntax::ast::{GroupKind, HexLiteralKind, Literal, LiteralKind, Span, SpecialLiteralKind};

/// What is wrong with a pattern, and what to write instead.
pub(super) fn mistake(pattern: &str) -> Option<(String, &'static str)> {
    let parsed = match Parser::new().parse(pattern) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Some((
                format!("invalid regular expression ({})", reason(&error)),
                "use the syntax of the `regex` crate",
            ));
        }
    };
    let Span { start, end } = ast::visit(&parsed, Foreign).err()?;
    let word = &pattern[start.offset..end.offset];
    Some((
        format!("`{word}` is not JavaScript syntax, and callers read the pattern as JavaScript"),
        "use syntax that Rust and JavaScript share, like `[Aa]` for `(?i)a`, `^` for `\\A`, `$` for `\\z`, `(?<name>…)`, `[a-z]`, `\\p{L}` or `\\u0041`",
    ))
}

/// Whether a string certainly does not match the pattern. A string with other characters than ASCII is checked at
/// start-up, because `\w` and other classes contain more characters in the `regex` crate than in `regex-lite`.
pub(super) fn refuses(pattern: &str, text: &str) -> bool {
    text.is_ascii() && regex_lite::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
}

/// A pattern that every string of this format matches. The full format is checked at start-up.
pub(super) fn of_format(format: &str) -> &'static str {
    match format {
        "email" => "@",
        "uri" => "^[A-Za-z][A-Za-z0-9+.-]*:",
        "uuid" => "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
        "date" => "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
        "date-time" => "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]).",
        _ => "",
    }
}

/// The parser's message, without the lines in which it draws the pattern.
fn reason(error: &ast::Error) -> String {
    let column = error.span().start.column;
    format!("{}, at character {column}", error.kind())
}

/// Finds the first part of a pattern that ECMA-262 does not have, or that has another meaning there.
struct Foreign;

impl ast::Visitor for Foreign {
    type Output = ();
    type Err = Span;

    fn finish(self) -> Result<(), Span> {
        Ok(())
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), Span> {
        let foreign = match part {
            Ast::Flags(flags) => Some(flags.span),
            Ast::Group(group) => match &group.kind {
                GroupKind::CaptureName {
                    starts_with_p: true,
                    name,
                } => Some(Span::new(group.span.start, name.span.end)),
                GroupKind::NonCapturing(flags) if !flags.items.is_empty() => {
                    Some(Span::new(group.span.start, flags.span.end))
                }
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } | GroupKind::NonCapturing(_) => None,
            },
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::WordBoundary
                | AssertionKind::NotWordBoundary => None,
                _ => Some(assertion.span),
            },
            Ast::Literal(literal) => foreign_letter(literal),
            Ast::ClassUnicode(class) => foreign_class(class),
            _ => None,
        };
        foreign.map_or(Ok(()), Err)
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Span> {
        let foreign = match item {
            ClassSetItem::Ascii(class) => Some(class.span),
            ClassSetItem::Bracketed(nested) => Some(nested.span),
            ClassSetItem::Unicode(class) => foreign_class(class),
            ClassSetItem::Literal(literal) => foreign_letter(literal),
            ClassSetItem::Range(range) => foreign_letter(&range.start).or_else(|| foreign_letter(&range.end)),
            ClassSetItem::Empty(_) | ClassSetItem::Perl(_) | ClassSetItem::Union(_) => None,
        };
        foreign.map_or(Ok(()), Err)
    }

    fn visit_class_set_binary_op_pre(&mut self, operation: &ast::ClassSetBinaryOp) -> Result<(), Span> {
        Err(operation.span)
    }
}

fn foreign_letter(letter: &Literal) -> Option<Span> {
    let is_foreign = matches!(
        letter.kind,
        LiteralKind::HexFixed(HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::X | HexLiteralKind::UnicodeLong)
            | LiteralKind::Special(SpecialLiteralKind::Bell | SpecialLiteralKind::Space)
    );
    is_foreign.then_some(letter.span)
}

fn foreign_class(class: &ClassUnicode) -> Option<Span> {
    matches!(class.kind, ClassUnicodeKind::OneLetter(_)).then_some(class.span)
}

#[cfg(test)]
mod tests {
    use super::{mistake, of_format, refuses};

    #[test]
    fn shared_syntax_is_accepted() {
        for pattern in [
            r"^[a-z]+$",
            r"^\p{L}[\p{Lu}\d]*\b$",
            r"^(?<year>\d{4})-(?:\w|\s)\u0041\x41\u{41}\t\.$",
            r"^[^\x00-\x1f]+$",
        ] {
            assert_eq!(mistake(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_string_is_refused_only_if_it_certainly_does_not_match() {
        assert!(refuses("^[a-z]+$", "7"));
        for (pattern, text) in [("^[a-z]+$", "a"), (r"^\w+$", "é"), (r"^\p{L}+$", "7"), ("(", "7")] {
            assert!(!refuses(pattern, text), "{pattern} {text}");
        }
        for (format, right, wrong) in [
            ("email", "ana@example.com", "ana"),
            ("uri", "https://example.com/a", "example.com"),
            ("uuid", "0b6f5a52-1c1d-4b6e-9d0a-2f6b6c1d7e90", "0b6f5a52"),
            ("date", "2026-11-24", "24.11.2026"),
            ("date-time", "2026-11-24T18:05:00Z", "2026-11-24"),
        ] {
            assert!(!refuses(of_format(format), right), "{right}");
            assert!(refuses(of_format(format), wrong), "{wrong}");
        }
    }

    #[test]
    fn syntax_of_rust_alone_is_named() {
        for (pattern, word) in [
            ("^(?i)abc$", "(?i)"),
            ("^(?i:abc)$", "(?i"),
            ("^(?P<year>[0-9])$", "(?P<year"),
            (r"\Aa", r"\A"),
            (r"a\z", r"\z"),
            ("^[[:alpha:]]$", "[:alpha:]"),
            ("^[a-z&&[^b]]$", "a-z&&[^b]"),
            (r"^\pL$", r"\pL"),
            (r"^[a\x{41}]$", r"\x{41}"),
            (r"^\a$", r"\a"),
        ] {
            let (wrong, _) = mistake(pattern).unwrap();
            assert!(
                wrong.starts_with(&format!("`{word}` is not JavaScript syntax")),
                "{pattern}: {wrong}"
            );
        }
    }
}
