//! Decodes large bodies outside the runtime's worker threads, so that other calls make progress meanwhile.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

/// In bytes. A body up to this length is decoded in well under a millisecond; a larger one would delay other calls.
const LARGE: usize = 64 * 1024;

/// One permit for every two processors, so that half of them stay free for calls with small bodies.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, |count| count.get() / 2).max(1)));

/// Waits for the permit to decode a body of `length` bytes. `None` if the body is not large.
pub(super) async fn turn(length: usize) -> Option<SemaphorePermit<'static>> {
    if length <= LARGE {
        return None;
    }
    // `acquire` fails only on a closed semaphore, and nothing closes this one.
    TURNS.acquire().await.ok()
}

/// Runs `decode` for a body of `length` bytes, inside `block_in_place` if the body is large. A current-thread runtime
/// has no other worker thread, so there a large body is decoded like a small one. Tokio panics on `block_in_place` inside a
/// `LocalSet`, so a host that serves the app inside a `LocalSet` needs a current-thread runtime.
pub(super) fn decode<T>(length: usize, decode: impl FnOnce() -> T) -> T {
    let has_others =
        || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if length > LARGE && has_others() {
        block_in_place(decode)
    } else {
        decode()
    }
}
