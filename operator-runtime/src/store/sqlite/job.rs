//! What the writer is asked to do, and whom it tells what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::writing::Writing;
use crate::store::StoreError;

/// Why a job is not, or may not be, kept.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// The commit may have happened all the same.
    pub(super) unknown: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, unknown: false }
    }
}

pub(super) type Commit = Result<(), Failure>;

/// Something to do in the writer's transaction.
pub(super) trait Job: Send {
    /// Does it: once more where it was undone for another job's sake.
    fn run(&mut self, writing: &mut Writing<'_>);

    /// Tells whoever asked what came of it.
    fn answer(self: Box<Self>, commit: Commit);
}

/// A job from work and reply.
pub(super) struct Asked<T, W, R> {
    work: W,
    /// Of the last run.
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
            // Nobody commits a job that was not run.
            (None, Ok(())) => Err(StoreError::TransactionEnded.into()),
        });
    }
}

/// Work that can be done once only: where it is undone for another job's sake, it has to be asked for again.
pub(super) fn once<T>(
    work: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError>,
) -> impl FnMut(&mut Writing<'_>) -> Result<T, StoreError> {
    let mut work = Some(work);
    move |writing| match work.take() {
        Some(work) => work(writing),
        None => Err(writing.undone()),
    }
}
