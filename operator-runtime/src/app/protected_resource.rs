//! The documents that tell OAuth clients which issuer's tokens this server accepts (RFC 9728): one for the endpoints, and
//! one for MCP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::{Assembled, StartProblem};
use crate::endpoint::Endpoint;
use crate::protocol::oauth::METADATA;
use crate::protocol::public_url::{MCP, PublicUrl};

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Endpoints,
    Mcp,
}

/// Reports each path of an endpoint or of the events that is a path of a document.
pub(super) fn check_paths<'p>(
    of_endpoints: impl Iterator<Item = &'p str>,
    public_url: &PublicUrl,
) -> impl Iterator<Item = StartProblem> {
    let own = paths(public_url);
    let is_taken = move |path: &&str| own.contains_key(*path) || own.contains_key(&public_url.published_path(path));
    of_endpoints.filter(is_taken).map(|path| {
        StartProblem::new(format!(
            "The path `{path}` of an endpoint is a path of the document for OAuth clients (RFC 9728): give the endpoint another path."
        ))
    })
}

/// The paths of the documents: `METADATA`, and `METADATA` with `/mcp` after it. If the public URL has a base path, each of
/// the two is also served below the base path, and with the base path after `METADATA`, as RFC 9728 §3.1 says.
fn paths(public_url: &PublicUrl) -> BTreeMap<String, Resource> {
    let base = public_url.base_path();
    // If the base path is `/mcp`, both groups contain `METADATA` with `/mcp` after it; the later entry, for the
    // endpoints, wins.
    let below = [(MCP, Resource::Mcp), ("", Resource::Endpoints)].into_iter();
    below
        .flat_map(|(below, resource)| {
            [
                format!("{METADATA}{below}"),
                format!("{METADATA}{base}{below}"),
                format!("{base}{METADATA}{below}"),
            ]
            .map(|path| (path, resource))
        })
        .collect()
}

/// Adds the documents, if there is an issuer.
pub(super) fn route(router: Router, assembled: &Arc<Assembled>) -> Router {
    let Some(issuer) = &assembled.credentials.load().issuer else {
        return router;
    };
    let endpoints = assembled.own_endpoints().map(|endpoint| endpoint.endpoint);
    let handlers = assembled.handlers.iter().map(|handler| &handler.endpoint);
    let scopes: BTreeSet<&str> = endpoints.chain(handlers).map(Endpoint::scope).collect();
    let expected = issuer.expected();
    let document = |resource| {
        // A client compares the resource with the URL that it uses (RFC 9728 §3.3). An MCP client uses only one.
        let resource = match resource {
            Resource::Endpoints => &expected.audience,
            Resource::Mcp => &expected.mcp_url,
        };
        let document = json!({
            "resource": resource,
            "authorization_servers": [expected.issuer],
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
        });
        document.to_string()
    };
    let paths = paths(&assembled.settings.public_url);
    paths.into_iter().fold(router, |router, (path, resource)| {
        let document = document(resource);
        let answer = async || ([(CONTENT_TYPE, "application/json")], document);
        router.route(&path, get(answer))
    })
}

#[cfg(test)]
mod tests {
    use super::{Resource, check_paths, paths};
    use crate::protocol::public_url::PublicUrl;

    #[test]
    fn an_endpoint_at_a_path_of_the_document_is_a_start_up_problem() {
        let taken = |path: &str, url: &str| {
            let url = PublicUrl::parse(url).unwrap();
            check_paths([path].into_iter(), &url).count() == 1
        };
        let (plain, based) = ("https://a.example", "https://a.example/base");
        assert!(taken("/.well-known/oauth-protected-resource", plain));
        assert!(taken("/.well-known/oauth-protected-resource/mcp", based));
        assert!(taken("/.well-known/oauth-protected-resource/base", based));
        assert!(taken("/base/.well-known/oauth-protected-resource/mcp", based));
        assert!(!taken("/.well-known/oauth-protected-resource/base", plain));
        assert!(!taken("/.well-known/other", plain));
    }

    #[test]
    fn a_base_path_that_is_the_path_of_mcp_is_still_the_one_of_the_endpoints() {
        let url = PublicUrl::parse("https://a.example/mcp").unwrap();
        let paths = paths(&url);
        let of = |path: &str| paths[&format!("/.well-known/oauth-protected-resource{path}")];
        assert_eq!((of("/mcp"), of("/mcp/mcp")), (Resource::Endpoints, Resource::Mcp));
    }
}
