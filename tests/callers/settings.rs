//! Settings of OAuth that cannot work are start-up problems.

use crate::desk::{NO_KEY, refusal_to_start};

#[test]
fn each_wrong_setting_is_named_with_what_to_write() {
    const ISSUER: &str = "OPERATOR_OAUTH_ISSUER";
    for (settings, said) in [
        (
            &[("OPERATOR_OAUTH_AUDIENCE", "https://api.example.com")][..],
            &["OPERATOR_OAUTH_AUDIENCE is set, but no issuer is: set OPERATOR_OAUTH_ISSUER"][..],
        ),
        (
            &[("OPERATOR_OAUTH_TENANT_CLAIM", "org")],
            &["OPERATOR_OAUTH_TENANT_CLAIM is set, but no issuer is: set OPERATOR_OAUTH_ISSUER"],
        ),
        (
            &[(ISSUER, "http://login.example.com")],
            &[
                "The issuer `http://login.example.com` is not https (only a loopback host may use http)",
                ISSUER,
            ],
        ),
        (
            &[(ISSUER, "https://login.example.com?tenant=1")],
            &[
                "The issuer `https://login.example.com?tenant=1` has a query or a fragment",
                ISSUER,
            ],
        ),
        (
            &[(ISSUER, "https://login.example.com#here")],
            &["has a query or a fragment"],
        ),
        (&[(ISSUER, "login.example.com")], &["has no scheme or no host"]),
        (
            &[("OPERATOR_API_KEYS", "shop/key=eyJh.eyJp.c2ln")],
            &["the API key shop/key has the form of a JWT", "OPERATOR_OAUTH_ISSUER"],
        ),
        // Each problem is reported, not only the first one.
        (
            &[(ISSUER, "http://login.example.com"), ("OPERATOR_API_KEYS", "key")],
            &["is not https", "Entry 1 of OPERATOR_API_KEYS has no `=`"],
        ),
        (&[], &["There is no signing key", "OPERATOR_API_KEYS"]),
    ] {
        let problem = refusal_to_start(&[&[NO_KEY], settings].concat());
        for part in said {
            assert!(problem.contains(part), "{settings:?}: {problem}");
        }
    }
}
