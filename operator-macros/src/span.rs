//! Spans, by which rustc reports generated code at the code that the user wrote.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The spans of the first and of the last token.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut trees = tokens.to_token_stream().into_iter().map(|tree| tree.span());
    let first = trees.next().unwrap_or_else(Span::call_site);
    (first, trees.last().unwrap_or(first))
}

/// The same tokens with the same name resolution, but rustc reports their errors at `place`.
pub(crate) fn moved(tokens: &impl ToTokens, place: Span) -> TokenStream {
    let move_one = |tree: TokenTree| {
        let mut tree = match tree {
            TokenTree::Group(group) => {
                let inner = moved(&group.stream(), place);
                TokenTree::Group(Group::new(group.delimiter(), inner))
            }
            other => other,
        };
        tree.set_span(tree.span().located_at(place));
        tree
    };
    tokens.to_token_stream().into_iter().map(move_one).collect()
}
