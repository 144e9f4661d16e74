//! Tests of verification: key rotation, malformed requests, and attempts to forge a signature.

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue};

use super::credentials::BoundCredentials;
use super::request::{Kept, Mistake, Refusal, RefusalKind, Unverified, Verified};
use super::signature::Keys;
use crate::protocol::method::Method;

const URL: &str = "https://api.example.com/refunds";
const NOW: u64 = 1_700_000_000;

struct Attempt {
    url: &'static str,
    key: &'static str,
    timestamp: String,
    body: &'static str,
    query: Option<&'static str>,
}

impl Attempt {
    fn signed_by(&self, keys: &Keys) -> HeaderMap {
        let timestamp = self.timestamp.trim_start_matches('+').parse().unwrap_or(NOW);
        let signature = keys.sign(self.url, self.key, timestamp, self.body.as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-idempotency-key",
            HeaderValue::from_bytes(self.key.as_bytes()).unwrap(),
        );
        headers.insert("x-timestamp", HeaderValue::from_str(&self.timestamp).unwrap());
        headers.insert("x-signature", HeaderValue::from_str(&signature).unwrap());
        headers
    }

    fn answer(&self, signer: &Keys, accepted: &Keys) -> Result<Kept, Refusal> {
        let headers = self.signed_by(signer);
        Unverified::parse(
            Method::Post,
            self.query,
            &headers,
            Bytes::from_static(self.body.as_bytes()),
            BoundCredentials::of_keys(accepted, URL).accepted(),
        )?
        .verify(&BoundCredentials::of_keys(accepted, URL), &Extensions::new(), NOW)
        .map_err(|refused| refused.why)
        .map(Verified::keep)
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            url: URL,
            key: "k-1",
            timestamp: NOW.to_string(),
            body: "{}",
            query: None,
        }
    }
}

#[test]
fn old_and_new_keys_are_accepted_and_identify_the_tenant() {
    let both = Keys::parse("the test", "shop/new=n3w, shop/old=0ld, other/one=s3cret").unwrap();
    for (list, tenant, id) in [
        ("shop/new=n3w", "shop", "new"),
        ("shop/old=0ld", "shop", "old"),
        ("other/one=s3cret", "other", "one"),
    ] {
        let verified = Attempt::default()
            .answer(&Keys::parse("the test", list).unwrap(), &both)
            .unwrap();
        assert_eq!((verified.key().tenant(), verified.key().id()), (tenant, id));
    }
    let stranger = Attempt::default()
        .answer(&Keys::single("the test", "guess").unwrap(), &both)
        .unwrap_err();
    assert_eq!(stranger.kind(), RefusalKind::SignatureMismatch);
}

#[test]
fn a_single_secret_is_taken_literally() {
    let odd = Keys::single("the test", "a=b,c:d/e").unwrap();
    Attempt::default().answer(&odd, &odd).unwrap();
    let line = Keys::parse_lines("the test", "# ours\n\nshop/new=a=b,c:d/e\n").unwrap();
    Attempt::default().answer(&odd, &line).unwrap();
}

