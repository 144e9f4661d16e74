//! The problems that decoding finds: the first 20 in full, and the number of further problems.

use std::borrow::Cow;

use crate::problem::{Error, InputProblem};

/// How many problems are reported in full. The limit keeps responses short, whatever a caller sends.
const MOST: usize = 20;
/// After this many further problems, a costly search for more problems is skipped.
const MOST_SOUGHT: usize = 1000;

/// The problems of one call's inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    told: Vec<InputProblem>,
    /// The number of problems that are only counted.
    more: usize,
    /// Whether the search ended early, so that there may be more problems than these.
    is_cut: bool,
}

impl Found {
    /// Adds a problem, or counts it if the limit is reached. `problem` is called only if the problem is reported in
    /// full.
    pub(super) fn push(&mut self, problem: impl FnOnce() -> InputProblem) {
        if self.told.len() < MOST {
            self.told.push(problem());
        } else {
            self.more += 1;
        }
    }

    /// Whether further problems are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.told.len() == MOST
    }

    /// Whether a costly search for further problems is skipped, because many problems were found. Then the count is
    /// only a lower bound.
    pub(super) fn leaves_out(&mut self) -> bool {
        let enough = self.more >= MOST_SOUGHT;
        self.is_cut |= enough;
        enough
    }

    /// The number of all problems.
    pub(super) fn count(&self) -> usize {
        self.told.len() + self.more
    }

    /// An error with all problems, if there are any.
    pub(super) fn into_result(self) -> Result<(), Error> {
        if self.told.is_empty() {
            Ok(())
        } else {
            let further = match self.more {
                0 => String::new(),
                more if self.is_cut => format!(" And at least {more} more."),
                more => format!(" And {more} more."),
            };
            Err(Error::invalid_inputs(self.told, &further))
        }
    }
}

/// A caller's text, shortened to 80 characters for use in a message.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
