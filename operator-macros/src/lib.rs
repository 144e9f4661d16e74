//! The entry points of the macros. The logic is in the modules.
//!
//! `operator_runtime` re-exports the macros together with their documentation. Use them through `operator_runtime`.

mod doc;
mod endpoint;
mod endpoints;
mod error;
mod function;
mod operator_error;
mod options;
mod runtime;
mod search_param;
mod search_params;
mod serde_attributes;
mod span;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes an async function an endpoint: `#[operator_api(GET, "/orders/recent")]`.
#[proc_macro_attribute]
pub fn operator_api(attribute: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::endpoint(attribute.into(), &item.into()).into()
}

/// Lists the endpoints that an app serves, after the path of the runtime: `endpoints![::operator_runtime; recent_orders]`.
#[proc_macro]
pub fn endpoints(functions: TokenStream) -> TokenStream {
    endpoints::endpoints(functions.into()).into()
}

/// Makes an enum of unit variants, or a struct with one field, usable as an input of a GET endpoint.
#[proc_macro_derive(SearchParam, attributes(operator, serde))]
pub fn search_param(item: TokenStream) -> TokenStream {
    search_param::derive(item.into()).into()
}

/// Makes a struct with named fields usable as a `#[operator(flatten)]` argument of a GET endpoint.
#[proc_macro_derive(SearchParams, attributes(operator, serde))]
pub fn search_params(item: TokenStream) -> TokenStream {
    search_params::derive(item.into()).into()
}

/// Makes an enum usable as the error of an endpoint, with a status and a documented detail for each variant.
#[proc_macro_derive(OperatorError, attributes(operator))]
pub fn operator_error(item: TokenStream) -> TokenStream {
    operator_error::derive(item.into()).into()
}
