//! A connection pool of limited size, which opens connections when they are needed and reuses them.

use std::fmt;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::address::refused;
use super::guards::{Guards, Use};
use super::idle::Idle;
use super::servers::{NotOpened, Servers};
use super::session::{Failure, POOLED, Session};
use crate::clock::timer_now;
use crate::store::StoreError;

/// The pause between two attempts to open a session on a full server.
const AGAIN: Duration = Duration::from_millis(100);

/// The pauses before the attempts that follow once another session was closed, because the server needs a moment to end it.
const ENDING: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(60),
];

/// Opening a session rarely takes longer than this, unless it waits for a pooler.
const SLOW: Duration = Duration::from_secs(1);

/// Sessions that nobody waits for any more are given up if opening them takes this long: all but one, because a server may
/// always need longer.
const UNWANTED: Duration = Duration::from_millis(250);

/// A connection that was idle for less than this time is reused without a check.
const TRUSTED: Duration = Duration::from_millis(500);

/// The longest wait for a connection, if the time of a longer wait cannot be represented.
const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365);

#[derive(Clone)]
#[doc(hidden)]
pub struct Pool(Arc<Shared>);

struct Shared {
    servers: Arc<Servers>,
    used: Use,
    guards: Guards,
    idle: Arc<Idle>,
    /// One for each caller that has a connection or waits for one that becomes idle.
    permits: Arc<Semaphore>,
    /// One for each session that exists or is being opened.
    room: Arc<Semaphore>,
    /// Held by the one call that asks a full server for a session; the time when a call has last asked.
    asking: Mutex<Option<Instant>>,
    /// Held by the one slow opening for which a session of another pool is closed, and for a second after that.
    making_room: Mutex<()>,
    /// Held by the one slow opening that goes on although nobody waits for its session any more.
    unwanted: Mutex<()>,
}

/// A connection in use. Dropping it closes the connection, and the server rolls back an open transaction.
pub(super) struct Pooled {
    session: Session,
    place: Place,
}

/// The slot of a connection in its pool, where the connection is given back.
pub(super) struct Place {
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool for `size` callers at once. It has at most `room` sessions, which pools of the same use share when they are
    /// idle.
    pub(super) fn new(
        servers: Arc<Servers>,
        idle: Arc<Idle>,
        used: Use,
        guards: Guards,
        size: usize,
        room: usize,
    ) -> Self {
        Self(Arc::new(Shared {
            servers,
            used,
            guards,
            idle,
            permits: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            asking: Mutex::default(),
            making_room: Mutex::default(),
            unwanted: Mutex::default(),
        }))
    }

    /// Waits for a connection, at most as long as a call may wait. Fails earlier if the server cannot be reached.
    pub(super) async fn acquire(&self) -> Result<Pooled, StoreError> {
        self.acquire_within(self.0.servers.wait()).await
    }

    /// Like [`acquire`](Self::acquire), but does not wait while all connections are in use or the server is full.
    pub(super) async fn acquire_now(&self) -> Result<Pooled, StoreError> {
        self.acquire_within(Duration::ZERO).await
    }

    async fn acquire_within(&self, waits: Duration) -> Result<Pooled, StoreError> {
        let shared = &self.0;
        let now = timer_now();
        let until = now.checked_add(waits).unwrap_or(now + LONGEST);
        let permit = timeout_at(until, shared.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| shared.crowded(waits))?;
        let permit = permit.map_err(|_| shared.closed())?;
        let session = shared.session(until).await?;
        let session = session.ok_or_else(|| shared.crowded(waits))?;
        let place = Place {
            shared: Arc::clone(shared),
            _permit: permit,
        };
        Ok(Pooled { session, place })
    }

    pub(super) fn close(&self) {
        self.0.permits.close();
        self.0.idle.clear(self.0.used);
    }
}

/// A new session, or `None` if the server accepts no further session in time.
type Opened = Result<Option<Session>, StoreError>;

impl Shared {
    /// An idle session that can be used, or a new one. `None` if the server accepts no further session before `until`.
    async fn session(self: &Arc<Self>, until: Instant) -> Result<Option<Session>, StoreError> {
        while let Some(idle) = self.idle.take(self.used) {
            if let Some(session) = self.usable(idle).await? {
                return Ok(Some(session));
            }
        }
        let mut opening = pin!(self.open_in_background(until));
        loop {
            let idle = tokio::select! {
                biased;
                idle = self.idle.wait(self.used) => idle.ok_or_else(|| self.closed())?,
                opened = &mut opening => return opened,
            };
            if let Some(session) = self.usable(idle).await? {
                return Ok(Some(session));
            }
        }
    }

