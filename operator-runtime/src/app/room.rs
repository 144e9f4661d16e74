//! The limit on the memory for all request bodies that are being read.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::problem::{Error, Kind};

/// The bytes that are left for request bodies whose callers are not verified yet. The memory for all these bodies together
/// is bounded.
pub(crate) struct BodyRoom(AtomicUsize);

impl BodyRoom {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// An empty body, which may grow to `most` bytes.
    pub(super) fn body(&self, most: usize) -> Growing<'_> {
        Growing {
            bytes: Vec::new(),
            held: self.nothing(),
            most,
        }
    }

    /// The room of a body that has none, because it is in the buffer of its connection.
    pub(super) fn nothing(&self) -> Held<'_> {
        Held { room: self, bytes: 0 }
    }

    fn take(&self, bytes: usize) -> Result<(), Error> {
        let taken = self
            .0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| {
            let detail =
                "The bodies of other requests fill the memory that this server has for bodies; send the request again.";
            Error::new(Kind::Full, detail)
        })
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Bytes that are taken from a `BodyRoom`, and given back when this value is dropped.
pub(super) struct Held<'r> {
    room: &'r BodyRoom,
    bytes: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

/// A body that is being read. Its whole capacity, including spare capacity, is taken from the `BodyRoom`.
pub(super) struct Growing<'r> {
    bytes: Vec<u8>,
    /// The room of the capacity of `bytes`.
    held: Held<'r>,
    most: usize,
}

impl<'r> Growing<'r> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a piece. The caller must refuse a piece that would make the body longer than `most`.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        let needed = self.bytes.len().saturating_add(piece.len());
        if needed > self.held.bytes {
            // The capacity doubles, so that not every small piece causes a copy, but it never exceeds the maximum
            // length of the body.
            let capacity = needed.max(self.most.min(self.held.bytes.saturating_mul(2)));
            self.held.room.take(capacity - self.held.bytes)?;
            self.held.bytes = capacity;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The complete body, and its room.
    pub(super) fn complete(self) -> (Bytes, Held<'r>) {
        (self.bytes.into(), self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(room: &BodyRoom) -> usize {
        room.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_body_takes_its_buffers_capacity_and_gives_all_of_it_back() {
        let room = BodyRoom::new(10_000);
        let mut body = room.body(5000);
        for _ in 0..49 {
            body.push(&[7; 100]).unwrap();
            assert_eq!(10_000 - left(&room), body.bytes.capacity());
        }
        assert!(
            body.bytes.capacity() <= 5000,
            "the buffer is larger than the body can become"
        );
        let (body, held) = body.complete();
        assert_eq!(body, vec![7; 4900]);
        assert_eq!(left(&room), 10_000 - held.bytes);
        drop(held);
        assert_eq!(left(&room), 10_000);
    }

    #[test]
    fn a_body_without_room_is_refused_and_other_bodies_keep_their_room() {
        let room = BodyRoom::new(1000);
        let mut first = room.body(900);
        first.push(&[0; 900]).unwrap();
        let mut second = room.body(900);
        second.push(&[0; 100]).unwrap();
        let refusal = second.push(&[0; 1]).unwrap_err();
        assert_eq!(
            (refusal.status().as_u16(), refusal.kind().row().retry_after),
            (503, Some(1))
        );
        drop(first);
        second.push(&[0; 1]).unwrap();
    }
}
