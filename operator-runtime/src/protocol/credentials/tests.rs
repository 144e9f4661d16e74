//! No credential of one kind is accepted as another kind, for each pair of kinds.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{Extensions, HeaderMap, HeaderValue};

use super::{BoundCredentials, Credentials};
use crate::problem::Kind;
use crate::protocol::api_keys::ApiKeys;
use crate::protocol::ed25519::VerifyingKeys;
use crate::protocol::method::Method;
use crate::protocol::request::{Mistake, Refusal, RefusalKind, Unverified, Verified};
use crate::protocol::signature::Keys;

const URL: &str = "https://api.example.com/refunds";
const NOW: u64 = 1_700_000_000;
const BODY: &str = r#"{"cents":100}"#;
const SECRET: &str = "op_sk_of_the_test";
const TOKEN: &str = "token-of-the-test";

fn pair() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public() -> String {
    STANDARD.encode(pair().verifying_key().as_bytes())
}

fn no_file(_path: &str) -> Result<zeroize::Zeroizing<String>, String> {
    Err("is not read in this test".to_owned())
}

fn parsed(list: &str) -> Result<VerifyingKeys, String> {
    VerifyingKeys::parse("the test", list, &no_file).map_err(|error| error.to_string())
}

fn bound(hmac: &str, ed25519: &str, api_keys: &str) -> BoundCredentials {
    let mut all = Credentials::default();
    if !hmac.is_empty() {
        all.keys = Keys::parse("the test", hmac).unwrap();
    }
    if !ed25519.is_empty() {
        all.verifying_keys = parsed(ed25519).unwrap();
    }
    if !api_keys.is_empty() {
        all.api_keys = ApiKeys::parse("the test", api_keys, &all.keys).unwrap();
    }
    Arc::new(all).bind(URL)
}

/// Headers of a call. Each pair is a name and a value.
fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn signed(signature: &str) -> HeaderMap {
    headers(&[
        ("x-idempotency-key", "k-1"),
        ("x-timestamp", &NOW.to_string()),
        ("x-signature", signature),
    ])
}

fn hmac(secret: &str) -> String {
    let keys = Keys::single("the test", secret).unwrap();
    keys.sign(URL, "k-1", NOW, BODY.as_bytes())
}

fn ed25519() -> String {
    let payload = format!("{URL}:k-1:{NOW}:{BODY}");
    const_hex::encode(pair().sign(payload.as_bytes()).to_bytes())
}

/// The scheme and the name of the caller, or the slug and the sentence of the refusal.
fn told(headers: &HeaderMap, credentials: &BoundCredentials) -> Result<String, (&'static str, String)> {
    let body = Bytes::from_static(BODY.as_bytes());
    let verified =
        Unverified::parse(Method::Post, None, headers, body, credentials.accepted()).and_then(|unverified| {
            unverified
                .verify(credentials, &Extensions::new(), NOW)
                .map_err(|refused| refused.why)
        });
    let told = |verified: Verified<'_>| format!("{} {:?}", verified.caller().scheme().word(), verified.key());
    verified
        .map(told)
        .map_err(|refusal: Refusal| (Kind::Refused(refusal.kind()).row().slug, refusal.to_string()))
}

fn slug(headers: &HeaderMap, credentials: &BoundCredentials) -> &'static str {
    told(headers, credentials).unwrap_err().0
}

#[test]
fn each_scheme_accepts_its_own_credential_beside_the_others() {
    let all = bound(
        &format!("shop/h={SECRET}"),
        &format!("shop/e={}", public()),
        &format!("shop/a={TOKEN}"),
    );
    assert_eq!(told(&signed(&hmac(SECRET)), &all), Ok("hmac shop/h".to_owned()));
    assert_eq!(told(&signed(&ed25519()), &all), Ok("ed25519 shop/e".to_owned()));
    let bearer = headers(&[("authorization", &format!("Bearer {TOKEN}"))]);
    assert_eq!(told(&bearer, &all), Ok("api-key shop/a".to_owned()));
    // Only the scheme `Bearer` of `Authorization` is a credential.
    let own = headers(&[("x-api-key", TOKEN), ("authorization", "Basic YTpi")]);
    assert_eq!(told(&own, &all), Ok("api-key shop/a".to_owned()));
}

#[test]
fn a_verifying_key_is_no_hmac_secret() {
    // The forger knows the public key, in each form in which it is written.
    let only = bound("", &format!("e={}", public()), "");
    let both = bound(&format!("h={SECRET}"), &format!("e={}", public()), "");
    let digits = const_hex::encode(pair().verifying_key().as_bytes());
    for secret in [public(), digits] {
        assert_eq!(slug(&signed(&hmac(&secret)), &only), "malformed-signature");
        assert_eq!(slug(&signed(&hmac(&secret)), &both), "signature-mismatch");
    }
}

