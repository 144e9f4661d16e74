//! A future that is polled again at once if it woke itself. Hyper wakes itself for each body that it reads. If each
//! such wake went through the runtime's queue, it would wake another thread.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How many times the future is polled in a row before other tasks can run.
const TURNS: usize = 8;

/// A future that can wake itself without the runtime's queue.
pub(super) struct Driven<F> {
    future: Pin<Box<F>>,
    alarm: Arc<Alarm>,
    /// The alarm as a waker, for the inner future.
    waker: Waker,
}

struct Alarm {
    state: AtomicU8,
    task: AtomicWaker,
}

/// The future is not being polled, so a wake wakes the task.
const IDLE: u8 = 0;
/// The future is being polled.
const POLLED: u8 = 1;
/// The future was woken. This is a separate bit that every wake writes, so that the next poll synchronizes with the
/// waker.
const WOKEN: u8 = 2;

impl<F: Future> Driven<F> {
    pub(super) fn new(future: F) -> Self {
        let alarm = Arc::new(Alarm {
            state: AtomicU8::new(IDLE),
            task: AtomicWaker::new(),
        });
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
        }
    }

    /// A waker that causes another poll of the future. Any thread may use the waker.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

impl<F: Future> Future for Driven<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, alarm, waker } = &mut *self;
        // The task is registered before the first poll, so that a wake during the poll reaches the current task.
        alarm.task.register(context.waker());
        for _ in 0..TURNS {
            alarm.state.swap(POLLED, Ordering::AcqRel);
            if let Poll::Ready(ended) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(ended);
            }
            if alarm.state.swap(IDLE, Ordering::AcqRel) == POLLED {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // If the future is being polled, `poll` reads the bit after the inner future returns, so the task need not
        // wake.
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) & POLLED == 0 {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A task that counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<F: Future>(driven: &mut Driven<F>, task: &Arc<Task>) -> Poll<F::Output> {
        Pin::new(driven).poll(&mut Context::from_waker(&Waker::from(Arc::clone(task))))
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again_at_once() {
        let task = Arc::new(Task::default());
        let mut polls = 0;
        let mut driven = Driven::new(poll_fn(|context| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(polls);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        assert_eq!(poll(&mut driven, &task), Poll::Ready(3));
        assert_eq!(task.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_future_that_always_wakes_itself_yields_to_other_tasks() {
        let task = Arc::new(Task::default());
        let mut polls = 0;
        let mut driven = Driven::new(poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(poll(&mut driven, &task), Poll::Pending);
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        drop(driven);
        assert_eq!(polls, TURNS);
    }

    #[test]
    fn a_wake_between_polls_reaches_the_task_that_polled_last() {
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let kept = std::sync::Mutex::new(None);
        let mut driven = Driven::new(poll_fn(|context| {
            *kept.lock().unwrap() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        assert_eq!(poll(&mut driven, &first), Poll::Pending);
        assert_eq!(poll(&mut driven, &second), Poll::Pending);
        kept.lock().unwrap().take().unwrap().wake();
        assert_eq!(
            (first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)),
            (0, 1)
        );
    }

    #[test]
    fn no_wake_of_another_thread_is_lost() {
        const WAKES: usize = 20_000;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let (send, wakers) = std::sync::mpsc::channel::<Waker>();
        let waking = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                for waker in wakers {
                    seen.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                }
            }
        });
        let mut asked = 0;
        runtime.block_on(Driven::new(poll_fn(move |context| {
            // Only one wake is requested at a time, so that a lost wake would block this test.
            if seen.load(Ordering::Relaxed) == asked {
                if asked == WAKES {
                    return Poll::Ready(());
                }
                asked += 1;
                send.send(context.waker().clone()).unwrap();
            }
            Poll::Pending
        })));
        waking.join().unwrap();
    }
}
