//! Runs one handler's future: catches panics, enforces the time limit and renews the lease.

use std::any::Any;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::idempotency::lease::Lease;

/// Why a handler did not return.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The handler panicked with this message, which is for the log.
    Panicked(String),
    /// The handler exceeded its time limit.
    TimedOut,
}

thread_local! {
    /// Whether the panic hook has logged the last panic of this thread.
    static LOGGED: Cell<bool> = const { Cell::new(false) };
}

/// Says that the panic hook has logged a panic of this thread.
#[cfg(feature = "cli")]
pub(crate) fn panic_is_logged() {
    LOGGED.set(true);
}

/// Whether the panic hook has logged the panic that has just been caught on this thread.
pub(super) fn was_panic_logged() -> bool {
    LOGGED.take()
}

/// A claim that must be renewed while the handler runs.
pub(crate) trait Held: Send {
    /// The time between two renewals.
    fn renew_every(&self) -> Duration;

    /// The time of the next renewal.
    fn due_at(&self) -> Instant;

    /// Renews the claim. A failure is only logged, because the handler continues.
    fn renew(&mut self) -> impl Future<Output = ()> + Send;
}

impl Held for Lease {
    fn renew_every(&self) -> Duration {
        self.renew_every()
    }

    fn due_at(&self) -> Instant {
        self.due_at()
    }

    async fn renew(&mut self) {
        if let Err(error) = self.renew().await {
            tracing::warn!(%error, "the lease of a running handler was not renewed: check the store");
        }
    }
}

/// Runs a handler for at most `limit`, and renews `held` while the handler runs.
///
/// A handler that is ready at its first poll uses no timer.
pub(crate) async fn execute<T>(
    handler: impl Future<Output = T>,
    limit: Duration,
    held: Option<&mut impl Held>,
) -> Result<T, Stopped> {
    // This is unwind-safe, because a future that has panicked is dropped and never polled again.
    let mut handler = pin!(AssertUnwindSafe(handler).catch_unwind());
    let ended = match poll_fn(|context| Poll::Ready(handler.as_mut().poll(context))).await {
        Poll::Ready(ended) => Some(ended),
        // The timers' future is boxed, so that the future of a handler that is ready at once does not reserve space for
        // it.
        Poll::Pending => Box::pin(timeout(limit, renewing(handler, held))).await.ok(),
    };
    let ended = ended.ok_or(Stopped::TimedOut)?;
    ended.map_err(|panic| Stopped::Panicked(message(&*panic)))
}

/// Awaits the handler and renews `held` until the handler has ended.
async fn renewing<T>(mut handler: impl Future<Output = T> + Unpin, held: Option<&mut impl Held>) -> T {
    let Some(held) = held else {
        return handler.await;
    };
    // Both are polled together, so that the handler makes progress while a renewal waits for the store.
    tokio::select! {
        biased;
        ended = &mut handler => ended,
        never = renewals(held) => match never {},
    }
}

async fn renewals(held: &mut impl Held) -> Infallible {
    let mut ticks = interval_at(held.due_at(), held.renew_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        held.renew().await;
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Held, Stopped, execute};

    const LONG: Duration = Duration::from_secs(3600);

    struct Counter {
        renewals: u32,
        hangs: bool,
    }

    impl Held for Counter {
        fn renew_every(&self) -> Duration {
            Duration::from_secs(5)
        }

        fn due_at(&self) -> Instant {
            Instant::now() + self.renew_every()
        }

        async fn renew(&mut self) {
            self.renewals += 1;
            if self.hangs {
                std::future::pending::<()>().await;
            }
        }
    }

    const NOTHING: Option<&mut Counter> = None;

    #[tokio::test(start_paused = true)]
    async fn a_panic_stops_the_handler_with_the_panics_message() {
        let ended = execute(async { panic!("order {}", 7) }, LONG, NOTHING).await;
        assert_eq!(ended, Err::<(), _>(Stopped::Panicked("order 7".to_owned())));
        let late = async {
            tokio::task::yield_now().await;
            panic!("late")
        };
        assert_eq!(
            execute(late, LONG, NOTHING).await,
            Err::<(), _>(Stopped::Panicked("late".to_owned()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_times_out_and_its_lease_is_renewed_until_then() {
        let mut held = Counter {
            renewals: 0,
            hangs: false,
        };
        let ended = execute(std::future::pending::<()>(), Duration::from_secs(61), Some(&mut held)).await;
        assert_eq!(ended, Err(Stopped::TimedOut));
        assert_eq!(held.renewals, 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_does_not_stop_the_handler() {
        let mut held = Counter {
            renewals: 0,
            hangs: true,
        };
        let handler = tokio::time::sleep(Duration::from_secs(20));
        assert_eq!(execute(handler, LONG, Some(&mut held)).await, Ok(()));
    }
}
