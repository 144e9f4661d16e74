//! `endpoints![…]`: a list of endpoints, each identified by its function. The runtime's macro of that name puts the path
//! of the runtime in front of the list.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, Path, Token};

use crate::error::Errors;
use crate::options::bare;

pub(crate) fn endpoints(tokens: TokenStream) -> TokenStream {
    let parsed = Listed::parse.parse2(tokens);
    let Listed { runtime, functions } = match parsed {
        Ok(listed) => listed,
        Err(unread) => return unread.to_compile_error(),
    };
    match names(functions) {
        Ok(functions) => expand(&runtime, &functions),
        // The output is a block, because the macro is used as an expression, and an expression cannot be two items in a
        // row.
        Err(errors) => {
            let errors = errors.to_compile_error();
            let nothing = expand(&runtime, &[]);
            quote!({ #errors #nothing })
        }
    }
}

struct Listed {
    runtime: Path,
    functions: Punctuated<Expr, Token![,]>,
}

impl Parse for Listed {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let runtime = input.call(Path::parse_mod_style)?;
        input.parse::<Token![;]>()?;
        Ok(Self {
            runtime,
            functions: Punctuated::parse_terminated(input)?,
        })
    }
}

fn names(functions: Punctuated<Expr, Token![,]>) -> syn::Result<Vec<Path>> {
    let mut errors = Errors::default();
    let mut names = Vec::new();
    for listed in functions {
        match bare(&listed) {
            Expr::Path(function) if function.qself.is_none() => names.push(function.path.clone()),
            other => errors.at(
                other,
                "`endpoints!` takes only names of functions",
                "write them like `orders::recent_orders`",
            ),
        }
    }
    errors.finish(names)
}

fn expand(runtime: &Path, functions: &[Path]) -> TokenStream {
    let named = functions.iter().map(|function| {
        let name = function.to_token_stream().to_string().replace(' ', "");
        quote!((#runtime::__private::identity(#function), #name))
    });
    quote!(#runtime::__private::chosen([#(#named),*]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_is_listed_by_identity_and_name() {
        assert_eq!(
            endpoints(quote!(::operator_runtime; a, path::b,)).to_string(),
            quote!(::operator_runtime::__private::chosen([
                (::operator_runtime::__private::identity(a), "a"),
                (::operator_runtime::__private::identity(path::b), "path::b")
            ]))
            .to_string()
        );
    }

    #[test]
    fn every_item_that_is_not_a_name_is_refused_at_once() {
        let written = endpoints(quote!(::operator_runtime; "a", b, c())).to_string();
        assert_eq!(written.matches("compile_error").count(), 2, "{written}");
    }
}
