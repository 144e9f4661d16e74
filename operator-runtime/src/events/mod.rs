//! Events: what the agent tells the program, at one URL, without calling an endpoint.
//!
//! A function with [`#[operator_event]`](crate::operator_event) handles one type of event. Events are signed as calls are,
//! and arrive at `/events` below the public URL, unless [`App::events_path`](crate::App::events_path) sets another path.
//!
//! | type | sent | the handler returns |
//! |---|---|---|
//! | `conversation.setup` | before a conversation begins; a person waits for the answer | a [`Context`], or what converts into one |
//! | `conversation.ended` | when a conversation has ended | `()`, or any value, which is sent and not used |
//! | `conversation.custom_fields.updated` | when custom fields have changed | `()`, or any value, which is sent and not used |
//!
//! ```standalone_crate
//! use operator_runtime::events::{Context, ConversationSetup, Customer};
//! use operator_runtime::{App, Error, operator_event, testing::Client};
//! use serde_json::json;
//!
//! /// Greets the caller by name.
//! #[operator_event("conversation.setup")]
//! async fn greet(setup: ConversationSetup) -> Result<Context, Error> {
//!     let name = (setup.channel.caller_no.as_deref() == Some("+493012345678")).then(|| "Ana".to_owned());
//!     Context::new().customer(Customer { name, ..Customer::default() }).value("orders", &[1004])
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let client = Client::new(App::new()).await.unwrap();
//! let setup = json!({
//!     "type": "conversation.setup",
//!     "channel": { "type": "phone", "caller_no": "+493012345678" },
//!     "direction": "inbound",
//! });
//! let answer = client.event(&json!({ "payload": setup })).await;
//! assert_eq!(answer.body["context"]["$customer"]["name"], "Ana");
//! # }
//! ```
//!
//! # What is read
//! The sender adds types and fields without notice, so the types here ignore fields that they do not know, keep words
//! that they do not know as text (`Other`), and have `None` where an optional field is missing. A handler may also take a
//! type of its own, with `serde::Deserialize`, as the payload, if the type contains no untagged enum that contains itself.
//! An event of a type without a handler is answered with 200 and `{}`; the log names each such type once. An event that
//! cannot be read is answered with 400 and is not recorded.
//!
//! # Once
//! The event's `id` is the key of its operation and its fingerprint. An event that is delivered again does not act again,
//! even with another idempotency key or with other bytes; it gets the first answer.
//! [`Call::idempotency_key`](crate::Call::idempotency_key) is the event's id. Effects, leases and records work as for
//! [endpoints](crate::idempotency), except that a handler of `conversation.setup` is `rerunnable` and has a `timeout` of
//! 3 s, unless it says otherwise, because a person waits: after a crash, a retry gets a context. A duplicate waits no
//! longer than that timeout. A handler of `conversation.setup` that takes longer than 0.5 s is logged, and counted as
//! `operator_slow_setups_total`.

mod context;
pub(crate) mod described;
mod envelope;
mod payloads;
mod words;

pub use context::{Context, Customer};
pub use envelope::Event;
pub use payloads::{Channel, ConversationEnded, ConversationSetup, CustomFieldsUpdated};
pub use words::{ChannelType, ConversationStatus, Direction};

/// The type of the event that is sent before a conversation begins. A person waits until it is answered.
pub(crate) const SETUP: &str = "conversation.setup";
