//! Mistakes, collected so that one compile reports all of them, each at its tokens; and suggestions for unknown words.

use std::fmt::Display;

use quote::ToTokens;
use strsim::osa_distance;

/// The mistakes found so far. [`Errors::finish`] is the only way out.
#[must_use = "mistakes that nobody reports let a wrong program through"]
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Records a mistake at `tokens`, or at the whole attribute if there are none: what is wrong, and what to write instead.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, wrong: impl Display, write: impl Display) {
        self.push(syn::Error::new_spanned(tokens, format!("{wrong}: {write}")));
    }

    /// Records a word that is not among the `known` ones; `what` says what kind of word was expected.
    pub(crate) fn unknown(&mut self, tokens: &impl ToTokens, what: &str, word: &str, known: &[&str]) {
        self.at(tokens, format!("unknown {what} `{word}`"), suggestion(word, known));
    }

    /// Records an error of another parser.
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

    /// The value of a result; an error is recorded.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// The checked value if nothing was wrong.
    ///
    /// # Errors
    /// All recorded mistakes.
    pub(crate) fn finish<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

/// The known word that `word` was probably meant to be: at most two typing errors away, or a shorter form of it (`min` for
/// `minimum`).
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

/// What to write instead of an unknown word: the nearest known one, or else one of all.
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
