//! The expansions of a sample in which each macro is used, as a snapshot. `tests/ui/hygiene.rs` shadows every name in
//! the snapshot.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Item, Meta};

use crate::{endpoint, endpoints, event, operator_error, search_param, search_params};

/// The expansion of an item that one of the macros is on.
fn expanded(item: &Item) -> TokenStream {
    match item {
        Item::Fn(function) => {
            let mut function = function.clone();
            let is_event = |attribute: &Attribute| attribute.path().is_ident("operator_event");
            let is_ours = |attribute: &Attribute| attribute.path().is_ident("operator_api") || is_event(attribute);
            let place = function.attrs.iter().position(is_ours).unwrap();
            let attribute = function.attrs.remove(place);
            let options = attribute.meta.require_list().unwrap().tokens.clone();
            match is_event(&attribute) {
                true => event::handler(options, &function.to_token_stream()),
                false => endpoint::endpoint(options, &function.to_token_stream()),
            }
        }
        Item::Enum(item) => derived(&item.attrs, &item.to_token_stream()),
        Item::Struct(item) => derived(&item.attrs, &item.to_token_stream()),
        other => panic!("no macro of ours is on {}", other.to_token_stream()),
    }
}

fn derived(attributes: &[Attribute], item: &TokenStream) -> TokenStream {
    let derives = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"));
    let mut expanded = TokenStream::new();
    for derive in derives {
        let Meta::List(names) = &derive.meta else { continue };
        for name in names.tokens.to_string().split(',') {
            expanded.extend(match name.trim() {
                "SearchParam" => search_param::derive(item.clone()),
                "SearchParams" => search_params::derive(item.clone()),
                "OperatorError" => operator_error::derive(item.clone()),
                _ => TokenStream::new(),
            });
        }
    }
    expanded
}

#[test]
fn the_sample_expands() {
    let sample = syn::parse_file(include_str!("tests/sample.rs")).unwrap();
    let mut expansions: TokenStream = sample.items.iter().map(expanded).collect();
    let list = endpoints::endpoints(quote!(::operator_runtime; found, kept, nothing, again));
    expansions.extend(quote!(const _: () = #list;));
    let expansions = syn::parse2(expansions).unwrap();
    insta::assert_snapshot!(prettyplease::unparse(&expansions));
}

/// The options in each list `name(…)`, at any depth.
fn options_of(name: &str, tokens: TokenStream) -> BTreeSet<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        if index > 0 && matches!(&tokens[index - 1], TokenTree::Ident(ident) if ident == name) {
            let list: Vec<TokenTree> = group.stream().into_iter().collect();
            let parts = list.split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','));
            found.extend(parts.filter_map(<[_]>::first).map(ToString::to_string));
        }
        found.extend(options_of(name, group.stream()));
    }
    found
}

#[test]
fn the_sample_has_every_option() {
    let sample: TokenStream = include_str!("tests/sample.rs").parse().unwrap();
    for (name, options) in [
        ("operator_api", &endpoint::attribute::OPTIONS[..]),
        ("operator_event", &event::attribute::OPTIONS),
        ("operator", &endpoint::constraint::OPTIONS),
        ("limit", &endpoint::limit::OPTIONS),
    ] {
        let found = options_of(name, sample.clone());
        let missing = options.iter().filter(|option| !found.contains(**option));
        // `crate` is shown in `tests/linked/`, because it names the runtime differently.
        let missing: Vec<_> = missing.filter(|option| **option != "crate").collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}
