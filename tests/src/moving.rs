//! An address whose target moves, such as the address of a load balancer or a virtual IP address.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

/// A TCP proxy on a free loopback port. New connections go to its target; open connections stay where they are.
/// Dropping it closes the port.
#[derive(Debug)]
pub struct MovingAddress {
    /// The port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: AtomicU16,
    is_closed: AtomicBool,
}

impl MovingAddress {
    /// Starts a proxy to a port of this machine.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("the port is known").port();
        let shared = Arc::new(Shared {
            target: AtomicU16::new(target),
            is_closed: AtomicBool::new(false),
        });
        let proxy = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if proxy.is_closed.load(Ordering::Acquire) {
                    return;
                }
                // If there is no server, the client's connection is closed.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", proxy.target.load(Ordering::Acquire))) {
                    carry(&client, &server);
                }
            }
        });
        Self { port, shared }
    }

    /// Sends new connections to another port.
    pub fn move_to(&self, target: u16) {
        self.shared.target.store(target, Ordering::Release);
    }
}

impl Drop for MovingAddress {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
        // Wakes the thread that accepts connections. An error means that the thread has ended.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Passes bytes on in both directions until either side closes its connection.
fn carry(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        let both = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
        let (mut from, mut to) = both.expect("a connection can be cloned");
        std::thread::spawn(move || {
            // However the direction ends, the connections to both sides are closed.
            let _ = io::copy(&mut from, &mut to);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
