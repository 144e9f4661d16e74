//! One connection: the driver's client, the statements prepared on it, and what its failures mean.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, Config, Statement};

use super::way::Way;
use crate::store::{DecodeError, StoreError};

/// How many prepared statements a connection keeps; SQL that is put together anew each time is not worth keeping.
const STATEMENTS: usize = 256;
/// Longer than the server's own limits, for a server that has stopped answering.
const ANSWER: Duration = Duration::from_secs(35);

/// What ends a transaction takes no time, so whatever takes longer is waiting for a statement that was left running.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long the cancellation of a statement may take to arrive, and then to have its effect.
const CANCELLED: Duration = Duration::from_secs(5);

/// How long a transaction may be idle, unless its endpoint has another limit than the usual minute.
pub(super) const IDLE: Duration = Duration::from_secs(65);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Records,
    /// Handlers write in the transaction that the store has begun and nowhere else: outside it, were it ended by a
    /// handler's SQL, the connection only reads. The time that a transaction may be idle is that of a handler which may
    /// run for as long as most.
    Handlers,
    /// Outside transactions of ours, and only reading; in transactions of a handler's own for as short a time.
    Readers,
}

impl Use {
    pub(super) fn options(self) -> String {
        let patience = "-c lock_timeout=10000 -c statement_timeout=30000";
        match self {
            Self::Records => patience.to_owned(),
            Self::Handlers | Self::Readers => format!(
                "{patience} -c default_transaction_read_only=on -c idle_in_transaction_session_timeout={}",
                IDLE.as_millis()
            ),
        }
    }
}

/// A connection to Postgres. It dereferences to the driver's own client.
///
/// A setting that a handler changes without `LOCAL` stays with the connection.
pub struct Session {
    client: Client,
    way: Way,
    statements: Mutex<HashMap<Box<str>, Statement>>,
}

impl Session {
    pub(super) async fn open(way: &Way, config: &Config) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            client: way.connect(config).await?,
            way: way.clone(),
            statements: Mutex::default(),
        })
    }

    /// Prepares SQL the first time, and from then on has it at hand, so that running it takes one round trip:
    /// `tx.query_one(&tx.prepare_cached("SELECT …").await?, &[&id]).await?`.
    ///
    /// # Errors
    /// If the SQL is wrong, or the connection is lost.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self.statements();
        if statements.len() < STATEMENTS {
            statements.insert(sql.into(), statement.clone());
        }
        Ok(statement)
    }

    /// Ends what a handler has left open, by SQL that does so, and says whether the connection can be used again.
    ///
    /// A statement that still runs, because its handler no longer waits for it, is cancelled; and a cancellation may
    /// arrive late, and then hits whatever runs by that time, so that such a connection has to be closed.
    pub(super) async fn end_by(&self, sql: &str) -> Result<bool, Failure> {
        let mut ending = pin!(self.client.batch_execute(sql));
        if let Ok(ended) = timeout(AT_ONCE, &mut ending).await {
            return Ok(ended.map(|()| true)?);
        }
        // Whether it has arrived shows in what follows.
        let _ = timeout(CANCELLED, self.way.cancel(&self.client)).await;
        let ended = timeout(CANCELLED, ending).await.map_err(|_| Failure::NoAnswer)?;
        Ok(ended.map(|()| false)?)
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server's own settings give up.
    pub(super) async fn what_can_be_lost(&self) -> Result<Option<String>, tokio_postgres::Error> {
        let sql = "SELECT current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off'";
        let loses: bool = self.client.query_one(sql, &[]).await?.get(0);
        Ok(loses.then(|| {
            "Postgres answers before it has written to the disk (synchronous_commit or fsync is off): a crash of its machine loses the last moments, and a retry of a call from then runs again."
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

/// Why the database did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    Driver(tokio_postgres::Error),
    Record(DecodeError),
    /// The claim that this transaction began with is no more, so only the handler's SQL can have ended it.
    NotOurs,
    NoAnswer,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl Failure {
    /// Whether nobody can tell what a commit, or a write that is one by itself, came to that failed so.
    pub(super) fn leaves_a_commit_unknown(&self) -> bool {
        match self {
            Self::Driver(error) => error
                .as_db_error()
                .is_none_or(|error| error.parsed_severity() != Some(Severity::Error)),
            Self::NotOurs | Self::Record(_) => false,
            Self::NoAnswer => true,
        }
    }

    /// Of a record's write, which waits for nothing but the record's own row.
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
            Self::NoAnswer => {
                let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "it did not answer in time");
                StoreError::unavailable(name, doing, source)
            }
            Self::Driver(error) => match error.code() {
                // The transaction that we began is no more, so only the handler's SQL can have ended it.
                Some(code) if ENDED.contains(&code) => StoreError::EndedByHandler,
                code if interrupts(code) || (code.is_none() && error.is_closed()) => StoreError::Interrupted {
                    store: name.to_owned(),
                    source: std::sync::Arc::new(error),
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

/// Whether another transaction or an administrator was in the way, and nothing is wrong with what was asked.
pub(super) fn interrupts(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| {
        [
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            // Our own limit on the wait for a lock, too.
            &SqlState::LOCK_NOT_AVAILABLE,
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
        ]
        .contains(&code)
    })
}

pub(super) async fn in_time<T, E: Into<Failure>>(asking: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    match timeout(ANSWER, asking).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::NoAnswer),
    }
}
