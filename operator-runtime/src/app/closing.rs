//! Closes a port without losing a connection.
//!
//! The kernel completes connections before the program accepts them, and resets the waiting ones when the port is
//! closed. A proxy may have sent a call on such a connection, and cannot know whether the call was begun. So a stopping
//! server first ignores requests for new connections, and still accepts the connections that are under way.

use std::time::Duration;

use tokio::net::TcpListener;

/// How long a connection that is under way may take until it is complete.
pub(super) const HANDSHAKE: Duration = Duration::from_millis(200);

/// Ignores requests for new connections from now on. The caller's system repeats such a request after a second, and then
/// finds the port closed. This does nothing on systems other than Linux, or if the system forbids it.
pub(super) fn ignore_new_connections(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(listener).attach_filter(&linux::without_syn()) {
        tracing::debug!(%error, "connections that arrive while the port closes may be lost");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

#[cfg(target_os = "linux")]
mod linux {
    use socket2::SockFilter;

    /// The position of the flags in the TCP header, and two of the flags (RFC 9293 §3.1).
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;

    /// A filter in the kernel's classic BPF that drops segments with SYN and without ACK, which begin connections.
    pub(super) fn without_syn() -> [SockFilter; 5] {
        [
            // Load the flags, and keep these two.
            SockFilter::new(0x30, 0, 0, FLAGS),
            SockFilter::new(0x54, 0, 0, SYN | ACK),
            // If only SYN is set, drop the segment. Otherwise skip one instruction, and accept all of the segment.
            SockFilter::new(0x15, 0, 1, SYN),
            SockFilter::new(0x06, 0, 0, 0),
            SockFilter::new(0x06, 0, 0, u32::MAX),
        ]
    }
}
