//! The services that this crate is compared with: a bare handler, the handler behind a signature check written by hand,
//! and both with a cache of answers.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use moka::sync::Cache;
use serde::Deserialize;
use sha2::Sha256;

use super::requests::{SECRET, URL, now};
use super::{Found, Order};

/// A POST and a GET without any check.
pub(crate) fn bare() -> Router {
    Router::new().route("/bare", post(echo)).route("/search", get(query))
}

/// The same POST behind a signature check.
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

/// The signature check that a user would write by hand.
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

/// The POST behind the signature check and a cache, which keeps the first answer to each idempotency key for five
/// minutes.
pub(crate) fn idempotent() -> Router {
    let answers = Cache::builder()
        .max_capacity(1 << 20)
        .time_to_live(Duration::from_secs(300))
        .build();
    Router::new()
        .route("/bare", post(echo))
        .layer(from_fn_with_state(answers, keep))
        .layer(from_fn(check))
}

/// The cache that a user would write by hand. It does not check that a key is used again for the same request, and two
/// calls at the same time both run.
async fn keep(State(answers): State<Cache<HeaderValue, Bytes>>, request: Request, next: Next) -> Response<Body> {
    let key = request.headers()["x-idempotency-key"].clone();
    if let Some(answer) = answers.get(&key) {
        return ([(CONTENT_TYPE, "application/json")], answer).into_response();
    }
    let (head, body) = next.run(request).await.into_parts();
    let answer = to_bytes(body, 1 << 20).await.unwrap();
    answers.insert(key, answer.clone());
    Response::from_parts(head, Body::from(answer))
}
