//! Access tokens that are not valid are refused with a clear 401, and those with each good algorithm are accepted.

use serde_json::{Value, json};
use tests::caller::{Answer, PUBLIC_URL, now};

use crate::desk::{Desk, JSON, NO_KEY, detail, header, slug, tool_call};
use crate::issuer::{Issuer, bearer};

fn started(issuer: &Issuer) -> Desk {
    Desk::start(&[NO_KEY, issuer.setting()])
}

fn read(desk: &Desk, token: &str) -> Answer {
    desk.read(&[("Authorization", &bearer(token))])
}

fn assert_refused(desk: &Desk, token: &str, why: &str) {
    let answer = read(desk, token);
    assert_eq!(
        (answer.status, slug(&answer).as_str()),
        (401, "invalid-token"),
        "{why}: {answer:?}"
    );
    let said = detail(&answer);
    assert!(
        said.starts_with("The access token ") && said.contains(why),
        "{why}: {said}"
    );
    let challenge = header(&answer, "WWW-Authenticate");
    let wanted = format!(
        r#"Bearer realm="endpoints", error="invalid_token", resource_metadata="{PUBLIC_URL}/.well-known/oauth-protected-resource""#
    );
    assert_eq!(challenge, wanted, "{why}");
    // The same token gives no access over MCP.
    let over_mcp = desk.ask(
        &[("Authorization", &bearer(token))],
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    );
    assert_eq!(
        (over_mcp.status, slug(&over_mcp).as_str()),
        (401, "invalid-token"),
        "{why}: {over_mcp:?}"
    );
}

#[test]
fn wrong_claims_are_refused() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    assert_eq!(read(&desk, &issuer.token(json!({}))).status, 200);
    let another = format!("{}/", issuer.url);
    for (claims, why) in [
        (json!({ "exp": now() - 61 }), "has expired"),
        (json!({ "exp": 0 }), "has expired"),
        (json!({ "exp": "2999-01-01" }), "has expired"),
        (json!({ "exp": null }), "has no `exp`"),
        (json!({ "nbf": now() + 120 }), "is not valid yet"),
        (json!({ "nbf": true }), "is not valid yet"),
        (json!({ "iat": now() + 120 }), "is not valid yet"),
        (json!({ "aud": "https://other.example" }), "is for another audience"),
        (
            json!({ "aud": ["https://other.example", format!("{PUBLIC_URL}/refunds")] }),
            "is for another audience",
        ),
        (
            json!({ "aud": format!("{PUBLIC_URL}.evil.example") }),
            "is for another audience",
        ),
        (json!({ "aud": { "0": PUBLIC_URL } }), "is for another audience"),
        (json!({ "aud": null }), "is for another audience"),
        (json!({ "iss": another }), "is of another issuer"),
        (json!({ "iss": [issuer.url.clone()] }), "is of another issuer"),
        (json!({ "iss": null }), "is of another issuer"),
        (json!({ "client_id": null, "sub": null }), "names its client neither"),
        (json!({ "client_id": "" }), "names its client neither"),
        (json!({ "client_id": "agent\nforged line" }), "names its client neither"),
        (json!({ "client_id": "x".repeat(256) }), "names its client neither"),
    ] {
        let token = issuer.token(claims);
        assert_refused(&desk, &token, why);
    }
    for good in [
        json!({ "exp": now() - 30, "iat": now() - 300 }),
        json!({ "nbf": now() + 30 }),
        json!({ "aud": ["https://other.example", PUBLIC_URL] }),
        // As clients write it that parse the URL.
        json!({ "aud": format!("{PUBLIC_URL}/") }),
        // As an MCP client asks for it.
        json!({ "aud": format!("{PUBLIC_URL}/mcp") }),
        json!({ "client_id": null }),
        json!({ "scope": null, "scp": ["operator:read"] }),
    ] {
        let answer = read(&desk, &issuer.token(good.clone()));
        assert_eq!(answer.status, 200, "{good}: {}", answer.body);
    }
}

