//! The turn of a message, from before it is parsed until the parsed message is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use crate::input::Effort;
use crate::pipeline::large::{self, Turn};

/// The turn in which a message is parsed. rmcp turns a message into a tree, which takes far more memory than the text. The
/// turn lasts until that tree is dropped, so that there are only as many trees of long messages as turns.
#[derive(Clone, Default)]
pub(super) struct Parsing(Option<Arc<Inner>>);

struct Inner {
    effort: Effort,
    turn: Mutex<Option<Turn>>,
}

impl Parsing {
    pub(super) fn new(effort: Effort, turn: Turn) -> Self {
        Self(Some(Arc::new(Inner {
            effort,
            turn: Mutex::new(Some(turn)),
        })))
    }

    /// Does what is left to do with the tree, which `work` drops, and ends the turn.
    pub(super) fn finish<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(inner) = &self.0 else {
            return work();
        };
        let done = large::run(inner.effort, work);
        drop(inner.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
        done
    }
}
