//! The arguments of an endpoint that the app has to provide.

use std::any::{Any, TypeId};
use std::future::Future;
use std::pin::Pin;

use http::request::Parts;

use crate::problem::Error;

/// The future of an extractor; the type of the extracted value is erased.
pub(crate) type Extracting<'p> = Pin<Box<dyn Future<Output = Result<Box<dyn Any + Send>, Error>> + Send + 'p>>;

/// An argument that the app provides.
#[derive(Debug)]
pub struct Need {
    pub(crate) argument: &'static str,
    pub(crate) kind: NeedKind,
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) type_name: fn() -> &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum NeedKind {
    Borrowed,
    Transaction,
    /// Extracted from the request's head before the handler is called.
    Extracted(for<'p> fn(&'p mut Parts) -> Extracting<'p>),
}

impl Need {
    /// Sets the argument's name.
    #[must_use]
    pub const fn named(mut self, argument: &'static str) -> Self {
        self.argument = argument;
        self
    }

    /// A value given to `App::state`, or the call itself.
    pub(crate) const fn borrowed<T: 'static>() -> Self {
        Self::of::<T>(NeedKind::Borrowed)
    }

    /// The transaction that also commits the call's record.
    pub(crate) const fn transaction<T: 'static>() -> Self {
        Self::of::<T>(NeedKind::Transaction)
    }

    /// A value that an axum extractor makes from the request's head.
    pub(crate) const fn extracted<T: 'static>(extract: for<'p> fn(&'p mut Parts) -> Extracting<'p>) -> Self {
        Self::of::<T>(NeedKind::Extracted(extract))
    }

    const fn of<T: 'static>(kind: NeedKind) -> Self {
        Self {
            argument: "",
            kind,
            type_id: TypeId::of::<T>,
            type_name: std::any::type_name::<T>,
        }
    }
}
