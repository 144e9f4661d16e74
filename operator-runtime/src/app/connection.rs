//! One connection, as hyper reads and writes it. It reports its activity to `Watched`. If the server gives up on an
//! unfinished head, it tells the caller why, which hyper does not do.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::watched::{Phase, Watched};
use super::wrong_protocol::Beginning;
use crate::problem::{Error, Kind, PROBLEM_JSON};

/// The most bytes that hyper gets from one read. Hyper doubles its read buffer when a read fills the buffer, and then
/// keeps the buffer while the connection is idle.
const LARGEST_READ: usize = 8 * 1024;

/// The stream of a connection.
pub(super) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Encrypted(Box<super::tls::Encrypted>),
}

/// The stream that hyper reads and writes.
pub(super) struct Connection {
    stream: Stream,
    watched: Arc<Watched>,
    /// The first bytes that arrived, and their number.
    beginning: (Beginning, usize),
    /// Whether the last read was a part of a head.
    in_head: bool,
    /// Whether the caller has not read the whole answer yet.
    in_answer: bool,
}

impl Connection {
    pub(super) fn new(stream: Stream, watched: Arc<Watched>) -> Self {
        Self {
            stream,
            watched,
            beginning: Default::default(),
            in_head: false,
            in_answer: false,
        }
    }

    /// Notes that hyper is about to read. Returns an error if the server has closed the connection. If the request head
    /// was not complete, sends the caller an error response first.
    fn reads(&mut self) -> io::Result<()> {
        let reads = self.watched.reads();
        let phase = self.watched.phase();
        if reads.is_err() {
            self.give_up();
        }
        if reads.is_err() && self.in_head {
            let answer = match phase {
                Phase::Overdue => head_too_slow(self.watched.connections().read_timeout()),
                _ => too_many(),
            };
            self.stream.end_with(&answer);
        }
        self.in_head = phase == Phase::Head;
        reads
    }

    /// Waits until the handshake is over. It has the time limit of a head, and counts as an unfinished head.
    #[cfg(feature = "tls")]
    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream::Encrypted(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        if stream.is_open() {
            return Poll::Ready(Ok(()));
        }
        let ended = stream.poll_handshake(context, speaks_https);
        if ended.is_pending() {
            self.watched.shakes_hands()?;
        }
        ready!(ended)?;
        Poll::Ready(self.watched.shook_hands())
    }

    /// Keeps the first bytes, which show the protocol.
    fn begins_with(&mut self, read: &[u8]) {
        let (beginning, known) = &mut self.beginning;
        let unknown = &mut beginning[*known..];
        if unknown.is_empty() {
            return;
        }
        let count = read.len().min(unknown.len());
        unknown[..count].copy_from_slice(&read[..count]);
        *known += count;
        self.watched.begins_with(*beginning);
    }

    /// Notes that the server waits until the caller reads. Returns an error if the server has closed the connection.
    fn waits_for_reader(&mut self) -> io::Result<()> {
        self.in_answer = true;
        self.watched.waits_for_reader().inspect_err(|_| self.give_up())
    }

    /// Discards what the caller has not read; otherwise the kernel would keep those bytes for an unlimited time.
    fn give_up(&self) {
        if self.in_answer {
            self.stream.discard();
        }
    }
}

impl Stream {
    /// Writes the last answer, or what the kernel takes of it at once, and says that nothing follows.
    fn end_with(&mut self, answer: &[u8]) {
        let context = &mut Context::from_waker(Waker::noop());
        self.io(|mut stream| {
            // A write error is ignored: it means that the caller has already disconnected.
            let _ = stream.as_mut().poll_write(context, answer);
            let _ = stream.poll_shutdown(context);
        });
    }

    /// Makes the kernel discard what the caller has not read when the connection is closed.
    fn discard(&self) {
        let _ = match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => stream.tcp().map_or(Ok(()), TcpStream::set_zero_linger),
        };
    }

    /// Calls `with` with the stream, plain or encrypted.
    fn io<R>(&mut self, with: impl FnOnce(Pin<&mut (dyn Io + Send)>) -> R) -> R {
        match self {
            Self::Plain(stream) => with(Pin::new(stream)),
            #[cfg(feature = "tls")]
            Self::Encrypted(stream) => with(Pin::new(&mut **stream)),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// Refuses a connection because the server is full.
pub(super) fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(&too_many());
}

fn too_many() -> Vec<u8> {
    let detail = "The server already has as many connections as it can hold; send the request again.";
    last_answer(&Error::new(Kind::Full, detail))
}

fn head_too_slow(limit: Duration) -> Vec<u8> {
    let seconds = limit.as_secs_f32();
    let detail = format!("The headers did not arrive within {seconds} s; send the request again.");
    last_answer(&Error::new(Kind::TooSlow, detail))
}

/// Answers an HTTP request that arrives without TLS.
#[cfg(feature = "tls")]
fn speaks_https() -> Vec<u8> {
    let detail = "This port speaks https: send the request to `https://`.".to_owned();
    last_answer(&Error::malformed(detail))
}

/// An answer that closes the connection.
fn last_answer(error: &Error) -> Vec<u8> {
    let (status, body) = (error.status(), error.to_body());
    let length = body.len();
    let retry_after = match error.kind().row().retry_after {
        Some(seconds) => format!("retry-after: {seconds}\r\n"),
        None => String::new(),
    };
    let mut response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\n{retry_after}connection: close\r\n\r\n"
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
        #[cfg(feature = "tls")]
        ready!(self.poll_handshake(context))?;
        self.reads()?;
        let before = buffer.filled().len();
        if buffer.remaining() <= LARGEST_READ {
            ready!(self.stream.io(|stream| stream.poll_read(context, buffer)))?;
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(LARGEST_READ));
            ready!(self.stream.io(|stream| stream.poll_read(context, &mut part)))?;
            let read = part.filled().len();
            buffer.advance(read);
        }
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.begins_with(read);
            self.watched.has_read()?;
        }
        Poll::Ready(Ok(()))
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
        self.in_head = false;
        self.watched.writes().inspect_err(|_| self.give_up())?;
        let written = self.stream.io(|stream| stream.poll_write_vectored(context, bytes));
        if written.is_pending() {
            self.waits_for_reader()?;
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Stream::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    /// Called by hyper after everything has been written. A part of an encrypted stream may still be in memory.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.io(|stream| stream.poll_flush(context));
        if flushed.is_pending() {
            self.waits_for_reader()?;
        }
        ready!(flushed)?;
        self.in_answer = false;
        Poll::Ready(self.watched.has_written())
    }

    /// Also writes the end of an encrypted stream, so the server may have to wait for the caller.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.stream.io(|stream| stream.poll_shutdown(context));
        if ended.is_pending() {
            self.waits_for_reader()?;
        }
        ended
    }
}

/// The body of a request, which reports when the server waits for more of the body.
pub(super) struct Arriving {
    body: Incoming,
    watched: Arc<Watched>,
}

impl Arriving {
    pub(super) fn new(body: Incoming, watched: Arc<Watched>) -> Self {
        Self { body, watched }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Pending => self.watched.waits_for_body()?,
            Poll::Ready(None | Some(Err(_))) => self.watched.body_is_over(),
            Poll::Ready(Some(Ok(_))) => {}
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
