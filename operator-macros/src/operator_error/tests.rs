//! What the derive refuses, and what it makes of a type.

use super::{check, derive};
use crate::error::Errors;
use proc_macro2::TokenStream;
use quote::quote;

fn mistakes(item: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let checked = check(&syn::parse2(item).unwrap(), &mut errors);
    let refused = errors.finish(checked).err().unwrap();
    refused.into_iter().map(|mistake| mistake.to_string()).collect()
}

#[test]
fn every_mistake_is_reported_at_once() {
    let item = quote!(
        enum RefundError {
            #[operator(status = 200)]
            /// One.
            A,
            B,
            /// Shows {what}.
            C {
                order_id: u64,
            },
            #[operator(statuss = 404)]
            /// Four.
            D,
        }
    );
    let mistakes = mistakes(item);
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    assert!(mistakes[3].contains("did you mean `status`?"), "{mistakes:#?}");
}

#[test]
fn the_name_of_a_variant_is_split_into_words() {
    let item = quote!(
        enum RefundError {
            /// One.
            TooOld,
            /// Two.
            HTTPStatus,
            /// Three.
            SMSFailed,
            /// Four.
            r#Type,
        }
    );
    let mut errors = Errors::default();
    let checked = check(&syn::parse2(item).unwrap(), &mut errors);
    let kinds: Vec<String> = checked.problems.into_iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, ["too-old", "http-status", "sms-failed", "type"]);
}

#[test]
fn an_unreadable_option_hides_no_other_mistake() {
    let item = quote!(
        enum RefundError {
            #[operator(status = "404", detail = "{what}", 3, internal = true)]
            A,
            #[operator(detail = 3, retryable, retryable)]
            B,
            #[operator(status, detail)]
            C,
            #[operator]
            /// Four.
            D,
        }
    );
    let mistakes = mistakes(item);
    assert_eq!(mistakes.len(), 9, "{mistakes:#?}");
    assert!(mistakes.iter().all(|mistake| mistake.contains(": ")), "{mistakes:#?}");
}

#[test]
fn only_fields_that_the_detail_shows_are_bound() {
    let tokens = derive(quote!(
        enum E {
            #[operator(status = 404)]
            /** There is no order {order_id}. */
            NoSuchOrder { order_id: u64, why: String },
        }
    ))
    .to_string();
    assert!(tokens.contains("\"no-such-order\""), "{tokens}");
    assert!(!tokens.contains("__operator_field_why"), "{tokens}");
}
