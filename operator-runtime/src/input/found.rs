//! The problems that decoding finds: the first ones in full, and how many more there are.

use std::borrow::Cow;

use crate::problem::{Error, InputProblem};

/// So many are told. Nobody mends more at once, and no caller can make an answer grow without bound.
const MOST: usize = 20;

/// What is wrong with one call's inputs.
#[derive(Debug, Default)]
pub(super) struct Found {
    told: Vec<InputProblem>,
    /// How many there are beyond those that are told.
    more: usize,
}

impl Found {
    /// Remembers a problem, or that there was one more. What a problem says is only asked where it will be told.
    pub(super) fn push(&mut self, problem: impl FnOnce() -> InputProblem) {
        if self.told.len() < MOST {
            self.told.push(problem());
        } else {
            self.more += 1;
        }
    }

    /// Whether no more of what is wrong will be told, only how much of it there is.
    pub(super) fn is_full(&self) -> bool {
        self.told.len() == MOST
    }

    /// How many there are, told or not.
    pub(super) fn count(&self) -> usize {
        self.told.len() + self.more
    }

    /// The answer, where there is one.
    pub(super) fn into_result(self) -> Result<(), Error> {
        if self.told.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid_inputs(self.told, self.more))
        }
    }
}

/// What a caller sent, short enough for a sentence.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
