//! Signed, idempotent, described HTTP endpoints for an AI support agent.
//!
//! An ordinary async function with [`#[operator_api]`](operator_api) is an endpoint: its arguments are the inputs, its
//! doc comments the descriptions, its return type the answer. Calls are verified before anything else, carried out once
//! however often they are retried, and described to the agent by a manifest.
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
//! // A program says `App::new().state(…).run().await`; a test calls in process.
//! let app = App::new().state(Shelf([("teapot".to_owned(), 3)].into()));
//! let client = Client::new(app).await.unwrap();
//! assert_eq!(client.call("stock", &json!({ "product": "teapot" })).await.body, json!(3));
//! assert_eq!(client.call("stock", &json!({ "product": "kettle" })).await.status, 404);
//! # }
//! ```
//!
//! # Three rules
//! 1. **An owned argument is an input.** Its name, type and doc comment are its specification.
//! 2. **A borrowed argument is the app's.** `&T` is the value given to [`App::state`], [`&Call`](Call) the call itself,
//!    [`&mut Tx<…>`](Tx) the transaction that the call's record commits with, [`&Reader<…>`](Reader) reads beside it.
//! 3. **The function stays an ordinary function.** It can be called and tested as it stands.
//!
//! # MCP
//! With the feature `mcp` every endpoint is a tool of the Model Context Protocol too, carried out as a signed call is:
//! checked, recorded, once. The program's command `mcp` is a server over standard input and output for who starts it;
//! where `OPERATOR_MCP_TOKENS` is set, clients with one of those bearer tokens are answered at `/mcp`, over streamable
//! HTTP. Each `tools/call` is an operation of its own, unless the client names one in the request's `_meta`, as
//! `operator/idempotency-key`: calls with one key are one operation.
//!
//! # Features
//! `sqlite` and `cli` are on unless turned off; `postgres` and `redis` are further stores; `mcp` is above; `bytes`,
//! `chrono`, `jiff`, `rust_decimal`, `time`, `url` and `uuid` make those crates' types inputs and outputs; `prometheus`
//! exports the figures that [`idempotency`] explains.

mod app;
mod causes;
pub mod clock;
#[cfg(feature = "cli")]
mod console;
mod endpoint;
mod fail_point;
pub mod formats;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod idempotency;
mod input;
mod manifest;
mod meter;
mod pipeline;
mod problem;
mod protocol;
mod record;
mod schema;
pub mod store;
pub mod testing;
mod transaction;
mod upkeep;

