//! The document that tells OAuth clients which issuer's tokens this server accepts (RFC 9728).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::Assembled;
use crate::protocol::oauth::METADATA;

/// Adds the document, if there is an issuer: at its path, and with `/mcp` after it. With a base path, each of them is
/// also below it, and where RFC 9728 §3.1 puts it: between the host and the path.
pub(super) fn route(router: Router, assembled: &Arc<Assembled>) -> Router {
    let Some(issuer) = &assembled.credentials.load().issuer else {
        return router;
    };
    let endpoints = assembled.endpoints.iter();
    let scopes: BTreeSet<&str> = endpoints.map(|endpoint| endpoint.endpoint.scope()).collect();
    let expected = issuer.expected();
    let document = json!({
        "resource": expected.audience,
        "authorization_servers": [expected.issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
    });
    let document = document.to_string();
    let public_url = &assembled.settings.public_url;
    let base = public_url.base_path();
    let paths: BTreeSet<String> = ["", "/mcp"]
        .into_iter()
        .flat_map(|below| {
            [
                format!("{METADATA}{below}"),
                format!("{METADATA}{base}{below}"),
                format!("{base}{METADATA}{below}"),
            ]
        })
        .collect();
    paths.into_iter().fold(router, |router, path| {
        let document = document.clone();
        let answer = async || ([(CONTENT_TYPE, "application/json")], document);
        router.route(&path, get(answer))
    })
}
