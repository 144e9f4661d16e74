//! The idle sessions of all pools of one store, and the calls for which a full server needs one of them closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep};

use super::guards::Use;
use super::session::Session;
use crate::clock::timer_now;

/// A session that has been idle for this time is closed, so that the server can give it to another process. The time is
/// shorter than a call of that process waits for a session.
const LONGEST: Duration = Duration::from_secs(5);
/// The pause between two searches for such sessions.
const SEARCH: Duration = Duration::from_secs(1);

/// The idle sessions for each use.
#[derive(Default)]
pub(super) struct Idle {
    records: Shelf,
    handlers: Shelf,
    readers: Shelf,
    /// Few, because each pool asks for one call at a time.
    asking: Mutex<Vec<Asking>>,
}

struct Shelf {
    /// Each session, and the time at which it became idle. The session that has been idle for longest is the first.
    sessions: Mutex<Vec<(Session, Instant)>>,
    /// Has one permit per idle session. The semaphore serves waiting callers in order.
    count: Semaphore,
}

/// A call that waits until a session of another use is closed.
struct Asking {
    used: Use,
    since: Instant,
    closed: oneshot::Sender<()>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            sessions: Mutex::default(),
            count: Semaphore::new(0),
        }
    }
}

impl Idle {
    /// Closes sessions that are idle for long, until the returned value is dropped. Must be called in a Tokio runtime.
    pub(super) fn new() -> Arc<Self> {
        let idle = Arc::<Self>::default();
        tokio::spawn(search(Arc::downgrade(&idle)));
        idle
    }

    /// Puts a session here for the next call of the same use, or closes the session for a call of another use: the one that
    /// has waited for longest. Without the latter, a use whose calls never stop would keep all sessions of a full server.
    pub(super) fn put(&self, used: Use, session: Session) {
        if let Some(closed) = self.asking_of_another(used) {
            drop(session);
            // The call may have stopped waiting at this moment.
            let _ = closed.send(());
            return;
        }
        let shelf = self.of(used);
        let mut sessions = shelf.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.push((session, timer_now()));
        drop(sessions);
        shelf.count.add_permits(1);
    }

    /// Removes and returns the most recently used idle session, if there is one.
    pub(super) fn take(&self, used: Use) -> Option<(Session, Instant)> {
        let shelf = self.of(used);
        shelf.count.try_acquire().ok()?.forget();
        shelf.pop()
    }

    /// Waits for an idle session. Returns `None` if the store has been closed.
    pub(super) async fn wait(&self, used: Use) -> Option<(Session, Instant)> {
        let shelf = self.of(used);
        shelf.count.acquire().await.ok()?.forget();
        shelf.pop()
    }

    /// Closes a session of another use, so that the server can accept a new one for a call that has waited `since` then. If
    /// none is idle, this waits for the first that would become idle.
    pub(super) async fn make_room(&self, used: Use, since: Instant) {
        let (closed, is_closed) = oneshot::channel();
        self.asking().push(Asking { used, since, closed });
        // Only now, so that no session becomes idle unnoticed.
        let others = [Use::Readers, Use::Handlers, Use::Records];
        let mut others = others.into_iter().filter(|other| *other != used);
        if let Some((idle, _)) = others.find_map(|other| self.take(other)) {
            drop(idle);
            return;
        }
        // The sender is dropped only together with the store.
        let _ = is_closed.await;
    }

    fn asking_of_another(&self, used: Use) -> Option<oneshot::Sender<()>> {
        let mut asking = self.asking();
        let others = asking.iter().enumerate().filter(|(_, call)| call.used != used);
        let (first, _) = others.min_by_key(|(_, call)| call.since)?;
        Some(asking.swap_remove(first).closed)
    }

    /// The calls that still wait until a session is closed.
    fn asking(&self) -> MutexGuard<'_, Vec<Asking>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.retain(|call| !call.closed.is_closed());
        asking
    }

    /// Closes all idle sessions of one use.
    pub(super) fn clear(&self, used: Use) {
        while self.take(used).is_some() {}
    }

    fn close_unused(&self) {
        for shelf in [&self.records, &self.handlers, &self.readers] {
            while shelf.take_unused().is_some() {}
        }
    }

    fn of(&self, used: Use) -> &Shelf {
        match used {
            Use::Records => &self.records,
            Use::Handlers => &self.handlers,
            Use::Readers => &self.readers,
        }
    }
}

impl Shelf {
    fn pop(&self) -> Option<(Session, Instant)> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Removes and returns a session that has been idle for long, or whose connection is closed.
    fn take_unused(&self) -> Option<Session> {
        let permit = self.count.try_acquire().ok()?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = |(session, since): &(Session, Instant)| session.is_over() || since.elapsed() >= LONGEST;
        let place = sessions.iter().position(unused)?;
        permit.forget();
        Some(sessions.remove(place).0)
    }
}

async fn search(idle: Weak<Idle>) {
    loop {
        sleep(SEARCH).await;
        match idle.upgrade() {
            Some(idle) => idle.close_unused(),
            None => return,
        }
    }
}
