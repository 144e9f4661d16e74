//! One connection: the driver's client, its prepared statements, and the meaning of its errors.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, Statement};

use super::address::refused;
use super::servers::Opened;
use super::way::Way;
use crate::clock::timer_now;
use crate::store::{DecodeError, StoreError};

/// How many prepared statements a connection keeps. The limit exists for SQL whose text differs at each call, which
/// would fill the memory.
const STATEMENTS: usize = 256;
/// After this time, a connection that is not in use forgets its prepared statements. If a table has changed, a statement
/// that was prepared before may fail for as long as it exists.
const PREPARED: Duration = Duration::from_secs(60);
/// The time limit for an answer. It is longer than the server's own limits, and applies if the server has stopped
/// answering.
const ANSWER: Duration = Duration::from_secs(35);

/// Ending a transaction is fast. If it takes longer than this, it waits for a statement that still runs.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The time limit for sending a cancellation. The same limit applies to the wait until the statement ends.
const CANCELLED: Duration = Duration::from_secs(5);

/// A connection to Postgres. It dereferences to the driver's own client.
///
/// A setting that a handler changes without `LOCAL` stays in effect for later users of the connection.
pub struct Session {
    client: Client,
    way: Way,
    /// The id of the server process that serves the session.
    backend: i32,
    pub(super) opened: Arc<Opened>,
    /// The room that the session takes in its pool until it is dropped.
    _room: Option<OwnedSemaphorePermit>,
    statements: Mutex<Prepared>,
}

/// Prepared statements by their SQL.
struct Prepared {
    since: Instant,
    by_sql: HashMap<Box<str>, Statement>,
}

impl Prepared {
    fn none() -> Self {
        Self {
            since: timer_now(),
            by_sql: HashMap::new(),
        }
    }
}

impl Session {
    pub(super) fn new(client: Client, way: Way, backend: i32, opened: Arc<Opened>) -> Self {
        Self {
            client,
            way,
            backend,
            opened,
            _room: None,
            statements: Mutex::new(Prepared::none()),
        }
    }

    /// The session takes this room in its pool.
    pub(super) fn in_room(self, room: OwnedSemaphorePermit) -> Self {
        Self {
            _room: Some(room),
            ..self
        }
    }

