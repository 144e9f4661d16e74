//! Decodes large bodies outside the runtime's worker threads, so that other calls make progress in the meantime.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

/// A body is large if it is longer than this many bytes. A body of this length is decoded in well under a millisecond;
/// a longer body would delay other calls.
const LARGE: usize = 16 * 1024;

/// One permit for every two processors, so that half of the processors stay free for calls with small bodies.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, |count| count.get() / 2).max(1)));

/// The longest that a call waits for a permit.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);
pub(super) const WAITED_TOO_LONG: &str =
    "The server is reading other large requests and has not started this one. Send it again.";

/// Whether a body of that length is decoded under a permit.
pub(super) fn is_large(length: usize) -> bool {
    length > LARGE
}

/// Waits for the permit to decode a large body.
pub(super) async fn turn() -> Option<SemaphorePermit<'static>> {
    // `acquire` fails only on a closed semaphore, and nothing closes this one.
    TURNS.acquire().await.ok()
}

/// Runs `decode` for a body of `length` bytes, inside `block_in_place` if the body is large. A current-thread runtime
/// has only one worker thread, so on such a runtime a large body is decoded like a small one. Tokio panics on
/// `block_in_place` inside a `LocalSet`, so a host that serves the app inside a `LocalSet` needs a current-thread
/// runtime.
pub(super) fn decode<T>(length: usize, decode: impl FnOnce() -> T) -> T {
    let has_others =
        || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_large(length) && has_others() {
        block_in_place(decode)
    } else {
        decode()
    }
}
