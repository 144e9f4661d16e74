//! A handler of events as the macro describes it, and the traits of what the handler takes and returns.

use std::marker::PhantomData;

use bytes::Bytes;
use schemars::{Schema, json_schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::invocation::Invocation;
use super::output::{AnswerBytes, HandlerOutput};
use super::{Endpoint, Source};
use crate::events::Context;
use crate::idempotency::effect::Effect;
use crate::problem::Error;
use crate::protocol::method::Method;

/// Everything that is known about a handler of events at compile time.
#[derive(Debug)]
pub struct EventHandler {
    /// The name of the function.
    pub name: &'static str,
    /// How the handler runs, as for an endpoint. The endpoint's name is the type of the events, and its inputs are the
    /// fields of the events, for documents. It has no path of its own.
    pub endpoint: Endpoint,
    /// Decodes the payload, so that an event that cannot be read is refused before it is recorded.
    pub decode: fn(&Invocation) -> Result<(), Error>,
}

inventory::collect!(&'static EventHandler);

/// The endpoint at which all events arrive. It verifies an event, and a handler of its type answers it.
pub(crate) static EVENTS: Endpoint = Endpoint {
    name: "events",
    description: "Takes the agent's events.",
    deprecated: false,
    method: Method::Post,
    path: "/events",
    effect: Effect::ReadOnly,
    key: None,
    limits: None,
    timeout: None,
    scope: None,
    tag: None,
    inputs: &[],
    needs: &[],
    output: || json_schema!({ "type": "object" }),
    problems: &[],
    function: std::any::TypeId::of::<EventHandler>,
    allowed: &[],
    source: Source {
        file: file!(),
        line: line!(),
        module: module_path!(),
    },
    run: |_, _| Err(Error::internal("an event was not passed to its handler")),
};

/// The payload of an event: `DeserializeOwned`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the payload of an event",
    label = "must be `DeserializeOwned`",
    note = "take a type of `operator_runtime::events`, or derive `serde::Deserialize` for the type; borrow app state as `&T`, the event as `&Event`, and a transaction as `&mut Tx<Sqlite>`"
)]
pub trait EventPayload: Sized {
    /// Decodes the payload.
    ///
    /// # Errors
    /// 400 if the payload does not fit the type.
    #[doc(hidden)]
    fn decode(invocation: &Invocation) -> Result<Self, Error>;

    /// Decodes the payload, and drops it.
    ///
    /// # Errors
    /// Those of `decode`.
    #[doc(hidden)]
    fn check(invocation: &Invocation) -> Result<(), Error> {
        Self::decode(invocation).map(drop)
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> EventPayload for T {
    fn decode(invocation: &Invocation) -> Result<Self, Error> {
        invocation.event()?.payload()
    }
}

/// A type that a handler of `conversation.setup` can return: `Into<Context>`.
#[diagnostic::on_unimplemented(
    message = "a handler of `conversation.setup` cannot return `{Self}`",
    label = "must be `Into<operator_runtime::events::Context>`",
    note = "the agent waits for a context: return `operator_runtime::events::Context`, or implement `From<{Self}> for Context`"
)]
pub trait ContextOutput: Sized {
    /// The schema of the answer.
    #[doc(hidden)]
    fn schema(of: PhantomData<fn() -> Self>) -> Schema;

    /// The answer as JSON.
    ///
    /// # Errors
    /// 500 if the value cannot be serialized.
    #[doc(hidden)]
    fn answer(self) -> Result<AnswerBytes, Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Context>> ContextOutput for T {
    fn schema(_of: PhantomData<fn() -> Self>) -> Schema {
        <Context as HandlerOutput>::schema(PhantomData)
    }

    fn answer(self) -> Result<AnswerBytes, Error> {
        HandlerOutput::answer(self.into())
    }
}

/// A type that a handler of another event can return: `Serialize`.
#[diagnostic::on_unimplemented(
    message = "a handler of events cannot return `{Self}`",
    label = "must be `Serialize`",
    note = "return `()`, or derive `serde::Serialize` for the type"
)]
pub trait EventOutput: Sized {
    /// The schema of the answer, about which nothing is promised.
    #[doc(hidden)]
    fn schema(of: PhantomData<fn() -> Self>) -> Schema;

    /// The value as JSON, or `{}` for `()`.
    ///
    /// # Errors
    /// 500 if the value cannot be serialized.
    #[doc(hidden)]
    fn answer(self) -> Result<AnswerBytes, Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> EventOutput for T {
    fn schema(_of: PhantomData<fn() -> Self>) -> Schema {
        Schema::default()
    }

    fn answer(self) -> Result<AnswerBytes, Error> {
        let AnswerBytes(body) = AnswerBytes::of(&self)?;
        let is_null = body[..] == *b"null";
        Ok(AnswerBytes(if is_null { Bytes::from_static(b"{}") } else { body }))
    }
}
