//! The tenant of an access token, and what a handler sees of the token.

use serde_json::{Value, json};
use tests::caller::{PUBLIC_URL, SECRET, now};

use crate::desk::{Desk, NO_KEY, detail, slug};
use crate::ed25519::key_pair;
use crate::issuer::{Issuer, bearer};

const CLAIM: (&str, &str) = ("OPERATOR_OAUTH_TENANT_CLAIM", "org");

#[test]
fn the_tenant_is_the_claim_and_a_token_without_it_is_refused() {
    let mut issuer = Issuer::start();
    let desk = Desk::start(&[NO_KEY, CLAIM, issuer.setting()]);
    for wrong in [
        json!({}),
        json!({ "org": "" }),
        json!({ "org": "a/b" }),
        json!({ "org": "shop\nforged" }),
        json!({ "org": "ünïcode" }),
        json!({ "org": "x".repeat(65) }),
        json!({ "org": ["shop"] }),
        json!({ "org": 7 }),
        json!({ "tenant": "shop" }),
    ] {
        let answer = desk.read(&[("Authorization", &bearer(&issuer.token(wrong.clone())))]);
        assert_eq!(
            (answer.status, slug(&answer).as_str()),
            (401, "invalid-token"),
            "{wrong}: {answer:?}"
        );
        assert!(
            detail(&answer).contains("names no tenant in the claim `org`"),
            "{wrong}: {}",
            answer.body
        );
    }
    let key = ("Idempotency-Key", "same");
    for (claims, caller) in [
        (json!({ "org": "shop-1.a_b" }), ["shop-1.a_b", "agent", "oauth"]),
        (
            json!({ "org": "other", "client_id": "https://agent.example/client.json" }),
            ["other", "https://agent.example/client.json", "oauth"],
        ),
        (
            json!({ "org": "third", "client_id": null }),
            ["third", "somebody", "oauth"],
        ),
    ] {
        let answer = desk.refund(&[("Authorization", &bearer(&issuer.token(claims))), key]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.is_replay(), "the key of another tenant is another key");
        assert_eq!(desk.next_caller(), caller);
    }
}

#[test]
fn another_token_of_the_same_tenant_continues_its_operation() {
    let mut issuer = Issuer::start();
    let desk = Desk::start(&[NO_KEY, CLAIM, issuer.setting()]);
    let mut refund = |claims| {
        let token = bearer(&issuer.token(claims));
        let answer = desk.refund(&[("Authorization", &token), ("Idempotency-Key", "same")]);
        (answer.json()["refund_id"].clone(), answer.is_replay())
    };
    assert_eq!(refund(json!({ "org": "shop" })), (1.into(), false));
    assert_eq!(
        refund(json!({ "org": "shop", "jti": "2", "client_id": "another" })),
        (1.into(), true)
    );
}

#[test]
fn schemes_stand_beside_each_other_and_none_is_taken_for_another() {
    let mut issuer = Issuer::start();
    let api_key = ("OPERATOR_API_KEYS", "shop/key=op_sk_key_of_the_tests");
    let desk = Desk::start(&[CLAIM, issuer.setting(), api_key]);
    let token = issuer.token(json!({ "org": "shop" }));
    let authorization = bearer(&token);
    let authorization = ("Authorization", authorization.as_str());
    assert_eq!(desk.read(&[authorization]).status, 200);
    assert_eq!(desk.next_caller(), ["shop", "agent", "oauth"]);
    assert_eq!(desk.read(&[("X-API-Key", "op_sk_key_of_the_tests")]).status, 200);
    assert_eq!(desk.next_caller(), ["shop", "key", "api-key"]);
    assert!(tests::caller::get(desk.server.port, "/orders/recent", "k", &[("email", "a@b.example")]).is_ok());
    assert_eq!(desk.next_caller(), ["default", "default", "hmac"]);
    for (headers, refusal) in [
        (&[("X-API-Key", token.as_str())][..], "unknown-api-key"),
        (
            &[authorization, ("X-API-Key", "op_sk_key_of_the_tests")],
            "two-credentials",
        ),
        (&[authorization, ("X-Signature", "00")], "two-credentials"),
        (&[authorization, authorization], "malformed-signature"),
    ] {
        let answer = desk.read(headers);
        assert_eq!(
            (answer.status, slug(&answer).as_str()),
            (401, refusal),
            "{headers:?}: {answer:?}"
        );
    }
}

/// Without the check of the kind, a secret or a public key that the server knows would verify such a token.
#[test]
fn a_token_that_is_signed_with_a_key_of_another_scheme_is_refused() {
    let mut issuer = Issuer::start();
    let [owner, public, _] = key_pair();
    let verifying_key = format!("shop/owner={public}");
    // The server has a signing key too.
    let desk = Desk::start(&[("OPERATOR_VERIFYING_KEYS", &verifying_key), issuer.setting()]);
    let token = issuer.token(json!({}));
    assert_eq!(desk.read(&[("Authorization", &bearer(&token))]).status, 200);
    for (algorithm, key) in [("HS256", SECRET), ("EdDSA", &owner), ("Ed25519", &owner)] {
        for kid in [
            Value::Null,
            json!("rsa"),
            json!("ed25519"),
            json!("default"),
            json!("default/default"),
            json!("owner"),
            json!("shop/owner"),
        ] {
            let token = issuer.with_header(key, json!({ "alg": algorithm, "kid": kid }), None);
            let authorization = bearer(&token);
            let headers = [("Authorization", authorization.as_str())];
            let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
            for answer in [desk.read(&headers), desk.refund(&headers), desk.ask(&headers, list)] {
                assert_eq!(
                    (answer.status, slug(&answer).as_str()),
                    (401, "invalid-token"),
                    "{algorithm} {kid}: {answer:?}"
                );
            }
        }
    }
    // The other way round: the issuer's key signs a call.
    for (key, status) in [(owner.as_str(), 200), ("ed25519", 401)] {
        let timestamp = now().to_string();
        let payload = format!(r#"{PUBLIC_URL}/orders/recent:k:{timestamp}:{{"email": "ana@example.com"}}"#);
        let signature = issuer.sign_text(key, &payload);
        let answer = desk.read(&[
            ("X-Idempotency-Key", "k"),
            ("X-Timestamp", &timestamp),
            ("X-Signature", &signature),
        ]);
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 401 {
            assert_eq!(slug(&answer), "signature-mismatch", "{answer:?}");
        }
    }
}
