//! Tests the whole macro on token streams, without rustc.

use proc_macro2::TokenStream;
use quote::quote;

use super::{handler, parse_and_check};
use crate::endpoint::tests::{formatted, mistakes_of};

fn mistakes(attribute: TokenStream, item: TokenStream) -> Vec<String> {
    mistakes_of(item, |function| parse_and_check(attribute, function))
}

fn pretty(attribute: TokenStream, item: &TokenStream) -> String {
    formatted(handler(attribute, item))
}

#[test]
fn every_part_is_checked_before_the_first_return() {
    let item = quote! {
        fn greet(self, one: Setup, #[operator(min = 1)] two: &str, (three, four): (u8, u8)) {}
    };
    let found = mistakes(quote!("conversation.set_up", name = "greet", timeout = "soon"), item);
    let expected = [
        "unknown option `name`",
        "unknown type of event `conversation.set_up`: did you mean `conversation.setup`?",
        "an event handler function must be async",
        "an event handler cannot take `self`",
        "`min` does not apply to a borrowed argument",
        "a payload must be owned: write `String`",
        "an argument of an event handler cannot be a pattern",
        "`soon` is not a valid timeout",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn every_option_of_the_function_is_reported() {
    let item = quote! {
        #[operator(limit(calls = 20, within = "1h"))]
        #[operator(limit(nonsense))]
        #[operator(allow(vague_description))]
        async fn rated() -> u8 { 1 }
    };
    let found = mistakes(quote!(custom = "conversation.rated"), item);
    let expected =
        "`#[operator(…)]` has no effect here: remove it; only endpoints, with `#[operator_api]`, have limits and lints";
    assert_eq!(found, [expected; 3]);
}

#[test]
fn a_handler_of_setup_is_rerunnable_for_three_seconds_unless_it_says_otherwise() {
    let item = quote!(
        async fn greet(setup: ConversationSetup) -> Context {
            todo()
        }
    );
    let expanded = pretty(quote!("conversation.setup"), &item);
    assert!(expanded.contains("Effect::Rerunnable") && expanded.contains("milliseconds(3000u64)"));
    let options = quote!("conversation.setup", effect = at_most_once, timeout = "1s");
    let expanded = pretty(options, &item);
    assert!(expanded.contains("Effect::AtMostOnce") && expanded.contains("milliseconds(1000u64)"));
    let expanded = pretty(quote!(custom = "conversation.rated"), &item);
    assert!(expanded.contains("Effect::AtMostOnce") && expanded.contains("timeout: __operator::None"));
}

#[test]
fn a_setup_expands() {
    let item = quote! {
        /// Greets the caller by name.
        async fn greet(desk: &Desk, event: &Event, setup: ConversationSetup) -> Result<Context, Error> {
            desk.greet(event, setup).await
        }
    };
    insta::assert_snapshot!(pretty(quote!("conversation.setup"), &item));
}

#[test]
fn a_transactional_handler_without_a_payload_expands() {
    let item = quote! {
        async fn rated(tx: &mut Tx<Sqlite>, event: &Event) -> Result<(), Error> { note(tx, event) }
    };
    insta::assert_snapshot!(pretty(quote!(custom = "conversation.rated"), &item));
}
