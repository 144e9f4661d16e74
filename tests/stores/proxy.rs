//! A proxy in front of Postgres. It cuts a connection before a commit arrives, or before a commit is answered, and counts
//! round trips and connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The SQL that commits a transaction, and also Postgres's answer to it. Both end with a zero byte.
const COMMIT: &[u8] = b"COMMIT\0";
/// Postgres's answer to a statement that has written a row.
const INSERTED: &[u8] = b"INSERT 0 1\0";

/// What the proxy does to the next commit, and to later connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    Nothing,
    BeforeCommit,
    BeforeItsAnswer,
    /// Cuts before the answer to a commit, and lets no new connection through.
    BeforeItsAnswerAndAllThatFollows,
    /// Cuts before the answer about a written row, and lets no new connection through.
    BeforeARowIsAnsweredAndAllThatFollows,
    AllThatFollows,
}

impl Cut {
    /// The bytes at which the connection is cut.
    fn sign(self) -> &'static [u8] {
        match self {
            Self::BeforeARowIsAnsweredAndAllThatFollows => INSERTED,
            _ => COMMIT,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cut: Arc<AtomicU8>,
    turns: Arc<Turns>,
    connections: Arc<AtomicU32>,
}

/// How often the client has sent something after an answer of the server.
#[derive(Default)]
struct Turns {
    count: AtomicU32,
    is_answered: AtomicBool,
}

impl Turns {
    fn client_sends(&self) {
        if self.is_answered.swap(false, Ordering::SeqCst) {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn server_answers(&self) {
        self.is_answered.store(true, Ordering::SeqCst);
    }
}

impl Proxy {
    /// Starts a proxy to a port of this machine. The proxy ends with the tokio runtime.
    pub(crate) async fn to(port: u16) -> Self {
        Self::slowly_to(port, Duration::ZERO).await
    }

    /// The same, but each connection takes this time.
    pub(crate) async fn slowly_to(port: u16, takes: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            cut: Arc::new(AtomicU8::new(Cut::Nothing as u8)),
            turns: Arc::default(),
            connections: Arc::default(),
        };
        let line = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                line.connections.fetch_add(1, Ordering::SeqCst);
                if !line.is(Cut::AllThatFollows) {
                    let carried = line.clone().carry(client, port);
                    tokio::spawn(async move {
                        tokio::time::sleep(takes).await;
                        carried.await;
                    });
                }
            }
        });
        proxy
    }

    /// The value of `OPERATOR_STORE` that reaches the database through the proxy.
    pub(crate) fn url(&self) -> String {
        format!("postgres://operator@{}/postgres", self.address)
    }

    pub(crate) fn set(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether the proxy is in this state. After a cut, the state is a different one.
    pub(crate) fn is(&self, cut: Cut) -> bool {
        self.cut.load(Ordering::SeqCst) == cut as u8
    }

    /// The round trips of all connections so far, if they send one after the other.
    pub(crate) fn round_trips(&self) -> u32 {
        self.turns.count.load(Ordering::SeqCst)
    }

    /// The number of connections so far, including those that the client has given up.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    async fn carry(self, client: TcpStream, port: u16) {
        // The server may have ended with its test.
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
            return;
        };
        // Otherwise several short messages in a row would wait for acknowledgements.
        for side in [&client, &server] {
            side.set_nodelay(true).unwrap();
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // When one direction ends, the connections to both sides are closed.
        tokio::select! {
            () = self.pass(from_client, to_server, Turns::client_sends, &[(Cut::BeforeCommit, Cut::Nothing)]) => {}
            () = self.pass(from_server, to_client, Turns::server_answers, &[
                (Cut::BeforeItsAnswer, Cut::Nothing),
                (Cut::BeforeItsAnswerAndAllThatFollows, Cut::AllThatFollows),
                (Cut::BeforeARowIsAnsweredAndAllThatFollows, Cut::AllThatFollows),
            ]) => {}
        }
    }

    /// Passes bytes on until those appear at which to cut. Then the connection ends and the proxy changes its state.
    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: fn(&Turns), cuts: &[(Cut, Cut)]) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            count(&self.turns);
            let goes_by = |sign: &[u8]| bytes[..length].windows(sign.len()).any(|window| window == sign);
            let cut = cuts.iter().find(|(cut, _)| self.is(*cut) && goes_by(cut.sign()));
            if let Some((_, next)) = cut {
                self.set(*next);
                return;
            }
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }
}
