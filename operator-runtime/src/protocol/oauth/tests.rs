//! When the issuer's keys are fetched. `tests/callers` shows which tokens are accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::advance;

use super::{Expected, Issuer, IssuerKeys, PAUSE};
use crate::protocol::refusal::Refusal;

const NOW: u64 = 1_700_000_000;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn token() -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "k" }));
    let claims = part(&json!({ "iss": "https://i.example", "aud": "https://a.example", "sub": "s", "exp": NOW + 60 }));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key().sign(message.as_bytes()).to_bytes());
    format!("{message}.{signature}")
}

fn headers() -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {}", token())).unwrap();
    [(AUTHORIZATION, value)].into_iter().collect()
}

/// The issuer's side.
#[derive(Default)]
struct Side {
    is_up: AtomicBool,
    fetches: AtomicU32,
    begun: Notify,
    answered: Notify,
}

fn issuer(side: &Arc<Side>) -> Arc<Issuer> {
    let expected = Expected {
        issuer: "https://i.example".to_owned(),
        audience: "https://a.example".to_owned(),
        metadata: String::new(),
        tenant_claim: None,
    };
    let side = Arc::clone(side);
    let fetch = move || -> super::Fetching {
        let side = Arc::clone(&side);
        Box::pin(async move {
            side.fetches.fetch_add(1, Ordering::Relaxed);
            side.begun.notify_one();
            side.answered.notified().await;
            if !side.is_up.load(Ordering::Relaxed) {
                return Err("It is down.".to_owned());
            }
            let x = URL_SAFE_NO_PAD.encode(key().verifying_key().as_bytes());
            let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x }] });
            IssuerKeys::parse(jwks.to_string().as_bytes())
        })
    };
    Arc::new(Issuer::new(expected, fetch))
}

#[tokio::test(start_paused = true)]
async fn tokens_are_accepted_a_minute_after_the_issuer_is_up_again() {
    let side = Arc::<Side>::default();
    let issuer = issuer(&side);
    assert!(issuer.is_worth_a_fetch(&headers()));
    side.answered.notify_one();
    issuer.refresh().await;
    assert_eq!(issuer.verify(&token(), NOW).unwrap_err(), Refusal::NoIssuer);
    side.is_up.store(true, Ordering::Relaxed);
    advance(PAUSE - Duration::from_secs(1)).await;
    assert!(!issuer.is_worth_a_fetch(&headers()));
    issuer.refresh().await;
    assert_eq!(side.fetches.load(Ordering::Relaxed), 1);
    advance(Duration::from_secs(1)).await;
    assert!(issuer.is_worth_a_fetch(&headers()));
    side.answered.notify_one();
    issuer.refresh().await;
    assert_eq!(issuer.verify(&token(), NOW).unwrap().name().id(), "s");
    // The key is known now, so no call waits for another fetch.
    advance(PAUSE).await;
    assert!(!issuer.is_worth_a_fetch(&headers()));
}

/// Otherwise, a caller that leaves at the right moment could keep the keys from ever being known.
#[tokio::test(start_paused = true)]
async fn a_fetch_goes_on_when_its_caller_leaves() {
    let side = Arc::<Side>::default();
    side.is_up.store(true, Ordering::Relaxed);
    let issuer = issuer(&side);
    let caller = tokio::spawn({
        let issuer = Arc::clone(&issuer);
        async move { issuer.refresh().await }
    });
    side.begun.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    // The next caller waits for the same fetch.
    let (waiting, ()) = tokio::join!(issuer.refresh(), async { side.answered.notify_one() });
    let () = waiting;
    assert_eq!(side.fetches.load(Ordering::Relaxed), 1);
    assert!(issuer.verify(&token(), NOW).is_ok());
}