#[test]
fn an_api_key_signs_nothing_and_a_secret_or_a_public_key_is_no_api_key() {
    let all = bound(
        &format!("h={SECRET}"),
        &format!("e={}", public()),
        &format!("a={TOKEN}"),
    );
    assert_eq!(slug(&signed(&hmac(TOKEN)), &all), "signature-mismatch");
    for secret in [SECRET, &public(), "h", "default/a"] {
        for (name, value) in [
            ("authorization", format!("Bearer {secret}")),
            ("x-api-key", secret.to_owned()),
        ] {
            assert_eq!(slug(&headers(&[(name, &value)]), &all), "unknown-api-key", "{name}");
        }
    }
}

#[test]
fn an_access_token_is_no_api_key_and_needs_an_issuer() {
    let keys = bound("", "", &format!("a={TOKEN}"));
    let jwt = headers(&[("authorization", "Bearer eyJh.eyJp.c2ln")]);
    let (slug, sentence) = told(&jwt, &keys).unwrap_err();
    assert_eq!(slug, "no-credential");
    assert!(
        sentence.starts_with("This server does not accept access tokens: send an API key"),
        "{sentence}"
    );
}

#[test]
fn kinds_without_credentials_are_refused_with_what_is_accepted() {
    let hmac_only = bound(&format!("h={SECRET}"), "", "");
    let (slug_of_token, sentence) = told(&headers(&[("x-api-key", TOKEN)]), &hmac_only).unwrap_err();
    assert_eq!(slug_of_token, "no-credential");
    assert_eq!(
        sentence,
        "This server does not accept API keys: sign the request (X-Idempotency-Key, X-Timestamp and X-Signature)."
    );
    assert_eq!(slug(&signed(&ed25519()), &hmac_only), "malformed-signature");
    let keys_only = bound("", "", &format!("a={TOKEN}"));
    let (slug_of_signed, sentence) = told(&signed(&hmac(SECRET)), &keys_only).unwrap_err();
    assert_eq!(slug_of_signed, "no-credential");
    assert!(
        sentence.starts_with("This server does not accept signatures: send an API key"),
        "{sentence}"
    );
    let (_, nothing) = told(&HeaderMap::new(), &keys_only).unwrap_err();
    assert!(
        nothing.starts_with("The request does not show who sends it: send an API key"),
        "{nothing}"
    );
    // The message is the one from before other schemes existed.
    let (_, unsigned) = told(&HeaderMap::new(), &hmac_only).unwrap_err();
    assert_eq!(
        unsigned,
        "The header X-Idempotency-Key is missing: send it exactly once."
    );
}

#[test]
fn two_credentials_are_refused_whichever_are_valid() {
    let all = bound(
        &format!("h={SECRET}"),
        &format!("e={}", public()),
        &format!("a={TOKEN}"),
    );
    let hmac_only = bound(&format!("h={SECRET}"), "", "");
    let bearer = ("authorization", format!("Bearer {TOKEN}"));
    let api_key = ("x-api-key", TOKEN.to_owned());
    for second in [&bearer, &api_key] {
        let mut both = signed(&hmac(SECRET));
        both.insert(second.0, HeaderValue::from_str(&second.1).unwrap());
        assert_eq!(slug(&both, &all), "two-credentials");
        assert_eq!(slug(&both, &hmac_only), "two-credentials");
    }
    let tokens = headers(&[(bearer.0, &bearer.1), (api_key.0, &api_key.1)]);
    assert_eq!(slug(&tokens, &all), "two-credentials");
    let twice = headers(&[(bearer.0, &bearer.1), (bearer.0, &bearer.1)]);
    assert_eq!(slug(&twice, &all), "malformed-signature");
    for empty in ["Bearer", "Bearer ", "bearer", "Basic YTpi"] {
        assert_eq!(
            slug(&headers(&[("authorization", empty)]), &all),
            "no-credential",
            "{empty}"
        );
    }
}

