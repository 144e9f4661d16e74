//! Connections that do not speak HTTP/1.1: which protocol they speak instead, and one line in the log per minute and
//! protocol.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::timer_now;

/// The pause between two lines about the same protocol.
const PAUSE: Duration = Duration::from_secs(60);

/// The first bytes of a connection. They are enough to recognize the protocol.
pub(super) type Beginning = [u8; 8];

/// What a connection speaks instead of HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tls,
    ProxyV1,
    ProxyV2,
    Http2,
    Unknown,
}

impl Protocol {
    const COUNT: usize = Self::Unknown as usize + 1;

    fn of(beginning: Beginning) -> Self {
        match &beginning {
            // A TLS record with a handshake message; every version of TLS has 3 as its first byte.
            [0x16, 0x03, ..] => Self::Tls,
            [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => Self::ProxyV1,
            // The rest of the signature may not have arrived yet.
            [b'\r', b'\n', b'\r', b'\n', 0, ..] => Self::ProxyV2,
            b"PRI * HT" => Self::Http2,
            _ => Self::Unknown,
        }
    }

    /// What arrived, and what to set.
    fn sentence(self) -> &'static str {
        match self {
            Self::Tls => {
                "TLS arrived at this port, which speaks plain HTTP/1.1: set the proxy in front to `http://` for this server, or put a proxy that terminates TLS in front of the server"
            }
            Self::ProxyV1 | Self::ProxyV2 => {
                "a PROXY protocol header arrived, which this server does not read: turn the PROXY protocol off for this server (nginx `proxy_protocol`, HAProxy `send-proxy`, or the load balancer's target group)"
            }
            Self::Http2 => {
                "HTTP/2 arrived at this port, which speaks HTTP/1.1: set the proxy in front to HTTP/1.1 for this server"
            }
            Self::Unknown => {
                "bytes arrived that are not an HTTP/1.1 request: check what is set up to connect to this port; if the server is open to the internet, it may be a scanner"
            }
        }
    }
}

/// Logs connections of a wrong protocol. A scanner may open thousands of them, so the log gets one line per minute and
/// protocol.
#[derive(Default)]
pub(super) struct WrongProtocols(Mutex<[Logged; Protocol::COUNT]>);

#[derive(Clone, Copy, Default)]
struct Logged {
    at: Option<Instant>,
    /// The connections since then.
    since: u64,
}

impl WrongProtocols {
    /// Notes a connection whose bytes could not be read as HTTP/1.1.
    pub(super) fn note(&self, peer: SocketAddr, beginning: Beginning) {
        let protocol = Protocol::of(beginning);
        let Some(others) = self.others(protocol, timer_now()) else {
            return;
        };
        tracing::warn!(%peer, protocol = ?protocol, others, "{}", protocol.sentence());
    }

    /// The number of connections since the last line about the protocol, if it is time for the next line.
    fn others(&self, protocol: Protocol, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let logged = &mut all[protocol as usize];
        if logged.at.is_some_and(|at| now - at < PAUSE) {
            logged.since += 1;
            return None;
        }
        let others = logged.since;
        *logged = Logged {
            at: Some(now),
            since: 0,
        };
        Some(others)
    }
}

#[cfg(test)]
mod tests {
    use super::{PAUSE, Protocol, WrongProtocols};
    use crate::clock::timer_now;

    #[test]
    fn the_first_bytes_tell_the_protocols_apart() {
        let begins_with =
            |text: &[u8]| Protocol::of(std::array::from_fn(|index| text.get(index).copied().unwrap_or(0)));
        for hello in [
            *b"\x16\x03\x01\x02\x00\x01\x00\x01",
            *b"\x16\x03\x03\x00\xf8\x01\x00\x00",
        ] {
            assert_eq!(begins_with(&hello), Protocol::Tls);
        }
        assert_eq!(begins_with(b"PROXY TCP4 192.0.2.1"), Protocol::ProxyV1);
        assert_eq!(begins_with(b"PROXY UNKNOWN\r\n"), Protocol::ProxyV1);
        assert_eq!(begins_with(b"\r\n\r\n\0\r\nQUIT\n"), Protocol::ProxyV2);
        assert_eq!(begins_with(b"\r\n\r\n\0"), Protocol::ProxyV2);
        assert_eq!(begins_with(b"PRI * HTTP/2.0\r\n"), Protocol::Http2);
        for other in [
            "PROXYING",
            "PRINTING",
            "\r\n\r\nGET /",
            "\x16\x02",
            "",
            "SSH-2.0-OpenSSH",
        ] {
            assert_eq!(begins_with(other.as_bytes()), Protocol::Unknown, "{other:?}");
        }
    }

    #[test]
    fn each_protocol_has_a_line_per_minute_of_its_own() {
        let wrong = WrongProtocols::default();
        let begun = timer_now();
        for protocol in [Protocol::Tls, Protocol::Unknown] {
            assert_eq!(wrong.others(protocol, begun), Some(0));
            for _ in 0..1_000 {
                assert_eq!(wrong.others(protocol, begun + PAUSE / 2), None);
            }
            assert_eq!(wrong.others(protocol, begun + PAUSE), Some(1_000));
            assert_eq!(wrong.others(protocol, begun + PAUSE * 2), Some(0));
        }
    }
}
