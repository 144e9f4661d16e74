//! All open connections of a server. A connection that exceeds a time limit is closed. If there are too many
//! connections, the one for which the server has waited longest is closed.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Limits;
use super::watched::{Moment, Phase, Watched};
use crate::clock::timer_now;

/// All connections of a server.
pub(super) struct Connections {
    limits: Limits,
    /// The origin of every `Moment`.
    started: Instant,
    slots: Arc<Semaphore>,
    unfinished_heads: AtomicUsize,
    known: Mutex<Known>,
}

/// An open connection. Dropping it removes it from the list and frees its slot.
pub(super) struct Open {
    pub(super) watched: Arc<Watched>,
    id: u64,
    _slot: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Known {
    opened: u64,
    all: HashMap<u64, Arc<Watched>>,
    /// The order in which connections are closed if there are too many.
    surplus: Queue,
    /// The order in which connections with unfinished heads are closed if there are too many unfinished heads.
    heads: Queue,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            started: timer_now(),
            slots: Arc::new(Semaphore::new(limits.connections().min(Semaphore::MAX_PERMITS))),
            unfinished_heads: AtomicUsize::new(0),
            known: Mutex::default(),
        })
    }

    /// Accepts a new connection, and closes another one for it if necessary; `None` if every connection is in a
    /// handler.
    pub(super) async fn admit(self: &Arc<Self>) -> Option<Open> {
        let slots = Arc::clone(&self.slots);
        let slot = match slots.try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) if self.close_surplus() => Arc::clone(&self.slots).acquire_owned().await.ok()?,
            Err(_) => return None,
        };
        let watched = Arc::new(Watched::new(Arc::clone(self)));
        let mut known = self.known();
        known.opened += 1;
        let id = known.opened;
        known.all.insert(id, Arc::clone(&watched));
        Some(Open {
            watched,
            id,
            _slot: slot,
        })
    }

    /// Waits until no connection is open.
    pub(super) async fn all_ended(&self) {
        let all = u32::try_from(self.limits.connections()).unwrap_or(u32::MAX);
        // `acquire_many` fails only on a closed semaphore, and nothing closes this one.
        let _ = self.slots.acquire_many(all).await;
    }

    /// Closes connections that exceed their time limit, for as long as the future is polled.
    pub(super) async fn close_overdue(self: Arc<Self>) -> Infallible {
        let shortest = self.limits.read_timeout.min(self.limits.idle_timeout);
        let pause = (shortest / 10).clamp(Duration::from_millis(10), Duration::from_secs(1));
        loop {
            tokio::time::sleep(pause).await;
            let now = self.now();
            for watched in self.known().all.values() {
                let moment = watched.moment();
                if let Some(end) = self.end_of_patience(watched, moment)
                    && now.since(moment) > end
                {
                    watched.close(moment, Phase::Overdue);
                }
            }
        }
    }

    /// The time limit of the connection's current phase.
    fn end_of_patience(&self, watched: &Watched, moment: Moment) -> Option<Duration> {
        match moment.phase() {
            Phase::Idle => Some(self.limits.idle_timeout),
            Phase::Head => Some(self.limits.read_timeout),
            Phase::Answer => Some(self.limits.for_answer(watched.answer_bytes())),
            // The time limit of a body is enforced in `reading`, so that it also holds behind `App::router`.
            Phase::Body | Phase::Asking | Phase::Working | Phase::Overdue | Phase::Surplus => None,
        }
    }

    /// Closes the connection that has been idle longest. If no connection is idle, closes the one for which the server
    /// has waited longest.
    pub(super) fn close_surplus(&self) -> bool {
        let Known { all, surplus, .. } = &mut *self.known();
        surplus.close_first(all, self.now(), |phase| match phase {
            Phase::Idle => Some(0),
            Phase::Head | Phase::Body | Phase::Answer => Some(1),
            Phase::Asking | Phase::Working | Phase::Overdue | Phase::Surplus => None,
        })
    }

    /// Counts one more unfinished head; `true` if there are now too many.
    pub(super) fn count_head(&self) -> bool {
        self.unfinished_heads.fetch_add(1, Ordering::Relaxed) >= self.limits.unfinished_heads
    }

    pub(super) fn close_oldest_head(&self) {
        let Known { all, heads, .. } = &mut *self.known();
        heads.close_first(all, self.now(), |phase| (phase == Phase::Head).then_some(0));
    }

    pub(super) fn head_is_over(&self) {
        self.unfinished_heads.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn read_timeout(&self) -> Duration {
        self.limits.read_timeout
    }

    pub(super) fn now(&self) -> Moment {
        Moment::after(timer_now() - self.started)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // The lock cannot be poisoned, because no code that can panic runs while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// `waker` is called when the connection is closed, so that the connection's task notices.
    pub(super) fn woken_by(&self, waker: Waker) {
        self.watched.woken_by(waker);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.watched.ended();
        self.watched.connections().known().all.remove(&self.id);
    }
}

/// Connections in the order in which they are to be closed. One sorted queue is used for many closings, because sorting
/// all connections for each new one would cost more than opening it.
#[derive(Default)]
struct Queue {
    made: Moment,
    waiting: VecDeque<(Moment, Weak<Watched>)>,
}

impl Queue {
    /// How long a sorted queue is used. After that it is sorted again, because other connections may have become idle.
    const FRESH: Duration = Duration::from_millis(10);

    /// Closes the connection with the lowest rank; among equal ranks, the one that has waited longest. `true` if there
    /// was such a connection.
    fn close_first(
        &mut self,
        all: &HashMap<u64, Arc<Watched>>,
        now: Moment,
        rank: impl Fn(Phase) -> Option<u8>,
    ) -> bool {
        if now.since(self.made) <= Self::FRESH && self.close_next() {
            return true;
        }
        let ranked = |watched: &Arc<Watched>| {
            let moment = watched.moment();
            rank(moment.phase()).map(|rank| (rank, moment, Arc::downgrade(watched)))
        };
        let mut ranked: Vec<_> = all.values().filter_map(ranked).collect();
        ranked.sort_unstable_by_key(|(rank, moment, _)| (*rank, *moment));
        self.made = now;
        self.waiting = ranked
            .into_iter()
            .map(|(_, moment, watched)| (moment, watched))
            .collect();
        self.close_next()
    }

    fn close_next(&mut self) -> bool {
        // A connection that has made progress since the queue was sorted is not closed.
        std::iter::from_fn(|| self.waiting.pop_front())
            .filter_map(|(moment, watched)| Some((moment, watched.upgrade()?)))
            .any(|(moment, watched)| watched.close(moment, Phase::Surplus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize, unfinished_heads: usize) -> Arc<Connections> {
        Connections::new(Limits {
            connections: Some(most),
            unfinished_heads,
            ..Limits::default()
        })
    }

    /// Opens a connection, a millisecond after the previous event.
    async fn open(connections: &Arc<Connections>) -> Open {
        pass(Duration::from_millis(1)).await;
        connections.admit().await.expect("there is room")
    }

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    fn begin_head(open: &Open) {
        open.watched.has_read().unwrap();
        open.watched.reads().unwrap();
    }

    fn begin_call(open: &Open) {
        open.watched.has_read().unwrap();
        open.watched.call_begins();
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_idle_longest_is_closed_and_one_with_progress_is_not() {
        let connections = connections(3, 10);
        let first = open(&connections).await;
        let second = open(&connections).await;
        let third = open(&connections).await;
        begin_call(&first);
        first.watched.call_ends(10);
        pass(Duration::from_millis(1)).await;
        first.watched.has_written().unwrap();
        assert!(connections.close_surplus());
        // The second closing uses the queue that was sorted for the first closing.
        begin_call(&third);
        assert!(connections.close_surplus());
        let phases = [&first, &second, &third].map(|open| open.watched.phase());
        assert_eq!(phases, [Phase::Surplus, Phase::Surplus, Phase::Working]);
        assert!(!connections.close_surplus(), "one that works is not closed");
        assert!(second.watched.reads().is_err() && first.watched.has_read().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn without_idle_connections_the_one_waited_for_longest_is_closed() {
        let connections = connections(3, 10);
        let [answer, body, head] = [
            open(&connections).await,
            open(&connections).await,
            open(&connections).await,
        ];
        begin_call(&body);
        body.watched.waits_for_body().unwrap();
        pass(Duration::from_millis(1)).await;
        begin_head(&head);
        pass(Duration::from_millis(1)).await;
        begin_call(&answer);
        answer.watched.call_ends(10);
        answer.watched.waits_for_reader().unwrap();
        for next in [&body, &head, &answer] {
            assert_ne!(next.watched.phase(), Phase::Surplus);
            assert!(connections.close_surplus());
            assert_eq!(next.watched.phase(), Phase::Surplus);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_waits_until_the_closed_one_has_ended() {
        let connections = connections(1, 10);
        let first = open(&connections).await;
        let next = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.admit().await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!next.is_finished() && first.watched.reads().is_err());
        drop(first);
        assert!(next.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_unfinished_heads_close_the_oldest_and_finished_heads_do_not_count() {
        let connections = connections(10, 2);
        let [first, second, third, fourth] = [
            open(&connections).await,
            open(&connections).await,
            open(&connections).await,
            open(&connections).await,
        ];
        begin_head(&first);
        pass(Duration::from_millis(1)).await;
        begin_head(&second);
        second.watched.call_begins();
        begin_head(&third);
        assert_eq!(first.watched.phase(), Phase::Head);
        begin_head(&fourth);
        let phases = [&first, &second, &third, &fourth].map(|open| open.watched.phase());
        assert_eq!(phases, [Phase::Surplus, Phase::Working, Phase::Head, Phase::Head]);
        drop((first, second, third, fourth));
        assert_eq!(connections.unfinished_heads.load(Ordering::Relaxed), 0);
        assert!(connections.known().all.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn overdue_connections_are_closed_and_reading_a_part_does_not_extend_an_answers_limit() {
        let connections = connections(10, 10);
        let closing = tokio::spawn(Arc::clone(&connections).close_overdue());
        let [idle, head, answer, working] = [
            open(&connections).await,
            open(&connections).await,
            open(&connections).await,
            open(&connections).await,
        ];
        begin_head(&head);
        begin_call(&answer);
        answer.watched.call_ends(2 * 1024 * 1024);
        begin_call(&working);
        let mut ended = Vec::new();
        for second in 0..80 {
            for (name, open) in [
                ("idle", &idle),
                ("head", &head),
                ("answer", &answer),
                ("working", &working),
            ] {
                if open.watched.phase() == Phase::Overdue && ended.iter().all(|(_, known)| *known != name) {
                    ended.push((second, name));
                }
            }
            // A part of the answer is written, and then the caller stops reading.
            let _ = answer.watched.writes().and_then(|()| answer.watched.waits_for_reader());
            let _ = head.watched.reads();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        closing.abort();
        assert_eq!(ended, [(11, "head"), (15, "answer"), (76, "idle")]);
    }
}
