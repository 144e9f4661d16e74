//! The issuer's keys: how often they are fetched, and an issuer that is down, hangs or answers with something else.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::moving::MovingAddress;

use crate::desk::{Desk, NO_KEY, header, slug};
use crate::issuer::{Issuer, bearer};

const API_KEY: (&str, &str) = ("OPERATOR_API_KEYS", "shop/key=op_sk_key_of_the_tests");

#[test]
fn a_thousand_tokens_with_made_up_keys_cause_no_more_than_one_fetch() {
    let mut issuer = Issuer::start();
    let desk = Desk::start(&[NO_KEY, issuer.setting()]);
    let before = issuer.fetches();
    let made_up: Vec<String> = (0..1000)
        .map(|number| issuer.with_header("foreign", json!({ "kid": format!("made-up-{number}") }), Some("none")))
        .collect();
    std::thread::scope(|scope| {
        for some in made_up.chunks(125) {
            let desk = &desk;
            scope.spawn(move || {
                for token in some {
                    let answer = desk.read(&[("Authorization", &bearer(token))]);
                    assert_eq!(
                        (answer.status, slug(&answer).as_str()),
                        (401, "invalid-token"),
                        "{answer:?}"
                    );
                }
            });
        }
    });
    assert!(issuer.fetches() <= before + 1, "{} fetches", issuer.fetches());
    let good = bearer(&issuer.token(json!({})));
    assert_eq!(desk.read(&[("Authorization", &good)]).status, 200);
}

#[test]
fn a_server_starts_without_its_issuer_and_other_credentials_work() {
    let mut issuer = Issuer::start();
    let token = bearer(&issuer.token(json!({})));
    // Connections to this address are closed.
    let address = MovingAddress::to(0);
    let nowhere = format!("http://127.0.0.1:{}", address.port);
    for (mode, url, why) in [
        ("down", issuer.url.clone(), "503"),
        ("hang", issuer.url.clone(), "did not answer within"),
        ("large", issuer.url.clone(), "longer than 262144 bytes"),
        ("up", nowhere.clone(), "cannot be fetched"),
        (
            "up",
            format!("{}/", issuer.url),
            "set OPERATOR_OAUTH_ISSUER to exactly this issuer",
        ),
    ] {
        issuer.be(mode);
        let before = issuer.asked();
        let start = if mode == "hang" { Desk::start_once } else { Desk::start };
        let desk = start(&[NO_KEY, API_KEY, ("OPERATOR_OAUTH_ISSUER", &url)]);
        let warned = desk.next_entry("the keys of the issuer");
        let warned = warned["fields"]["message"].as_str().unwrap();
        assert!(
            warned.contains("no access token can be checked") && warned.contains(why),
            "{mode}: {warned}"
        );
        // The first request may arrive after the program has stopped waiting for it.
        let begun = Instant::now();
        while url != nowhere && issuer.asked() == before {
            assert!(begun.elapsed() < Duration::from_secs(20), "{mode}: no request arrives");
        }
        let before = issuer.asked();
        let answer = desk.read(&[("Authorization", &token)]);
        assert_eq!(
            (answer.status, slug(&answer).as_str()),
            (503, "issuer-unreachable"),
            "{mode}: {answer:?}"
        );
        assert!(header(&answer, "Retry-After").parse::<u32>().unwrap() > 0, "{mode}");
        // No fetch follows so soon, so the caller does not wait for one.
        assert_eq!(issuer.asked(), before, "{mode}");
        let refused = desk.next_entry("refused");
        assert!(
            refused["fields"]["reason"]
                .as_str()
                .unwrap()
                .contains("cannot fetch the keys"),
            "{refused}"
        );
        assert_eq!(
            desk.read(&[("X-API-Key", "op_sk_key_of_the_tests")]).status,
            200,
            "{mode}"
        );
        issuer.be("up");
    }
}

#[test]
fn known_keys_stay_in_use_without_the_issuer() {
    let mut issuer = Issuer::start();
    let desk = Desk::start(&[NO_KEY, issuer.setting()]);
    let token = bearer(&issuer.token(json!({})));
    let made_up = bearer(&issuer.with_header("foreign", json!({ "kid": "made-up" }), None));
    issuer.be("hang");
    assert_eq!(desk.read(&[("Authorization", &token)]).status, 200);
    assert_eq!(desk.read(&[("Authorization", &made_up)]).status, 401);
    assert_eq!(desk.read(&[("Authorization", &token)]).status, 200);
}
