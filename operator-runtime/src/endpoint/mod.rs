//! One endpoint as the macro describes it: static data, and one erased function that runs it.

pub(crate) mod arguments;
pub(crate) mod call;
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
use crate::problem::{Error, ProblemSpec};
use crate::protocol::method::Method;

/// A handler's future, of one allocation.
pub(crate) type Running<'t> = Pin<Box<dyn Future<Output = Result<AnswerBytes, Error>> + Send + 't>>;

/// Everything that is known of an endpoint when the program is built.
#[derive(Debug)]
pub struct Endpoint {
    /// How the agent refers to it.
    pub name: &'static str,
    /// The function's documentation, whole.
    pub description: &'static str,
    /// Whether it is there for those only who call it already.
    pub deprecated: bool,
    /// The one method it answers.
    pub method: Method,
    /// The path below the public URL.
    pub path: &'static str,
    /// What a retry may do.
    pub effect: Effect,
    /// The longest the handler may run, where it says so itself.
    pub timeout: Option<Duration>,
    /// What the caller sends.
    pub inputs: &'static [Input],
    /// What the app gives.
    pub needs: &'static [Need],
    /// The schema of the answer.
    pub output: fn() -> schemars::Schema,
    /// The error types it documents.
    pub problems: &'static [fn() -> &'static [ProblemSpec]],
    /// Which function this is.
    pub function: Identity,
    /// The lints that its author has seen and means.
    pub allowed: &'static [&'static str],
    /// Where it is written.
    pub source: Source,
    /// Decodes the inputs and calls the function.
    pub run: for<'t> fn(&'t mut Invocation, TransactionSlot<'t>) -> Result<Running<'t>, Error>,
}

/// Where an endpoint is written.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The module, from the crate's root.
    pub module: &'static str,
}

impl Source {
    /// Where this is called, which is in that module.
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
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Says which function a function item is.
pub(crate) type Identity = fn() -> TypeId;

/// The identity of a function item, whatever it was imported or renamed as. A constant, so that an endpoint
/// needs no function of its own for it.
#[must_use]
pub const fn identity<F: 'static>(function: F) -> Identity {
    // A function item holds nothing that could be dropped, which only a constant has to be told.
    std::mem::forget(function);
    TypeId::of::<F>
}

/// A chosen list of endpoints: what [`endpoints!`](crate::endpoints) makes and `App::only` takes.
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
