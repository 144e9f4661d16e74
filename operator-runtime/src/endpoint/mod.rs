//! An endpoint as the macro describes it: static data, and one type-erased function that runs the handler.

pub(crate) mod arguments;
pub(crate) mod call;
mod compound_keys;
pub(crate) mod event;
pub(crate) mod extract;
pub(crate) mod invocation;
pub(crate) mod need;
pub(crate) mod output;
pub(crate) mod state;
pub(crate) mod states;

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use self::invocation::{Invocation, TransactionSlot};
use self::need::Need;
use self::output::AnswerBytes;
use crate::idempotency::effect::Effect;
use crate::input::Input;
use crate::limit::Limit;
use crate::problem::{Error, ProblemSpec};
use crate::protocol::method::Method;

/// A handler's future, in one allocation.
pub(crate) type Running<'t> = Pin<Box<dyn Future<Output = Result<AnswerBytes, Error>> + Send + 't>>;

/// Everything that is known about an endpoint at compile time.
#[derive(Debug)]
pub struct Endpoint {
    /// The name by which the agent refers to the endpoint.
    pub name: &'static str,
    /// The function's whole doc comment.
    pub description: &'static str,
    /// Whether the endpoint is deprecated.
    pub deprecated: bool,
    /// The HTTP method that the endpoint answers.
    pub method: Method,
    /// The path below the public URL.
    pub path: &'static str,
    /// What the handler changes, which decides what a retry may do.
    pub effect: Effect,
    /// What identifies the operation of a caller that sends no idempotency key, if the attribute says so.
    pub key: Option<InputKey>,
    /// How often, or for how much, the endpoint may act, if the attribute says so.
    pub limits: Option<EndpointLimits>,
    /// The handler's own time limit, if the attribute sets one.
    pub timeout: Option<Duration>,
    /// The scope that an access token needs, if the attribute sets one.
    pub scope: Option<&'static str>,
    /// The heading of the endpoint in the OpenAPI document, if the attribute sets one.
    pub tag: Option<&'static str>,
    /// The arguments that the caller sends.
    pub inputs: &'static [Input],
    /// The arguments that the app provides.
    pub needs: &'static [Need],
    /// The schema of the answer.
    pub output: fn() -> schemars::Schema,
    /// The problems of the error types that the endpoint documents.
    pub problems: &'static [fn() -> &'static [ProblemSpec]],
    /// The identity of the endpoint's function, for `App::only`.
    pub function: Identity,
    /// The lints that the author has turned off with `#[operator(allow(…))]`.
    pub allowed: &'static [&'static str],
    /// Where the endpoint is defined.
    pub source: Source,
    /// Decodes the inputs and calls the function.
    pub run: for<'t> fn(&'t mut Invocation, TransactionSlot<'t>) -> Result<Running<'t>, Error>,
}

/// The inputs that identify an operation, for callers that send no idempotency key.
#[derive(Debug)]
pub struct InputKey {
    /// The names of the inputs on the wire.
    pub inputs: &'static [&'static str],
    /// Decodes every input of the endpoint, so that a call with a wrong input is refused before it is recorded.
    pub decode: fn(&Invocation) -> Result<(), Error>,
}

/// The limits of an endpoint.
#[derive(Debug)]
pub struct EndpointLimits {
    /// The limits, all of which apply to each call.
    pub limits: &'static [Limit],
    /// Decodes every input of the endpoint, and returns how much the call asks of each limit.
    pub amounts: fn(&Invocation) -> Result<Box<[u64]>, Error>,
}

impl Endpoint {
    /// The scope that an access token needs to call the endpoint.
    pub(crate) fn scope(&self) -> &'static str {
        self.scope.unwrap_or(if self.effect.is_recorded() {
            "operator:act"
        } else {
            "operator:read"
        })
    }
}

/// Where an endpoint is defined.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The file's path, as it was passed to the compiler.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The module's path, starting with the crate.
    pub module: &'static str,
}

impl Source {
    /// The location of the caller, which is in `module`.
    #[must_use]
    #[track_caller]
    pub const fn here(module: &'static str) -> Self {
        let caller = Location::caller();
        Self {
            file: caller.file(),
            line: caller.line(),
            module,
        }
    }

    /// The crate that the endpoint is in.
    #[must_use]
    pub fn crate_name(&self) -> &'static str {
        self.module.split("::").next().unwrap_or(self.module)
    }

    /// The innermost module that the endpoint is in.
    pub(crate) fn module_name(&self) -> &'static str {
        let name = self.module.rsplit("::").next().unwrap_or(self.module);
        name.strip_prefix("r#").unwrap_or(name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Returns the type id of a function item, which identifies the function.
pub(crate) type Identity = fn() -> TypeId;

/// Returns the identity of a function item. The identity does not depend on the name under which the function was
/// imported. This is a `const fn`, so that the macro need not generate a function for each endpoint.
#[must_use]
pub const fn identity<F: 'static>(function: F) -> Identity {
    // `forget` is needed because a `const fn` cannot drop a generic value. A function item has nothing to drop.
    std::mem::forget(function);
    TypeId::of::<F>
}

/// A list of endpoints, made by [`endpoints!`](crate::endpoints) for `App::only`.
///
/// Lists are joined by `extend` and by `collect`:
///
/// ```
/// use operator_runtime::{App, Endpoints, endpoints, operator_api};
///
/// /// Says whether the shop ships abroad. Use it before a delivery is promised.
/// #[operator_api(GET, "/ships-abroad")]
/// async fn ships_abroad() -> bool {
///     true
/// }
///
/// /// Says when the shop opens next. Use it when it is closed.
/// #[operator_api(GET, "/opens")]
/// async fn opens_at() -> String {
///     "08:00".to_owned()
/// }
///
/// # fn main() {
/// let app = App::new().only([endpoints![ships_abroad], endpoints![opens_at]].into_iter().collect());
/// let mut list = endpoints![ships_abroad];
/// list.extend([endpoints![opens_at]]);
/// # let _ = (app, list);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Endpoints(pub(crate) Vec<(TypeId, &'static str)>);

impl Extend<Self> for Endpoints {
    fn extend<L: IntoIterator<Item = Self>>(&mut self, lists: L) {
        self.0.extend(lists.into_iter().flat_map(|list| list.0));
    }
}

impl FromIterator<Self> for Endpoints {
    fn from_iter<L: IntoIterator<Item = Self>>(lists: L) -> Self {
        let mut joined = Self(Vec::new());
        joined.extend(lists);
        joined
    }
}

/// Used by [`endpoints!`](crate::endpoints).
#[must_use]
pub fn chosen<const N: usize>(functions: [(Identity, &'static str); N]) -> Endpoints {
    Endpoints(functions.map(|(identity, name)| (identity(), name)).into())
}

inventory::collect!(&'static Endpoint);
