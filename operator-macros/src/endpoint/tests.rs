//! The whole macro on token streams, without rustc: every mistake at once, and snapshots of what it writes.

use proc_macro2::TokenStream;
use quote::quote;

use super::{check, endpoint};

fn mistakes(attribute: TokenStream, item: TokenStream) -> Vec<String> {
    let function = syn::parse2(item).expect("a function");
    let refused = check(attribute, &function).err();
    let mistakes = refused.into_iter().flat_map(|refused| refused.mistakes);
    mistakes.map(|mistake| mistake.to_string()).collect()
}

fn pretty(attribute: TokenStream, item: &TokenStream) -> String {
    let file = syn::parse2(endpoint(attribute, item)).expect("the expansion is Rust");
    prettyplease::unparse(&file)
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
        "`errors` is not written like this · write `errors(RefundError)`",
        "an endpoint's function is async · write `async fn`",
        "an endpoint's function cannot be unsafe",
        "an endpoint's function has Rust's own ABI",
        "an endpoint's function cannot be const",
        "an endpoint cannot be generic over types",
        "an endpoint's answer outlives what it borrows · return `String`",
        "an endpoint has no `self`",
        "an argument's name is its name on the wire",
        "an input is owned · write `String`",
        "`mni` is no option of an argument · did you mean `min`?",
        "`\"x\"` is no number that is known while compiling · write a number, as `max = 1`",
        "the input `count` has no description",
        "the agent calls by GET and POST only, not by PUT",
        "`` is no name for the agent",
        "a path begins with `/` · write `\"/orders\"`",
        "the endpoint has no description",
        "`once` is no effect",
        "`1h` is no time · write `\"30s\"`, `\"500ms\"` or `\"2m\"`",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn after_a_mistake_the_function_stands_as_it_was_written() {
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
fn a_function_that_cannot_be_read_yet_stands_as_it_was_typed() {
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

#[test]
fn what_no_option_fits_is_refused_by_its_place() {
    for (item, refusal) in [
        (quote!(#[operator(extract, rename = "x")] user: User), "remove `rename`"),
        (quote!(#[operator(flatten, default)] page: Page), "remove `default`"),
        (quote!(#[operator(min = 1)] desk: &Desk), "remove `min`"),
        (quote!(#[operator(extract)] desk: &Desk), "remove `extract`"),
    ] {
        let item = quote!(
            /// Counts the orders. Use it to count them.
            async fn orders(#item) {}
        );
        let found = mistakes(quote!(POST), item);
        assert!(found.len() == 1 && found[0].ends_with(refusal), "{found:?}");
    }
}

#[test]
fn without_a_path_the_name_is_the_path() {
    let item = quote! {
        /// Greets a customer. Use it at the beginning.
        async fn grüße() {}
    };
    assert!(pretty(quote!(GET, name = "greet"), &item).contains("path: \"/greet\""));
}

#[test]
fn bounds_are_compared_as_the_numbers_that_they_are() {
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
fn a_flattened_argument_has_no_name_on_the_wire() {
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
fn a_description_that_cannot_be_read_is_not_said_to_be_missing_too() {
    let item = quote!(
        /// Counts the orders.
        async fn orders(#[doc = include_str!("count.md")] count: u8) {}
    );
    assert_eq!(mistakes(quote!(POST), item).len(), 1);
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
    let attribute = quote!(POST, "/refunds", name = "refund", timeout = "30s", errors(RefundError));
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