#[test]
fn a_signature_by_nobody_or_by_a_public_key_is_refused() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    for (algorithm, key) in [
        ("none", "rsa"),
        ("None", "rsa"),
        ("", "rsa"),
        ("HS256", "pem"),
        ("HS256", "pem without line end"),
        ("HS256", "der"),
        ("HS256", "jwk"),
        ("HS256", "modulus"),
        ("HS384", "pem"),
        ("HS512", "pem"),
        ("HS256", "empty"),
    ] {
        let token = issuer.with_header(key, json!({ "alg": algorithm }), None);
        assert_refused(
            &desk,
            &token,
            &format!("names the algorithm `{algorithm}`, but only asymmetric"),
        );
    }
    // The bytes of an HMAC under the name of the issuer's own algorithm.
    let token = issuer.with_header("pem", json!({}), Some("HS256"));
    assert_refused(&desk, &token, "does not match the issuer's key");
    let token = issuer.with_header("foreign", json!({}), None);
    assert_refused(&desk, &token, "does not match the issuer's key");
    let long = "A".repeat(20_000);
    let answer = read(&desk, &issuer.with_header("rsa", json!({ "alg": long }), Some("none")));
    assert!(answer.status == 401 && answer.body.len() < 1_000, "{}", answer.body);
}

#[test]
fn a_header_that_says_something_else_is_refused() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    for (changed, why) in [
        (json!({ "typ": "JWT" }), "has no `typ` of `at+jwt`"),
        (json!({ "typ": "id+jwt" }), "has no `typ` of `at+jwt`"),
        (json!({ "typ": null }), "has no `typ` of `at+jwt`"),
        (json!({ "crit": ["exp"] }), "has extensions in `crit`"),
        (json!({ "crit": [], "b64": false }), "has extensions in `crit`"),
        (json!({ "crit": null }), "has extensions in `crit`"),
        // Each key has its own algorithms.
        (json!({ "alg": "ES256" }), "does not fit the issuer's key"),
        (json!({ "alg": "EdDSA" }), "does not fit the issuer's key"),
        (json!({ "kid": "p256" }), "does not fit the issuer's key"),
        (
            json!({ "kid": "p384", "alg": "ES256" }),
            "does not fit the issuer's key",
        ),
        (
            json!({ "kid": "ed25519", "alg": "ES256" }),
            "does not fit the issuer's key",
        ),
        // A padding is a part of the algorithm.
        (json!({ "alg": "PS256" }), "does not match the issuer's key"),
        (json!({ "alg": "RS384" }), "does not match the issuer's key"),
        (json!({ "kid": null }), "names no key in `kid`"),
        (json!({ "kid": "foreign" }), "that the issuer does not publish"),
        (json!({ "kid": ["rsa"] }), "is not a JWT"),
    ] {
        let token = issuer.with_header("rsa", changed, Some("RS256"));
        assert_refused(&desk, &token, why);
    }
    // The token brings its own key.
    let own = json!({ "kid": "mine", "jwk": { "kty": "oct", "k": "AAAA" }, "jku": "https://evil.example/jwks" });
    let token = issuer.with_header("foreign", own, None);
    assert_refused(&desk, &token, "that the issuer does not publish");
    let good = issuer.with_header("rsa", json!({ "typ": "Application/AT+JWT" }), None);
    assert_eq!(read(&desk, &good).status, 200);
}

#[test]
fn a_tampered_token_is_refused() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    let token = issuer.token(json!({}));
    let other = issuer.token(json!({ "scope": "operator:read" }));
    let [header, claims, signature] = parts(&token);
    let [_, narrow, of_narrow] = parts(&other);
    let mismatch = "does not match the issuer's key";
    assert_refused(&desk, &format!("{header}.{claims}.{of_narrow}"), mismatch);
    assert_refused(&desk, &format!("{header}.{narrow}.{signature}"), mismatch);
    assert_refused(&desk, &format!("{header}.{claims}."), mismatch);
    assert_refused(
        &desk,
        &format!("{header}.{claims}.{}", &signature[..signature.len() - 2]),
        mismatch,
    );
    assert_refused(&desk, &format!("{header}.{claims}.AAAA{signature}"), mismatch);
    // With bits that the last digit does not need, so that two texts would be one signature.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    assert_refused(&desk, &format!("{header}.{claims}.{rest}{next}"), "is not in base64url");
    assert_refused(&desk, "eyJh.eyJp.c2ln", "is not a JWT");
    assert_refused(&desk, "e30.e30.", "is not a JWT");
    // An issuer that is not told to make JWTs makes tokens like this one.
    assert_refused(&desk, "5mSaTVgqUSyWMUXQK3jUkaTjjjVHoKHM", "is not a JWT");
}

fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    std::array::from_fn(|_| parts.next().unwrap())
}

#[test]
fn each_asymmetric_algorithm_is_accepted_with_a_key_that_fits() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    for (algorithm, key) in [
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("PS512", "rsa"),
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("EdDSA", "ed25519"),
        ("Ed25519", "ed25519"),
    ] {
        let token = issuer.with_header(key, json!({ "alg": algorithm, "kid": key }), None);
        let answer = read(&desk, &token);
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.body);
        assert_eq!(desk.next_caller(), ["default", "agent", "oauth"]);
    }
}

