//! The public URL: what it may be, and its base path.

/// Where it is set, unless a command says otherwise.
pub(super) const SETTING: &str = "OPERATOR_PUBLIC_URL";

/// The URL that start-up needs, as [`check`] gives it.
pub(super) fn settle(url: Option<&str>) -> Result<(String, String), String> {
    let missing = || {
        format!(
            "There is no public URL: set {SETTING} to what callers sign over, such as https://api.example.com/support."
        )
    };
    check(url.ok_or_else(missing)?, SETTING)
}

/// The URL without a slash at its end, and its path.
pub(super) fn check(url: &str, setting: &str) -> Result<(String, String), String> {
    let wrong = |why: &str| {
        format!(
            "The public URL `{url}` {why}: {setting} is scheme, host and base path, such as https://api.example.com/support."
        )
    };
    let parsed: http::Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
        return Err(wrong("has no scheme or no host"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("holds a user name"));
    }
    let behind_host = authority.as_str().strip_prefix(authority.host());
    if !behind_host.is_some_and(str::is_empty) && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("has a port that is none, from 1 to 65535"));
    }
    if url.contains(['?', '#']) {
        return Err(wrong("has a query or a fragment"));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback_host(authority.host()) => {}
        "http" => return Err(wrong("is not https, and only a loopback host may go without")),
        _ => return Err(wrong("is neither https nor http")),
    }
    let base_path = parsed.path().trim_end_matches('/').to_owned();
    if base_path.contains([':', '%', '{', '}', '*']) || base_path.contains("//") {
        return Err(wrong("has a base path with `:`, `%`, `//` or braces"));
    }
    // RFC 3986 §5.2.4: clients take these out before they send, and then sign over another URL.
    if base_path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(wrong("has a base path with `.` or `..`"));
    }
    if !base_path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("has a base path with a letter that is not ASCII"));
    }
    Ok((url.trim_end_matches('/').to_owned(), base_path))
}

fn is_loopback_host(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::settle;

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
        ] {
            let error = settle(Some(url)).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
        }
        for (url, base_path) in [
            ("https://a.example", ""),
            ("https://a.example:8443/", ""),
            ("http://[::1]:8080/a/b/", "/a/b"),
            ("https://a.example/a..b/.well-known", "/a..b/.well-known"),
        ] {
            let settled = settle(Some(url)).expect(url);
            assert_eq!(settled, (url.trim_end_matches('/').to_owned(), base_path.to_owned()));
        }
    }
}
