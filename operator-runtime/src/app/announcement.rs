//! What start-up says: where the endpoints come from, where operations are kept, and what is weak about that.

use std::collections::BTreeMap;

use super::Assembled;

/// Logs it.
pub(super) fn announce(assembled: &Assembled) {
    let mut crates = BTreeMap::<&str, usize>::new();
    for endpoint in &assembled.endpoints {
        *crates.entry(endpoint.endpoint.source.crate_name()).or_default() += 1;
    }
    for (name, endpoints) in crates {
        tracing::info!("{endpoints} endpoints from the crate {name}");
    }
    for name in assembled.settings.keys.weak() {
        tracing::warn!("the signing key {name:?} is short enough to be guessed: `keygen` makes one that is not");
    }
    let store = assembled.pipeline.store();
    tracing::info!("operations are kept in: {}", store.describe());
    if let Some(warning) = store.warning() {
        tracing::warn!("{warning}");
    }
}

/// Logs where MCP clients are answered, where they are.
pub(super) fn announce_mcp(assembled: &Assembled) {
    #[cfg(feature = "mcp")]
    if assembled.settings.mcp_tokens.is_some() {
        let url = assembled.settings.public_url.published(super::mcp::http::PATH);
        tracing::info!("MCP clients with a token are answered at: {url}");
    }
    let _ = assembled;
}
