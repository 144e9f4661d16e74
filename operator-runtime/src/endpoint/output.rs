//! What a handler returned: a value or a `Result`, told apart by type, turned into the bytes that are sent.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;

use bytes::Bytes;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::problem::{DocumentedError, Error, ProblemSpec};
use crate::record::Response;
use crate::schema;

/// What a handler answered, as JSON: the very bytes that are stored and sent.
#[derive(Debug)]
pub struct AnswerBytes(pub(crate) Bytes);

/// What an endpoint can answer with: `Serialize + JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "an endpoint cannot return `{Self}`",
    label = "must be `Serialize + JsonSchema`",
    note = "derive both for the type: `#[derive(serde::Serialize, schemars::JsonSchema)]`"
)]
pub trait HandlerOutput: Sized {
    /// The schema of the value.
    #[doc(hidden)]
    fn schema(of: PhantomData<fn() -> Self>) -> Schema;

    /// The value as JSON.
    ///
    /// # Errors
    /// 500 where it cannot be serialized.
    #[doc(hidden)]
    fn answer(self) -> Result<AnswerBytes, Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> HandlerOutput for T {
    fn schema(_of: PhantomData<fn() -> Self>) -> Schema {
        schema::of_output::<T>()
    }

    fn answer(self) -> Result<AnswerBytes, Error> {
        // Sized for a small answer, so that most are written without growing.
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, &self).map_err(Error::unwritable)?;
        // A long answer is kept as it is, a short one is copied.
        if body.len() > Response::SHORT {
            body.shrink_to_fit();
        }
        Ok(AnswerBytes(body.into()))
    }
}

/// What an endpoint can fail with: anything that becomes an [`Error`].
#[diagnostic::on_unimplemented(
    message = "an endpoint cannot fail with `{Self}`",
    label = "must be `Into<operator_runtime::Error>`",
    note = "derive `OperatorError` for the error, or fail with `operator_runtime::Error`"
)]
pub trait HandlerError: Sized {
    /// The error as the caller reads it.
    #[doc(hidden)]
    fn error(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> HandlerError for E {
    fn error(self) -> Error {
        self.into()
    }
}

/// How a value is written: [`HandlerOutput::answer`].
pub(crate) type Write<T> = fn(T) -> Result<AnswerBytes, Error>;

/// How a type is described: [`HandlerOutput::schema`].
pub(crate) type Describe<T> = fn(PhantomData<fn() -> T>) -> Schema;

/// A handler's future with what it returned made into bytes. It is `Send` where the handler's is, which the place that
/// boxes it asks for, so that rustc speaks of the user's function and of nothing of ours.
///
/// # Errors
/// The handler's own, or 500 where the value cannot be serialized.
pub async fn answering<F: Future>(handler: F, answer: Write<F::Output>) -> Result<AnswerBytes, Error> {
    answer(handler.await)
}

/// What a function returned. `Result` has inherent methods and everything else a trait's, so that an alias of `Result`
/// is recognised by its type, not by its name. Neither asks anything of `T` or `E`: the traits above are asked where the
/// user's tokens stand.
pub struct Returned<R>(pub R);

impl<R> Returned<R> {
    /// Speaks of the type where there is no value.
    pub const SPEC: ReturnedSpec<R> = ReturnedSpec(PhantomData);
}

impl<T, E> Returned<Result<T, E>> {
    /// Serializes the value, or turns the error into ours.
    ///
    /// # Errors
    /// The handler's own, or 500 where the value cannot be serialized.
    pub fn answer(self, value: Write<T>, error: fn(E) -> Error) -> Result<AnswerBytes, Error> {
        self.0.map_err(error).and_then(value)
    }
}

/// What [`Returned`] says of a type.
pub struct ReturnedSpec<R>(PhantomData<fn() -> R>);

impl<T, E> ReturnedSpec<Result<T, E>> {
    /// The schema of the value.
    #[must_use]
    pub fn schema(&self, schema: Describe<T>) -> Schema {
        schema(PhantomData)
    }
}

impl<T, E: DocumentedError> ReturnedSpec<Result<T, E>> {
    /// The problems of the error type.
    #[must_use]
    pub fn problems(self) -> &'static [ProblemSpec] {
        E::PROBLEMS
    }
}

/// The answer of a function that cannot fail.
pub trait PlainOutput<T> {
    /// Serializes the value.
    ///
    /// # Errors
    /// 500 where the value cannot be serialized.
    fn answer(self, value: Write<T>, error: fn(Infallible) -> Error) -> Result<AnswerBytes, Error>;
}

impl<T> PlainOutput<T> for Returned<T> {
    fn answer(self, value: Write<T>, _error: fn(Infallible) -> Error) -> Result<AnswerBytes, Error> {
        value(self.0)
    }
}

/// The description of a function that cannot fail.
pub trait PlainSchema<T> {
    /// The schema of the value.
    fn schema(&self, schema: Describe<T>) -> Schema;

    /// No problems.
    fn problems(&self) -> &'static [ProblemSpec] {
        &[]
    }
}

impl<T> PlainSchema<T> for ReturnedSpec<T> {
    fn schema(&self, schema: Describe<T>) -> Schema {
        schema(PhantomData)
    }
}

/// The problems of a function whose error type lists none. By value, so that it comes before [`PlainSchema`]'s.
pub trait UndocumentedError: Sized {
    /// All that an [`Error`] can be.
    fn problems(self) -> &'static [ProblemSpec] {
        Error::PROBLEMS
    }
}

impl<T, E> UndocumentedError for ReturnedSpec<Result<T, E>> {}

/// A function that returns no `Result` has no error.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
