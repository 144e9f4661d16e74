//! Signed, idempotent, described HTTP endpoints for an AI support agent.
//!
//! An ordinary async function with [`#[operator_api]`](operator_api) is an endpoint: its arguments are the inputs, its
//! doc comments are the descriptions, and its return type is the answer. The runtime verifies every call before
//! anything else, carries out each operation only once, even if it is retried, and describes the endpoints to the agent
//! in a manifest.
//!
//! ```
//! use operator_runtime::{App, Error, operator_api, testing::Client};
//! use serde_json::json;
//!
//! /// How many of each product are left.
//! struct Shelf(std::collections::BTreeMap<String, u32>);
//!
//! /// Says how many of a product are left.
//! ///
//! /// Use it when a customer asks whether something is in stock.
//! #[operator_api(GET, "/stock")]
//! async fn stock(
//!     shelf: &Shelf,
//!     /// The product's name, as the shop writes it.
//!     #[operator(max_length = 80, example = "teapot")]
//!     product: String,
//! ) -> Result<u32, Error> {
//!     let left = shelf.0.get(&product).copied();
//!     left.ok_or_else(|| Error::not_found(format!("There is no product named {product}.")))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! // A program writes `App::new().state(…).run().await`; a test calls the endpoints in process.
//! let app = App::new().state(Shelf([("teapot".to_owned(), 3)].into()));
//! let client = Client::new(app).await.unwrap();
//! assert_eq!(client.call("stock", &json!({ "product": "teapot" })).await.body, json!(3));
//! assert_eq!(client.call("stock", &json!({ "product": "kettle" })).await.status, 404);
//! # }
//! ```
//!
//! # Three rules
//! 1. **An owned argument is an input.** Its name, type and doc comment are its specification. The exception is an
//!    argument that is marked `#[operator(extract)]`: it is the value of an axum extractor.
//! 2. **A borrowed argument comes from the app.** `&T` is the value given to [`App::state`], [`&Call`](Call) is the call
//!    itself, [`&mut Tx<…>`](Tx) is the transaction that also commits the call's record, and [`&Reader<…>`](Reader) reads
//!    the same database outside that transaction.
//! 3. **The function stays an ordinary function.** Other code and tests can call it directly.
//!
//! # A crate of your own in between
//! A company's own crate may re-export this one, with what every program needs. A program then depends only on that
//! crate, and names the path in each macro. serde and schemars have the same option:
//!
//! ```
//! # mod my_wrapper { pub use operator_runtime as rt; pub use serde; }
//! // In the crate `my_wrapper`: `pub use operator_runtime as rt; pub use serde;`
//! use my_wrapper::rt::{OperatorError, operator_api};
//!
//! /// A parcel.
//! #[derive(my_wrapper::serde::Serialize, my_wrapper::rt::schemars::JsonSchema)]
//! #[serde(crate = "my_wrapper::serde")]
//! #[schemars(crate = "my_wrapper::rt::schemars")]
//! struct Parcel {
//!     weight_grams: u32,
//! }
//!
//! #[derive(OperatorError)]
//! #[operator(crate = "my_wrapper::rt")]
//! enum NotFound {
//!     /// There is no parcel {number}.
//!     #[operator(status = 404)]
//!     Parcel { number: u64 },
//! }
//!
//! /// Says what a parcel weighs. Use it when a customer asks for the postage.
//! #[operator_api(GET, "/parcel", crate = "my_wrapper::rt")]
//! async fn parcel(
//!     /// The number on the parcel.
//!     number: u64,
//! ) -> Result<Parcel, NotFound> {
//!     Err(NotFound::Parcel { number })
//! }
//! # fn main() {}
//! ```
//!
//! The path may also be written without quotes, so that a `macro_rules!` macro of that crate can write
//! `crate = $crate::rt`. `endpoints!` needs no path.
//!
//! # MCP
//! With the feature `mcp`, every endpoint is also a tool of the Model Context Protocol. A tool call is handled like a
//! signed call: checked, recorded, and carried out once. The program's command `mcp` serves the client that starts it,
//! over standard input and output. If `OPERATOR_API_KEYS` or `OPERATOR_OAUTH_ISSUER` is set, `/mcp` answers clients
//! that send an API key or an access token, over streamable HTTP. Each `tools/call` is a new operation, unless the
//! client sends an idempotency key as `operator/idempotency-key` in the request's `_meta`: calls with the same key are
//! one operation. Without a key, calls of an endpoint with `key(…)` are one operation if the inputs that `key` names
//! are the same.
//!
//! # Features
//! `sqlite` and `cli` are default features. `postgres` and `redis` add stores, `postgres-tls` and `redis-tls` reach them
//! over TLS, and `mcp` adds the MCP server. `oauth` accepts access tokens, and `tls` lets `serve` speak https. `bytes`,
//! `chrono`, `jiff`, `rust_decimal`, `time`, `url` and `uuid` let endpoints take and return the types of those crates.
//! `prometheus` exports the metrics that [`idempotency`] explains.

