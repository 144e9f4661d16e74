//! What ours is measured against: a bare handler, a check written by hand, and that with a crate for idempotency.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use ruts::store::moka::MokaStore;
use ruts::{CookieOptions, Session, SessionLayer};
use serde::Deserialize;
use sha2::Sha256;
use tower::ServiceExt as _;
use tower_cookies::CookieManagerLayer;

use super::requests::{SECRET, URL, now};
use super::{Found, Order};

/// A POST and a GET with nothing before them.
pub(crate) fn bare() -> Router {
    Router::new().route("/bare", post(echo)).route("/search", get(query))
}

/// The same POST behind a check.
pub(crate) fn checked() -> Router {
    Router::new().route("/bare", post(echo)).layer(from_fn(check))
}

async fn echo(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[derive(Deserialize)]
struct Search {
    email: String,
    status: String,
    limit: u32,
    after: u64,
    exact: bool,
}

async fn query(Query(search): Query<Search>) -> Json<Found> {
    let Search {
        email,
        status,
        limit,
        after,
        exact,
    } = search;
    Json(Found {
        email,
        status,
        limit,
        after,
        exact,
    })
}

/// The check that a user would write.
async fn check(request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let mut payload = format!(
        "{URL}{}:{}:{}:",
        parts.uri.path(),
        header("x-idempotency-key"),
        header("x-timestamp")
    )
    .into_bytes();
    payload.extend_from_slice(&body);
    let stamp: u64 = header("x-timestamp").parse().unwrap_or(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&payload);
    let expected: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if now().abs_diff(stamp) > 30 || expected != header("x-signature") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// The crate keeps answers in a session, so one is opened first.
pub(crate) async fn idempotent() -> (Router, String) {
    let store = Arc::new(MokaStore::builder().build());
    let options = IdempotentOptions::default()
        .use_idempotency_key_header(Some("x-idempotency-key"), true)
        .expire_after(300);
    let open = get(|session: Session<MokaStore>| async move {
        session
            .set("open", &true, ruts::store::Ttl::new(3600).unwrap(), None)
            .await
            .unwrap();
    });
    let router = Router::new()
        .route("/bare", post(echo))
        .layer(IdempotentLayer::<MokaStore>::new(options))
        .layer(from_fn(check))
        .route("/open", open)
        .layer(SessionLayer::new(store).with_cookie_options(CookieOptions::build().name("session")))
        .layer(CookieManagerLayer::new());
    let request = Request::builder().uri("/open").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    (router, cookie)
}
