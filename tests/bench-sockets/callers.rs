//! Callers on connections that stay open. Each sends its next request when it has the whole answer to the last one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::requests::Asks;

/// As many callers as call at once.
pub(crate) const CALLERS: usize = 32;

/// The callers of one row of the table.
pub(crate) struct Callers {
    connections: Vec<Caller>,
    path: &'static str,
    asks: Asks,
}

struct Caller {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// How long a round took, and each of its requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Round {
    pub(crate) took: Duration,
    pub(crate) times: Vec<Duration>,
}

impl Callers {
    pub(crate) async fn connect(server: SocketAddr, path: &'static str, asks: Asks) -> Self {
        let mut connections = Vec::new();
        for _ in 0..CALLERS {
            let stream = TcpStream::connect(server).await.unwrap();
            stream.set_nodelay(true).unwrap();
            connections.push(Caller {
                stream,
                answer: vec![0; 4096],
            });
        }
        Self {
            connections,
            path,
            asks,
        }
    }

    /// Makes the requests of a round: as many for each caller.
    pub(crate) fn requests(&self, each: usize) -> Vec<Vec<Vec<u8>>> {
        let request = || self.asks.request(self.path);
        (0..CALLERS).map(|_| (0..each).map(|_| request()).collect()).collect()
    }

    /// Sends the requests, and returns how long they took.
    pub(crate) async fn send(&mut self, requests: Vec<Vec<Vec<u8>>>) -> Round {
        let mut calling = JoinSet::new();
        let begun = Instant::now();
        for (mut caller, requests) in self.connections.drain(..).zip(requests) {
            calling.spawn(async move {
                let mut times = Vec::with_capacity(requests.len());
                for request in &requests {
                    let begun = Instant::now();
                    caller.call(request).await;
                    times.push(begun.elapsed());
                }
                (caller, times)
            });
        }
        let mut round = Round::default();
        while let Some(called) = calling.join_next().await {
            let (caller, times) = called.unwrap();
            self.connections.push(caller);
            round.times.extend(times);
        }
        round.took = begun.elapsed();
        round
    }
}

impl Caller {
    async fn call(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut self.answer[length..]).await.unwrap();
            length += read;
            let so_far = &self.answer[..length];
            assert!(
                read > 0 && so_far.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(so_far)
            );
            if is_whole(so_far) {
                return;
            }
        }
    }
}

/// Whether an answer has its head and as many bytes of its body as the head says.
fn is_whole(answer: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let begins = answer[..head]
        .windows(LENGTH.len())
        .position(|at| at == LENGTH)
        .unwrap()
        + LENGTH.len();
    let digits = answer[begins..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.len() >= head + 4 + length
}
