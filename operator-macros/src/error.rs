//! Collects mistakes, so that one compile reports all of them, each at its own tokens. Also suggests a known word for
//! an unknown one.

use std::fmt::Display;

use quote::ToTokens;
use strsim::osa_distance;

/// The mistakes found so far. Only [`Errors::finish`] returns them.
#[must_use = "if the mistakes are not reported, a wrong program compiles"]
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Records a mistake: what is `wrong`, and what to `write` instead. rustc shows it at `tokens`, or at the whole
    /// attribute if `tokens` is empty.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, wrong: impl Display, write: impl Display) {
        self.push(syn::Error::new_spanned(tokens, format!("{wrong}: {write}")));
    }

    /// Records an unknown `word`. `what` names the kind of word that was expected; `known` lists the words that are
    /// allowed.
    pub(crate) fn unknown(&mut self, tokens: &impl ToTokens, what: &str, word: &str, known: &[&str]) {
        self.at(tokens, format!("unknown {what} `{word}`"), suggestion(word, known));
    }

    /// Records an error that another parser returned.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Moves all mistakes of another collection into this one.
    pub(crate) fn absorb(&mut self, other: Self) {
        if let Some(error) = other.0 {
            self.push(error);
        }
    }

    /// How many mistakes there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Returns the value of a result. Records the error if there is one.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Returns `value` if no mistake was recorded.
    ///
    /// # Errors
    /// All recorded mistakes.
    pub(crate) fn finish<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

/// The known word that the user probably meant: `word` differs from the known word by at most two typing errors, or
/// begins with it (`minimum` begins with `min`).
pub(crate) fn nearest<'known>(word: &str, known: &[&'known str]) -> Option<&'known str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase();
    let word = plain(word);
    let mistyped = known
        .iter()
        .map(|candidate| (osa_distance(&word, &plain(candidate)), *candidate))
        .min()
        .filter(|(edits, candidate)| *edits <= 2.min(1 + candidate.len() / 4));
    let shorter = || {
        known
            .iter()
            .copied()
            .find(|candidate| word.starts_with(&plain(candidate)))
    };
    mistyped.map(|(_, candidate)| candidate).or_else(shorter)
}

/// What to write instead of an unknown word: the nearest known word, or else the list of all known words.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    match (nearest(word, known), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, [only]) => format!("write `{only}`"),
        (None, [first, second]) => format!("write `{first}` or `{second}`"),
        (None, _) => format!("write one of `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_word_and_a_foreign_word_finds_none() {
        let known = ["min", "max", "min_length", "read_only", "timeout"];
        assert_eq!(nearest("minlength", &known), Some("min_length"));
        assert_eq!(nearest("readonly", &known), Some("read_only"));
        assert_eq!(nearest("time_out", &known), Some("timeout"));
        assert_eq!(nearest("minimum", &known), Some("min"));
        assert_eq!(nearest("mni", &known), Some("min"));
        assert_eq!(nearest("authorisation", &known), None);
        assert_eq!(nearest("length", &known), None);
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let mut errors = Errors::default();
        errors.at(&quote::quote!(a), "one", "write 1");
        assert_eq!(
            errors.keep::<()>(Err(syn::Error::new_spanned(quote::quote!(b), "two"))),
            None
        );
        let messages: Vec<_> = errors
            .finish(())
            .unwrap_err()
            .into_iter()
            .map(|error| error.to_string())
            .collect();
        assert_eq!(messages, ["one: write 1", "two"]);
    }
}
