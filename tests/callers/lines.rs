//! The log names the caller in every line that is written after the caller was verified, even if the request is refused
//! then.

use serde_json::{Value, json};

use crate::desk::{Desk, JSON, NO_KEY, slug, tool_call};
use crate::issuer::{Issuer, bearer};

const REFUND: &str = r#"{"order_id":1004,"amount_cents":1}"#;
const RECENT: &str = "/orders/recent?email=ana%40example.com";

/// The tenant, the id and the scheme of a line, which has them itself or in its span.
fn caller_of(entry: &Value) -> [&str; 3] {
    let found = |field| entry["fields"][field].as_str().or(entry["span"][field].as_str());
    ["tenant", "key_id", "scheme"].map(|field| found(field).unwrap_or_else(|| panic!("no `{field}`: {entry}")))
}

#[test]
fn a_mistake_of_a_verified_caller_is_logged_with_the_caller() {
    let desk = Desk::start(&[NO_KEY, ("OPERATOR_API_KEYS", "shop/first=op_sk_first_of_the_tests")]);
    let token = ("X-API-Key", "op_sk_first_of_the_tests");
    let key = ("Idempotency-Key", "k");
    let two_keys = [key, ("X-Idempotency-Key", "l")];
    let twice = r#"{"id":"ev_1","payload":{"type":"a","type":"b"}}"#;
    let unhandled = r#"{"id":"ev_1","payload":{"type":"conversation.sold"}}"#;
    let large = format!("{{{}}}", " ".repeat(100_000));
    for (method, target, headers, body, status) in [
        ("POST", "/refunds", &two_keys[..], REFUND, 400),
        ("POST", "/refunds", &[("Idempotency-Key", "a:b")], REFUND, 400),
        ("POST", "/refunds?a=b", &[key], REFUND, 400),
        ("GET", "/orders/recent?email=a&email=b", &[], "", 400),
        ("GET", "/orders/recent?email=%ff", &[], "", 400),
        ("GET", RECENT, &[], "{}", 400),
        ("POST", "/events", &[], unhandled, 200),
        ("POST", "/events", &[], "{}", 400),
        ("POST", "/events", &[], twice, 400),
        ("POST", "/events", &[], &large, 400),
    ] {
        let answer = desk.send(method, target, &[&[token, JSON], headers].concat(), body);
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
        let messages: &[&str] = match status {
            200 => &["an event has no handler", "answered"],
            _ => &["refused"],
        };
        for message in messages {
            let entry = desk.next_entry(message);
            assert_eq!(caller_of(&entry), ["shop", "first", "api-key"], "{method} {target}");
        }
    }
    // Nothing vouches for this caller.
    desk.send("POST", "/refunds?a=b", &[key, JSON, ("X-API-Key", "guess")], REFUND);
    let entry = desk.next_entry("refused");
    assert!(
        entry["fields"].get("tenant").is_none() && entry["span"].is_null(),
        "{entry}"
    );
}

#[test]
fn a_token_without_the_scope_is_logged_with_its_client() {
    let mut issuer = Issuer::start();
    let desk = Desk::start(&[NO_KEY, issuer.setting()]);
    let narrow = bearer(&issuer.token(json!({ "scope": "operator:read" })));
    let narrow = ("Authorization", narrow.as_str());
    let ended = r#"{"id":"ev_1","payload":{"type":"conversation.ended","status":"completed"}}"#;
    let refund = tool_call("refund_order", &json!({ "order_id": 1004, "amount_cents": 1 }), "k");
    for (answer, endpoint) in [
        (desk.refund(&[narrow, ("Idempotency-Key", "k")]), "refund_order"),
        (desk.ask(&[narrow], &refund), "refund_order"),
        (
            desk.send("POST", "/events", &[narrow, JSON], ended),
            "conversation.ended",
        ),
    ] {
        assert_eq!(
            (answer.status, slug(&answer).as_str()),
            (403, "insufficient-scope"),
            "{answer:?}"
        );
        let entry = desk.next_entry("refused");
        assert_eq!(entry["fields"]["endpoint"], endpoint, "{entry}");
        assert_eq!(caller_of(&entry), ["default", "agent", "oauth"], "{entry}");
    }
}
