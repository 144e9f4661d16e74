//! Expands the limits of an endpoint into static data, and into a function that returns the amount that a call counts
//! toward each limit.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{decodes, inputs, nested};
use crate::endpoint::limit::Limit;
use crate::endpoint::model::Endpoint;
use crate::span;

pub(super) fn limits(endpoint: &Endpoint) -> TokenStream {
    if endpoint.limits.is_empty() {
        return quote!(__operator::None);
    }
    let limits = endpoint.limits.iter().map(described);
    let amounts = endpoint.limits.iter().map(|limit| amount(endpoint, limit));
    let values: Vec<_> = (0..inputs(&endpoint.arguments).count())
        .map(|index| {
            let value = format_ident!("__operator_input_{index}");
            quote!(#value)
        })
        .collect();
    let (values, decodes) = (nested(&values), decodes(endpoint));
    quote! {
        __operator::Some(__operator::EndpointLimits {
            limits: &[#(#limits),*],
            amounts: |__operator_call| {
                let #values = __operator::Invocation::arguments(__operator_call, |__operator_inputs| #decodes)?;
                __operator::Ok(__operator::Boxed::new([#(#amounts),*]))
            },
        })
    }
}

fn described(limit: &Limit) -> TokenStream {
    let Limit {
        sum,
        max,
        per,
        window_ms,
    } = limit;
    let counted = match sum {
        None => quote!(Calls),
        Some((name, _)) => quote!(Sum(#name)),
    };
    quote! {
        __operator::Limit {
            counted: __operator::Counted::#counted,
            max: #max,
            per: &[#(#per),*],
            window: __operator::milliseconds(#window_ms),
        }
    }
}

/// The expression for the amount that a call counts: the value of the input that `sum` names, or 1. If that input is
/// not an unsigned integer, rustc's error points at its name in `sum`.
fn amount(endpoint: &Endpoint, limit: &Limit) -> TokenStream {
    let summed = limit.sum.as_ref().and_then(|(name, place)| {
        let (index, input) = inputs(&endpoint.arguments)
            .enumerate()
            .find(|(_, input)| input.name == *name)?;
        let value = format_ident!("__operator_input_{index}");
        let ty = span::moved(&input.ty, place.span());
        Some(quote!(<#ty as __operator::SummedInput>::amount(&#value)))
    });
    summed.unwrap_or_else(|| quote!(1))
}
