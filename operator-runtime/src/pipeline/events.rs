//! Events: finds the handler of an event's type, and the event's operation.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;

use super::operation::{Decoded, Operation};
use super::prepared::PreparedEndpoint;
use super::reply::Reply;
use crate::endpoint::event::EventHandler;
use crate::endpoint::invocation::Invocation;
use crate::events::Event;
use crate::problem::Error;
use crate::protocol::request::{Content, Kept};
use crate::record::operation::KeySource;

/// The handlers of events, by the type of event.
pub(crate) struct Handlers {
    by_type: HashMap<&'static str, Handler>,
    /// The types without a handler that the log has named.
    unhandled: Mutex<HashSet<String>>,
}

struct Handler {
    handler: &'static EventHandler,
    endpoint: Arc<PreparedEndpoint>,
}

/// The log names at most this many types without a handler, and of each at most this many characters, so that a sender
/// cannot use up memory.
const MOST_TYPES: usize = 64;
const LONGEST_TYPE: usize = 80;

impl Handlers {
    pub(crate) fn new(handlers: impl IntoIterator<Item = (&'static EventHandler, Arc<PreparedEndpoint>)>) -> Self {
        let by_type = handlers.into_iter().map(|(handler, endpoint)| {
            let event_type = handler.endpoint.name;
            (event_type, Handler { handler, endpoint })
        });
        Self {
            by_type: by_type.collect(),
            unhandled: Mutex::default(),
        }
    }

    /// Whether a handler has extractors.
    pub(crate) fn extract(&self) -> bool {
        let mut handlers = self.by_type.values();
        handlers.any(|handler| handler.endpoint.arguments.extracts())
    }

    /// Decodes an event before its operation is claimed. An event of a type without a handler is answered here.
    pub(super) fn decode(&self, kept: Kept, head: Parts) -> Result<Decoded, Reply> {
        let body = match kept.content() {
            Content::Body(body) => body.clone(),
            Content::Parameters(_) => bytes::Bytes::new(),
        };
        let event = Event::parse(body).map_err(|error| refused(&error))?;
        let Some(Handler { handler, endpoint }) = self.by_type.get(event.event_type.as_str()) else {
            self.name_once(&event.event_type);
            return Err(Reply::empty_object());
        };
        let tenant = kept.key().tenant().to_owned();
        let operation = Operation::of_content(KeySource::Event, endpoint.endpoint, &tenant, &event.id);
        let invocation = Invocation::of_event(Arc::clone(&endpoint.arguments), kept, head, event);
        Ok(Decoded {
            operation: (handler.decode)(&invocation).and(operation),
            endpoint: Arc::clone(endpoint),
            invocation,
        })
    }

    fn name_once(&self, event_type: &str) {
        let event_type: String = event_type.chars().take(LONGEST_TYPE).collect();
        // A poisoned set is still valid, because nothing that can panic runs while the lock is held.
        let mut unhandled = self.unhandled.lock().unwrap_or_else(PoisonError::into_inner);
        if unhandled.len() < MOST_TYPES && !unhandled.contains(&event_type) {
            tracing::info!(
                event_type,
                "an event has no handler and is answered with {{}}: write a function with `#[operator_event(…)]` if the program should act on events of this type"
            );
            unhandled.insert(event_type);
        }
    }
}

fn refused(error: &Error) -> Reply {
    tracing::warn!(reason = error.detail(), "refused");
    Reply::from_error(error)
}
