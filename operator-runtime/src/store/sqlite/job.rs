//! Jobs of the writer thread: the work, and the reply to the caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::writing::Writing;
use crate::store::StoreError;

/// Why a job was not committed, or why it is unknown whether it was.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether the commit may have happened.
    pub(super) unknown: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, unknown: false }
    }
}

pub(super) type Commit = Result<(), Failure>;

/// Work for the writer's transaction.
pub(super) trait Job: Send {
    /// Runs the work. It runs a second time if another job made the transaction fail.
    fn run(&mut self, writing: &mut Writing<'_>);

    /// Sends the result to the caller.
    fn answer(self: Box<Self>, commit: Commit);
}

/// A job made of a work closure and a reply closure.
pub(super) struct Asked<T, W, R> {
    work: W,
    /// The result of the last run.
    result: Option<Result<T, StoreError>>,
    reply: R,
}

impl<T, W, R> Asked<T, W, R>
where
    W: FnMut(&mut Writing<'_>) -> Result<T, StoreError>,
    R: FnOnce(Result<T, Failure>),
{
    pub(super) fn new(work: W, reply: R) -> Self {
        Self {
            work,
            result: None,
            reply,
        }
    }
}

impl<T, W, R> Job for Asked<T, W, R>
where
    T: Send,
    W: FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send,
    R: FnOnce(Result<T, Failure>) + Send,
{
    fn run(&mut self, writing: &mut Writing<'_>) {
        let caught = catch_unwind(AssertUnwindSafe(|| (self.work)(writing)));
        self.result = Some(caught.unwrap_or_else(|_| Err(writing.panicked())));
    }

    fn answer(self: Box<Self>, commit: Commit) {
        (self.reply)(match (self.result, commit) {
            (Some(Err(error)), _) => Err(error.into()),
            (_, Err(failure)) => Err(failure),
            (Some(Ok(value)), Ok(())) => Ok(value),
            // This cannot happen, because a job is committed only after it has run.
            (None, Ok(())) => Err(StoreError::TransactionEnded.into()),
        });
    }
}

/// Makes work out of a closure that can run only once. If another job makes the transaction fail, the caller gets an
/// error and has to ask again.
pub(super) fn once<T>(
    work: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError>,
) -> impl FnMut(&mut Writing<'_>) -> Result<T, StoreError> {
    let mut work = Some(work);
    move |writing| match work.take() {
        Some(work) => work(writing),
        None => Err(writing.undone()),
    }
}
