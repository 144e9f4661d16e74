//! The places that a simulation connects to: their addresses, and whether they are this machine.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long to wait for a connection to one address.
const CONNECT: Duration = Duration::from_secs(5);

/// Scheme, host and port of a server, with the addresses of the host.
#[derive(Debug)]
pub(super) struct Place {
    /// The origin as it is written.
    origin: String,
    authority: String,
    is_https: bool,
    is_literal: bool,
    addresses: Vec<SocketAddr>,
}

/// A place that accepts connections.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    /// The origin that the client connects to.
    pub(super) origin: String,
    /// The header `Host`.
    pub(super) host: String,
}

impl Place {
    /// Looks up the addresses of an origin, which is a scheme, a host and perhaps a port. Connects to nothing.
    pub(super) fn find(origin: &str) -> Result<Self, String> {
        let no_host = || format!("`{origin}` has no host.");
        let uri: http::Uri = origin.parse().map_err(|_| no_host())?;
        let authority = uri.authority().ok_or_else(no_host)?;
        let is_https = uri.scheme_str() == Some("https");
        let port = authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let found = (host, port).to_socket_addrs();
        let found = found.map_err(|error| {
            format!("The address of `{host}` cannot be looked up: {error}. Is the host in {origin} right?")
        })?;
        Ok(Self {
            origin: origin.to_owned(),
            authority: authority.to_string(),
            is_https,
            is_literal: host.parse::<IpAddr>().is_ok(),
            addresses: found.collect(),
        })
    }

    /// Whether every connection to this place is to this machine. Over https the client looks a name up again, so that
    /// only a literal address is certain.
    pub(super) fn is_this_machine(&self) -> bool {
        let is_loopback = |address: &SocketAddr| address.ip().is_loopback();
        let is_certain = self.is_literal || !self.is_https;
        is_certain && !self.addresses.is_empty() && self.addresses.iter().all(is_loopback)
    }

    /// The host and its addresses, for messages.
    pub(super) fn shown(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(|one| one.ip().to_string()).collect();
        if self.is_literal {
            self.authority.clone()
        } else {
            format!("{} ({})", self.authority, addresses.join(", "))
        }
    }

    /// Tries which address accepts connections. Over http, the client then connects to this address, so that no later
    /// answer of the name server can send it elsewhere.
    pub(super) fn reach(&self) -> Result<Reached, String> {
        let mut failure = "the host has no address".to_owned();
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, CONNECT) {
                Ok(_) => {
                    let origin = if self.is_https {
                        self.origin.clone()
                    } else {
                        format!("http://{address}")
                    };
                    let host = self.authority.clone();
                    return Ok(Reached { origin, host });
                }
                Err(error) => failure = error.to_string(),
            }
        }
        Err(format!(
            "{} did not answer: {failure}. Is the server running there?",
            self.origin
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn only_loopback_addresses_are_this_machine() {
        for (origin, is_this_machine) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9", true),
            ("https://[::1]:8443", true),
            ("http://localhost:1", true),
            ("https://localhost:1", false),
            ("http://0.0.0.0:1", false),
            ("http://192.0.2.1", false),
            ("http://[::ffff:127.0.0.1]:1", false),
        ] {
            assert_eq!(
                Place::find(origin).unwrap().is_this_machine(),
                is_this_machine,
                "{origin}"
            );
        }
    }
}
