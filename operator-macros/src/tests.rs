//! The expansions of a sample in which each macro is used, as a snapshot. `tests/ui/hygiene.rs` shadows every name in
//! the snapshot.

use proc_macro2::TokenStream;
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

/// The words of the list `OPTIONS` in a file of the macros.
fn options(file: &str) -> impl Iterator<Item = &str> {
    let (_, list) = file.split_once("const OPTIONS: [&str; ").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    list.split('"').skip(1).step_by(2)
}

#[test]
fn the_sample_has_every_option() {
    let sample: TokenStream = include_str!("tests/sample.rs").parse().unwrap();
    let sample = sample.to_string();
    let words: Vec<&str> = sample
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .collect();
    let files = [
        include_str!("endpoint/attribute.rs"),
        include_str!("endpoint/constraint.rs"),
        include_str!("endpoint/limit.rs"),
        include_str!("event/attribute.rs"),
    ];
    let all = files.into_iter().flat_map(options);
    // Shown in `tests/linked/`, because it names the runtime differently.
    let missing: Vec<&str> = all
        .filter(|option| *option != "crate" && !words.contains(option))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