mod app;
mod causes;
pub mod clock;
#[cfg(feature = "cli")]
mod console;
mod endpoint;
pub mod events;
mod fail_point;
pub mod formats;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod idempotency;
mod input;
mod limit;
mod manifest;
mod meter;
mod pipeline;
mod problem;
mod protocol;
mod record;
mod schema;
pub mod store;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
pub mod testing;
mod transaction;
mod upkeep;

pub use app::{App, Config, Host, SettingName, StartError, StartProblem};
pub use endpoint::Endpoints;
pub use endpoint::call::Call;
pub use idempotency::effect::Effect;
pub use idempotency::machine::Settings;
pub use input::{Expected, SearchParam, SearchParams};
pub use manifest::info::Info;
/// Turns an enum into the documented errors of an endpoint: a status and a sentence for each variant.
///
/// The sentence is the variant's doc comment or `#[operator(detail = "…")]`; `{field}` in the sentence shows a field.
/// `#[operator(status = 404)]` sets the variant's status, which is 400 by default. `#[operator(retryable)]` says that
/// the handler has changed nothing, so the operation is released and a retry runs again. `#[operator(internal)]` logs
/// the variant's single field and never sends it to the caller. So does `#[operator(unknown)]`, for an operation that
/// may have taken effect in another system; [`Error::unknown`] says what happens then, and when to use it.
///
/// ```
/// use operator_runtime::{Error, OperatorError};
///
/// #[derive(OperatorError)]
/// enum RefundError {
///     /// There is no order {order_id}. Ask for the number on the receipt.
///     #[operator(status = 404)]
///     NoSuchOrder { order_id: u64 },
///     /// The payment provider is not available at the moment.
///     #[operator(status = 503, retryable)]
///     ProviderAway,
///     /// The payment provider took the request, and then the connection broke.
///     #[operator(unknown)]
///     ProviderSilent(std::io::Error),
///     #[operator(internal)]
///     Disk(std::io::Error),
/// }
///
/// let error = Error::from(RefundError::NoSuchOrder { order_id: 7 });
/// assert_eq!(error.status(), 404);
/// assert_eq!(error.detail(), "There is no order 7. Ask for the number on the receipt.");
/// # let broken = || std::io::Error::from(std::io::ErrorKind::Other);
/// # let _ = (RefundError::ProviderAway, RefundError::ProviderSilent(broken()), RefundError::Disk(broken()));
/// ```
pub use operator_macros::OperatorError;
/// Lets an enum of unit variants, or a struct with one field, be an input of a GET: the value is one string.
///
/// serde's `rename` and `rename_all` are honoured, and so is `#[operator(rename = "…")]`; doc comments describe the
/// variants.
///
/// ```
/// use operator_runtime::SearchParam;
///
/// #[derive(Debug, PartialEq, SearchParam)]
/// #[serde(rename_all = "kebab-case")]
/// enum Shipping {
///     /// By the next working day.
///     NextDay,
///     /// Within a week.
///     Standard,
/// }
///
/// assert_eq!(Shipping::from_text("next-day").ok(), Some(Shipping::NextDay));
/// ```
pub use operator_macros::SearchParam;
/// Lets a GET take a struct with named fields through `#[operator(flatten)]`. The type of each field must be a single
/// search parameter; if it is not, the compiler reports the error at the field's type.
/// [`SearchParams`](trait@SearchParams) has an example.
pub use operator_macros::SearchParams;
/// Turns an async function into an endpoint: `#[operator_api(METHOD, "/path", option, …)]`.
///
/// | part | meaning | default |
/// |---|---|---|
/// | `GET` / `POST` | the method: inputs are URL search parameters (GET) or the fields of one JSON object (POST) | required |
/// | `"/path"` | fixed path below the public URL | `"/"` and the name |
/// | `name = "…"` | the name by which the agent refers to the endpoint | the function's name |
/// | `read_only` | a POST that changes nothing, so that no record is kept | a GET is always read-only |
/// | `effect = at_most_once` / `rerunnable` | what a retry may do when the outcome is unknown | `at_most_once`; transactional with a [`Tx`] |
/// | `key(a, b)` | the inputs that identify an operation if the caller sends no idempotency key | the caller must send a key |
/// | `timeout = "30s"` | the longest time that the handler may run | 60 s |
/// | `scope = "…"` | the scope that an OAuth access token needs | `operator:read` if the endpoint only reads, else `operator:act` |
/// | `tag = "…"` | the heading of the endpoint in the OpenAPI document | the name of the module |
/// | `errors(…)` | further documented error types | the `E` of the return type |
/// | `crate = "…"` | the path of this crate, if the dependency has another name or another crate re-exports it | `::operator_runtime` |
///
/// Options of an input, in `#[operator(…)]` before the argument: `default`, `default = …`; `min`, `max`,
/// `exclusive_min`, `exclusive_max`, `multiple_of` for numbers; `min_length`, `max_length`, `pattern`, `format` for
/// strings; `min_items`, `max_items`, `unique_items` for lists; `example = …`, `rename = "…"`, `flatten` (in a GET, for
/// a struct that derives [`SearchParams`]), `lenient` (in a POST: the schema describes the input, but its type alone
/// decides which values are accepted, so that it may have a `#[serde(alias)]`), `secret` (the audit shows `"(secret)"`
/// in place of the value; see [`operator_secrets`]), `allow(lint)`. With `extract`, the
/// argument is not an input but the value of an axum extractor.
///
/// Options of the function, in `#[operator(…)]` between this attribute and the function: `allow(lint)`, and for each limit
/// `limit(sum = amount_cents, max = 10_000, per = order_id, within = "24h")` or `limit(calls = 20, within = "1h")`.
///
/// | part of a limit | meaning |
/// |---|---|
/// | `calls = 20` | at most this many operations |
/// | `sum = amount_cents, max = 10_000` | the sum of an input, which is an unsigned integer and not secret: at most 2⁵³ − 1 |
/// | `per = order_id`, `per(order_id, reason)` | counted separately for each value of these inputs; otherwise for the endpoint |
/// | `within = "24h"` | for how long an operation counts: 1 s to 31 days, in `s`, `m`, `h` or `d` |
///
/// What an operation has reserved ends with its window, even while its handler runs. So a window that is shorter than the
/// endpoint's `timeout` does not bound what takes effect at the same time.
///
/// An input in `per` is an integer, a boolean, a `String`, a UUID, a date, an IPv4 address, an enum of texts, or an `Option`
/// of one of them, and is not `lenient`. Start-up refuses the others: the same price can be written as `1.0` and as `1.00`,
/// and a caller that varies the spelling would be under the limit each time. Name an id instead. A `String` counts as it is
/// written, also if `A` and `a` mean the same to the handler. So does any type whose schema is that of a text, because the
/// schema does not say what the type makes of the text: do not name a type that reads several spellings as one value, such
/// as `SocketAddr`, or one with `#[serde(try_from = "String")]` that converts to lower case.
///
/// Each tenant has limits of its own. The module [`idempotency`] says what counts, and the log and the caller are told when
/// a call is over a limit.
///
/// A description may also be made by a macro that expands to a string literal: `#[doc = include_str!("orders.md")]`,
/// `#[doc = concat!("Counts ", stringify!($what), ".")]`. So `macro_rules!` macros can make endpoints.
///
/// To leave an endpoint out of some builds, put `#[cfg(…)]` on the function. With `#[cfg_attr(…, operator_api(…))]` the
/// function would remain in those builds, and without the macro rustc refuses the doc comments and options of its
/// arguments.
///
/// Give an enum with several variants a tag (`#[serde(tag = "…")]`). The tag says which variant is meant, so messages
/// about wrong inputs are exact. serde tries the variants of an untagged enum one after the other. If two variants
/// contain the enum itself in a field of the same name, the time to read a value can double with each level of nesting.
/// A value for which this would take too long is refused with 400, even if serde could read it: in such an enum, values
/// of about ten levels are refused. The same holds for a long value of a type that contains itself beside a
/// `#[serde(flatten)]` of an enum or a map, because serde copies what is inside at each level. Both are found in the schema
/// that schemars derives. Two kinds of recursive types are not found in the schema, so do not use them: a type in which a
/// flattened struct has a flattened field itself or follows another flattened field, and an untagged enum whose schema you
/// have written yourself, as for `lenient`.
///
/// An answer implements `Serialize + JsonSchema`. A handler returns the answer itself, or a `Result` whose error
/// converts into an [`Error`]. A mistake that the macro can see is a compile error that says what to write instead;
/// start-up refuses the others.
///
/// ```
/// use operator_runtime::{Call, Error, operator_api};
///
/// /// Sends a customer a message.
/// ///
/// /// Use it once the customer has agreed to its text.
/// #[operator_api(POST, "/messages", timeout = "20s")]
/// async fn send_message(
///     call: &Call,
///     /// The customer's e-mail address.
///     #[operator(format = "email", example = "ana@example.com")]
///     email: String,
///     /// The text of the message, in the customer's language.
///     #[operator(min_length = 1, max_length = 2000)]
///     message: String,
/// ) -> Result<String, Error> {
///     // The key is the same on each retry, so that a provider can tell a retry from a second message.
///     let key = call.idempotency_key();
///     Ok(format!("Sent to {email} as {key}: {message}"))
/// }
/// # fn main() {}
/// ```
pub use operator_macros::operator_api;
/// Turns an async function into a handler of one type of event: `#[operator_event("conversation.setup", option, …)]`.
///
/// | part | meaning | default |
/// |---|---|---|
/// | `"conversation.setup"` | the type of the events: one that this version knows | required |
/// | `custom = "…"` | instead: a type that this version does not know | |
/// | `effect = at_most_once` / `rerunnable` | what a retry may do when the outcome is unknown | `rerunnable` for `conversation.setup`, otherwise `at_most_once`; transactional with a [`Tx`] |
/// | `timeout = "30s"` | the longest time that the handler may run | 3 s for `conversation.setup`, otherwise 60 s |
/// | `crate = "…"` | the path of this crate, as for [`operator_api`] | `::operator_runtime` |
///
/// A borrowed argument comes from the app, as for an endpoint, and `&Event` is the [event](events::Event). One argument
/// may be owned: the payload, a type of [`events`] or any `DeserializeOwned` type. A payload has no schema, so its type must
/// not contain an untagged enum that contains itself: a nested payload could take very long. The module [`events`] has an
/// example.
pub use operator_macros::operator_event;
/// Marks fields of a type that the audit must not show: it shows `"(secret)"` in their place, wherever the type is used
/// in an input or an answer. The caller still gets the value.
///
/// Write it above the derives of the type, which must include `JsonSchema`. An argument is marked by
/// `#[operator(secret)]` alone. If an endpoint has secret inputs, the audit also leaves out the sentences of refusals and
/// failures, because a sentence may quote a value. A part that no schema describes, such as a field by its serde alias or a
/// text where an object is expected, is `"(secret)"` too if the type around it has secret fields. The payload of an event
/// has no schema, so the audit shows all of it. The runtime logs neither inputs nor answers.
///
/// ```
/// use operator_runtime::{Error, operator_api, operator_secrets};
///
/// /// Where the money goes.
/// #[operator_secrets]
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Payout {
///     amount_cents: u32,
///     #[operator(secret)]
///     iban: String,
/// }
///
/// /// Pays a customer out. Use it once the customer has said where to.
/// #[operator_api(POST, "/payouts")]
/// async fn pay_out(
///     /// The amount, in cents.
///     amount_cents: u32,
///     /// The customer's account.
///     #[operator(secret)]
///     iban: String,
/// ) -> Result<Payout, Error> {
///     Ok(Payout { amount_cents, iban })
/// }
/// # fn main() {}
/// ```
///
/// A mark that would have no effect does not compile:
///
/// ```compile_fail
/// #[derive(schemars::JsonSchema)]
/// #[operator_runtime::operator_secrets]
/// struct Payout {
///     #[operator(secret)]
///     iban: String,
/// }
/// ```
pub use operator_macros::operator_secrets;
pub use pipeline::rate::{NotARate, Rate};
pub use problem::Error;
pub use protocol::trace_parent::{NotATraceParent, TraceParent};
#[cfg(feature = "postgres")]
pub use store::Postgres;
#[cfg(feature = "sqlite")]
pub use store::{ReadError, Sqlite};
pub use transaction::{Database, Reader, Tx};

// These crates have types in public signatures. They are exported so that a program can use the same versions.
// `serde_json` and `serde` are not exported: they also export a `String` and an `Option`, so rustc would write
// `std::string::String` instead of `String` in every error about an endpoint.
#[cfg(feature = "sqlite")]
pub use rusqlite;
#[cfg(feature = "postgres")]
pub use tokio_postgres;
pub use {axum, bytes, http, http_body, schemars, tower, tracing};

/// Lists the endpoints that an app serves, instead of all linked ones, for [`App::only`].
///
/// ```no_run
/// use operator_runtime::{App, endpoints, operator_api};
///
/// /// Says whether the shop is open. Use it before a visit is promised.
/// #[operator_api(GET, "/open")]
/// async fn is_open() -> bool {
///     true
/// }
///
/// let app = App::new().only(endpoints![is_open]);
/// ```
#[macro_export]
macro_rules! endpoints {
    ($($functions:tt)*) => {
        $crate::__private::endpoints!($crate; $($functions)*)
    };
}

/// An [`Info`] with the name, version, description, licence, first author and homepage of the package in
/// which the macro is written.
#[macro_export]
macro_rules! info {
    () => {
        $crate::Info::of_package(
            ::core::option_env!("CARGO_PKG_NAME"),
            ::core::option_env!("CARGO_PKG_VERSION"),
            ::core::option_env!("CARGO_PKG_DESCRIPTION"),
            ::core::option_env!("CARGO_PKG_LICENSE"),
            ::core::option_env!("CARGO_PKG_AUTHORS"),
            ::core::option_env!("CARGO_PKG_HOMEPAGE"),
        )
    };
}

/// The traits that the types in an endpoint's signature must implement; the compiler names them when a type does not
/// fit.
///
/// User code neither implements nor names these traits: each is implemented for every type that has the usual traits,
/// which the trait's documentation lists.
pub mod requirements {
    pub use crate::endpoint::event::{ContextOutput, EventOutput, EventPayload};
    pub use crate::endpoint::extract::ExtractedArgument;
    pub use crate::endpoint::invocation::TransactionArgument;
    pub use crate::endpoint::output::{AnswerBytes, HandlerError, HandlerOutput};
    pub use crate::endpoint::state::AppState;
    pub use crate::input::{
        FlattenInput, FlattenSearch, JsonInput, ListInput, NumberInput, SchemaValue, SearchInput, SearchParams,
        SummedInput, TextInput,
    };
    pub use crate::problem::{DocumentedError, ShownField};
}

/// Items that generated code uses. They may change in any version.
#[doc(hidden)]
pub mod __private {
    pub use std::boxed::Box as Boxed;

    pub use core::option::Option::{None, Some};
    pub use core::result::Result::Ok;

    pub use inventory::submit;
    pub use operator_macros::endpoints;
    pub use schemars::Schema;
    pub use serde::de::IgnoredAny;

    pub use crate::endpoint::event::EventHandler;
    pub use crate::endpoint::invocation::Invocation;
    pub use crate::endpoint::need::Need;
    pub use crate::endpoint::output::{Returned, answering};
    pub use crate::endpoint::state::Lent;
    pub use crate::endpoint::{Endpoint, EndpointLimits, InputKey, Source, chosen, identity};
    pub use crate::idempotency::effect::Effect;
    pub use crate::input::{
        Constraint, Expected, Input, Lists, Newtype, Number, Numbers, Range, SearchParam, Shown, Takes, Texts, Variant,
        choices, choose,
    };
    pub use crate::limit::{Counted, Limit};
    pub use crate::problem::{Error, ProblemSpec, problem};
    pub use crate::protocol::method::Method;
    pub use crate::requirements::*;

    /// The fields of the events that this version knows, for documents.
    pub mod event_fields {
        pub use crate::events::described::{CONVERSATION_ENDED, CONVERSATION_SETUP, CUSTOM, CUSTOM_FIELDS_UPDATED};
    }

    /// Traits whose methods apply if a type has no inherent method of the same name. They are imported as `_`, so that
    /// no trait shadows a name in the user's code.
    pub mod fallbacks {
        pub use crate::endpoint::output::{PlainOutput as _, PlainSchema as _, UndocumentedError as _};
        pub use crate::endpoint::state::NotLent as _;
        pub use crate::input::AnyShown as _;
    }

    /// The `timeout` of an endpoint.
    #[must_use]
    pub const fn milliseconds(milliseconds: u64) -> core::time::Duration {
        core::time::Duration::from_millis(milliseconds)
    }
}