    /// Asks the server whether it still accepts writes, and whether the session is still served by the process in which
    /// the guards were set.
    pub(super) async fn is_as_it_was_opened(&self) -> Result<(), Failure> {
        let asking = self
            .client
            .query_typed_one("SELECT pg_backend_pid(), pg_is_in_recovery()", &[]);
        let answer = asking.await?;
        if answer.try_get::<_, i32>(0)? != self.backend {
            return Err(Failure::Pooled);
        }
        if answer.try_get(1)? {
            Err(Failure::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// Whether the connection is closed or is about to be.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_closed() || self.opened.is_over()
    }

    /// Checks that each of two open sessions has its own server process and keeps it.
    pub(super) async fn is_apart_from(&self, other: &Self) -> Result<(), Failure> {
        if self.backend == other.backend {
            return Err(Failure::Pooled);
        }
        // The open transaction holds a server process. A transaction pooler may have taken that process from `self`,
        // which is idle.
        other.client.batch_execute("BEGIN").await?;
        self.is_as_it_was_opened().await?;
        Ok(other.client.batch_execute("ROLLBACK").await?)
    }

    /// Prepares SQL the first time and caches the statement, so that later runs take one round trip:
    /// `tx.query_one(&tx.prepare_cached("SELECT …").await?, &[&id]).await?`.
    ///
    /// # Errors
    /// If the SQL is wrong, or the connection is lost.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.cached(sql) {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let statements = &mut self.statements().by_sql;
        if statements.len() < STATEMENTS {
            statements.insert(sql.into(), statement.clone());
        }
        Ok(statement)
    }

    /// The statement, if it is prepared.
    pub(super) fn cached(&self, sql: &str) -> Option<Statement> {
        self.statements().by_sql.get(sql).cloned()
    }

    /// Forgets the prepared statements, because one of them may fail again and again. The connection must not be in use.
    pub(super) fn forget_statements(&self) {
        *self.statements() = Prepared::none();
    }

    pub(super) fn forget_old_statements(&self) {
        let mut statements = self.statements();
        if statements.since.elapsed() >= PREPARED {
            *statements = Prepared::none();
        }
    }

    /// Ends a transaction that a handler has left open, with the given SQL, and returns whether the connection can be
    /// reused.
    ///
    /// If a statement still runs because its handler no longer waits for it, the statement is cancelled. A cancellation
    /// may arrive late and then cancel a later statement, so such a connection must be closed.
    pub(super) async fn end_by(&self, sql: &str) -> Result<bool, Failure> {
        let mut ending = pin!(self.client.batch_execute(sql));
        if let Ok(ended) = timeout(AT_ONCE, &mut ending).await {
            return Ok(ended.map(|()| true)?);
        }
        // The result is ignored, because the next wait shows whether the cancellation arrived.
        let _ = timeout(CANCELLED, self.way.cancel(&self.client)).await;
        let ended = timeout(CANCELLED, ending).await.map_err(|_| Failure::NoAnswer)?;
        Ok(ended.map(|()| false)?)
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, Prepared> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A warning if the server's settings allow committed records to be lost.
    pub(super) async fn what_can_be_lost(&self) -> Result<Option<String>, tokio_postgres::Error> {
        let sql = "SELECT current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off'";
        let loses: bool = self.client.query_one(sql, &[]).await?.get(0);
        Ok(loses.then(|| {
            "Postgres answers before its commits are on the disk (synchronous_commit or fsync is off): a crash of its machine loses the last records, and a retry of such a call runs again; set both to `on` to prevent this."
                .to_owned()
        }))
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

/// Why a request to the database failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Driver(tokio_postgres::Error),
    #[error(transparent)]
    Record(DecodeError),
    /// The claim at the beginning of this transaction no longer exists, so the handler's SQL must have ended the
    /// transaction.
    #[error("the handler's SQL ended the transaction")]
    NotOurs,
    #[error("the server did not answer in time")]
    NoAnswer,
    /// Like `NoAnswer`, but the server does not answer new connections either, or they reach another server.
    #[error("the server stopped answering, or another server has taken its place")]
    Silent,
    /// The server accepted the connection, but not yet a statement, as a pooler does while its sessions are in use.
    #[error(
        "the server accepted the connection, but did not run a statement in time; either all sessions of a pooler are in use, or the server behind the pooler does not answer"
    )]
    NoTurn,
    #[error("the host has no address")]
    NoAddress(#[source] std::io::Error),
    #[error(
        "the server accepts no writes, because it is a standby or its `default_transaction_read_only` is on: write the address of the primary"
    )]
    ReadOnly,
    #[error("the address {POOLED}")]
    Pooled,
}