    /// Returns the session, or `None` if it is closed or its server does not confirm that it still works.
    async fn usable(&self, (session, since): (Session, Instant)) -> Result<Option<Session>, StoreError> {
        if session.is_over() {
            return Ok(None);
        }
        if since.elapsed() < TRUSTED {
            return Ok(Some(session));
        }
        match self.servers.ask(&session).await {
            Ok(()) => Ok(Some(session)),
            Err(Failure::Pooled) => Err(refused(POOLED)),
            // There is only one server, so a new connection would wait for the same silent server.
            Err(failure @ Failure::Silent) if self.servers.is_single() => {
                Err(failure.of_store(self.servers.name(), "be reached"))
            }
            Err(error) => {
                tracing::debug!(%error, "an idle connection to Postgres is closed");
                Ok(None)
            }
        }
    }

    /// Opens a session once there is room for it. If another session becomes idle first, and the caller uses that one, the new
    /// session becomes idle: otherwise busy callers would begin to open sessions again and again, and finish none.
    async fn open_in_background(self: &Arc<Self>, until: Instant) -> Opened {
        let Ok(Ok(room)) = timeout_at(until, Arc::clone(&self.room).acquire_owned()).await else {
            return Ok(None);
        };
        let (caller, opened) = oneshot::channel();
        let shared = Arc::clone(self);
        tokio::spawn(async move { shared.open_for(caller, until, room).await });
        // A session that was sent and not received is unwanted as well.
        let mut opened = scopeguard::guard(opened, |mut opened| {
            opened.close();
            if let Ok(Ok(Some(unwanted))) = opened.try_recv() {
                self.put(unwanted);
            }
        });
        let interrupted = |source| Err(StoreError::unavailable(self.servers.name(), "be reached", source));
        (&mut *opened).await.unwrap_or_else(interrupted)
    }

    async fn open_for(
        self: Arc<Self>,
        mut caller: oneshot::Sender<Opened>,
        until: Instant,
        room: OwnedSemaphorePermit,
    ) {
        let opened = self.open(&mut caller, until).await;
        let opened = opened.map(|session| session.map(|session| session.in_room(room)));
        if let Err(Ok(Some(unwanted))) = caller.send(opened) {
            self.put(unwanted);
        }
    }

    fn put(&self, session: Session) {
        if !self.permits.is_closed() {
            session.forget_old_statements();
            self.idle.put(self.used, session);
        }
    }

    /// Opens a session, and waits while the server is full and the caller waits.
    async fn open(&self, caller: &mut oneshot::Sender<Opened>, until: Instant) -> Opened {
        let since = timer_now();
        let mut first = None;
        // A call that does not wait, as a probe, tries once.
        if !self.servers.is_full() || since >= until {
            let Some(opened) = self.open_once(caller, since, until).await else {
                return Ok(None);
            };
            first = Some(opened);
        }
        let opened = match first {
            Some(opened) if !is(&opened, Failure::is_full) => opened,
            first => match (self.open_when_there_is_room(caller, since, until).await, first) {
                (Some(later), _) => later,
                // If this process has no session at all, the server may also be out of reach behind its pooler.
                (None, Some(first)) if is(&first, Failure::has_no_turn) && !self.servers.holds_sessions() => first,
                (None, _) => return Ok(None),
            },
        };
        opened.map(Some).map_err(|error| {
            if error.is(|failure| matches!(failure, Failure::Pooled)) {
                return refused(POOLED);
            }
            StoreError::unavailable(self.servers.name(), "be reached", error)
        })
    }

    /// Tries once to open a session. `None` if that takes long, and nobody waits for the session any more.
    async fn open_once(
        &self,
        caller: &mut oneshot::Sender<Opened>,
        since: Instant,
        until: Instant,
    ) -> Option<Result<Session, NotOpened>> {
        let mut opening = pin!(self.servers.open(&self.guards, until));
        tokio::select! {
            biased;
            opened = self.while_making_room(opening.as_mut(), since, until) => return Some(opened),
            () = caller.closed() => {}
        }
        if let Ok(opened) = timeout(UNWANTED, &mut opening).await {
            return Some(opened);
        }
        let _only = self.unwanted.try_lock().ok()?;
        Some(opening.await)
    }

