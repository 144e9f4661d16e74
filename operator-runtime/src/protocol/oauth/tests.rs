//! When the issuer's keys are fetched. `tests/callers` shows which tokens are accepted.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
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

/// The key with this id.
fn key(id: &str) -> SigningKey {
    let id = id.as_bytes();
    SigningKey::from_bytes(&std::array::from_fn(|index| id[index % id.len()]))
}

/// A good token that is signed with this key.
fn token(id: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": id }));
    let claims = part(&json!({ "iss": "https://i.example", "aud": "https://a.example", "sub": "s", "exp": NOW + 60 }));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key(id).sign(message.as_bytes()).to_bytes());
    format!("{message}.{signature}")
}

fn headers(id: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {}", token(id))).unwrap();
    [(AUTHORIZATION, value)].into_iter().collect()
}

/// The issuer's side.
#[derive(Default)]
struct Side {
    is_up: AtomicBool,
    /// The id of the only key that it publishes, if not `k`.
    key: Mutex<Option<&'static str>>,
    fetches: AtomicU32,
    begun: Notify,
    answered: Notify,
}

fn issuer(side: &Arc<Side>) -> Arc<Issuer> {
    let expected = Expected {
        issuer: "https://i.example".to_owned(),
        audience: "https://a.example".to_owned(),
        mcp_url: "https://a.example/mcp".to_owned(),
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
            let id = side.key.lock().unwrap().unwrap_or("k");
            let x = URL_SAFE_NO_PAD.encode(key(id).verifying_key().as_bytes());
            let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x }] });
            IssuerKeys::parse(jwks.to_string().as_bytes())
        })
    };
    Arc::new(Issuer::new(expected, fetch))
}

#[tokio::test(start_paused = true)]
async fn tokens_are_accepted_a_minute_after_the_issuer_is_up_again() {
    let side = Arc::<Side>::default();
    let issuer = issuer(&side);
    assert!(issuer.is_worth_a_fetch(&headers("k")));
    side.answered.notify_one();
    issuer.refresh().await;
    assert_eq!(issuer.verify(&token("k"), NOW).unwrap_err(), Refusal::NoIssuer);
    side.is_up.store(true, Ordering::Relaxed);
    advance(PAUSE - Duration::from_secs(1)).await;
    assert!(!issuer.is_worth_a_fetch(&headers("k")));
    issuer.refresh().await;
    assert_eq!(side.fetches.load(Ordering::Relaxed), 1);
    advance(Duration::from_secs(1)).await;
    assert!(issuer.is_worth_a_fetch(&headers("k")));
    side.answered.notify_one();
    issuer.refresh().await;
    assert_eq!(issuer.verify(&token("k"), NOW).unwrap().name().id(), "s");
    // The key is known now, so no call waits for another fetch.
    advance(PAUSE).await;
    assert!(!issuer.is_worth_a_fetch(&headers("k")));
}

#[tokio::test(start_paused = true)]
async fn known_keys_stay_in_use_until_a_fetch_brings_others() {
    let side = Arc::<Side>::default();
    let issuer = issuer(&side);
    let refresh = async |is_up| {
        side.is_up.store(is_up, Ordering::Relaxed);
        side.answered.notify_one();
        issuer.refresh().await;
    };
    let is_accepted = |id| issuer.verify(&token(id), NOW).is_ok();
    refresh(true).await;
    assert!(is_accepted("k"));
    // A token with another key makes the server ask an issuer that is down.
    advance(PAUSE).await;
    assert!(issuer.is_worth_a_fetch(&headers("new")));
    refresh(false).await;
    assert_eq!(side.fetches.load(Ordering::Relaxed), 2);
    assert!(is_accepted("k") && !is_accepted("new"));
    advance(PAUSE).await;
    assert!(issuer.is_worth_a_fetch(&headers("new")));
    *side.key.lock().unwrap() = Some("new");
    refresh(true).await;
    assert!(is_accepted("new"));
    // The issuer has withdrawn the old key.
    assert!(!is_accepted("k"));
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
    assert!(issuer.verify(&token("k"), NOW).is_ok());
}
