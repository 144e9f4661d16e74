//! Verifies, parses and decodes bodies in turn, and large ones outside the runtime's worker threads, so that other calls
//! make progress in the meantime.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::input::Effort;
use crate::problem::{Error, Kind};

/// Longer bodies, in bytes, are parsed and decoded in turn. Refusing such a body can take a millisecond, so that many of
/// them at once would delay other calls.
const IN_TURN: usize = 2 * 1024;

/// A body is large if it is longer than this many bytes. A body of this length is decoded in well under a millisecond;
/// a longer body would delay other calls.
const LARGE: usize = 16 * 1024;

/// As many bytes are hashed in well under a millisecond.
const LARGE_TO_HASH: usize = 256 * 1024;

/// The permits to hash large bodies of callers that are not verified yet. They are not the permits to decode, because
/// such callers could take all of those.
static HASHES: LazyLock<Semaphore> = LazyLock::new(permits);
/// The permits to parse and decode bodies of verified callers.
static TURNS: LazyLock<Semaphore> = LazyLock::new(permits);

/// One permit for every two processors, so that half of the processors stay free for calls with small bodies.
fn permits() -> Semaphore {
    Semaphore::new(available_parallelism().map_or(1, |count| count.get() / 2).max(1))
}

/// The longest that a call waits for a permit.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);
pub(super) const WAITED_TOO_LONG: &str =
    "The server is reading other large requests and has not started this one. Send the call again.";

/// Whether content that takes this effort is decoded in turn.
pub(super) fn takes_a_turn(effort: Effort) -> bool {
    effort.is_above(IN_TURN)
}

/// Whether content that takes this effort is decoded outside the worker threads.
pub(super) fn is_large(effort: Effort) -> bool {
    effort.is_above(LARGE)
}

/// Whether so many bytes are hashed under a permit.
pub(super) fn is_large_to_hash(bytes: usize) -> bool {
    bytes > LARGE_TO_HASH
}

/// A turn to parse or decode content, which lasts until it is dropped.
pub(crate) struct Turn(#[allow(dead_code, reason = "dropped to end the turn")] Option<SemaphorePermit<'static>>);

impl Turn {
    /// Waits, for up to `LONGEST_WAIT`, for a turn to decode content of this effort. Short content needs no turn.
    pub(crate) async fn of(effort: Effort) -> Result<Self, Error> {
        if !takes_a_turn(effort) {
            return Ok(Self(None));
        }
        Ok(Self(Some(permit_of(&TURNS).await?)))
    }

    /// Waits without a limit, for content that is not short.
    pub(super) async fn wait() -> Self {
        // `acquire` fails only on a closed semaphore, and nothing closes this one.
        Self(TURNS.acquire().await.ok())
    }
}

/// Parses or decodes content that takes this effort: outside the worker threads, if it is large.
pub(crate) fn run<T>(effort: Effort, work: impl FnOnce() -> T) -> T {
    if is_large(effort) { aside(work) } else { work() }
}

/// Waits for a permit, and hashes a large body of a caller that is not verified yet.
pub(super) async fn hash_in_turn<T>(hash: impl FnOnce() -> T) -> Result<T, Error> {
    let permit = permit_of(&HASHES).await?;
    let done = aside(hash);
    drop(permit);
    Ok(done)
}

async fn permit_of(permits: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    let waited_too_long = || Error::new(Kind::Full, WAITED_TOO_LONG);
    let permit = timeout(LONGEST_WAIT, permits.acquire()).await;
    permit.ok().and_then(Result::ok).ok_or_else(waited_too_long)
}

/// Runs `work` inside `block_in_place`. A current-thread runtime has only one worker thread, so on such a runtime the
/// work is done like any other. Tokio panics on `block_in_place` inside a `LocalSet`, so a host that serves the app
/// inside a `LocalSet` needs a current-thread runtime.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let has_others = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if has_others { block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The permits here belong to this test: tests that run at the same time use those of the process.
    #[tokio::test(start_paused = true)]
    async fn a_body_waits_five_seconds_for_its_turn_and_is_then_refused() {
        let none = Semaphore::new(0);
        let patient = timeout(Duration::from_millis(4_900), permit_of(&none)).await;
        assert!(patient.is_err());
        let refusal = timeout(Duration::from_millis(5_100), permit_of(&none)).await;
        assert!(refusal.is_ok_and(|refusal| refusal.is_err_and(|error| error.kind() == Kind::Full)));
        none.add_permits(1);
        for _ in 0..2 {
            assert!(permit_of(&none).await.is_ok(), "a permit is given back");
        }
    }
}
