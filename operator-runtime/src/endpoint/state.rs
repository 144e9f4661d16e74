//! What a handler may borrow: values given to `App::state`, and the call.

use std::any::{Any, TypeId};
use std::future::{Pending, pending};
use std::marker::PhantomData;
use std::sync::Arc;

use super::invocation::Invocation;
use super::need::Need;
use crate::problem::Error;

/// What a handler may borrow: any value given to `App::state` that threads can share, and the call itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be app state",
    label = "must be `Sized + Send + Sync + 'static`",
    note = "an endpoint borrows app state, the values given to `App::state(…)`, and all calls share it: put values that change into a `Mutex`, use `Arc` instead of `Rc`, and borrow a trait object through its owner, like `&Arc<dyn Clock + Send + Sync>`; borrow a transaction as `&mut Tx<Sqlite>`"
)]
pub trait AppState {
    /// Tells the app that the endpoint needs this value.
    #[doc(hidden)]
    const NEED: Need;

    /// The value.
    ///
    /// # Errors
    /// 500 if no such value was given to `App::state`. Start-up refuses such an app.
    #[doc(hidden)]
    fn borrowed(invocation: &Invocation) -> Result<&Self, Error>;

    /// The type by which endpoints find the value.
    #[doc(hidden)]
    fn id() -> TypeId
    where
        Self: Sized;

    /// The value in the form in which the app stores it.
    #[doc(hidden)]
    fn shared(self) -> (TypeId, Arc<dyn Any + Send + Sync>)
    where
        Self: Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> AppState for T {
    const NEED: Need = Need::borrowed::<T>();

    fn borrowed(invocation: &Invocation) -> Result<&Self, Error> {
        invocation.borrowed()
    }

    fn id() -> TypeId {
        TypeId::of::<T>()
    }

    fn shared(self) -> (TypeId, Arc<dyn Any + Send + Sync>) {
        (TypeId::of::<T>(), Arc::new(self))
    }
}

/// Generated code passes the handler's future through `__operator_of`. If calls can share a `T`, it returns the future
/// unchanged. Otherwise it returns a future that is always `Send`, so that rustc reports only the type and not the
/// future as well.
#[derive(Debug)]
pub struct Lent<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Lent<T> {
    /// The value on whose methods generated code calls `__operator_of`.
    pub const VALUE: Self = Self(PhantomData);
}

impl<T: Send + Sync + 'static> Lent<T> {
    /// The future itself.
    #[must_use]
    pub fn __operator_of<F>(self, future: F) -> F {
        future
    }
}

/// Provides `__operator_of` for a `T` that is not an [`AppState`]. Such a program does not compile.
pub trait NotLent: Sized {
    /// A future with the same output that is always `Send`.
    fn __operator_of<F: Future>(self, _future: F) -> Pending<F::Output> {
        pending()
    }
}

impl<T: ?Sized> NotLent for Lent<T> {}
