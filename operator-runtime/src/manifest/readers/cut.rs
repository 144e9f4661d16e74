//! Shortens a description to the length that a reader accepts.

use crate::manifest::model::sentence_ends;

/// The number of characters, counted as UTF-16 units: some readers count these, and no reader counts more.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Shortens the text to at most `most` UTF-16 units: at the end of a sentence if there is one, otherwise after a whole
/// word with `…`, otherwise after any character with `…`.
pub(super) fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let all = beginning(text, most);
    if let Some(end) = sentence_ends(text).take_while(|end| *end <= all.len()).last() {
        return text[..end].to_owned();
    }
    let with_ellipsis = beginning(text, most.saturating_sub(1));
    let ends_word = text[with_ellipsis.len()..].starts_with(char::is_whitespace);
    let words = match with_ellipsis.rfind(char::is_whitespace) {
        Some(space) if !ends_word => &with_ellipsis[..space],
        _ => with_ellipsis,
    };
    // A reader that accepts no character gets none.
    if most == 0 {
        return String::new();
    }
    format!("{}…", words.trim_end())
}

/// The longest beginning that has at most this many UTF-16 units.
fn beginning(text: &str, most: usize) -> &str {
    let mut units = 0;
    let end = text.char_indices().find(|(_, letter)| {
        units += letter.len_utf16();
        units > most
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_a_sentence_a_word_or_a_character() {
        assert_eq!(cut("One. Two.", 9), "One. Two.");
        assert_eq!(cut("One. Two.", 8), "One.");
        assert_eq!(cut("One. Two.", 4), "One.");
        assert_eq!(
            cut("Finds an order, e.g. by its number.", 25),
            "Finds an order, e.g. by…"
        );
        assert_eq!(cut("Version 2.5 is here", 12), "Version 2.5…");
        assert_eq!(cut("Three words here", 12), "Three words…");
        assert_eq!(cut("Three words here", 11), "Three…");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcdef", 1), "…");
        assert_eq!(cut("abcdef", 0), "");
        assert_eq!(cut("注文を探す。返金する。", 8), "注文を探す。");
    }

    #[test]
    fn no_cut_is_inside_a_character_or_too_long() {
        for text in [
            "größe und maß".repeat(9),
            "😀".repeat(30),
            "é".repeat(80),
            "e\u{301}".repeat(40),
        ] {
            for most in 0..60 {
                let short = cut(&text, most);
                assert!(length(&short) <= most, "{short:?} {most}");
                assert!(
                    text.starts_with(short.trim_end_matches('…')),
                    "{short:?} does not begin {text:?}"
                );
            }
        }
    }
}
