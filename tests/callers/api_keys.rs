//! API keys, as a bearer token and as `X-API-Key`.

use serde_json::json;
use tests::caller::{now, sign};

use crate::desk::{Desk, JSON, NO_KEY, detail, header, slug, tool_call};

const KEYS: (&str, &str) = (
    "OPERATOR_API_KEYS",
    "shop/first=op_sk_first_of_the_tests, other/second=op_sk_second_of_the_tests",
);
const FIRST: (&str, &str) = ("Authorization", "Bearer op_sk_first_of_the_tests");
const SECOND: (&str, &str) = ("X-API-Key", "op_sk_second_of_the_tests");

#[test]
fn each_header_gives_access_and_the_log_names_the_caller() {
    let desk = Desk::start(&[NO_KEY, KEYS]);
    for (given, caller) in [
        (FIRST, ["shop", "first", "api-key"]),
        (
            ("authorization", "bearer  op_sk_first_of_the_tests"),
            ["shop", "first", "api-key"],
        ),
        (("x-api-key", "op_sk_first_of_the_tests"), ["shop", "first", "api-key"]),
        (SECOND, ["other", "second", "api-key"]),
    ] {
        let answer = desk.read(&[given]);
        assert_eq!(answer.status, 200, "{given:?}: {}", answer.body);
        assert_eq!(desk.next_caller(), caller, "{given:?}");
    }
}

#[test]
fn a_call_that_changes_something_needs_a_key_and_acts_once() {
    let desk = Desk::start(&[NO_KEY, KEYS]);
    let without = desk.refund(&[FIRST]);
    assert_eq!(
        (without.status, slug(&without).as_str()),
        (400, "malformed-request"),
        "{without:?}"
    );
    assert!(detail(&without).contains("Idempotency-Key"), "{}", without.body);
    let refund_id = |headers: &[(&str, &str)]| {
        let answer = desk.refund(headers);
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.body);
        (answer.json()["refund_id"].clone(), answer.is_replay())
    };
    let (plain, own) = (("Idempotency-Key", "k-1"), ("X-Idempotency-Key", "k-1"));
    assert_eq!(refund_id(&[FIRST, plain]), (1.into(), false));
    assert_eq!(refund_id(&[FIRST, plain]), (1.into(), true));
    // The same key in the other header, or in both, is the same key.
    assert_eq!(refund_id(&[FIRST, own]), (1.into(), true));
    assert_eq!(refund_id(&[FIRST, own, plain]), (1.into(), true));
    // The key of another tenant is another key.
    assert_eq!(refund_id(&[SECOND, plain]), (2.into(), false));
    let two = desk.refund(&[FIRST, ("Idempotency-Key", "k-2"), own]);
    assert_eq!((two.status, slug(&two).as_str()), (400, "malformed-request"), "{two:?}");
    assert!(detail(&two).contains("have different values"), "{}", two.body);
    let reused = desk.send(
        "POST",
        "/refunds",
        &[FIRST, plain, JSON],
        r#"{"order_id":1004,"amount_cents":2}"#,
    );
    assert_eq!(
        (reused.status, slug(&reused).as_str()),
        (422, "key-reused"),
        "{reused:?}"
    );
}

#[test]
fn a_request_without_a_valid_credential_or_with_two_is_refused_with_a_challenge() {
    let desk = Desk::start(&[KEYS]);
    let now = now();
    let time = now.to_string();
    let signature = sign("/refunds", "k-1", now, r#"{"order_id":1004,"amount_cents":1}"#);
    let signed = [
        ("X-Idempotency-Key", "k-1"),
        ("X-Timestamp", time.as_str()),
        ("X-Signature", signature.as_str()),
    ];
    let key = ("Idempotency-Key", "k-1");
    let realm = r#"Bearer realm="endpoints""#;
    let invalid_token = format!(r#"{realm}, error="invalid_token""#);
    let invalid_request = format!(r#"{realm}, error="invalid_request""#);
    for (headers, refusal, challenge) in [
        (&[key][..], "no-credential", realm),
        (
            &[key, ("Authorization", "Basic YTpi")],
            "no-credential",
            &invalid_request,
        ),
        (
            &[key, ("Authorization", "Bearer guess")],
            "unknown-api-key",
            &invalid_token,
        ),
        (
            &[key, ("X-API-Key", "shop/first=op_sk_first_of_the_tests")],
            "unknown-api-key",
            &invalid_token,
        ),
        (&[key, ("X-API-Key", "op_sk_tests")], "unknown-api-key", &invalid_token),
        (&[key, ("Authorization", "Bearer ")], "no-credential", &invalid_request),
        (&[key, FIRST, SECOND], "two-credentials", &invalid_request),
        (&[&signed[..], &[FIRST]].concat(), "two-credentials", &invalid_request),
        (&[&signed[..], &[SECOND]].concat(), "two-credentials", &invalid_request),
    ] {
        let answer = desk.refund(headers);
        assert_eq!(
            (answer.status, slug(&answer).as_str()),
            (401, refusal),
            "{headers:?}: {answer:?}"
        );
        assert_eq!(header(&answer, "WWW-Authenticate"), challenge, "{headers:?}");
    }
    // None of them has used the key.
    assert!(!desk.refund(&signed).is_replay());
    assert_eq!(desk.next_caller(), ["default", "default", "hmac"]);
}

#[test]
fn an_mcp_client_is_told_the_program_and_that_its_list_of_tools_is_fixed() {
    let desk = Desk::start(&[NO_KEY, KEYS]);
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"tests","version":"1"}}}"#;
    let program = desk.ask(&[SECOND], initialize).json()["result"]["serverInfo"].take();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(program, json!({ "name": "support-desk", "version": version }));
    let list = desk.ask(&[SECOND], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let result = &list.json()["result"];
    assert_eq!(
        (&result["ttlMs"], &result["cacheScope"]),
        (&json!(3_600_000), &json!("private"))
    );
    assert_eq!(result["tools"].as_array().unwrap().len(), 6);
    let unknown = desk.ask(&[FIRST], &tool_call("refund_orders", &json!({}), "k"));
    assert!(
        unknown
            .body
            .contains("There is no tool `refund_orders`; the tools are find_orders, "),
        "{unknown:?}"
    );
}