pub use app::{App, Config, SettingName, StartError, StartProblem};
pub use endpoint::Endpoints;
pub use endpoint::call::Call;
pub use idempotency::effect::Effect;
pub use idempotency::machine::Settings;
pub use input::{Expected, SearchParam, SearchParams};
/// Makes an enum the documented errors of an endpoint: a status and a sentence for each variant.
///
/// The sentence is the doc comment or `#[operator(detail = "…")]`; `{field}` in it shows a field. `#[operator(status =
/// 404)]` is its status, 400 unless set; `#[operator(retryable)]` says that nothing has happened, so that the operation
/// is released for another try; `#[operator(internal)]` logs the variant's one field and never sends it.
///
/// ```
/// use operator_runtime::{Error, OperatorError};
///
/// #[derive(OperatorError)]
/// enum RefundError {
///     /// There is no order {order_id}. Ask for the number on the receipt.
///     #[operator(status = 404)]
///     NoSuchOrder { order_id: u64 },
///     /// The payment provider is not there at the moment.
///     #[operator(status = 503, retryable)]
///     ProviderAway,
///     #[operator(internal)]
///     Disk(std::io::Error),
/// }
///
/// let error = Error::from(RefundError::NoSuchOrder { order_id: 7 });
/// assert_eq!(error.status(), 404);
/// assert_eq!(error.detail(), "There is no order 7. Ask for the number on the receipt.");
/// # let _ = (RefundError::ProviderAway, RefundError::Disk(std::io::ErrorKind::Other.into()));
/// ```
pub use operator_macros::OperatorError;
/// Lets an enum of unit variants, or a struct of one field, be an input of a GET: one text.
///
/// serde's `rename` and `rename_all` are honoured, and `#[operator(rename = "…")]`; doc comments describe the variants.
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
/// Lets a struct of named fields stand in a GET by `#[operator(flatten)]`: each field is asked whether it is one text, at
/// its type. [`SearchParams`](trait@SearchParams) shows one.
pub use operator_macros::SearchParams;
/// Names the endpoints that an app serves, instead of all that are linked, for [`App::only`].
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
pub use operator_macros::endpoints;
/// Makes an async function an endpoint: `#[operator_api(METHOD, "/path", option, …)]`.
///
/// | part | meaning | unless given |
/// |---|---|---|
/// | `GET` / `POST` | the method: inputs are URL search parameters, or the fields of one JSON object | required |
/// | `"/path"` | fixed path below the public URL | `"/"` and the name |
/// | `name = "…"` | how the agent refers to it | the function's name |
/// | `read_only` | a POST that changes nothing: no record | a GET is read-only always |
/// | `effect = at_most_once` / `rerunnable` | what a retry may do when the outcome is unknown | `at_most_once`; transactional with a [`Tx`] |
/// | `timeout = "30s"` | the longest the handler may run | 60 s |
/// | `errors(…)` | further documented error types | the `E` of the return type |
///
/// Options of an input, in `#[operator(…)]` before it: `default`, `default = …`; `min`, `max`, `exclusive_min`,
/// `exclusive_max`, `multiple_of` on numbers; `min_length`, `max_length`, `pattern`, `format` on text; `min_items`,
/// `max_items`, `unique_items` on lists; `example = …`, `rename = "…"`, `flatten` (in a GET of a struct that derives
/// [`SearchParams`]), `allow(lint)`. `extract` makes an argument an axum extractor's value instead.
///
/// Answers are `Serialize + JsonSchema`, alone or in a `Result` whose error becomes an [`Error`]. Every mistake is a
/// compile error that says what to write instead.
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
///     /// Where to.
///     #[operator(format = "email", example = "ana@example.com")]
///     email: String,
///     /// What it says, in the customer's language.
///     #[operator(min_length = 1, max_length = 2000)]
///     message: String,
/// ) -> Result<String, Error> {
///     // The same on each retry, so that a provider can tell a retry from a second wish.
///     let key = call.idempotency_key();
///     Ok(format!("Sent to {email} as {key}: {message}"))
/// }
/// # fn main() {}
/// ```
pub use operator_macros::operator_api;
pub use problem::Error;
#[cfg(feature = "postgres")]
pub use store::Postgres;
#[cfg(feature = "sqlite")]
pub use store::{ReadError, Sqlite};
pub use transaction::{Database, Reader, Tx};

// The crates whose types are in signatures, so that a program can name the version that this one was built with.
#[cfg(feature = "sqlite")]
pub use rusqlite;
#[cfg(feature = "postgres")]
pub use tokio_postgres;
pub use {axum, bytes, http, http_body, schemars, serde_json, tower};

/// What an endpoint asks of the types in its signature: the traits that the compiler names where one does not fit.
///
/// Nobody implements or names these; each holds for every type with the usual traits, which its documentation names.
pub mod requirements {
    pub use crate::endpoint::extract::ExtractedArgument;
    pub use crate::endpoint::invocation::TransactionArgument;
    pub use crate::endpoint::output::{AnswerBytes, HandlerError, HandlerOutput};
    pub use crate::endpoint::state::AppState;
    pub use crate::input::{
        FlattenInput, FlattenSearch, JsonInput, ListInput, NumberInput, SchemaValue, SearchInput, SearchParams,
        TextInput,
    };
    pub use crate::problem::{DocumentedError, ShownField};
}

/// What generated code calls. Nothing here is promised from one version to the next.
#[doc(hidden)]
pub mod __private {
    pub use std::boxed::Box as Boxed;

    pub use core::option::Option::{None, Some};
    pub use core::result::Result::Ok;

    pub use inventory::submit;
    pub use schemars::Schema;

    pub use crate::endpoint::need::Need;
    pub use crate::endpoint::output::{Returned, answering};
    pub use crate::endpoint::state::Lent;
    pub use crate::endpoint::{Endpoint, Source, chosen, identity};
    pub use crate::idempotency::effect::Effect;
    pub use crate::input::{
        Constraint, Expected, Input, Lists, Number, Numbers, Range, Shown, Takes, Texts, Variant, choices, choose,
    };
    pub use crate::problem::{ProblemSpec, problem};
    pub use crate::protocol::method::Method;
    pub use crate::requirements::*;

    /// Traits whose methods are found where a type has none of its own. Imported together, and without names, so that
    /// none hides a name of the user's.
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
