//! A connection pool of limited size, which opens connections when they are needed and reuses them.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryFutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::address::refused;
use super::guards::Guards;
use super::servers::{NotOpened, Servers};
use super::session::{Failure, POOLED, Session};
use crate::clock::timer_now;
use crate::store::StoreError;

/// How long a call waits for a connection before it is refused.
const WAIT: Duration = Duration::from_secs(5);

/// A connection that was in use so recently is used again without asking its server whether it can be.
const TRUSTED: Duration = Duration::from_millis(500);

#[derive(Clone)]
#[doc(hidden)]
pub struct Pool(Arc<Shared>);

struct Shared {
    name: Arc<str>,
    servers: Arc<Servers>,
    guards: Guards,
    /// Each with the time since which it has been idle.
    idle: Mutex<Vec<(Session, Instant)>>,
    permits: Arc<Semaphore>,
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
    pub(super) fn new(name: Arc<str>, servers: Arc<Servers>, guards: Guards, size: usize) -> Self {
        Self(Arc::new(Shared {
            name,
            servers,
            guards,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
        }))
    }

    pub(super) async fn acquire(&self) -> Result<Pooled, StoreError> {
        let shared = &self.0;
        let waiting = tokio::time::timeout(WAIT, shared.permits.clone().acquire_owned());
        let permit = match waiting.await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => {
                return Err(StoreError::Closed {
                    store: shared.name.to_string(),
                });
            }
            Err(_) => {
                return Err(StoreError::Crowded {
                    store: shared.name.to_string(),
                    waited: WAIT,
                });
            }
        };
        let session = shared.session().await?;
        let place = Place {
            shared: Arc::clone(shared),
            _permit: permit,
        };
        Ok(Pooled { session, place })
    }

    pub(super) fn close(&self) {
        self.0.permits.close();
        self.0.idle().clear();
    }
}

impl Shared {
    /// An idle session that can be used, or a new one.
    async fn session(&self) -> Result<Session, StoreError> {
        while let Some((session, since)) = self.idle_session() {
            if since.elapsed() < TRUSTED {
                return Ok(session);
            }
            match self.servers.ask(&session).await {
                Ok(()) => return Ok(session),
                Err(Failure::Pooled) => return Err(refused(POOLED)),
                Err(error) => tracing::debug!(%error, "an idle connection to Postgres is closed"),
            }
        }
        let opened = self.servers.open(&self.guards).await;
        opened.map_err(|error| self.not_opened(error))
    }

    fn not_opened(&self, error: NotOpened) -> StoreError {
        if error.is(|failure| matches!(failure, Failure::Pooled)) {
            return refused(POOLED);
        }
        StoreError::unavailable(&self.name, "be reached", error)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Session, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_session(&self) -> Option<(Session, Instant)> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|(session, _)| !session.is_closed())
    }
}

impl Pooled {
    /// Sends a request, and gives the connection back unless the request fails.
    pub(super) async fn ask<T>(self, asking: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, Failure> {
        // No handler's SQL came before, so a refused write says something about the server.
        let asking = asking(&self.session).map_err(Failure::of_the_server);
        let answer = self.place.shared.servers.answer(&self.session, asking).await?;
        self.give_back();
        Ok(answer)
    }

    /// Gives the connection back for reuse. No transaction or statement may be open on it.
    pub(super) fn give_back(self) {
        self.place.give_back(self.session);
    }

    /// As [`give_back`](Self::give_back), for a connection on which a transaction may be open and a statement may run.
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
        if !self.shared.permits.is_closed() {
            self.shared.idle().push((session, timer_now()));
        }
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
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
