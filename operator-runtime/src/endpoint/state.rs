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
    /// How the app learns that it is needed.
    #[doc(hidden)]
    const NEED: Need;

    /// The value.
    ///
    /// # Errors
    /// 500 where nobody registered it, which start-up refuses.
    #[doc(hidden)]
    fn borrowed(invocation: &Invocation) -> Result<&Self, Error>;

    /// The value as the app keeps it.
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

    fn shared(self) -> (TypeId, Arc<dyn Any + Send + Sync>) {
        (TypeId::of::<T>(), Arc::new(self))
    }
}

/// Generated code passes its handler's future through this: as it is where calls can share a `T`, else as one that is
/// always `Send`, so that rustc does not say of the future again what it has said of the type.
#[derive(Debug)]
pub struct Lent<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Lent<T> {
    /// For a call to `of`.
    pub const VALUE: Self = Self(PhantomData);
}

impl<T: Send + Sync + 'static> Lent<T> {
    /// The future itself.
    #[must_use]
    pub fn of<F>(self, future: F) -> F {
        future
    }
}

/// What is taken where `T` is no [`AppState`]; such a program does not compile.
pub trait NotLent: Sized {
    /// A future of the same output.
    fn of<F: Future>(self, _future: F) -> Pending<F::Output> {
        pending()
    }
}

impl<T: ?Sized> NotLent for Lent<T> {}
