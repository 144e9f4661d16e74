//! The public URL: which URLs are accepted, and the URLs and paths below the public URL.

use std::fmt;
#[cfg(any(feature = "cli", test))]
use std::net::SocketAddr;

/// The URL below which the endpoints are published: scheme, host and base path, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    url: String,
    /// The position in `url` at which the base path begins. If there is no base path, this is the length of `url`.
    base_path: usize,
}

impl PublicUrl {
    /// Parses a public URL, and checks that callers can sign it.
    ///
    /// # Errors
    /// The reason why callers cannot sign this URL.
    pub(crate) fn parse(url: &str) -> Result<Self, NotPublic> {
        let parsed: http::Uri = url.parse().map_err(NotPublic::Syntax)?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(NotPublic::Incomplete);
        };
        if authority.as_str().contains('@') {
            return Err(NotPublic::UserName);
        }
        let behind_host = authority.as_str().strip_prefix(authority.host());
        if !behind_host.is_some_and(str::is_empty) && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(NotPublic::Port);
        }
        if url.contains(['?', '#']) {
            return Err(NotPublic::Query);
        }
        match scheme {
            "https" => {}
            "http" if is_loopback_host(authority.host()) => {}
            "http" => return Err(NotPublic::Insecure),
            _ => return Err(NotPublic::Scheme),
        }
        check_base_path(parsed.path())?;
        let url = url.trim_end_matches('/').to_owned();
        let base_path = url.len() - parsed.path().trim_end_matches('/').len();
        Ok(Self { url, base_path })
    }

    /// The URL of a server that listens at `address` and has no other public URL.
    #[cfg(any(feature = "cli", test))]
    pub(crate) fn of_listener(address: SocketAddr) -> Self {
        let url = format!("http://{address}");
        Self {
            base_path: url.len(),
            url,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.url
    }

    /// The base path: empty, or a path that begins with a slash.
    pub(crate) fn base_path(&self) -> &str {
        &self.url[self.base_path..]
    }

    /// The URL at which an endpoint is published. Callers sign this URL.
    pub(crate) fn published(&self, path: &str) -> String {
        below(&self.url, path)
    }

    /// The path at which an endpoint is published. Requests have this path unless a proxy in front of the server
    /// removes the base path.
    pub(crate) fn published_path(&self, path: &str) -> String {
        below(self.base_path(), path)
    }
}

/// Joins a URL or path that has no slash at its end with an endpoint's path, which begins with a slash.
pub(crate) fn below(base: &str, path: &str) -> String {
    [base, path].concat()
}

fn check_base_path(path: &str) -> Result<(), NotPublic> {
    let base_path = path.trim_end_matches('/');
    if base_path.contains([':', '%', '{', '}', '*']) || base_path.contains("//") {
        return Err(NotPublic::Characters);
    }
    // Clients remove these segments before they send a request (RFC 3986 §5.2.4), and would then sign another URL.
    if base_path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(NotPublic::Dots);
    }
    if !base_path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NotPublic::NotAscii);
    }
    Ok(())
}

fn is_loopback_host(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Why callers cannot sign a URL, as the end of the sentence "the public URL …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPublic {
    #[error("is not a URL")]
    Syntax(#[source] http::uri::InvalidUri),
    #[error("has no scheme or no host")]
    Incomplete,
    #[error("has a user name")]
    UserName,
    #[error("has a port that is not between 1 and 65535")]
    Port,
    #[error("has a query or a fragment")]
    Query,
    #[error("is not https (only a loopback host may use http)")]
    Insecure,
    #[error("is neither https nor http")]
    Scheme,
    #[error("has a base path with `:`, `%`, `//`, `*` or braces")]
    Characters,
    #[error("has a base path with `.` or `..`")]
    Dots,
    #[error("has a base path with a character that is not ASCII")]
    NotAscii,
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::PublicUrl;

    #[test]
    fn a_url_that_nobody_could_sign_over_is_refused_for_its_reason() {
        for (url, why) in [
            ("https://a.example:99999", "port"),
            ("https://a.example:0/x", "port"),
            ("https://a.example:", "port"),
            ("https://[::1]:70000", "port"),
            ("https://a.example/a/../b", "`..`"),
            ("https://a.example/./b", "`.`"),
            ("https://a.example/b/..", "`..`"),
            ("https://a.example/é", "not ASCII"),
            ("https://a.example/a//b", "`//`"),
            ("https://user@a.example", "user name"),
            ("https://a.example/?x", "query"),
            ("http://a.example", "not https"),
            ("ftp://a.example", "neither"),
            ("a.example", "no scheme"),
            ("a b", "not a URL"),
        ] {
            let error = PublicUrl::parse(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn paths_are_published_below_the_url_and_below_its_base_path() {
        for (given, url, base_path) in [
            ("https://a.example", "https://a.example", ""),
            ("https://a.example:8443/", "https://a.example:8443", ""),
            ("http://[::1]:8080/a/b/", "http://[::1]:8080/a/b", "/a/b"),
            (
                "https://a.example/a..b/.well-known",
                "https://a.example/a..b/.well-known",
                "/a..b/.well-known",
            ),
        ] {
            let public = PublicUrl::parse(given).expect(given);
            assert_eq!((public.as_str(), public.base_path()), (url, base_path));
            assert_eq!(public.published("/orders"), format!("{url}/orders"));
            assert_eq!(public.published_path("/orders"), format!("{base_path}/orders"));
        }
        let here = PublicUrl::of_listener(([127, 0, 0, 1], 8080).into());
        assert_eq!((here.as_str(), here.base_path()), ("http://127.0.0.1:8080", ""));
        assert_eq!(PublicUrl::parse("http://127.0.0.1:8080").ok(), Some(here));
    }
}
