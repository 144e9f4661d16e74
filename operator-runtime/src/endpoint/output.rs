//! Turns the value or `Result` that a handler returned into the bytes that are sent.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;

use bytes::Bytes;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::compound_keys::AnyKeys;
use crate::problem::{DocumentedError, Error, ProblemSpec};
use crate::schema;

/// The longest answer, in bytes, that is copied from the buffer of its thread. A longer one takes the buffer away, so that
/// the buffer remains small.
const LONGEST_COPY: usize = 1024;

thread_local! {
    /// The buffer into which this thread writes its answers. It rarely has to grow.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A handler's answer as JSON: exactly the bytes that are stored and sent.
#[derive(Debug)]
pub struct AnswerBytes(pub(crate) Bytes);

impl AnswerBytes {
    /// Serializes a value.
    pub(super) fn of<T: Serialize>(value: &T) -> Result<Self, Error> {
        let mut buffer = BUFFER.take();
        buffer.clear();
        if serde_json::to_writer(&mut buffer, value).is_err() {
            // Perhaps only because of a map key. A second attempt costs nothing for all other answers.
            buffer.clear();
            serde_json::to_writer(&mut buffer, &AnyKeys(value)).map_err(Error::unwritable)?;
        }
        // A record may keep the body, so the body has no spare capacity.
        if buffer.len() > LONGEST_COPY {
            buffer.shrink_to_fit();
            return Ok(Self(buffer.into()));
        }
        let body = Bytes::copy_from_slice(&buffer);
        BUFFER.set(buffer);
        Ok(Self(body))
    }
}

/// A type that an endpoint can return: `Serialize + JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "an endpoint cannot return `{Self}`",
    label = "must be `Serialize + JsonSchema`",
    note = "derive both for the type, `#[derive(serde::Serialize, schemars::JsonSchema)]`, with schemars 1",
    note = "a type of bytes, chrono, jiff, rust_decimal, url or uuid needs the feature of that name of `operator-runtime`; a type of time needs the feature `time` and a format, `#[schemars(with = \"operator_runtime::formats::DateTime\")]`"
)]
pub trait HandlerOutput: Sized {
    /// The schema of the value.
    #[doc(hidden)]
    fn schema(of: PhantomData<fn() -> Self>) -> Schema;

    /// The value as JSON.
    ///
    /// # Errors
    /// 500 if the value cannot be serialized.
    #[doc(hidden)]
    fn answer(self) -> Result<AnswerBytes, Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> HandlerOutput for T {
    fn schema(_of: PhantomData<fn() -> Self>) -> Schema {
        schema::of_output::<T>()
    }

    fn answer(self) -> Result<AnswerBytes, Error> {
        AnswerBytes::of(&self)
    }
}

/// An error type that an endpoint can return: any type that converts into an [`Error`].
#[diagnostic::on_unimplemented(
    message = "an endpoint cannot fail with `{Self}`",
    label = "must be `Into<operator_runtime::Error>`",
    note = "derive `OperatorError` for the error, or fail with `operator_runtime::Error`"
)]
pub trait HandlerError: Sized {
    /// Converts the error into the error that the caller gets.
    #[doc(hidden)]
    fn error(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> HandlerError for E {
    fn error(self) -> Error {
        self.into()
    }
}

/// Serializes a value: the type of [`HandlerOutput::answer`].
pub(crate) type Write<T> = fn(T) -> Result<AnswerBytes, Error>;

/// Describes a type: the type of [`HandlerOutput::schema`].
pub(crate) type Describe<T> = fn(PhantomData<fn() -> T>) -> Schema;

/// Awaits the handler and serializes the value that it returned. `Send` is required only where this future is boxed, so
/// that rustc's error names the user's function and not this one.
///
/// # Errors
/// The handler's error, or 500 if the value cannot be serialized.
pub async fn answering<F: Future>(handler: F, answer: Write<F::Output>) -> Result<AnswerBytes, Error> {
    answer(handler.await)
}

/// The value that a function returned. `Result` has inherent methods, and every other type gets the methods of a trait.
/// So an alias of `Result` is recognised by its type, although the macro sees only its name. The methods have no bounds
/// on `T` or `E`: generated code names the traits above with the spans of the user's code, so that compile errors point
/// to that code. The names of the methods begin with `__operator`, so that no trait of the user has a method of the same
/// name.
pub struct Returned<R>(pub R);

impl<R> Returned<R> {
    /// Describes the return type, without a value of this type.
    pub const SPEC: ReturnedSpec<R> = ReturnedSpec(PhantomData);
}

impl<T, E> Returned<Result<T, E>> {
    /// Serializes the value, or converts the error into an [`Error`].
    ///
    /// # Errors
    /// The handler's error, or 500 if the value cannot be serialized.
    pub fn __operator_answer(self, value: Write<T>, error: fn(E) -> Error) -> Result<AnswerBytes, Error> {
        self.0.map_err(error).and_then(value)
    }
}

/// The description of a return type: its schema and its problems.
pub struct ReturnedSpec<R>(PhantomData<fn() -> R>);

impl<T, E> ReturnedSpec<Result<T, E>> {
    /// The schema of the value.
    #[must_use]
    pub fn __operator_schema(&self, schema: Describe<T>) -> Schema {
        schema(PhantomData)
    }
}

impl<T, E: DocumentedError> ReturnedSpec<Result<T, E>> {
    /// The problems of the error type.
    #[must_use]
    pub fn __operator_problems(self) -> &'static [ProblemSpec] {
        E::PROBLEMS
    }
}

/// The answer of a function that cannot fail.
pub trait PlainOutput<T> {
    /// Serializes the value.
    ///
    /// # Errors
    /// 500 if the value cannot be serialized.
    fn __operator_answer(self, value: Write<T>, error: fn(Infallible) -> Error) -> Result<AnswerBytes, Error>;
}

impl<T> PlainOutput<T> for Returned<T> {
    fn __operator_answer(self, value: Write<T>, _error: fn(Infallible) -> Error) -> Result<AnswerBytes, Error> {
        value(self.0)
    }
}

/// The description of a function that cannot fail.
pub trait PlainSchema<T> {
    /// The schema of the value.
    fn __operator_schema(&self, schema: Describe<T>) -> Schema;

    /// No problems.
    fn __operator_problems(&self) -> &'static [ProblemSpec] {
        &[]
    }
}

impl<T> PlainSchema<T> for ReturnedSpec<T> {
    fn __operator_schema(&self, schema: Describe<T>) -> Schema {
        schema(PhantomData)
    }
}

/// The problems of a function whose error type does not list its problems. The method takes `self` by value, so that
/// method lookup finds this method before the method of [`PlainSchema`].
pub trait UndocumentedError: Sized {
    /// Every problem that an [`Error`] can be.
    fn __operator_problems(self) -> &'static [ProblemSpec] {
        Error::PROBLEMS
    }
}

impl<T, E> UndocumentedError for ReturnedSpec<Result<T, E>> {}

/// The error of a function that returns no `Result`.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
