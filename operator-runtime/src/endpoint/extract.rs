//! `#[operator(extract)]`: arguments that an axum extractor makes from the request's head.

use std::any::Any;

use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::request::Parts;

use super::invocation::Invocation;
use super::need::{Extracting, Need};
use crate::problem::Error;

/// The type of an argument with `#[operator(extract)]`: any axum `FromRequestParts<()>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be extracted from a request",
    label = "must be an axum `FromRequestParts<()>`",
    note = "`#[operator(extract)]` needs a type that implements axum's `FromRequestParts<()>`: implement it, or remove `extract` to make the argument an input; borrow app state as `&T` instead of `State<T>`, and take the fields of a body as arguments instead of `Json<T>`"
)]
pub trait ExtractedArgument: Sized {
    /// Tells the app that the endpoint has this extractor.
    #[doc(hidden)]
    const NEED: Need;

    /// Returns the value that was extracted from the head of this request.
    ///
    /// # Errors
    /// 500 if the value was not extracted before the handler was called.
    #[doc(hidden)]
    fn extracted(invocation: &mut Invocation) -> Result<Self, Error>;
}

#[diagnostic::do_not_recommend]
impl<T: FromRequestParts<()> + Send + 'static> ExtractedArgument for T {
    const NEED: Need = Need::extracted::<T>(extract::<T>);

    fn extracted(invocation: &mut Invocation) -> Result<Self, Error> {
        invocation.extracted()
    }
}

/// Runs the extractor. The caller gets the status of a rejection, but not its text.
fn extract<T: FromRequestParts<()> + Send + 'static>(parts: &mut Parts) -> Extracting<'_> {
    Box::pin(async move {
        match T::from_request_parts(parts, &()).await {
            Ok(value) => Ok(Box::new(value) as Box<dyn Any + Send>),
            Err(rejection) => {
                let status = rejection.into_response().status();
                Err(Error::rejected(status.as_u16(), std::any::type_name::<T>()))
            }
        }
    })
}
