//! The Redis store (also for Valkey): one key for each operation, for many machines whose effects are in other systems.

mod address;
mod checks;
mod connection;
mod listing;
mod swapping;

use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, Value};

use self::address::Address;
use self::connection::{CONFIRM, Connection, Node};
use super::revisions::Revisions;
use super::{BoxFuture, Counts, Cursor, OperationId, Page, Proposal, Revision, Step, Store, StoreError, Swap};

/// The expiry of a record until `keep_for` sets another one: a day, the longest time for which a record is valid.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Parses an address without connecting.
#[cfg(fuzzing)]
pub(super) fn read_address(address: &str) -> Result<(), StoreError> {
    Address::parse(address).map(drop)
}

/// A store of records in Redis 7 or later, or in Valkey.
///
/// Each operation is one key, and each write is one script on that key. If the address is that of a node of a Redis
/// Cluster, each script runs at the node that holds its key. Ages are measured by the server's clock.
///
/// The server's settings decide what happens to the records of answered calls. With `appendonly yes`, they survive a
/// crash of Redis. With `appendfsync always` as well, they also survive a power loss. With `?wait=N` in the address, N
/// replicas have the record before the call is answered.
pub struct RedisStore {
    name: String,
    connection: Connection,
    /// The SHA-1 of the script, by which every server identifies it.
    script: String,
    replicas: u32,
    revisions: Revisions,
    keep_for_ms: AtomicU64,
    warning: Option<String>,
    closed: AtomicBool,
}

impl RedisStore {
    /// Connects to `redis://[[user]:password@]host[:port][/db][?wait=REPLICAS]`, and checks the persistence settings of
    /// the server: [`warning`](Store::warning) says which records can be lost. `rediss://` asks for TLS, which needs
    /// the feature `redis-tls`: the server's certificate must be valid by the root certificates of the system (or of
    /// `SSL_CERT_FILE`).
    ///
    /// # Errors
    /// If the address is wrong, or the server cannot be reached, is a replica, or is older than Redis 7.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        let Address { info, replicas, name } = Address::parse(address)?;
        let failed = |source: RedisError| StoreError::unavailable(&name, "be reached", source);
        let one = Connection::to_one(info.clone()).await.map_err(failed)?;
        let connection = if checks::is_of_a_cluster(&one, &name).await? {
            Connection::to_cluster(info).await.map_err(failed)?
        } else {
            one
        };
        let warning = checks::look_at(&connection, &name).await?;
        let mut load = Cmd::new();
        load.arg("SCRIPT").arg("LOAD").arg(swapping::SCRIPT);
        let script = connection
            .ask(&load)
            .await
            .map_err(|source| StoreError::unavailable(&name, "load its script", source))?;
        let revisions = Revisions::from_a_random_place()
            .map_err(|source| StoreError::unavailable(&name, "get a random number for its revisions", source))?;
        Ok(Self {
            name,
            connection,
            script,
            replicas,
            revisions,
            keep_for_ms: AtomicU64::new(milliseconds(LONGEST)),
            warning,
            closed: AtomicBool::new(false),
        })
    }

    async fn swap_record(&self, proposal: &Proposal) -> Result<Swap, StoreError> {
        let &Proposal {
            id,
            expected,
            ref new,
            first_seen,
        } = proposal;
        self.refuse_when_closed()?;
        let revision = self.revisions.next();
        let keep_for_ms = self.keep_for_ms.load(Ordering::Relaxed);
        let arguments = swapping::Arguments::new(id, expected, revision, new, first_seen, keep_for_ms);
        let (answer, confirmed) = self.ask(&arguments).await.map_err(|failed| {
            if failed.may_be_written {
                self.unconfirmed(revision, failed.error)
            } else {
                StoreError::unavailable(&self.name, "write a record", failed.error)
            }
        })?;
        let swap = swapping::read(answer, revision, &self.name)?;
        if matches!(swap, Swap::Swapped(_)) && confirmed < self.replicas {
            let source = std::io::Error::other(format!(
                "{confirmed} of {} replicas confirmed the write in time",
                self.replicas
            ));
            return Err(self.unconfirmed(revision, source));
        }
        Ok(swap)
    }

    fn refuse_when_closed(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Closed {
                store: self.name.clone(),
            });
        }
        Ok(())
    }

    /// Runs the script. If the connection was lost, it is opened again and the script is sent once more: a first write
    /// that did arrive is recognised by its revision, so sending it twice is safe.
    async fn ask(&self, arguments: &swapping::Arguments) -> Result<(Value, u32), Failed> {
        let known = || arguments.command("EVALSHA", &self.script);
        let first = match self.ask_once(arguments, known()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => Failed::new(error),
        };
        let again = if first.error.is_connection_dropped() {
            known()
        } else if first.error.code() == Some("NOSCRIPT") {
            // A server that was restarted, or that has taken over the key, does not know the script; `EVAL` loads it.
            arguments.command("EVAL", swapping::SCRIPT)
        } else {
            return Err(first);
        };
        let answer = self.ask_once(arguments, again).await;
        answer.map_err(|error| Failed::new(error).after(&first))
    }

    async fn ask_once(&self, arguments: &swapping::Arguments, swap: Cmd) -> Result<(Value, u32), RedisError> {
        if self.replicas == 0 {
            return Ok((self.connection.ask(&swap).await?, 0));
        }
        // `WAIT` is sent after the write on the same connection, because it waits only for the writes of its own
        // connection.
        let mut wait = Cmd::new();
        wait.arg("WAIT").arg(self.replicas).arg(milliseconds(CONFIRM));
        let mut both = Pipeline::with_capacity(2);
        both.add_command(swap).add_command(wait);
        self.connection.ask_all(Node::Of(arguments.key()), both).await
    }

    fn unconfirmed(&self, revision: Revision, source: impl Error + Send + Sync + 'static) -> StoreError {
        StoreError::Unconfirmed {
            store: self.name.clone(),
            revision,
            source: Arc::new(source),
        }
    }
}

/// A failed write, and whether the record may be written.
struct Failed {
    error: RedisError,
    may_be_written: bool,
}

impl Failed {
    fn new(error: RedisError) -> Self {
        // An error from the server means that it did not write, except `UNBLOCKED`: a failover interrupted the `WAIT`
        // after the write.
        let is_refused = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        let is_refused = is_refused && error.code() != Some("UNBLOCKED");
        Self {
            may_be_written: !(is_refused || error.is_connection_refusal()),
            error,
        }
    }

    fn after(self, earlier: &Self) -> Self {
        Self {
            may_be_written: self.may_be_written || earlier.may_be_written,
            ..self
        }
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RedisStore")
            .field("name", &self.name)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

impl Store for RedisStore {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Later(Box::pin(async move { self.swap_record(&proposal).await }))
    }

    fn keep_for(&self, ttl: Duration) {
        self.keep_for_ms.store(milliseconds(ttl), Ordering::Relaxed);
    }

    /// Removes nothing, because each key expires by itself.
    fn sweep(&self, _older_than: Duration, _limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            listing::page(&self.connection, &self.name, &ids, after.as_ref(), limit).await
        })
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            let counted = listing::count(&self.connection, lease).await;
            counted.map_err(|source| StoreError::unavailable(&self.name, "count its records", source))
        })
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
