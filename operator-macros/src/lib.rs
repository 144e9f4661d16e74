//! The entry points of the macros; no logic.
//!
//! Users find them, with their documentation, in `operator_runtime`.

mod derive_options;
mod doc;
mod endpoint;
mod endpoints;
mod error;
mod function;
mod operator_error;
mod search_param;
mod search_params;
mod span;

use proc_macro::TokenStream;

/// Makes an async function an endpoint: `#[operator_api(GET, "/orders/recent")]`.
#[proc_macro_attribute]
pub fn operator_api(attribute: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::endpoint(attribute.into(), &item.into()).into()
}

/// Names the endpoints that an app serves: `endpoints![recent_orders, refunds::refund_order]`.
#[proc_macro]
pub fn endpoints(functions: TokenStream) -> TokenStream {
    endpoints::endpoints(functions.into()).into()
}

/// Lets an enum of unit variants, or a struct of one field, be an input of a GET endpoint.
#[proc_macro_derive(SearchParam, attributes(operator, serde))]
pub fn search_param(item: TokenStream) -> TokenStream {
    search_param::derive(item.into()).into()
}

/// Lets a struct of named fields stand in a GET by `#[operator(flatten)]`: each of them is one text.
#[proc_macro_derive(SearchParams, attributes(operator, serde))]
pub fn search_params(item: TokenStream) -> TokenStream {
    search_params::derive(item.into()).into()
}

/// Makes an enum the documented errors of an endpoint: a status and a sentence for each variant.
#[proc_macro_derive(OperatorError, attributes(operator))]
pub fn operator_error(item: TokenStream) -> TokenStream {
    operator_error::derive(item.into()).into()
}
