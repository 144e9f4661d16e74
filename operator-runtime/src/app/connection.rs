//! One connection: a caller is told why where hyper ends it (headers that come too slowly, which it does not answer, and a
//! head that it cannot read, to which it answers without a body), and one that takes no answer is left.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Sleep, sleep};

use crate::problem::{Error, Kind, PROBLEM_JSON};

/// What hyper reads and writes.
pub(super) struct Connection {
    read: OwnedReadHalf,
    write: Answering,
    /// How long the caller may take to take more of its answer.
    patience: Duration,
    /// Runs while it takes none.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The half that can still answer once hyper has given the connection up.
#[derive(Clone)]
pub(super) struct Answering(Arc<Mutex<Half>>);

struct Half {
    stream: OwnedWriteHalf,
    /// Something of a request has come, and nothing has been answered since.
    asked: bool,
    /// What stands for hyper's own refusal and has not been sent yet.
    refusal: Vec<u8>,
}

impl Half {
    /// Sends what is left of a refusal.
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.refusal))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.refusal.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.asked = false;
        ready!(self.poll_refusal(context))?;
        if let [only] = bytes
            && let Some(refusal) = in_words(only)
        {
            self.refusal = refusal;
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, patience: Duration) -> (Self, Answering) {
        let (read, stream) = stream.into_split();
        let write = Answering(Arc::new(Mutex::new(Half {
            stream,
            asked: false,
            refusal: Vec::new(),
        })));
        let answering = write.clone();
        let connection = Self {
            read,
            write,
            patience,
            stalled: None,
        };
        (connection, answering)
    }

    /// What has come of writing, or an error once nothing has for too long.
    fn in_time<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled.as_mut().poll(context).map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the caller does not take its answer",
            ))
        })
    }
}

impl Answering {
    /// 408 where a request has begun; a connection that was only idle just ends.
    pub(super) fn too_slow(&self, limit: Duration) {
        let half = self.half();
        if half.asked {
            // A caller that is not there to read it has lost nothing.
            let _ = half.stream.try_write(&request_timeout(limit));
        }
    }

    fn half(&self) -> MutexGuard<'_, Half> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request_timeout(limit: Duration) -> Vec<u8> {
    let seconds = limit.as_secs_f32();
    let detail = format!("The headers did not arrive within {seconds} s; send the request again.");
    last_answer("408 Request Timeout", &Error::new(Kind::TooSlow, detail))
}

/// The same refusal as a problem, where hyper has refused a head that it cannot read: the one answer without a body and
/// without a type that any of us gives.
fn in_words(answer: &[u8]) -> Option<Vec<u8>> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (line, headers) = answer.strip_prefix("HTTP/1.1 ")?.split_once("\r\n")?;
    if !headers.contains("content-length: 0\r\n") || headers.contains("content-type") {
        return None;
    }
    let (kind, detail) = match line.split(' ').next()? {
        "400" => (
            Kind::Malformed,
            "The request's line or its headers are not HTTP/1.1 (RFC 9112); send it as a client library does.",
        ),
        "414" => (
            Kind::Refused("url-too-long", 414),
            "The URL is longer than this server reads; take long inputs by POST.",
        ),
        "431" => (
            Kind::Refused("headers-too-large", 431),
            "There are more headers than this server reads, or longer ones; send fewer.",
        ),
        _ => return None,
    };
    Some(last_answer(line, &Error::new(kind, detail)))
}

/// An answer after which the connection ends.
fn last_answer(status: &str, error: &Error) -> Vec<u8> {
    let body = error.to_body();
    let length = body.len();
    let mut response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes();
    response.extend_from_slice(&body);
    response
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.read).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.write.half().asked = true;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.write.half().poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.half().stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.write.half().poll_flush(context);
        self.in_time(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut half = self.write.half();
        ready!(half.poll_refusal(context))?;
        Pin::new(&mut half.stream).poll_shutdown(context)
    }
}
