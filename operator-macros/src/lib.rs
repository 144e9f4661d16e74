//! The entry points of the macros. The logic is in the modules.
//!
//! `operator_runtime` re-exports the macros and documents them. Use them through `operator_runtime`.

#![allow(
    missing_docs,
    reason = "rustdoc would add a comment here to the documentation in `operator_runtime`"
)]

mod doc;
mod endpoint;
mod endpoints;
mod error;
mod event;
mod function;
mod operator_error;
mod options;
mod runtime;
mod search_param;
mod search_params;
mod secrets;
mod serde_attributes;
mod span;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

#[proc_macro_attribute]
pub fn operator_api(attribute: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::endpoint(attribute.into(), &item.into()).into()
}

#[proc_macro_attribute]
pub fn operator_event(attribute: TokenStream, item: TokenStream) -> TokenStream {
    event::handler(attribute.into(), &item.into()).into()
}

#[proc_macro_attribute]
pub fn operator_secrets(attribute: TokenStream, item: TokenStream) -> TokenStream {
    secrets::secrets(&attribute.into(), item.into()).into()
}

#[proc_macro]
pub fn endpoints(functions: TokenStream) -> TokenStream {
    endpoints::endpoints(functions.into()).into()
}

#[proc_macro_derive(SearchParam, attributes(operator, serde))]
pub fn search_param(item: TokenStream) -> TokenStream {
    search_param::derive(item.into()).into()
}

#[proc_macro_derive(SearchParams, attributes(operator, serde))]
pub fn search_params(item: TokenStream) -> TokenStream {
    search_params::derive(item.into()).into()
}

#[proc_macro_derive(OperatorError, attributes(operator))]
pub fn operator_error(item: TokenStream) -> TokenStream {
    operator_error::derive(item.into()).into()
}
