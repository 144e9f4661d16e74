//! `Invocation`: one call, from which generated code takes the handler's arguments.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use http::request::Parts;

use super::arguments::ArgumentSources;
use super::call::Call;
use super::need::{Need, NeedKind};
use crate::events::Event;
use crate::input::{Arguments, Decoder, Effort, Verdict};
use crate::problem::Error;
use crate::protocol::request::Kept;
use crate::transaction::{Database, Tx};

/// A verified, admitted call. Only the pipeline constructs an `Invocation`.
///
/// The content is boxed, because an invocation moves through several futures, and each of them would reserve space for
/// the content.
pub struct Invocation(Box<Inner>);

struct Inner {
    sources: Arc<ArgumentSources>,
    call: Call,
    /// The event, if the request is one.
    event: Option<Arc<Event>>,
    /// The request's head, kept only if the endpoint has extractors. The head is boxed, because few endpoints have
    /// extractors.
    head: Option<Box<Parts>>,
    /// The values that the extractors have made from the head, in the order of the arguments.
    extracted: Vec<Box<dyn Any + Send>>,
    /// The result of [`check`](Invocation::check), if the inputs were checked before they are decoded.
    verdict: Option<Verdict>,
}

impl Invocation {
    pub(crate) fn new(sources: Arc<ArgumentSources>, kept: Kept, head: Parts) -> Self {
        let (headers, head) = if sources.extracts() {
            (head.headers.clone(), Some(Box::new(head)))
        } else {
            (head.headers, None)
        };
        let call = Call {
            endpoint: sources.endpoint,
            kept,
            headers,
            key_of_content: None,
        };
        Self(Box::new(Inner {
            sources,
            call,
            event: None,
            head,
            extracted: Vec::new(),
            verdict: None,
        }))
    }

    /// The invocation of an event's handler.
    pub(crate) fn of_event(sources: Arc<ArgumentSources>, kept: Kept, head: Parts, event: Event) -> Self {
        let mut invocation = Self::new(sources, kept, head);
        invocation.identify(&event.id);
        invocation.0.event = Some(Arc::new(event));
        invocation
    }

    pub(crate) fn call(&self) -> &Call {
        &self.0.call
    }

    /// Sets the operation's key, which is made from the content of the request.
    pub(crate) fn identify(&mut self, key: &str) {
        self.0.call.key_of_content = Some(key.into());
    }

    /// Whether the endpoint has extractors, which [`extract`](Self::extract) runs.
    pub(crate) fn extracts(&self) -> bool {
        self.0.head.is_some()
    }

    /// The effort to decode the content.
    pub(crate) fn effort(&self) -> Effort {
        self.0.sources.inputs.effort(self.0.call.kept.content())
    }

    /// Runs the endpoint's extractors.
    pub(crate) async fn extract(&mut self) -> Result<(), Error> {
        let Inner {
            sources,
            head,
            extracted,
            ..
        } = &mut *self.0;
        let Some(head) = head else {
            return Ok(());
        };
        for need in sources.needs {
            if let NeedKind::Extracted(extract) = need.kind {
                extracted.push(extract(head).await?);
            }
        }
        Ok(())
    }

    /// A copy for a second run of the handler, after a first run that was neither recorded nor answered.
    pub(crate) fn again(&self) -> Self {
        let Inner {
            sources,
            call,
            event,
            head,
            verdict,
            ..
        } = &*self.0;
        Self(Box::new(Inner {
            sources: Arc::clone(sources),
            call: call.again(),
            event: event.clone(),
            head: head.clone(),
            extracted: Vec::new(),
            verdict: verdict.clone(),
        }))
    }

    /// Checks every input, and remembers the result for [`arguments`](Self::arguments). An event has no inputs, and its
    /// payload is already checked.
    pub(crate) fn check(&mut self) {
        if self.0.event.is_some() {
            return;
        }
        self.0.verdict = Verdict::of(&self.0.sources.inputs, self.0.call.kept.content());
    }