    /// Asks a full server for a session again and again, after other calls of this pool that do the same. `None` if nobody
    /// waits for the session any more, or after `until`.
    ///
    /// Most calls soon use a session that becomes idle, so a call first waits for a while, and attempts are as far apart. An
    /// attempt is not given up, even if its caller leaves: a session may have been closed for it.
    async fn open_when_there_is_room(
        &self,
        caller: &mut oneshot::Sender<Opened>,
        since: Instant,
        until: Instant,
    ) -> Option<Result<Session, NotOpened>> {
        let mut asked = while_wanted(caller, until, self.asking.lock()).await?;
        loop {
            let earliest = asked.map_or(since, |asked| asked.max(since)) + AGAIN;
            while_wanted(caller, until, sleep_until(earliest)).await?;
            loop {
                *asked = Some(timer_now());
                let opened = self.open_once(caller, since, until).await?;
                if !is(&opened, Failure::is_full) {
                    return Some(opened);
                }
                let making_room = timeout(AGAIN, self.idle.make_room(self.used, since));
                if while_wanted(caller, until, making_room).await?.is_ok() {
                    break;
                }
            }
            for pause in ENDING {
                sleep(pause).await;
                *asked = Some(timer_now());
                let opened = self.open_once(caller, since, until).await?;
                if !is(&opened, Failure::is_full) {
                    return Some(opened);
                }
                if timer_now() >= until {
                    return None;
                }
            }
        }
    }

    /// While attempts wait, sessions of the other pools are closed, one a second, because a pooler that is full does not refuse
    /// a session, but lets it wait until another is closed. None is closed for a call that does not wait.
    async fn while_making_room(
        &self,
        mut opening: Pin<&mut impl Future<Output = Result<Session, NotOpened>>>,
        since: Instant,
        until: Instant,
    ) -> Result<Session, NotOpened> {
        if since >= until {
            return opening.await;
        }
        let making_room = async {
            loop {
                sleep(SLOW).await;
                let _slowly = self.making_room.lock().await;
                // With a limit, because a session may have become idle unnoticed.
                let _ = timeout(SLOW, self.idle.make_room(self.used, since)).await;
                sleep(SLOW).await;
            }
        };
        tokio::select! {
            biased;
            opened = &mut opening => opened,
            never = making_room => never,
        }
    }

    fn crowded(&self, waited: Duration) -> StoreError {
        StoreError::Crowded {
            store: self.servers.name().to_owned(),
            waited,
        }
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed {
            store: self.servers.name().to_owned(),
        }
    }
}

/// Waits until `until`, for as long as the caller waits for its session.
async fn while_wanted<T>(
    caller: &mut oneshot::Sender<Opened>,
    until: Instant,
    wait: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = caller.closed() => None,
        done = timeout_at(until, wait) => done.ok(),
    }
}

/// Whether opening a session failed for this reason.
fn is(opened: &Result<Session, NotOpened>, reason: fn(&Failure) -> bool) -> bool {
    matches!(opened, Err(error) if error.is(reason))
}

impl Pooled {
    /// Sends a request, and gives the connection back unless the request fails.
    pub(super) async fn ask<T>(self, asking: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, Failure> {
        // No handler's SQL ran in this session, so if a write is refused, the server is read-only.
        let asking = asking(&self.session).map_err(Failure::of_the_server);
        let answer = self.place.shared.servers.answer(&self.session, asking).await?;
        self.give_back();
        Ok(answer)
    }

    /// Tests the server until the returned value is dropped, and closes the connection if the server is lost.
    pub(super) fn keep_watch(&self) -> AbortOnDropHandle<()> {
        let opened = Arc::clone(&self.session.opened);
        self.place.shared.servers.keep_watch(opened)
    }

    /// Gives the connection back for reuse. No transaction or statement may be open on it.
    pub(super) fn give_back(self) {
        self.place.give_back(self.session);
    }

    /// Like [`give_back`](Self::give_back), but a transaction may still be open, or a statement may still be running.
    pub(super) async fn end_and_give_back(self) {
        // `BEGIN` comes first because Postgres logs a warning for a `ROLLBACK` without a transaction. In a failed
        // transaction `BEGIN` fails, and then the connection is closed.
        if let Ok(true) = self.session.end_by("BEGIN; ROLLBACK").await {
            self.give_back();
        }
    }

    pub(super) fn into_parts(self) -> (Session, Place) {
        (self.session, self.place)
    }
}

impl Place {
    pub(super) fn give_back(self, session: Session) {
        self.shared.put(session);
    }
}

impl Deref for Pooled {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("used", &self.0.used)
            .finish_non_exhaustive()
    }
}
