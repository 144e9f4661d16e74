//! Structs whose fields become the query parameters of a GET. `#[derive(SearchParams)]` checks each field at compile
//! time.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{Decoder, FlattenInput, Input};

/// A struct whose named fields are search parameters, for `#[operator(flatten)]` in a GET.
///
/// Derive it together with `Deserialize` and `JsonSchema`. Each field's type must be a
/// [`SearchParam`](crate::SearchParam) or an `Option` of one. A field that serde reads with custom code
/// (`deserialize_with`) is checked when the program starts.
///
/// ```
/// use operator_runtime::{SearchParams, operator_api};
///
/// /// Which part of a list.
/// #[derive(serde::Deserialize, schemars::JsonSchema, SearchParams)]
/// struct Page {
///     /// How many to return.
///     limit: u8,
///     /// The order to start after.
///     after: Option<u64>,
/// }
///
/// /// Lists a customer's orders, newest first. Use it when one asks where an order is.
/// #[operator_api(GET, "/orders/recent")]
/// async fn recent_orders(#[operator(flatten)] page: Page) -> Vec<u64> {
///     let first = page.after.map_or(1, |after| after + 1);
///     (first..first + u64::from(page.limit)).collect()
/// }
/// ```
pub trait SearchParams {}

/// A type that `#[operator(flatten)]` accepts in a GET: [`SearchParams`] with `DeserializeOwned + JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "the fields of `{Self}` cannot be search parameters",
    label = "must be `SearchParams`",
    note = "derive `SearchParams` for a struct whose named fields are search parameters, `#[derive(serde::Deserialize, schemars::JsonSchema, operator_runtime::SearchParams)]`, or take the struct in a POST"
)]
pub trait FlattenSearch: Sized {
    /// The description of the inputs.
    #[doc(hidden)]
    const INPUT: Input;

    /// Decodes the struct. If a field is wrong, returns `None`, and the decoder remembers the problem.
    #[doc(hidden)]
    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: SearchParams + DeserializeOwned + JsonSchema> FlattenSearch for T {
    const INPUT: Input = <T as FlattenInput>::INPUT;

    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self> {
        <T as FlattenInput>::decode(decoder, index)
    }
}
