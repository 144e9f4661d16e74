//! Access rules of the console and of the admin page: only the page itself, in a browser on this machine, may ask for
//! data.
//!
//! The console signs calls, so another site that is open in the same browser must not reach the console. The headers
//! `Origin` and `Sec-Fetch-Site` and the token stop cross-origin requests. The header `Host` stops DNS rebinding, where
//! the other site's name resolves to this machine. The rules do not tell apart people who share a machine; the admin
//! page also asks each person for a token.

use std::net::IpAddr;

use crate::protocol::randomness::{self, NoRandomBytes};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method};
use subtle::ConstantTimeEq as _;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The rules of a page on this machine.
pub(crate) struct Site {
    /// The port that the server listens on.
    pub(crate) port: u16,
}

/// The rules of the console in one run of the program.
pub(crate) struct Guard {
    site: Site,
    /// A secret that only the page of this run knows.
    token: String,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The page and its assets. Their only secret is the token.
    Page,
    /// The data that the page requests: descriptions, signatures, calls.
    Data,
}

impl Guard {
    /// Makes the rules for a port, with a fresh random token.
    pub(crate) fn new(port: u16) -> Result<Self, NoRandomBytes> {
        let mut bytes = [0_u8; 32];
        randomness::fill(&mut bytes)?;
        let token = const_hex::encode(bytes);
        Ok(Self {
            site: Site { port },
            token,
        })
    }

    /// The token that the page sends when it asks for data.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Lets a request through, or says why the request is refused.
    pub(crate) fn admit(&self, asked: Asked, request: &Parts) -> Result<(), &'static str> {
        self.site.admit(asked, request)?;
        let given = bearer(&request.headers)?.unwrap_or_default();
        if asked == Asked::Page || given.as_bytes().ct_eq(self.token.as_bytes()).into() {
            Ok(())
        } else {
            Err(
                "The request has no valid console token: the server was restarted since the page was loaded. Load the page again.",
            )
        }
    }
}

impl Site {
    /// Lets a request of the page itself through, or says why the request is refused. Does not check tokens.
    pub(crate) fn admit(&self, asked: Asked, request: &Parts) -> Result<(), &'static str> {
        let host = self.own_host(request)?;
        let headers = &request.headers;
        if let Some(origin) = one(headers, &ORIGIN)? {
            let scheme_and_host = origin.split_once("://");
            if scheme_and_host.is_none_or(|(scheme, origin)| scheme != "http" || origin != host) {
                return Err("The request comes from another site. Only the page itself may ask for this.");
            }
        } else if asked == Asked::Data && request.method != Method::GET {
            return Err(
                "The request does not say which page it comes from (Origin). Only the page itself may ask for this.",
            );
        }
        // This allows the page's own requests, an address that a person typed, and clients that are not browsers.
        if one(headers, &FETCH_SITE)?.is_some_and(|site| site != "same-origin" && site != "none") {
            return Err("Another site linked here. Type this address into the browser instead.");
        }
        Ok(())
    }

    /// The host name and port that the request was sent to. Returns an error unless the name is a loopback name and the
    /// port is this server's port.
    fn own_host<'r>(&self, request: &'r Parts) -> Result<&'r str, &'static str> {
        let wrong = "This page is only at a loopback address with its port, such as 127.0.0.1 or localhost.";
        let host = one(&request.headers, &HOST)?.ok_or(wrong)?;
        let given: Authority = host.parse().map_err(|_| wrong)?;
        // If the request line names a host, that host counts (RFC 9112 §3.2.2), so it must equal the `Host` header.
        let one_name = request.uri.authority().is_none_or(|named| *named == given);
        let port = given.port_u16().unwrap_or(80);
        if one_name && !host.contains('@') && is_loopback(given.host()) && port == self.port {
            Ok(host)
        } else {
            Err(wrong)
        }
    }
}

/// The token of `Authorization: Bearer …`, if there is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let given = one(headers, &AUTHORIZATION)?;
    Ok(given.and_then(|value| value.strip_prefix("Bearer ")))
}

fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The header's value, if the header is present. Returns an error if the header is given twice or is not ASCII.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .map(Some)
            .map_err(|_| "The value of Host, Origin, Sec-Fetch-Site or Authorization is not ASCII."),
        (Some(_), Some(_)) => Err("Host, Origin, Sec-Fetch-Site or Authorization is given twice: send it once."),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{Asked, Guard, Site};

    fn admitted(asked: Asked, method: &str, headers: &[(&str, &str)]) -> bool {
        let guard = Guard {
            site: Site { port: 8080 },
            token: "secret".to_owned(),
        };
        let mut request = Request::builder().method(method).uri("/console");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.admit(asked, &parts).is_ok()
    }

    #[test]
    fn the_page_is_served_only_for_loopback_names_with_the_right_port() {
        let page = |host: &str| admitted(Asked::Page, "GET", &[("host", host)]);
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "127.8.9.1:8080",
        ] {
            assert!(page(host), "{host}");
        }
        for host in [
            "evil.example:8080",
            "localhost.evil.example:8080",
            "127.0.0.1.nip.io:8080",
            "localhost",
            "localhost:80",
            "localhost:8081",
            "0.0.0.0:8080",
            "192.168.1.2:8080",
            "evil@127.0.0.1:8080",
            "",
        ] {
            assert!(!page(host), "{host}");
        }
        assert!(!admitted(Asked::Page, "GET", &[]));
        assert!(!admitted(
            Asked::Page,
            "GET",
            &[("host", "localhost:8080"), ("host", "localhost:8080")]
        ));
    }

    #[test]
    fn data_is_served_only_to_the_page_of_this_run() {
        let own = [
            ("host", "localhost:8080"),
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "same-origin"),
            ("authorization", "Bearer secret"),
        ];
        assert!(admitted(Asked::Data, "POST", &own));
        for (header, value) in [
            ("origin", "http://evil.example"),
            ("origin", "https://localhost:8080"),
            ("origin", "http://localhost:3000"),
            ("origin", "http://127.0.0.1:8080"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("authorization", "Bearer secreT"),
            ("authorization", "Bearer "),
            ("authorization", "secret"),
        ] {
            let changed = own.map(|(name, own)| if name == header { (name, value) } else { (name, own) });
            assert!(!admitted(Asked::Data, "POST", &changed), "{header}: {value}");
        }
        for missing in ["host", "origin", "authorization"] {
            let left: Vec<_> = own.into_iter().filter(|(name, _)| *name != missing).collect();
            assert!(!admitted(Asked::Data, "POST", &left), "without {missing}");
        }
        // Browsers send no Origin with a same-origin GET.
        assert!(admitted(Asked::Data, "GET", &[own[0], own[3]]));
        assert!(!admitted(Asked::Data, "GET", &[own[0]]));
    }

    #[test]
    fn a_request_line_with_another_host_is_refused() {
        let guard = Guard {
            site: Site { port: 8080 },
            token: String::new(),
        };
        let request = Request::get("http://evil.example:8080/console").header("host", "localhost:8080");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(guard.admit(Asked::Page, &parts).is_err());
    }
}