    /// Decodes every input. If inputs are wrong, the error names all of them at once.
    ///
    /// # Errors
    /// 400 with one entry for each wrong, missing or unknown input.
    pub fn arguments<A: Arguments>(&self, decode: impl FnOnce(&mut Decoder<'_>) -> A) -> Result<A::Values, Error> {
        let Inner {
            sources, call, verdict, ..
        } = &*self.0;
        let mut decoder = match verdict {
            Some(verdict) => Decoder::open_checked(&sources.inputs, call.kept.content(), verdict)?,
            None => Decoder::open(&sources.inputs, call.kept.content())?,
        };
        let arguments = decode(&mut decoder);
        decoder.finish()?;
        arguments
            .complete()
            .ok_or_else(|| Error::internal("an input was neither decoded nor refused"))
    }

    /// Decodes every input, and drops the values.
    ///
    /// # Errors
    /// Those of [`arguments`](Self::arguments).
    pub fn decodes<A: Arguments>(&self, decode: impl FnOnce(&mut Decoder<'_>) -> A) -> Result<(), Error> {
        self.arguments(decode).map(drop)
    }

    /// The event.
    pub(crate) fn event(&self) -> Result<&Event, Error> {
        let event = self.0.event.as_deref();
        event.ok_or_else(|| Error::internal("the request is not an event"))
    }

    pub(crate) fn borrowed<T: 'static>(&self) -> Result<&T, Error> {
        let call = (&self.0.call as &dyn Any).downcast_ref();
        let event = || (self.0.event.as_deref()? as &dyn Any).downcast_ref();
        let found = call.or_else(event).or_else(|| self.0.sources.states.get::<T>());
        found.ok_or_else(|| Error::internal(format!("no value of type {} was given to App::state", type_name::<T>())))
    }

    /// Takes the first extracted value of this type that no argument has taken yet.
    pub(crate) fn extracted<T: 'static>(&mut self) -> Result<T, Error> {
        let place = self.0.extracted.iter().position(|value| value.is::<T>());
        place
            .and_then(|place| self.0.extracted.remove(place).downcast().ok())
            .map(|value| *value)
            .ok_or_else(|| Error::internal("the request's head was not kept for an extractor"))
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Invocation")
            .field("call", &self.0.call)
            .finish_non_exhaustive()
    }
}

/// A transaction that an endpoint can take as its `&mut` argument.
#[diagnostic::on_unimplemented(
    message = "`&mut {Self}` is not a transaction",
    label = "must be a transaction like `Tx<Sqlite>`",
    note = "the only `&mut` argument of an endpoint is the transaction that its idempotency record commits with, `tx: &mut Tx<Sqlite>`: borrow app state as `&T`, and put values that change into a `Mutex`"
)]
pub trait TransactionArgument {
    /// Tells the app that the endpoint needs this transaction.
    #[doc(hidden)]
    const NEED: Need;

    /// The transaction.
    ///
    /// # Errors
    /// 500 if the store is another database. Start-up refuses such an app.
    #[doc(hidden)]
    fn borrowed(slot: TransactionSlot<'_>) -> Result<&mut Self, Error>;
}

#[diagnostic::do_not_recommend]
impl<D: Database> TransactionArgument for Tx<D> {
    const NEED: Need = Need::transaction::<Self>();

    fn borrowed(slot: TransactionSlot<'_>) -> Result<&mut Self, Error> {
        slot.get()
    }
}

/// Passes the transaction to the run function, if the endpoint has a transaction.
pub struct TransactionSlot<'t>(pub(crate) Option<&'t mut (dyn Any + Send)>);

impl<'t> TransactionSlot<'t> {
    fn get<T: 'static>(self) -> Result<&'t mut T, Error> {
        self.0
            .and_then(|transaction| transaction.downcast_mut::<T>())
            .ok_or_else(|| Error::internal(format!("the store has no transaction of type {}", type_name::<T>())))
    }
}

impl fmt::Debug for TransactionSlot<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("TransactionSlot")
            .field(&self.0.is_some())
            .finish()
    }
}