#[test]
fn an_ed25519_signature_has_one_form_and_covers_everything() {
    let only = bound("", &format!("e={}", public()), "");
    let right = ed25519();
    told(&signed(&right), &only).unwrap();
    // S + L verifies where S is not compared with L.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut other: [u8; 64] = const_hex::decode_to_array(&right).unwrap();
    let mut carry = 0_u16;
    for (byte, of_l) in other[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(of_l) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    assert_eq!(slug(&signed(&const_hex::encode(other)), &only), "signature-mismatch");
    for place in [0, 31, 32, 63] {
        let mut wrong: [u8; 64] = const_hex::decode_to_array(&right).unwrap();
        wrong[place] ^= 1;
        assert_eq!(
            slug(&signed(&const_hex::encode(wrong)), &only),
            "signature-mismatch",
            "{place}"
        );
    }
    let mut later = signed(&right);
    later.insert("x-timestamp", HeaderValue::from_str(&(NOW + 1).to_string()).unwrap());
    assert_eq!(slug(&later, &only), "signature-mismatch");
    later.insert("x-timestamp", HeaderValue::from_static("1600000000"));
    assert_eq!(slug(&later, &only), "stale-timestamp");
    for short in [&right[..126], &format!("0x{}", &right[2..]), &format!("{right}00")] {
        assert_eq!(slug(&signed(short), &only), "malformed-signature", "{short}");
    }
}

#[test]
fn verifying_keys_that_are_none_are_refused_without_being_shown() {
    let spki = {
        let mut spki = const_hex::decode("302a300506032b6570032100").unwrap();
        spki.extend_from_slice(pair().verifying_key().as_bytes());
        STANDARD.encode(spki)
    };
    assert!(parsed(&format!("shop/a={spki}")).is_ok());
    let mut private = const_hex::decode("302e020100300506032b657004220420").unwrap();
    private.extend_from_slice(&[7; 32]);
    let private = STANDARD.encode(private);
    let identity = STANDARD.encode([&[1][..], &[0; 31]].concat());
    let zero = STANDARD.encode([0; 32]);
    let not_canonical = STANDARD.encode([&[0xee][..], &[0xff; 30], &[0x7f]].concat());
    // The beginning of an RSA key in PKCS#8, whose length takes two bytes more.
    let rsa = STANDARD.encode(const_hex::decode("308204bd020100300d06092a864886f70d01010105000482").unwrap());
    for (key, why) in [
        (private.as_str(), "is a private key, which must stay with the caller"),
        (&rsa, "is a private key, which must stay with the caller"),
        ("MCowBQYDK2VwAyEA", "has 12 bytes and is not an Ed25519 key"),
        (&identity, "has a small order"),
        (&zero, "has a small order"),
        (&not_canonical, "small order"),
        ("bm90IGEga2V5", "has 9 bytes and is not an Ed25519 key"),
        ("%%hush%%", "is not base64"),
        ("file:/nowhere", "is not read in this test"),
    ] {
        let problem = parsed(&format!("shop/a={key}")).unwrap_err();
        assert!(problem.contains("shop/a") && problem.contains(why), "{problem}");
        assert!(!problem.contains(key) || key.starts_with("file:"), "{problem}");
    }
    let twice = parsed(&format!("a={},b={spki}", public())).unwrap_err();
    assert!(twice.contains("is also the key of default/a"), "{twice}");
}

#[test]
fn the_key_of_an_operation_may_be_in_either_header() {
    let credentials = bound("", "", &format!("a={TOKEN}"));
    let key = |pairs: &[(&'static str, &str)]| {
        let mut all = headers(pairs);
        all.insert("x-api-key", HeaderValue::from_static(TOKEN));
        let body = Bytes::from_static(BODY.as_bytes());
        let verified =
            Unverified::parse(Method::Post, None, &all, body, credentials.accepted()).and_then(|unverified| {
                unverified
                    .verify(&credentials, &Extensions::new(), NOW)
                    .map_err(|refused| refused.why)
            });
        verified.map(|verified| verified.idempotency_key().map(str::to_owned))
    };
    let (own, plain) = ("x-idempotency-key", "idempotency-key");
    assert_eq!(key(&[]), Ok(None));
    assert_eq!(key(&[(own, "k")]), Ok(Some("k".to_owned())));
    assert_eq!(key(&[(plain, "k")]), Ok(Some("k".to_owned())));
    assert_eq!(key(&[(own, "k"), (plain, "k")]), Ok(Some("k".to_owned())));
    assert_eq!(
        key(&[(own, "k"), (plain, "l")]),
        Err(Refusal::Mistake(Mistake::TwoIdempotencyKeys))
    );
    assert_eq!(key(&[(plain, "k:l")]), Err(Refusal::Mistake(Mistake::IdempotencyKey)));
    assert_eq!(
        key(&[(plain, "k"), (plain, "k")]),
        Err(Refusal::HeaderTwice("Idempotency-Key"))
    );
    assert_eq!(
        Refusal::Mistake(Mistake::TwoIdempotencyKeys).kind(),
        RefusalKind::Malformed
    );
}

/// Verifying with a key takes much longer than hashing a short body.
#[test]
fn many_verifying_keys_make_a_short_call_expensive_but_only_one_signed_for_them() {
    let public = |number: u8| STANDARD.encode(SigningKey::from_bytes(&[number; 32]).verifying_key().as_bytes());
    let list: Vec<String> = (1..=100)
        .map(|number| format!("k{number}={}", public(number)))
        .collect();
    let credentials = bound(&format!("a={SECRET}"), &list.join(","), "");
    let to_hash = |digits: usize| {
        let headers = headers(&[("x-signature", &"0".repeat(digits))]);
        credentials.to_hash(&headers, 200)
    };
    assert_eq!(to_hash(64), 200);
    assert!(to_hash(128) > 1024 * 1024, "{}", to_hash(128));
}
