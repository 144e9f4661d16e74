//! Connections that do not speak HTTP/1.1, or TLS where the server speaks https: what they speak instead, and one line in
//! the log per minute and protocol.

use std::error::Error;
#[cfg(feature = "tls")]
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[cfg(feature = "tls")]
use rustls::AlertDescription;
use tokio::time::Instant;

#[cfg(feature = "tls")]
use super::tls::NotTls;
use crate::clock::timer_now;

/// The pause between two lines about the same protocol.
const PAUSE: Duration = Duration::from_secs(60);

/// The first bytes of a connection. They are enough to recognize the protocol.
pub(super) type Beginning = [u8; 8];

/// What a connection speaks instead of HTTP/1.1 or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tls,
    /// HTTP/1.1 without TLS, at a port that speaks https.
    #[cfg(feature = "tls")]
    Http,
    /// TLS, but the caller does not accept this server's certificate.
    #[cfg(feature = "tls")]
    Untrusted,
    /// TLS, but the handshake failed or the encrypted bytes cannot be read.
    #[cfg(feature = "tls")]
    BrokenTls,
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

    /// What arrived at a port that speaks https.
    #[cfg(feature = "tls")]
    fn without_tls(beginning: Beginning) -> Self {
        if is_http(beginning) {
            Self::Http
        } else {
            Self::of(beginning)
        }
    }

    #[cfg(feature = "tls")]
    fn of_failed_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::NoApplicationProtocol => Self::Http2,
            rustls::Error::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA,
            ) => Self::Untrusted,
            _ => Self::BrokenTls,
        }
    }

    /// What arrived, and what to set.
    fn sentence(self) -> &'static str {
        match self {
            Self::Tls => {
                "TLS arrived at this port, which speaks plain HTTP/1.1: set the proxy in front to `http://` for this server, or put a proxy that terminates TLS in front of the server"
            }
            #[cfg(feature = "tls")]
            Self::Http => {
                "an HTTP request without TLS arrived at this port, which speaks https: set the proxy in front to `https://` for this server, or leave the server's certificate unset and let the proxy terminate TLS"
            }
            #[cfg(feature = "tls")]
            Self::Untrusted => {
                "a caller ended the connection because of this server's certificate: set a certificate whose authority the caller trusts, for the host that the caller connects to, and with the certificates between the two in the same file"
            }
            #[cfg(feature = "tls")]
            Self::BrokenTls => {
                "a TLS connection failed: check what is set up to connect to this port, which speaks TLS 1.2 and 1.3; if the server is open to the internet, it may be a scanner"
            }
            Self::ProxyV1 | Self::ProxyV2 => {
                "a PROXY protocol header arrived, which this server does not read: turn the PROXY protocol off for this server (nginx `proxy_protocol`, HAProxy `send-proxy`, or the load balancer's target group)"
            }
            Self::Http2 => {
                "HTTP/2 arrived at this port, which speaks HTTP/1.1: set the proxy in front to HTTP/1.1 for this server"
            }
            Self::Unknown => {
                "bytes arrived that this port cannot read as a request: check what is set up to connect to this port; if the server is open to the internet, it may be a scanner"
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
        self.log(peer, Protocol::of(beginning), None);
    }

    /// Notes a connection whose handshake failed. A connection that only ended is not noted.
    #[cfg(feature = "tls")]
    pub(super) fn note_failed_handshake(&self, peer: SocketAddr, error: &io::Error) {
        let Some(error) = error.get_ref() else { return };
        if let Some(NotTls(beginning)) = error.downcast_ref() {
            self.log(peer, Protocol::without_tls(*beginning), None);
        } else if let Some(error) = error.downcast_ref::<rustls::Error>() {
            self.log(peer, Protocol::of_failed_tls(error), Some(error));
        }
    }

    fn log(&self, peer: SocketAddr, protocol: Protocol, error: Option<&(dyn Error + 'static)>) {
        if let Some(others) = self.others(protocol, timer_now()) {
            tracing::warn!(%peer, protocol = ?protocol, others, error, "{}", protocol.sentence());
        }
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

/// Whether these are the first bytes of an HTTP/1.1 request: a method, which consists of capital letters.
#[cfg(feature = "tls")]
pub(super) fn is_http(beginning: Beginning) -> bool {
    let method = beginning.split(|byte| *byte == b' ').next().unwrap_or_default();
    let has_end = method.len() < beginning.len();
    has_end
        && method.len() >= 3
        && method.iter().all(u8::is_ascii_uppercase)
        && Protocol::of(beginning) == Protocol::Unknown
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

    #[cfg(feature = "tls")]
    #[test]
    fn a_request_without_tls_begins_with_a_method_and_a_space() {
        let is_http = |text: &[u8; 8]| super::is_http(*text);
        for method in [b"GET / HT", b"POST /re", b"DELETE /", b"OPTIONS "] {
            assert!(is_http(method), "{method:?}");
        }
        for other in [
            b"PROXY TC",
            b"PRI * HT",
            b"SSH-2.0-",
            b"get / HT",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            b"GETTINGS",
            b" GET / H",
            b"GET\0\0\0\0\0",
        ] {
            assert!(!is_http(other), "{other:?}");
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
