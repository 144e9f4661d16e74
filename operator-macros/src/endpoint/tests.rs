//! Tests the whole macro on token streams, without rustc: that all mistakes are reported at once, and snapshots of
//! expansions.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

use super::model::{Endpoint, Refused};
use super::{endpoint, parse_and_check};
use crate::function::Function;

/// The messages of a check of this function.
pub(crate) fn mistakes_of(
    item: TokenStream,
    check: impl FnOnce(&Function) -> Result<Endpoint, Box<Refused>>,
) -> Vec<String> {
    let function = syn::parse2(item).expect("a function");
    let refused = check(&function).err();
    let mistakes = refused.into_iter().flat_map(|refused| refused.mistakes);
    mistakes.map(|mistake| mistake.to_string()).collect()
}

/// An expansion as rustfmt would write it.
pub(crate) fn formatted(expansion: TokenStream) -> String {
    let file = syn::parse2(expansion).expect("the expansion is Rust");
    prettyplease::unparse(&file)
}

fn mistakes(attribute: TokenStream, item: TokenStream) -> Vec<String> {
    mistakes_of(item, |function| parse_and_check(attribute, function))
}

fn pretty(attribute: TokenStream, item: &TokenStream) -> String {
    formatted(endpoint(attribute, item))
}

#[test]
fn a_correct_endpoint_has_no_mistake() {
    let item = quote! {
        /// Counts the orders. Use it to count them.
        async fn orders(
            desk: &Desk,
            /// What to look for.
            #[operator(min_length = 2, example = "teapot")]
            mut word: Option<String>,
        ) -> Result<u8, Error> { Ok(1) }
    };
    assert_eq!(mistakes(quote!(GET, "/orders"), item), Vec::<String>::new());
}

