//! The scope that an endpoint names itself: over HTTP, over MCP and in the document for clients.

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use operator_runtime::store::MemoryStore;
use operator_runtime::{App, Config, endpoints, operator_api};
use serde_json::{Value, json};
use tests::caller::PUBLIC_URL;
use tower::ServiceExt as _;

use crate::desk::tool_call;
use crate::issuer::{Issuer, bearer};

/// Refunds an order. Use it once the customer has agreed to the amount.
#[operator_api(POST, "/refunds", key(order_id), scope = "refunds:write")]
async fn refund(
    /// The order's number, as printed on the receipt.
    order_id: u64,
) -> u64 {
    order_id
}

/// Counts the refunds. Use it before another refund.
#[operator_api(GET, "/refunds/count", scope = "refunds:read")]
async fn refunds() -> u64 {
    0
}

async fn answer(router: &Router, token: &str, method: &str, path: &str, body: String) -> Response<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", "127.0.0.1")
        .header("Authorization", bearer(token))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .body(Body::from(body));
    router.clone().oneshot(request.unwrap()).await.unwrap()
}

async fn json_of(answer: Response<Body>) -> Value {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_s_own_scope_is_the_only_one_that_it_needs() {
    let mut issuer = Issuer::start();
    let any = issuer.token(json!({}));
    let mut tries = 0;
    let router = loop {
        tries += 1;
        assert!(tries <= 10, "the issuer does not answer in time");
        let config = Config::new().public_url(PUBLIC_URL).oauth_issuer(&issuer.url);
        let app = App::new().only(endpoints![refund, refunds]).config(config);
        let router = app.store(MemoryStore::new()).router().await.unwrap();
        // The issuer has 1.5 s for each document. Without its keys, every token is answered with 503.
        let asked = answer(&router, &any, "GET", "/refunds/count", String::new()).await;
        if asked.status() != StatusCode::SERVICE_UNAVAILABLE {
            break router;
        }
    };
    let order = json!({ "order_id": 4 });
    let over_mcp = |name| tool_call(name, &order, "k");
    for (scope, method, path, body) in [
        ("refunds:write", "POST", "/refunds", order.to_string()),
        ("refunds:write", "POST", "/mcp", over_mcp("refund")),
        ("refunds:read", "GET", "/refunds/count", String::new()),
    ] {
        let others = ["operator:read", "operator:act", "refunds:write", "refunds:read"];
        let others: Vec<&str> = others.into_iter().filter(|other| *other != scope).collect();
        let without = issuer.token(json!({ "scope": others.join(" ") }));
        let refused = answer(&router, &without, method, path, body.clone()).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        let challenge = refused.headers()["WWW-Authenticate"].to_str().unwrap();
        let wanted = format!(r#"error="insufficient_scope", scope="{} {scope}""#, others.join(" "));
        assert!(challenge.contains(&wanted), "{path}: {challenge}");
        let with = issuer.token(json!({ "scope": scope }));
        let accepted = answer(&router, &with, method, path, body).await;
        assert_eq!(accepted.status(), StatusCode::OK, "{path}");
    }
    // An MCP client sees the tools for which it has the scope.
    let reader = issuer.token(json!({ "scope": "refunds:read operator:act" }));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned();
    let list = json_of(answer(&router, &reader, "POST", "/mcp", list).await).await;
    let tools = list["result"]["tools"].as_array().unwrap().iter();
    assert_eq!(tools.map(|tool| &tool["name"]).collect::<Vec<_>>(), ["refunds"]);
    let document = answer(
        &router,
        "",
        "GET",
        "/.well-known/oauth-protected-resource",
        String::new(),
    )
    .await;
    assert_eq!(
        json_of(document).await["scopes_supported"],
        json!(["refunds:read", "refunds:write"])
    );
}
