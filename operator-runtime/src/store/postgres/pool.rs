//! A connection pool of limited size, which opens connections when they are needed and reuses them.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Config;

use super::address;
use super::session::{Failure, Session};
use super::way::Way;
use crate::store::StoreError;

/// How long a call waits for a connection before it is refused.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Clone)]
#[doc(hidden)]
pub struct Pool(Arc<Shared>);

struct Shared {
    name: Arc<str>,
    way: Way,
    config: Config,
    idle: Mutex<Vec<Session>>,
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
    pub(super) fn new(name: Arc<str>, way: Way, config: Config, size: usize) -> Self {
        Self(Arc::new(Shared {
            name,
            way,
            config,
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
        let session = match shared.idle_session() {
            Some(session) => session,
            None => shared.open().await?,
        };
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
    /// With a timeout of our own, because the driver's timeout covers only the TCP connection, which a frozen server's
    /// system still accepts.
    async fn open(&self) -> Result<Session, StoreError> {
        let opening = Session::open(&self.way, &self.config);
        match tokio::time::timeout(address::opens_within(&self.config), opening).await {
            Ok(opened) => opened.map_err(|source| StoreError::unavailable(&self.name, "be reached", source)),
            Err(_) => Err(Failure::NoAnswer.of_store(&self.name, "be reached")),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_session(&self) -> Option<Session> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|session| !session.is_closed())
    }
}

impl Pooled {
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
            self.shared.idle().push(session);
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