/// What is wrong with a pooler that does not keep sessions.
pub(super) const POOLED: &str = "points to a pooler that may run each transaction in a different session, such as PgBouncer with `pool_mode=transaction`, so the limits that are set in a session may not apply: set `pool_mode=session` for this database, or write the address of the server itself";

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl Failure {
    /// Whether a commit (or a single write, which commits itself) that failed with this error may have happened.
    pub(super) fn leaves_a_commit_unknown(&self) -> bool {
        match self {
            Self::Driver(error) => error
                .as_db_error()
                .is_none_or(|error| error.parsed_severity() != Some(Severity::Error)),
            Self::NoAnswer | Self::Silent => true,
            Self::NotOurs | Self::Record(_) | Self::NoTurn | Self::NoAddress(_) | Self::ReadOnly | Self::Pooled => {
                false
            }
        }
    }

    /// Whether the failure concerns all sessions of a server, not only the one that failed.
    pub(super) fn is_the_servers(&self) -> bool {
        matches!(self, Self::Silent | Self::ReadOnly)
    }

    /// Whether the server has no session left for us.
    pub(super) fn is_full(&self) -> bool {
        self.refuses_a_session() || self.has_no_turn()
    }

    /// Whether a server refused a session because it has no more.
    pub(super) fn refuses_a_session(&self) -> bool {
        matches!(self, Self::Driver(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS))
    }

    /// Whether a pooler may have no session left for us.
    pub(super) fn has_no_turn(&self) -> bool {
        matches!(self, Self::NoTurn)
    }

    /// The failure of a statement before which no handler's SQL has run. So if a write is refused, the cause is the
    /// server and not the handler.
    pub(super) fn of_the_server(self) -> Self {
        match self {
            Self::Driver(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Self::ReadOnly,
            failure => failure,
        }
    }

    /// The failure of a `BEGIN READ WRITE`, which a standby does not support.
    pub(super) fn of_begin(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::FEATURE_NOT_SUPPORTED) => Self::ReadOnly,
            _ => Self::Driver(error),
        }
    }

    /// The store error for a failed write of a record. Such a write waits only for the lock on the record's own row.
    pub(super) fn of_write(self, name: &str) -> StoreError {
        match self {
            Self::Driver(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                StoreError::Locked { store: name.to_owned() }
            }
            failure => failure.of_store(name, "write a record"),
        }
    }

    pub(super) fn of_store(self, name: &str, doing: &'static str) -> StoreError {
        match self {
            Self::Record(source) => StoreError::Unreadable {
                store: name.to_owned(),
                source,
            },
            Self::NotOurs => StoreError::EndedByHandler,
            // Nothing was written. A retry may reach a server that accepts writes.
            Self::ReadOnly => StoreError::Interrupted {
                store: name.to_owned(),
                source: Arc::new(self),
            },
            Self::Pooled => refused(POOLED),
            Self::NoAnswer | Self::Silent | Self::NoTurn | Self::NoAddress(_) => {
                StoreError::unavailable(name, doing, self)
            }
            Self::Driver(error) => match error.code() {
                // The transaction of the store no longer exists, so the handler's SQL must have ended it.
                Some(code) if ENDED.contains(&code) => StoreError::EndedByHandler,
                code if interrupts(code) || (code.is_none() && error.is_closed()) => StoreError::Interrupted {
                    store: name.to_owned(),
                    source: Arc::new(error),
                },
                _ => StoreError::unavailable(name, doing, error),
            },
        }
    }
}

const ENDED: [&SqlState; 5] = [
    &SqlState::READ_ONLY_SQL_TRANSACTION,
    &SqlState::NO_ACTIVE_SQL_TRANSACTION,
    &SqlState::S_E_INVALID_SPECIFICATION,
    &SqlState::IN_FAILED_SQL_TRANSACTION,
    &SqlState::FOREIGN_KEY_VIOLATION,
];

/// Whether the request failed because of another transaction or an administrator, so that it may succeed when repeated.
pub(super) fn interrupts(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| {
        [
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            // Includes our own `lock_timeout`.
            &SqlState::LOCK_NOT_AVAILABLE,
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
        ]
        .contains(&code)
    })
}

/// Whether the connection failed, or Postgres ended or refused the session or the statement for a reason that may be
/// temporary.
pub(in crate::store) fn is_out_of_reach(error: &tokio_postgres::Error) -> bool {
    let refuses = [&SqlState::CANNOT_CONNECT_NOW, &SqlState::TOO_MANY_CONNECTIONS];
    match error.code() {
        Some(code) => interrupts(Some(code)) || refuses.contains(&code),
        None => error.is_closed() || error.source().is_some_and(<dyn Error>::is::<std::io::Error>),
    }
}

pub(super) async fn in_time<T, E: Into<Failure>>(asking: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    within(ANSWER, asking).await
}

pub(super) async fn within<T, E: Into<Failure>>(
    limit: Duration,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout(limit, asking).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::NoAnswer),
    }
}
