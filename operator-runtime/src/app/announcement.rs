//! Log messages of start-up: the crates of the endpoints, the store, weak or very many keys, and the store's warning.

use std::collections::BTreeMap;

use super::Assembled;
use crate::endpoint::Endpoint;
use crate::protocol::credentials::Credentials;

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
    for warning in too_much_to_hash(credentials, assembled.settings.limits.body) {
        tracing::warn!("{warning}");
    }
    let store = assembled.pipeline.store();
    tracing::info!("operations are kept in: {}", store.describe());
    if let Some(warning) = store.warning() {
        tracing::warn!("{warning}");
    }
}

/// A warning for each scheme with so many keys that anybody's request is expensive.
fn too_much_to_hash(credentials: &Credentials, body: usize) -> impl Iterator<Item = String> {
    type ToHash = fn(&Credentials, usize) -> usize;
    let schemes: [(ToHash, _, _); 2] = [
        (Credentials::to_hash_by_hmac, credentials.keys.count(), "signing"),
        (
            Credentials::to_hash_by_ed25519,
            credentials.verifying_keys.count(),
            "verifying",
        ),
    ];
    schemes.into_iter().filter_map(move |(to_hash, keys, kind)| {
        let is_too_much = |length| to_hash(credentials, length) > MOST_TO_HASH;
        let or_shorter = if is_too_much(0) {
            String::new()
        } else {
            format!(", or set `Config::body_limit` to less than {body} bytes")
        };
        is_too_much(body).then(|| {
            format!(
                "a request is verified with each of the {keys} {kind} keys before its caller is known: use fewer keys{or_shorter}"
            )
        })
    })
}

/// Logs that more connections are allowed than the process has file descriptors for.
pub(super) fn announce_connections(assembled: &Assembled) {
    if let Some(warning) = assembled.settings.limits.too_many_connections() {
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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::protocol::ed25519::VerifyingKeys;

    #[test]
    fn verifying_with_many_keys_counts_also_if_bodies_are_short() {
        let public = |number: u8| STANDARD.encode(SigningKey::from_bytes(&[number; 32]).verifying_key().as_bytes());
        let list: Vec<String> = (1..=100)
            .map(|number| format!("k{number}={}", public(number)))
            .collect();
        let credentials = Credentials {
            verifying_keys: VerifyingKeys::parse("TEST", &list.join(","), &|_| Err(String::new())).unwrap(),
            ..Credentials::default()
        };
        let warnings = |body| too_much_to_hash(&credentials, body).collect::<Vec<_>>();
        assert_eq!(warnings(2_600_000), Vec::<String>::new());
        // Hashing a hundred bodies of this length would be within the limit.
        let warnings = warnings(MOST_TO_HASH / 100);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("each of the 100 verifying keys"), "{warnings:?}");
    }
}