#[test]
fn a_scope_that_is_missing_is_403_in_every_way_in() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    let narrow = bearer(&issuer.token(json!({ "scope": "operator:read profile" })));
    let narrow = ("Authorization", narrow.as_str());
    assert_eq!(desk.read(&[narrow]).status, 200);
    let challenge = |realm: &str, path: &str| {
        format!(
            r#"Bearer realm="{realm}", error="insufficient_scope", scope="operator:read profile operator:act", resource_metadata="{PUBLIC_URL}/.well-known/oauth-protected-resource{path}""#
        )
    };
    let answer = desk.refund(&[narrow, ("Idempotency-Key", "k")]);
    assert_eq!(
        (answer.status, slug(&answer).as_str()),
        (403, "insufficient-scope"),
        "{answer:?}"
    );
    assert_eq!(header(&answer, "WWW-Authenticate"), challenge("endpoints", ""));
    assert!(
        detail(&answer).contains("lacks the scope `operator:act`"),
        "{}",
        answer.body
    );
    let refund = tool_call("refund_order", &json!({ "order_id": 1004, "amount_cents": 1 }), "k");
    let answer = desk.ask(&[narrow], &refund);
    assert_eq!(
        (answer.status, slug(&answer).as_str()),
        (403, "insufficient-scope"),
        "{answer:?}"
    );
    assert_eq!(header(&answer, "WWW-Authenticate"), challenge("MCP", "/mcp"));
    // The handler of an event decides which scope the event needs.
    let event = |authorization, payload: Value| {
        let event = json!({ "id": "ev_1", "livemode": true, "conversation_id": "conv_1", "payload": payload });
        desk.send(
            "POST",
            "/events",
            &[authorization, ("Idempotency-Key", "k"), JSON],
            &event.to_string(),
        )
    };
    let ended = json!({ "type": "conversation.ended", "status": "completed" });
    let answer = event(narrow, ended.clone());
    assert_eq!(
        (answer.status, slug(&answer).as_str()),
        (403, "insufficient-scope"),
        "{answer:?}"
    );
    let acting = bearer(&issuer.token(json!({ "scope": "operator:act" })));
    let acting = ("Authorization", acting.as_str());
    assert_eq!(event(acting, ended).status, 200);
    let answer = desk.read(&[acting]);
    assert_eq!(
        (answer.status, slug(&answer).as_str()),
        (403, "insufficient-scope"),
        "{answer:?}"
    );
    let none = desk.read(&[(
        "Authorization",
        &bearer(&issuer.token(json!({ "scope": "operator:reading" }))),
    )]);
    assert_eq!(none.status, 403, "{none:?}");
    assert_eq!(refunds(&desk, narrow), 0);
}

fn refunds(desk: &Desk, authorization: (&str, &str)) -> usize {
    let answer = desk.send("GET", "/orders/refunds?order_id=1004", &[authorization], "");
    answer.json()["refunds"].as_array().unwrap().len()
}

/// The door reads a message with one parser, and the MCP server with another.
#[test]
fn a_message_that_two_parsers_read_differently_does_not_get_around_the_scope() {
    let mut issuer = Issuer::start();
    let desk = started(&issuer);
    let narrow = bearer(&issuer.token(json!({ "scope": "operator:read" })));
    let narrow = ("Authorization", narrow.as_str());
    let refund = tool_call("refund_order", &json!({ "order_id": 1004, "amount_cents": 1 }), "k");
    let twice = [
        refund.replacen('{', r#"{"method":"tools/list","#, 1),
        refund.replacen(r#""params":{"#, r#""params":{"name":"recent_orders","#, 1),
        refund.replacen(r#""params":{"#, r#""params":{},"params":{"#, 1),
        refund.replacen(
            r#""name":"refund_order""#,
            r#""name":"refund_order","name":"refund_order""#,
            1,
        ),
        refund.replacen(
            r#""name":"refund_order""#,
            r#""name":"refund_order","name":"recent_orders""#,
            1,
        ),
        refund.replacen("tools/call", r"tools\u002fcall", 1),
        refund.replacen("refund_order", r"refund\u005forder", 1),
        refund.replacen(r#""method""#, r#""\u006dethod""#, 1),
    ];
    for message in twice {
        let answer = desk.ask(&[narrow], &message);
        assert!(
            answer.json()["result"]["structuredContent"].is_null(),
            "{message}: {answer:?}"
        );
        assert_eq!(refunds(&desk, narrow), 0, "{message}");
    }
}
