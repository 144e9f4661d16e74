//! Large bodies are decoded beside the runtime's worker threads, so that other calls go on meanwhile.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

/// A body of this length is decoded in well under a millisecond; the time of a larger one would be felt by other calls.
const LARGE: usize = 64 * 1024;

/// Half of the processors: the others are left to the calls with small bodies.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, |count| count.get() / 2).max(1)));

/// The right to decode a large body, once few enough others are decoded; nothing where the body is not large.
pub(super) async fn turn(length: usize) -> Option<SemaphorePermit<'static>> {
    if length <= LARGE {
        return None;
    }
    // The semaphore is never closed.
    TURNS.acquire().await.ok()
}

/// Decodes a body of that length. Tokio refuses `block_in_place` within a `LocalSet`, so a host that serves the app there
/// needs a runtime of one thread. A runtime with one thread has no other to go on with, so there it is decoded in place.
pub(super) fn decode<T>(length: usize, decode: impl FnOnce() -> T) -> T {
    let has_others =
        || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if length > LARGE && has_others() {
        block_in_place(decode)
    } else {
        decode()
    }
}
