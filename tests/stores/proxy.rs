//! A bad line to Postgres: it can cut a connection before its commit arrives, or before the commit's answer does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The SQL that ends a transaction, and what Postgres answers when it has: both end with a zero byte.
const COMMIT: &[u8] = b"COMMIT\0";
/// What Postgres answers when it has written a row.
const INSERTED: &[u8] = b"INSERT 0 1\0";

/// What becomes of the next commit, and of connections afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    Nothing,
    BeforeCommit,
    BeforeItsAnswer,
    /// And no new connection is let through.
    BeforeItsAnswerAndAllThatFollows,
    /// The answer to a row that is written, and no new connection is let through.
    BeforeARowIsAnsweredAndAllThatFollows,
    AllThatFollows,
}

impl Cut {
    /// What goes by when it is to be done.
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
}

impl Proxy {
    /// A line to a port of this machine, which ends with the runtime.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            cut: Arc::new(AtomicU8::new(Cut::Nothing as u8)),
        };
        let line = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !line.is(Cut::AllThatFollows) {
                    tokio::spawn(line.clone().carry(client, port));
                }
            }
        });
        proxy
    }

    /// The address of the database behind it, as in `OPERATOR_STORE`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://operator@{}/postgres", self.address)
    }

    pub(crate) fn set(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether that has been done, or undone.
    pub(crate) fn is(&self, cut: Cut) -> bool {
        self.cut.load(Ordering::SeqCst) == cut as u8
    }

    async fn carry(self, client: TcpStream, port: u16) {
        let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // Whichever ends first takes both connections with it.
        tokio::select! {
            () = self.pass(from_client, to_server, &[(Cut::BeforeCommit, Cut::Nothing)]) => {}
            () = self.pass(from_server, to_client, &[
                (Cut::BeforeItsAnswer, Cut::Nothing),
                (Cut::BeforeItsAnswerAndAllThatFollows, Cut::AllThatFollows),
                (Cut::BeforeARowIsAnsweredAndAllThatFollows, Cut::AllThatFollows),
            ]) => {}
        }
    }

    /// Passes bytes on until something goes by that is to be cut; then the line is in another state.
    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cuts: &[(Cut, Cut)]) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
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
