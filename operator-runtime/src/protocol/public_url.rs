//! The public URL: which URLs are accepted, and the URLs and paths below the public URL.

use std::fmt;
#[cfg(any(feature = "cli", test))]
use std::net::SocketAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The path of the MCP server.
#[cfg(any(feature = "mcp", feature = "oauth"))]
pub(crate) const MCP: &str = "/mcp";

/// The URL below which the endpoints are published: scheme, host and base path, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    url: String,
    /// The position in `url` at which the base path begins. If there is no base path, this is the length of `url`.
    base_path: usize,
}

impl PublicUrl {
    /// Parses a public URL, checks that callers can sign it, and writes it as browsers and other clients write it: a
    /// client that normalizes URLs signs the same text as a client that does not.
    ///
    /// # Errors
    /// The reason why callers cannot sign this URL.
    pub(crate) fn parse(url: &str) -> Result<Self, NotPublic> {
        let url = url.trim_ascii();
        check_ascii(url)?;
        let parsed: http::Uri = url.parse().map_err(NotPublic::Syntax)?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(NotPublic::Incomplete);
        };
        if authority.as_str().contains('@') {
            return Err(NotPublic::UserName);
        }
        let behind_host = authority.as_str().strip_prefix(authority.host());
        let port = authority.port_u16();
        if !behind_host.is_some_and(str::is_empty) && port.is_none_or(|port| port == 0) {
            return Err(NotPublic::Port);
        }
        if url.contains(['?', '#']) {
            return Err(NotPublic::Query);
        }
        let host = normalized_host(authority.host())?;
        let default_port = match scheme {
            "https" => 443,
            "http" if is_loopback_host(&host) => 80,
            "http" => return Err(NotPublic::Insecure),
            _ => return Err(NotPublic::Scheme),
        };
        let path = parsed.path().trim_end_matches('/');
        check_base_path(path)?;
        let port = port.filter(|port| *port != default_port);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let origin = format!("{scheme}://{host}{port}");
        Ok(Self {
            url: below(&origin, path),
            base_path: origin.len(),
        })
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

/// Checks that the URL is ASCII, because clients write other characters in several ways.
fn check_ascii(url: &str) -> Result<(), NotPublic> {
    let Some(at) = url.find(|character: char| !character.is_ascii()) else {
        return Ok(());
    };
    let behind_scheme = url.find("://").map_or(0, |at| at + 3);
    let is_in_host = !url[behind_scheme.min(at)..at].contains('/');
    Err(if is_in_host {
        NotPublic::HostNotAscii
    } else {
        NotPublic::NotAscii
    })
}

/// The host as clients write it, which is in lower case, and with the shortest form of an IPv6 address.
fn normalized_host(host: &str) -> Result<String, NotPublic> {
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| NotPublic::Host)?;
        // Clients write an IPv4 address inside an IPv6 address in hexadecimal digits, and the standard library does not.
        return match address.to_ipv4_mapped() {
            Some(_) => Err(NotPublic::Mapped),
            None => Ok(format!("[{address}]")),
        };
    }
    let host = host.to_ascii_lowercase();
    let labels = || host.strip_suffix('.').unwrap_or(&host).split('.');
    let is_name = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(is_part)
    };
    if !labels().all(is_name) {
        return Err(NotPublic::Host);
    }
    // Clients read such a host as an IPv4 address, for example `127.1` as 127.0.0.1.
    let ends_in_number = labels().next_back().is_some_and(|last| {
        let digits = last.strip_prefix("0x");
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            || last.bytes().all(|byte| byte.is_ascii_digit())
    });
    if ends_in_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(NotPublic::Ipv4);
    }
    Ok(host)
}

fn check_base_path(base_path: &str) -> Result<(), NotPublic> {
    // Clients percent-encode some characters and leave others, so only characters that every client leaves are accepted.
    let is_accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=@".contains(&byte);
    if !base_path.bytes().all(is_accepted) || base_path.contains("//") {
        return Err(NotPublic::Characters);
    }
    // Clients remove these segments before they send a request (RFC 3986 §5.2.4), and would then sign another URL.
    if base_path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(NotPublic::Dots);
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
    #[error("has a host that is neither a domain name nor an IP address")]
    Host,
    #[error(
        "has a host with a character that is not ASCII (write the ASCII form of the name, whose labels begin with `xn--`)"
    )]
    HostNotAscii,
    #[error("has a host that clients read as an IPv4 address (write four decimal numbers, such as `127.0.0.1`)")]
    Ipv4,
    #[error("has an IPv4 address inside an IPv6 address (write the IPv4 address alone)")]
    Mapped,
    #[error(
        "has a base path with `//`, or with a character that clients write in different ways (use letters, digits, `-`, `_`, `.`, `~` and single slashes)"
    )]
    Characters,
    #[error("has a base path with `.` or `..` (write the path without them)")]
    Dots,
    #[error(
        "has a base path with a character that is not ASCII (use letters, digits, `-`, `_`, `.`, `~` and single slashes)"
    )]
    NotAscii,
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