#[test]
fn errors_of_wrong_lists_hide_the_secrets() {
    for list in [
        "",
        " , ",
        "hush",
        "a=",
        "/a=hush",
        "a/=hush",
        "a=hush,a=hush",
        "t/a=hush,t/a=hush2",
        "t/a=hush,u/a=hush",
        "t/a=hush,t/b=hush",
    ] {
        let error = Keys::parse("the test", list).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
    assert!(Keys::single("the test", "").is_err());
    let shown = format!("{:?}", Keys::parse("the test", "a=hush").unwrap());
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn moving_a_colon_between_parts_of_the_payload_does_not_forge_a_call() {
    let keys = Keys::single("the test", "s").unwrap();
    // These calls are signed for another URL, key or time. Joined together, the parts give the same payload.
    let tricks = [
        Attempt {
            url: "https://api.example.com/refunds:k-1",
            key: "1700000000",
            body: "{}",
            ..Attempt::default()
        },
        Attempt {
            url: "https://api.example.com",
            key: "/refunds:k-1",
            ..Attempt::default()
        },
        Attempt {
            key: "k-1:1700000000",
            body: "{}",
            ..Attempt::default()
        },
    ];
    for trick in tricks {
        assert!(trick.answer(&keys, &keys).is_err());
    }
    // With a valid signature, a colon in the key is reported as the caller's mistake.
    let colon = Attempt {
        key: "k:1",
        ..Attempt::default()
    };
    assert_eq!(
        colon.answer(&keys, &keys).unwrap_err(),
        Refusal::Mistake(Mistake::IdempotencyKey)
    );
}

#[test]
fn a_malformed_request_is_explained_only_to_the_holder_of_a_key() {
    let (ours, theirs) = (
        Keys::single("the test", "ours").unwrap(),
        Keys::single("the test", "theirs").unwrap(),
    );
    let mistakes = [
        Attempt {
            key: "with space",
            ..Attempt::default()
        },
        Attempt {
            key: "",
            ..Attempt::default()
        },
        Attempt {
            query: Some(""),
            ..Attempt::default()
        },
        Attempt {
            query: Some("a=1"),
            ..Attempt::default()
        },
    ];
    for mistake in mistakes {
        assert_eq!(mistake.answer(&ours, &ours).unwrap_err().kind(), RefusalKind::Malformed);
        assert_eq!(
            mistake.answer(&theirs, &ours).unwrap_err().kind(),
            RefusalKind::SignatureMismatch
        );
    }
}

#[test]
fn a_timestamp_is_one_to_fifteen_digits_near_now() {
    let keys = Keys::single("the test", "s").unwrap();
    let answer = |timestamp: &str| {
        Attempt {
            timestamp: timestamp.to_owned(),
            ..Attempt::default()
        }
        .answer(&keys, &keys)
    };
    for wrong in [
        "",
        "+1700000000",
        "-1",
        "1700000000.0",
        "1e9",
        "0x10",
        "1700000000000000",
        "١",
    ] {
        if HeaderValue::from_str(wrong).is_ok() {
            assert_eq!(answer(wrong).unwrap_err(), Refusal::Timestamp, "{wrong:?}");
        }
    }
    for (near, holds) in [(0, true), (30, true), (31, false)] {
        assert_eq!(answer(&(NOW - near).to_string()).is_ok(), holds);
        assert_eq!(answer(&(NOW + near).to_string()).is_ok(), holds);
    }
}

#[test]
fn a_refusal_shows_neither_key_nor_signature() {
    let keys = Keys::single("the test", "s3cret").unwrap();
    let attempt = Attempt::default();
    let expected = keys.sign(URL, attempt.key, NOW, attempt.body.as_bytes());
    let refusal = attempt
        .answer(&Keys::single("the test", "guess").unwrap(), &keys)
        .unwrap_err();
    let all = format!("{refusal} {refusal:?}");
    assert!(!all.contains(&expected) && !all.contains("s3cret"), "{all}");
    assert!(all.contains(URL));
}

#[test]
fn a_refused_get_names_the_parameters_that_are_signed() {
    let told = |query: Option<&str>| {
        let headers = Attempt::default().signed_by(&Keys::single("the test", "guess").unwrap());
        let bound = BoundCredentials::of_keys(&Keys::single("the test", "s3cret").unwrap(), URL);
        let unverified = Unverified::parse(Method::Get, query, &headers, Bytes::new(), bound.accepted()).unwrap();
        let refusal = unverified.verify(&bound, &Extensions::new(), NOW).unwrap_err().why;
        refusal.to_string()
    };
    let names = told(Some("order=17&amount=h%C3%BCsh&amount_in=EUR"));
    assert!(
        names.contains(r#"with the keys "amount", "amount_in", "order", in this order"#),
        "{names}"
    );
    assert!(
        !names.contains("17") && !names.contains("EUR") && !names.contains("sh\""),
        "{names}"
    );
    let none = told(None);
    assert!(none.contains("the text `{}`"), "{none}");
    let many: Vec<String> = (100..200).map(|name| format!("{name}{}=", "x".repeat(1000))).collect();
    let many = told(Some(&many.join("&")));
    assert!(many.contains("and 80 more") && many.len() < 2_500, "{many}");
}

#[test]
fn a_timestamp_in_milliseconds_is_recognised() {
    let keys = Keys::single("the test", "s3cret").unwrap();
    for (timestamp, expected) in [
        (NOW * 1000 + 999, "X-Timestamp is in milliseconds"),
        (NOW * 1000 + 60_000, "ahead of the server's clock"),
        (NOW - 60, "behind the server's clock"),
    ] {
        let attempt = Attempt {
            timestamp: timestamp.to_string(),
            ..Attempt::default()
        };
        let refused = attempt.answer(&keys, &keys).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
        assert_eq!(refused.kind(), RefusalKind::StaleTimestamp);
    }
}
