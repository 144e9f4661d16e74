//! The endpoints that a simulation calls: those of a manifest.

use serde_json::Value;

use crate::manifest::operator::{Description, Manifest};
use crate::protocol::method::Method;

/// One endpoint as its manifest describes it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) method: Method,
    /// The URL that is signed.
    pub(super) url: String,
    /// Scheme, host and port to send to.
    pub(super) origin: String,
    pub(super) path: String,
    /// The URL of another endpoint, whose signatures are not valid for this endpoint.
    pub(super) foreign_url: String,
    pub(super) changes: bool,
    /// The schema of the inputs as one object.
    pub(super) inputs: Value,
}

/// All endpoints of a manifest. `at` is the address to send to, if it is not the origin of the URLs.
pub(super) fn of(manifest: &Manifest, at: Option<&str>) -> Result<Vec<Subject>, String> {
    let at = at
        .map(|at| parts(at).ok_or_else(|| format!("`{at}` is not an address to send to: leave out the user name.")))
        .transpose()?;
    manifest
        .endpoints
        .iter()
        .map(|one| subject(manifest, one, at))
        .collect()
}

fn subject(manifest: &Manifest, one: &Description, at: Option<(&str, &str)>) -> Result<Subject, String> {
    let (name, url) = (&one.name, &one.url);
    let method = match one.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => {
            return Err(format!(
                "The method of `{name}` is `{other}`, but the agent sends only GET and POST: correct the manifest."
            ));
        }
    };
    let (origin, path) = parts(url).ok_or_else(|| {
        format!("The URL of `{name}` is `{url}`: give it a scheme, `https` or `http`, a host and a path, without user name, query and fragment.")
    })?;
    let (origin, path) = match at {
        None => (origin, path.to_owned()),
        Some((origin, before)) => (origin, format!("{before}{path}")),
    };
    let mut others = manifest.endpoints.iter().map(|other| &other.url);
    let foreign_url = others.find(|other| *other != url).cloned();
    Ok(Subject {
        name: name.clone(),
        method,
        origin: origin.to_owned(),
        path,
        // If there is no other endpoint, the URL of an endpoint that does not exist serves the same purpose.
        foreign_url: foreign_url.unwrap_or_else(|| format!("{url}-of-another-endpoint")),
        url: url.clone(),
        changes: manifest.may_change(one),
        inputs: one.inputs.clone(),
    })
}

/// The origin and the path of a URL.
fn parts(url: &str) -> Option<(&str, &str)> {
    let parsed: http::Uri = url.parse().ok()?;
    let authority = parsed.authority()?;
    let is_http = matches!(parsed.scheme_str(), Some("http" | "https"));
    if !is_http || authority.as_str().contains('@') || url.contains(['?', '#']) {
        return None;
    }
    let begin = url.find("://")? + 3;
    let end = url[begin..].find('/').map_or(url.len(), |at| begin + at);
    Some(url.split_at(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of;
    use crate::manifest::operator::Manifest;

    fn manifest(method: &str, url: &str) -> Manifest {
        serde_json::from_value(json!({ "endpoints": [
            { "name": "pay", "description": "", "method": method, "url": url, "inputs": {}, "outputs": {} },
            { "name": "list", "description": "", "method": "POST", "url": "https://a.example/list", "inputs": {}, "outputs": {} },
        ], "guarantees": { "list": { "effect": "read_only" } } }))
        .unwrap()
    }

    #[test]
    fn the_parts_of_a_url_are_kept_as_they_are_written() {
        let manifest = manifest("POST", "https://Api.example:8443/base/pay");
        let [pay, list] = <[_; 2]>::try_from(of(&manifest, None).unwrap()).unwrap();
        assert_eq!(
            (pay.origin.as_str(), pay.path.as_str()),
            ("https://Api.example:8443", "/base/pay")
        );
        assert_eq!(pay.foreign_url, "https://a.example/list");
        assert!(pay.changes && !list.changes);
        let elsewhere = of(&manifest, Some("http://127.0.0.1:1")).unwrap();
        assert_eq!(
            (elsewhere[0].origin.as_str(), elsewhere[0].path.as_str()),
            ("http://127.0.0.1:1", "/base/pay")
        );
        assert_eq!(elsewhere[0].url, "https://Api.example:8443/base/pay");
        // Such an address must not be left out, because the calls would then go to the public URL.
        let refused = of(&manifest, Some("http://ana@127.0.0.1:1")).unwrap_err();
        assert!(refused.contains("leave out the user name"), "{refused}");
    }

    #[test]
    fn a_wrong_url_or_method_is_refused() {
        for url in [
            "pay",
            "ftp://a.example/pay",
            "https://ana@a.example/pay",
            "https://a.example/pay?b=1",
        ] {
            let refused = of(&manifest("GET", url), None).unwrap_err();
            assert!(
                refused.starts_with(&format!("The URL of `pay` is `{url}`: give it")),
                "{refused}"
            );
        }
        let refused = of(&manifest("DELETE", "https://a.example/pay"), None).unwrap_err();
        assert!(refused.contains("`DELETE`"), "{refused}");
    }
}
