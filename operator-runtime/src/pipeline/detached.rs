//! Work that outlives its caller: the caller polls the work, and the work becomes a task of its own only if the caller
//! disconnects.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Polls work that must run to its end. If this value is dropped before the end, the work continues as a task of
/// `tracker`, which shutdown waits for. The work is not a task from the start, because a task for every call would be
/// slower.
pub(crate) struct Detached<'t, T: Send + 'static> {
    work: Option<Work<T>>,
    tracker: &'t TaskTracker,
}

impl<'t, T: Send + 'static> Detached<'t, T> {
    pub(crate) fn new(tracker: &'t TaskTracker, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            tracker,
        }
    }
}

impl<T: Send + 'static> Future for Detached<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // The work is taken out while it is polled, so that `drop` cannot spawn work that has panicked.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let poll = work.as_mut().poll(context);
        if poll.is_pending() {
            self.work = Some(work);
        }
        poll
    }
}

impl<T: Send + 'static> Drop for Detached<'_, T> {
    fn drop(&mut self) {
        // If there is no runtime, the process is ending. Then the work is lost, and its lease expires.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            self.tracker.spawn_on(work, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use tokio::sync::oneshot;
    use tokio_util::task::TaskTracker;

    use super::Detached;

    #[tokio::test]
    async fn work_that_panicked_is_not_spawned() {
        let tracker = TaskTracker::new();
        let mut work = Detached::new(&tracker, async { panic!("while polled") });
        let polling = AssertUnwindSafe(|| Pin::new(&mut work).poll(&mut Context::from_waker(Waker::noop())));
        assert!(catch_unwind(polling).is_err());
        drop(work);
        assert!(tracker.is_empty());
    }

    #[tokio::test]
    async fn dropping_the_guard_early_does_not_stop_the_work() {
        let tracker = TaskTracker::new();
        let (go, wait) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let mut work = Detached::new(&tracker, async move {
            wait.await.unwrap();
            done.send(()).unwrap();
        });
        tokio::select! {
            biased;
            () = &mut work => panic!("the work finished before it was released"),
            () = std::future::ready(()) => {}
        }
        drop(work);
        go.send(()).unwrap();
        finished.await.unwrap();
        tracker.close();
        tracker.wait().await;
    }
}
