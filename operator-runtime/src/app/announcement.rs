//! Log messages of start-up: the crates of the endpoints, the store, weak or very many keys, and the store's warning.

use std::collections::BTreeMap;

use super::Assembled;
use crate::endpoint::Endpoint;

/// Hashing as many bytes takes about a quarter of a second.
const MOST_TO_HASH: usize = 256 * 1024 * 1024;

pub(super) fn announce(assembled: &Assembled) {
    for (name, endpoints) in by_crate(assembled.own_endpoints().map(|bound| bound.endpoint)) {
        tracing::info!("{endpoints} endpoints from the crate {name}");
    }
    for (name, handlers) in by_crate(assembled.handlers.iter().map(|handler| &handler.endpoint)) {
        tracing::info!("{handlers} handlers of events from the crate {name}");
    }
    let credentials = &assembled.settings.credentials;
    for name in credentials.keys.weak() {
        tracing::warn!("the signing key {name:?} is so short that it can be guessed: make a new one with `keygen`");
    }
    for name in credentials.api_keys.weak() {
        tracing::warn!("the API key {name:?} is so short that it can be guessed: make a new one with `keygen`");
    }
    let keys = credentials.keys.count() + credentials.verifying_keys.count();
    let body = assembled.settings.limits.body;
    if keys.saturating_mul(body) > MOST_TO_HASH {
        tracing::warn!(
            "a request is hashed once for each of the {keys} signing and verifying keys before its caller is known: use fewer keys, or set `Config::body_limit` to less than {body} bytes"
        );
    }
    let store = assembled.pipeline.store();
    tracing::info!("operations are kept in: {}", store.describe());
    if let Some(warning) = store.warning() {
        tracing::warn!("{warning}");
    }
}

/// How many of the endpoints are in each crate.
fn by_crate<'e>(endpoints: impl Iterator<Item = &'e Endpoint>) -> BTreeMap<&'static str, usize> {
    let mut crates = BTreeMap::new();
    for endpoint in endpoints {
        *crates.entry(endpoint.source.crate_name()).or_default() += 1;
    }
    crates
}

/// Logs that the server speaks https. If it speaks http and callers send tokens, logs that a proxy has to terminate TLS,
/// because a token without TLS can be read on the way.
pub(super) fn announce_tls(assembled: &Assembled) {
    #[cfg(feature = "tls")]
    if let Some(tls) = &assembled.settings.tls {
        let digest = const_hex::encode(tls.load().digest);
        tracing::info!("this server speaks https; its certificate has the SHA-256 digest {digest}");
        return;
    }
    if assembled.settings.credentials.accepted().has_tokens() {
        tracing::info!(
            "callers send API keys or access tokens, which everybody on the way can read without TLS: let the proxy in front of this server terminate TLS, or set OPERATOR_TLS_CERT and OPERATOR_TLS_KEY"
        );
    }
}

/// Logs the URL for MCP clients, if there are tokens for them.
pub(super) fn announce_mcp(assembled: &Assembled) {
    #[cfg(feature = "mcp")]
    if assembled.settings.serves_mcp() {
        let url = assembled.settings.public_url.published(super::mcp::http::PATH);
        tracing::info!("MCP clients can connect to: {url}");
    }
    let _ = assembled;
}