/// Whether a text is the scheme of a URI (RFC 3986 §3.1).
pub(crate) fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
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
            ("https://a.example/a%20b", "different ways"),
            ("https://a.example/a|b", "different ways"),
            ("https://a.example/{tenant}", "different ways"),
            ("https://a.example/a:b", "different ways"),
            ("https://müller.example/a", "`xn--`"),
            ("https://ＡＰＩ.example", "`xn--`"),
            ("https://api.example。", "`xn--`"),
            ("https://a%2Eb.example", "not a URL"),
            ("https://a..example", "host"),
            ("https://a!b.example", "host"),
            ("https://127.1", "`127.0.0.1`"),
            ("https://0x7f.0.0.1", "`127.0.0.1`"),
            ("https://127.0.0.01", "`127.0.0.1`"),
            ("https://2130706433", "`127.0.0.1`"),
            ("https://a.0x", "`127.0.0.1`"),
            ("https://[::ffff:192.0.2.1]", "IPv4 address alone"),
            ("https://[::1%25eth0]", "host"),
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
            (
                "HTTPS://Api.Shop.Example:443/Base/",
                "https://api.shop.example/Base",
                "/Base",
            ),
            (" https://a.example:0443\n", "https://a.example", ""),
            ("https://a.example:80", "https://a.example:80", ""),
            ("http://LocalHost:80/", "http://localhost", ""),
            ("http://localhost:443", "http://localhost:443", ""),
            ("https://XN--MLLER-KVA.example", "https://xn--mller-kva.example", ""),
            ("https://a_b.example./x", "https://a_b.example./x", "/x"),
            ("https://192.0.2.1", "https://192.0.2.1", ""),
            (
                "https://[2001:DB8:0:0:0:0:0:1]:443/~a/b-c_d.e/$x=1;(2)",
                "https://[2001:db8::1]/~a/b-c_d.e/$x=1;(2)",
                "/~a/b-c_d.e/$x=1;(2)",
            ),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", ""),
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

    /// The crate `url` normalizes as browsers do. Every accepted URL is published as the crate writes it.
    #[test]
    fn a_client_that_normalizes_urls_leaves_a_public_url_unchanged() {
        let schemes = ["https", "HTTPS", "http", "ftp"];
        let hosts = [
            "a.example",
            "A.Example",
            "a.example.",
            "localhost",
            "1.2.3.4",
            "1.2.3",
            "1.2.3.04",
            "0x1.2.3.4",
            "a.1",
            "a.0x1g",
            "[::1]",
            "[2001:DB8::0:1]",
            "[1:0:0:2:0:0:0:3]",
            "[::ffff:1.2.3.4]",
            "[::1.2.3.4]",
            "[64:ff9b::1.2.3.4]",
            "xn--mller-kva.example",
            "a--b.example",
            "-a.example",
            "é.example",
            "a%41.example",
            "a b",
            "a,b",
            "a~b",
            "",
        ];
        let ports = ["", ":", ":80", ":443", ":0443", ":8080", ":65536"];
        let mut paths: Vec<String> = [
            "", "/", "//", "/a/", "/a//", "/a//b", "/a/./b", "/a/..", "/..a", "/A%41", "/é",
        ]
        .map(str::to_owned)
        .to_vec();
        paths.extend((b' '..=b'~').map(|byte| format!("/a{}b", char::from(byte))));
        let mut accepted = 0;
        for scheme in schemes {
            for host in hosts {
                for port in ports {
                    for path in &paths {
                        let given = format!("{scheme}://{host}{port}{path}");
                        let Ok(public) = PublicUrl::parse(&given) else { continue };
                        let of_endpoint = public.published("/orders");
                        let by_client = url::Url::parse(&of_endpoint).expect(&given);
                        assert_eq!(by_client.as_str(), of_endpoint, "{given}");
                        let from_given = url::Url::parse(given.trim_end_matches('/')).expect(&given);
                        assert_eq!(from_given.as_str().trim_end_matches('/'), public.as_str(), "{given}");
                        accepted += 1;
                    }
                }
            }
        }
        assert!(accepted > 1_000, "{accepted} URLs were accepted");
    }
}
