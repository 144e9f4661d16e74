//! Mistakes, collected so that all of them come out of one compile, each at its token.

use std::fmt::Display;

use quote::ToTokens;

/// The mistakes found so far. [`Errors::finish`] is the only way out.
#[must_use = "mistakes that nobody reports let a wrong program through"]
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Records one mistake at `tokens` (at the attribute where they are empty): what is wrong, and what to write instead.
    pub(crate) fn at(&mut self, tokens: &impl ToTokens, wrong: impl Display, write: impl Display) {
        self.push(syn::Error::new_spanned(tokens, format!("{wrong} · {write}")));
    }

    /// Records what another parser found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Takes over what another collection has.
    pub(crate) fn absorb(&mut self, other: Self) {
        if let Some(error) = other.0 {
            self.push(error);
        }
    }

    /// How many mistakes there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// The value of a result; its error is recorded.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// The checked value where nothing was wrong, else every mistake.
    ///
    /// # Errors
    /// All that was recorded.
    pub(crate) fn finish<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

/// The known word that `word` was probably meant to be: a slip of the pen away, or its beginning.
pub(crate) fn nearest<'known>(word: &str, known: &[&'known str]) -> Option<&'known str> {
    let squashed = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase();
    let word = squashed(word);
    let closest = known
        .iter()
        .map(|candidate| (distance(&word, &squashed(candidate)), *candidate))
        .min()
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len() / 4);
    let beginning = known
        .iter()
        .copied()
        .find(|candidate| word.starts_with(&squashed(candidate)));
    match closest {
        Some((0..=2, candidate)) => Some(candidate),
        other => beginning.or(other.map(|(_, candidate)| candidate)),
    }
}

/// Advice on an unknown option: the nearest known one, or else all of them.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match (nearest(word, known), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, [only]) => format!("write `{only}`"),
        (None, _) => format!("write one of `{}`", known.join("`, `")),
    }
}

/// How many letters have to be put in, taken out, replaced or exchanged with the next to get from one word to the other
/// (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.iter().enumerate() {
        let mut next = vec![line + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = row[column] + usize::from(letter != other);
            let mut edits = replaced.min(row[column + 1] + 1).min(next[column] + 1);
            if line > 0 && column > 0 && *letter == to[column - 1] && from[line - 1] == *other {
                edits = edits.min(above[column - 1] + 1);
            }
            next.push(edits);
        }
        above = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_a_foreign_word_finds_none() {
        let known = ["min", "max", "min_length", "read_only", "timeout"];
        assert_eq!(nearest("minlength", &known), Some("min_length"));
        assert_eq!(nearest("readonly", &known), Some("read_only"));
        assert_eq!(nearest("time_out", &known), Some("timeout"));
        assert_eq!(nearest("minimum", &known), Some("min"));
        assert_eq!(nearest("mni", &known), Some("min"));
        assert_eq!(nearest("authorisation", &known), None);
    }

    #[test]
    fn all_mistakes_come_out_together() {
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
        assert_eq!(messages, ["one · write 1", "two"]);
    }
}
