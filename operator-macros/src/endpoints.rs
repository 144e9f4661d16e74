//! `endpoints![…]`: a list of endpoints, each identified by its function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Expr, Path, Token};

use crate::error::Errors;
use crate::options::bare;

pub(crate) fn endpoints(tokens: TokenStream) -> TokenStream {
    match parse(tokens) {
        Ok(functions) => expand(&functions),
        // The output is a block, because the macro is used as an expression, and an expression cannot be two items in a
        // row.
        Err(errors) => {
            let errors = errors.to_compile_error();
            let nothing = expand(&[]);
            quote!({ #errors #nothing })
        }
    }
}

fn parse(tokens: TokenStream) -> syn::Result<Vec<Path>> {
    let mut errors = Errors::default();
    let mut functions = Vec::new();
    for listed in Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens)? {
        match bare(&listed) {
            Expr::Path(function) if function.qself.is_none() => functions.push(function.path.clone()),
            other => errors.at(
                other,
                "`endpoints!` takes only names of functions",
                "write them like `orders::recent_orders`",
            ),
        }
    }
    errors.finish(functions)
}

fn expand(functions: &[Path]) -> TokenStream {
    let named = functions.iter().map(|function| {
        let name = function.to_token_stream().to_string().replace(' ', "");
        quote!((::operator_runtime::__private::identity(#function), #name))
    });
    quote_spanned!(Span::mixed_site()=> ::operator_runtime::__private::chosen([#(#named),*]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_is_listed_by_identity_and_name() {
        assert_eq!(
            endpoints(quote!(a, path::b,)).to_string(),
            quote!(::operator_runtime::__private::chosen([
                (::operator_runtime::__private::identity(a), "a"),
                (::operator_runtime::__private::identity(path::b), "path::b")
            ]))
            .to_string()
        );
    }

    #[test]
    fn every_item_that_is_not_a_name_is_refused_at_once() {
        assert_eq!(parse(quote!("a", b, c())).err().into_iter().flatten().count(), 2);
    }
}
