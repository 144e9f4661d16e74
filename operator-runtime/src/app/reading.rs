//! Reads a request's body, within the limits of size, time, and memory for all bodies.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use tokio::time::timeout_at;

use super::Limits;
use super::room::{BodyRoom, Held};
use crate::clock::timer_now;
use crate::problem::{Error, Kind};

/// A body that is being read.
pub(super) struct Reading<B>(B);

/// How much of a body has arrived at the first poll.
enum Arrived {
    Whole(Bytes),
    Part([Bytes; 2]),
}

impl<B: Body<Data = Bytes> + Unpin> Reading<B> {
    pub(super) fn of(body: B) -> Self {
        Self(body)
    }

    /// Reads the whole body. Its room is held until the caller drops it.
    pub(super) async fn finish<'r>(&mut self, limits: Limits, room: &'r BodyRoom) -> Result<(Bytes, Held<'r>), Error> {
        if self.0.size_hint().lower() > limits.body as u64 {
            return Err(too_large(limits.body));
        }
        // Most bodies have already arrived in one piece. Such a body needs no timer and no copy.
        match poll_fn(|context| Poll::Ready(self.arrived(context))).await? {
            Arrived::Whole(body) if body.len() > limits.body => Err(too_large(limits.body)),
            Arrived::Whole(body) => Ok((body, room.nothing())),
            // This future is boxed, so that the outer future stays small for a body that has already arrived.
            Arrived::Part(pieces) => Box::pin(self.finish_in_time(pieces, limits, room)).await,
        }
    }

    fn arrived(&mut self, context: &mut Context<'_>) -> Result<Arrived, Error> {
        let first = match self.poll_piece(context) {
            Poll::Pending => return Ok(Arrived::Part([Bytes::new(), Bytes::new()])),
            Poll::Ready(piece) => piece?,
        };
        let Some(first) = first else {
            return Ok(Arrived::Whole(Bytes::new()));
        };
        Ok(match self.poll_piece(context) {
            Poll::Pending => Arrived::Part([first, Bytes::new()]),
            Poll::Ready(second) => match second? {
                None => Arrived::Whole(first),
                Some(second) => Arrived::Part([first, second]),
            },
        })
    }

    async fn finish_in_time<'r>(
        &mut self,
        arrived: [Bytes; 2],
        limits: Limits,
        room: &'r BodyRoom,
    ) -> Result<(Bytes, Held<'r>), Error> {
        let began = timer_now();
        let upper = self.0.size_hint().upper().and_then(|upper| usize::try_from(upper).ok());
        let arrived_length = arrived.iter().map(Bytes::len).sum::<usize>();
        let most = upper.map_or(limits.body, |upper| {
            limits.body.min(arrived_length.saturating_add(upper))
        });
        let mut whole = room.body(most);
        let mut push = |piece: Bytes| {
            if whole.len() + piece.len() > limits.body {
                return Err(too_large(limits.body));
            }
            // The piece is copied, because keeping it would keep the whole read buffer alive.
            whole.push(&piece)?;
            Ok(whole.len())
        };
        let [first, second] = arrived;
        push(first)?;
        let mut received = push(second)?;
        loop {
            let limit = limits.for_body(received);
            let piece = timeout_at(began + limit, poll_fn(|context| self.poll_piece(context)));
            match piece.await.map_err(|_| too_slow(limit, limits))?? {
                Some(piece) => received = push(piece)?,
                None => return Ok(whole.complete()),
            }
        }
    }

    /// The next piece that is not empty; `None` at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        while let Some(frame) = ready!(Pin::new(&mut self.0).poll_frame(context)) {
            let frame = frame.map_err(|_| {
                Error::malformed("The body ended before it was complete; send the request again.".to_owned())
            })?;
            if let Ok(piece) = frame.into_data()
                && !piece.is_empty()
            {
                return Poll::Ready(Ok(Some(piece)));
            }
        }
        Poll::Ready(Ok(None))
    }
}

fn too_slow(limit: std::time::Duration, limits: Limits) -> Error {
    let detail = if limit == limits.read_timeout {
        let seconds = limit.as_secs_f32();
        format!("The body did not arrive within {seconds} s; send the request again.")
    } else {
        "After the first second, the body arrived at less than 1 KiB a second; send the request again, faster."
            .to_owned()
    };
    Error::new(Kind::TooSlow, detail)
}

fn too_large(most: usize) -> Error {
    Error::new(
        Kind::TooLarge,
        format!("The body is larger than {most} bytes, which is this server's limit: send a smaller body."),
    )
}