#[test]
fn every_part_is_checked_before_the_first_return() {
    let item = quote! {
        const unsafe extern "C" fn Orders<T>(
            self,
            (a, b): (u8, u8),
            word: &str,
            #[operator(mni = 1, max = "x")]
            count: u8,
        ) -> &str {}
    };
    let attribute = quote!(
        put,
        "orders",
        name = "",
        timeout = "1h",
        effect = once,
        errors = Refused
    );
    let found = mistakes(attribute, item);
    let expected = [
        "wrong syntax for `errors`: write `errors(RefundError)`",
        "an endpoint function must be async: write `async fn`",
        "an endpoint function cannot be unsafe",
        "an endpoint function cannot be extern",
        "an endpoint function cannot be const",
        "an endpoint cannot be generic over types",
        "an endpoint cannot return borrowed data: return `String`",
        "an endpoint cannot take `self`",
        "an argument of an endpoint cannot be a pattern",
        "an input must be owned: write `String`",
        "unknown option `mni`: did you mean `min`?",
        "`max` must be a number literal: write one like `max = 1`",
        "the input `count` needs a description",
        "an endpoint cannot use the method PUT",
        "`` is not a valid endpoint name",
        "a path must begin with `/`: write `\"/orders\"`",
        "the endpoint needs a description",
        "unknown effect `once`",
        "`1h` is not a valid timeout: write `\"30s\"`, `\"500ms\"` or `\"2m\"`",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn after_a_mistake_the_function_is_returned_as_written() {
    let item = quote! {
        /// Counts.
        pub async fn orders(#[operator(nim = 1)] #[allow(unused)] count: u8) -> u8 { count. }
    };
    let written = endpoint(quote!(), &item).to_string();
    let expected = quote! {
        #[allow(dead_code)]
        #[doc = r" Counts."]
        pub async fn orders(#[allow(unused)] count: u8) -> u8 { count. }
    };
    assert!(written.starts_with(&expected.to_string()), "{written}");
    assert_eq!(written.matches("compile_error").count(), 3, "{written}");
}

#[test]
fn a_function_that_cannot_be_parsed_is_returned_as_written() {
    for item in [
        quote!(async fn orders(customer: ) -> u8 { customer }),
        quote!(async fn orders(customer) { 1 }),
        quote!(async fn orders()),
    ] {
        let written = endpoint(quote!(POST), &item).to_string();
        assert!(
            written.starts_with(&quote!(#[allow(dead_code)] #item).to_string()),
            "{written}"
        );
        assert_eq!(written.matches("compile_error").count(), 1, "{written}");
    }
}

/// Tokens in an invisible group, as a `macro_rules!` macro passes a fragment.
fn fragment(tokens: TokenStream) -> TokenStream {
    TokenTree::Group(Group::new(Delimiter::None, tokens)).into()
}

#[test]
fn messages_see_through_fragments() {
    let (text, number, most) = (fragment(quote!(str)), fragment(quote!(u8)), fragment(quote!(300)));
    let body = fragment(quote!({ 1 }));
    let item = quote!(
        /// Counts the orders. Use it to count them.
        async fn orders(
            word: &#text,
            /// How many there are.
            #[operator(max = #most, min = -#most)]
            number: #number,
        ) -> u8 #body
    );
    assert_eq!(
        mistakes(quote!(GET), item.clone()),
        ["an input must be owned: write `String`"]
    );
    let written = endpoint(quote!(GET), &item).to_string();
    assert!(
        written.contains("`max = 300` is out of range for `u8`: use 0 to 255"),
        "{written}"
    );
    assert!(
        written.contains("`min = -300` is out of range for `u8`: use 0 to 255"),
        "{written}"
    );
}

#[test]
fn options_that_do_not_apply_are_refused() {
    for (item, refusal) in [
        (
            quote!(#[operator(extract, rename = "x")] user: User),
            "`rename` does not",
        ),
        (quote!(#[operator(extract, lenient)] user: User), "`lenient` does not"),
        (quote!(#[operator(flatten, default)] page: Page), "`default` does not"),
        (quote!(#[operator(min = 1)] desk: &Desk), "`min` does not"),
        (quote!(#[operator(extract)] desk: &Desk), "`extract` does not"),
    ] {
        let item = quote!(
            /// Counts the orders. Use it to count them.
            async fn orders(#item) {}
        );
        let found = mistakes(quote!(POST), item);
        assert!(found.len() == 1 && found[0].starts_with(refusal), "{found:?}");
    }
}

#[test]
fn without_a_path_the_path_is_the_name() {
    let item = quote! {
        /// Greets a customer. Use it at the beginning.
        async fn grüße() {}
    };
    assert!(pretty(quote!(GET, name = "greet"), &item).contains("path: \"/greet\""));
}

#[test]
fn bounds_are_compared_as_exact_numbers() {
    for (options, fine) in [
        (quote!(min = 1, max = 1), true),
        (quote!(min = -0.5, max = 0), true),
        (quote!(exclusive_min = 1, exclusive_max = 1), false),
        (quote!(min = 9_007_199_254_740_993, max = 9_007_199_254_740_992), false),
        (quote!(default = 3, exclusive_max = 3), false),
        (quote!(default = 2.5, multiple_of = 0.5), true),
        (quote!(default = 0.3, multiple_of = 0.1), true),
        (quote!(default = 0.35, multiple_of = 0.1), false),
        (quote!(example = -1, min = -1), true),
        (quote!(multiple_of = -2), false),
        (quote!(pattern = r"^\p{L}+$"), true),
        (quote!(pattern = "("), false),
    ] {
        let item = quote!(
            /// Counts the orders. Use it to count them.
            async fn orders(
                /// How many.
                #[operator(#options)]
                count: f64,
            ) {
            }
        );
        assert_eq!(mistakes(quote!(POST), item).is_empty(), fine, "{options}");
    }
}

#[test]
fn the_name_of_a_flattened_argument_does_not_clash() {
    let item = quote!(
        /// Counts the orders of a page.
        async fn orders(
            #[operator(flatten)] page: Page,
            /// Which one of them.
            #[operator(rename = "page")]
            number: u8,
        ) {
        }
    );
    assert_eq!(mistakes(quote!(POST), item), Vec::<String>::new());
}

#[test]
fn an_unreadable_description_is_not_also_reported_as_missing() {
    let item = quote!(
        /// Counts the orders.
        async fn orders(#[doc = COUNT] count: u8) {}
    );
    assert_eq!(mistakes(quote!(POST), item).len(), 1);
}

#[test]
fn descriptions_made_by_macros_expand() {
    let item = quote! {
        #[doc = concat!("Counts", " the orders.")]
        /// Use it to count them.
        async fn orders(#[doc = include_str!("count.md")] count: u8) {}
    };
    insta::assert_snapshot!(pretty(quote!(POST), &item));
}

#[test]
fn a_get_expands() {
    let item = quote! {
        /// Lists a customer's latest orders, newest first.
        async fn recent_orders(
            desk: &Desk,
            /// The e-mail address the customer orders with.
            #[operator(format = "email", example = "ana@example.com")]
            email: String,
            /// How many orders to return.
            #[operator(default = 5, min = 1, max = 20)]
            limit: u8,
        ) -> Result<Vec<OrderSummary>, Error> { desk.orders(&email, limit).await }
    };
    insta::assert_snapshot!(pretty(quote!(GET, "/orders/recent"), &item));
}

#[test]
fn a_transactional_post_expands() {
    let item = quote! {
        /// Refunds part or all of an order.
        #[cfg(unix)]
        async fn refund_order(
            tx: &mut Tx<Sqlite>,
            #[operator(extract)] user: CurrentUser,
            /// The order's number, as printed on the receipt.
            order_id: u64,
        ) -> Result<Refund, RefundError> { refund(tx, user, order_id) }
    };
    let attribute = quote!(
        POST,
        "/refunds",
        name = "refund",
        timeout = "30s",
        scope = "refunds:write",
        tag = "Money",
        errors(RefundError),
        key(order_id)
    );
    insta::assert_snapshot!(pretty(attribute, &item));
}

#[test]
fn a_function_without_arguments_expands() {
    let item = quote! {
        /// Says that the shop is open. Use it to know.
        async fn ping() {}
    };
    insta::assert_snapshot!(pretty(quote!(GET), &item));
}

#[test]
fn a_limited_post_expands() {
    let item = quote! {
        /// Refunds part or all of an order.
        #[operator(limit(sum = amount_cents, max = 10_000, per(order_id, reason), within = "24h"))]
        #[operator(limit(calls = 20, within = "90s"))]
        async fn refund_order(
            desk: &Desk,
            /// The order's number, as printed on the receipt.
            #[operator(rename = "order")]
            order_id: u64,
            /// The amount.
            amount_cents: u32,
            /// Why.
            reason: String,
        ) -> Refund { desk.refund(order_id, amount_cents, reason).await }
    };
    insta::assert_snapshot!(pretty(quote!(POST, "/refunds"), &item));
}

#[test]
fn limits_that_cannot_be_counted_are_refused() {
    for (limit, refusal) in [
        (
            quote!(limit(sum = amount_cent, max = 5, within = "1h")),
            "unknown input `amount_cent`: did you mean `amount_cents`?",
        ),
        (
            quote!(limit(calls = 5, per = desk, within = "1h")),
            "`desk` is not an input, so no caller sends it: name owned arguments in `per`",
        ),
        (
            quote!(limit(sum = amount_cents, max = 0, within = "1h")),
            "`max = 0` allows no call at all: use 1 to 9007199254740991",
        ),
        (
            quote!(limit(calls = 18_446_744_073_709_551_615, within = "1h")),
            "`calls = 18446744073709551615` is too large to be counted exactly",
        ),
        (
            quote!(limit(calls = 5, within = "0s")),
            "`0s` is not a window of a limit: write a time from 1 s to 31 days",
        ),
        (
            quote!(limit(calls = 5, within = "32d")),
            "`32d` is not a window of a limit",
        ),
        (quote!(limit(calls = 5)), "the limit has no window"),
        (quote!(limit(within = "1h")), "the limit does not say what it counts"),
        (
            quote!(limit(sum = amount_cents, within = "1h")),
            "the limit of a sum needs its maximum: add `max = …`",
        ),
        (
            quote!(limit(calls = 5, mx = 3, within = "1h")),
            "unknown option of `limit` `mx`: did you mean `max`?",
        ),
        (
            quote!(limit(calls = 5, within = "1h"), limit(calls = 6, within = "60m")),
            "two limits count the same within the same time",
        ),
        (quote!(limit), "`limit` does not say what it counts"),
    ] {
        let item = quote!(
            /// Refunds an order. Use it once the customer has agreed.
            #[operator(#limit)]
            async fn refund(
                desk: &Desk,
                /// How much.
                amount_cents: u32,
            ) {
            }
        );
        let found = mistakes(quote!(POST), item.clone());
        assert!(found.len() == 1 && found[0].starts_with(refusal), "{limit}: {found:?}");
        let of_a_get = mistakes(quote!(GET), item);
        let is_refused =
            |found: &String| found.starts_with("`limit` does not apply to an endpoint that changes nothing");
        assert!(
            of_a_get.iter().any(is_refused) || limit.to_string() == "limit",
            "{of_a_get:?}"
        );
    }
    let item = quote!(
        /// Refunds an order. Use it once the customer has agreed.
        async fn refund(
            /// How much.
            #[operator(limit(calls = 1, within = "1h"))]
            amount_cents: u32,
        ) {
        }
    );
    let found = mistakes(quote!(POST), item);
    assert!(
        found.len() == 1 && found[0].starts_with("`limit` is an option of the endpoint"),
        "{found:?}"
    );
}
