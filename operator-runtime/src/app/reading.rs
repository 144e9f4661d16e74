//! The body of a request, within its size and its time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;

use super::Limits;
use crate::pipeline::Pipeline;
use crate::problem::{Error, Kind};

/// A body on its way. In one piece it is kept as it came; only a second piece makes a buffer.
pub(super) struct Reading<B> {
    body: B,
    first: Bytes,
    rest: Vec<u8>,
}

impl<B: Body<Data = Bytes> + Unpin> Reading<B> {
    pub(super) fn of(body: B) -> Self {
        Self {
            body,
            first: Bytes::new(),
            rest: Vec::new(),
        }
    }

    /// The whole body, within its size and its time.
    pub(super) async fn finish(&mut self, limits: Limits, pipeline: &Pipeline) -> Result<Bytes, Error> {
        if self.body.size_hint().lower() > limits.body as u64 {
            return Err(too_large(limits.body));
        }
        // Most bodies are there already, and then no timer is needed.
        match poll_fn(|context| Poll::Ready(self.poll(context, limits.body))).await {
            Poll::Ready(whole) => whole,
            // On the heap, so that those which need none do not carry its room about.
            Poll::Pending => Box::pin(self.finish_in_time(limits, pipeline)).await,
        }
    }

    async fn finish_in_time(&mut self, limits: Limits, pipeline: &Pipeline) -> Result<Bytes, Error> {
        // Nobody has vouched for the caller yet, so what all of them together make the server keep is bounded.
        let _room = pipeline.room_for_a_body()?;
        let whole = poll_fn(|context| self.poll(context, limits.body));
        tokio::time::timeout(limits.read_timeout, whole).await.map_err(|_| {
            let seconds = limits.read_timeout.as_secs_f32();
            Error::new(
                Kind::TooSlow,
                format!("The body did not arrive within {seconds} s; send it again."),
            )
        })?
    }

    fn poll(&mut self, context: &mut Context<'_>, most: usize) -> Poll<Result<Bytes, Error>> {
        while let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) {
            let frame = frame.map_err(|_| {
                Error::malformed("The body ended before it was complete; send the request again.".to_owned())
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if self.first.len().max(self.rest.len()) + data.len() > most {
                return Poll::Ready(Err(too_large(most)));
            }
            if self.first.is_empty() {
                self.first = data;
            } else {
                if self.rest.is_empty() {
                    self.rest.extend_from_slice(&self.first);
                }
                self.rest.extend_from_slice(&data);
            }
        }
        let first = std::mem::take(&mut self.first);
        let rest = std::mem::take(&mut self.rest);
        Poll::Ready(Ok(if rest.is_empty() { first } else { rest.into() }))
    }
}

fn too_large(most: usize) -> Error {
    Error::new(
        Kind::TooLarge,
        format!("The body is larger than {most} bytes, the most this server takes."),
    )
}
