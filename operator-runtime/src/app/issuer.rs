//! Fetches the keys of an OAuth issuer: its metadata (RFC 8414, OpenID Connect Discovery 1.0), and then the JWKS that the
//! metadata names.

use std::time::Duration;

use serde::Deserialize;
use tokio::task::spawn_blocking;
use ureq::Agent;

use super::trusted;
use crate::protocol::oauth::{Fetching, IssuerKeys, LONGEST_FETCH};
use crate::protocol::public_url::PublicUrl;

/// The largest document that is read, in bytes. The keys of real issuers take a few KiB.
const LARGEST: u64 = 256 * 1024;
/// The time limit for each document.
const LONGEST: Duration = Duration::from_millis(1_500);
/// The most documents of one fetch: the metadata at each of two places, and the keys.
const MOST: u128 = 3;
const _: () = assert!(
    MOST * LONGEST.as_millis() < LONGEST_FETCH.as_millis(),
    "the last document has its time too"
);

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// What fetches the keys of this issuer.
pub(super) fn fetching(issuer: &str) -> impl Fn() -> Fetching + Send + Sync + 'static {
    let issuer = issuer.to_owned();
    move || {
        let issuer = issuer.clone();
        Box::pin(async move {
            // The HTTP client blocks.
            let fetched = spawn_blocking(move || fetch(&issuer)).await;
            fetched.unwrap_or_else(|error| Err(format!("The fetch was interrupted: {error}.")))
        })
    }
}

fn fetch(issuer: &str) -> Result<IssuerKeys, String> {
    let agent = agent();
    let mut failed = Vec::new();
    for place in places(issuer) {
        let metadata = match read(&agent, &place) {
            Ok(document) => serde_json::from_slice::<Metadata>(&document),
            Err(why) => {
                failed.push(why);
                continue;
            }
        };
        let metadata = metadata.map_err(|error| format!("{place} is not the metadata of an issuer: {error}."))?;
        if metadata.issuer != issuer {
            return Err(format!(
                "{place} is the metadata of {:?}: set OPERATOR_OAUTH_ISSUER to exactly this issuer, if it is the right one.",
                metadata.issuer
            ));
        }
        let keys = &metadata.jwks_uri;
        PublicUrl::parse(keys.split(['?', '#']).next().unwrap_or(keys))
            .map_err(|why| format!("The address of its keys, `{keys}`, {why}: correct `jwks_uri` in {place}, or set OPERATOR_OAUTH_ISSUER to another issuer."))?;
        return IssuerKeys::parse(&read(&agent, keys)?);
    }
    Err(failed.join(" "))
}

/// Where the metadata may be: OpenID Connect appends a path to the issuer, and RFC 8414 §3.1 inserts another one before
/// the issuer's own path.
fn places(issuer: &str) -> [String; 2] {
    let issuer = issuer.trim_end_matches('/');
    let host = issuer.find("://").map_or(0, |scheme| scheme + 3);
    let path = issuer[host..].find('/').map_or(issuer.len(), |path| host + path);
    let (origin, path) = issuer.split_at(path);
    [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(LONGEST))
        .max_redirects(0)
        .tls_config(trusted::by_this_system());
    Agent::new_with_config(config.build())
}

fn read(agent: &Agent, url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: ureq::Error| match error {
        ureq::Error::BodyExceedsLimit(_) => format!("{url} is longer than {LARGEST} bytes, the most that is read."),
        ureq::Error::Timeout(_) => format!("{url} did not answer within {} s.", LONGEST.as_secs_f32()),
        error => format!("{url} cannot be fetched: {}.", trusted::why(&error)),
    };
    let mut response = agent.get(url).call().map_err(failed)?;
    response
        .body_mut()
        .with_config()
        .limit(LARGEST)
        .read_to_vec()
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn metadata_is_below_the_issuer_or_before_its_path() {
        let [below, before] = places("https://login.example.com/tenant/");
        assert_eq!(
            below,
            "https://login.example.com/tenant/.well-known/openid-configuration"
        );
        assert_eq!(
            before,
            "https://login.example.com/.well-known/oauth-authorization-server/tenant"
        );
        let [_, without_path] = places("https://login.example.com");
        assert_eq!(
            without_path,
            "https://login.example.com/.well-known/oauth-authorization-server"
        );
    }
}
