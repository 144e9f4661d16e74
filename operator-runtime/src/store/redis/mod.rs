//! The Redis store (also for Valkey): one key for each operation, for many machines whose effects are in other systems.

mod address;
mod checks;
mod connection;
mod limits;
mod listing;
mod one;
mod script;
mod sentinels;
mod servers;
mod swapping;

use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::redis::{Cmd, RedisError, Value};

use self::address::Address;
use self::connection::{Connection, Failed};
use self::script::Script;
use self::servers::Servers;
use super::revisions::Revisions;
use super::{BoxFuture, Counts, Cursor, Limits, OperationId, Page, Proposal, Revision, Step, Store, StoreError, Swap};
use crate::clock::timer_now;

/// The expiry of a record until `keep_for` sets another one: a day, the longest time for which a record is valid.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes nothing, but may write by its flags. So a server refuses this script as it refuses writes: if it is a replica, has
/// too few replicas for its `min-replicas-to-write`, has no memory left, or cannot save to its disk.
const PROBE: &str = "#!lua\nreturn 1";

/// How long a call may wait until `wait_for` sets another time.
const WAIT: Duration = Duration::from_secs(10);

/// Parses an address without connecting.
#[cfg(fuzzing)]
pub(super) fn read_address(address: &str) -> Result<(), StoreError> {
    Address::parse(address).map(drop)
}

/// A store of records in Redis 7 or later, or in Valkey.
///
/// Each operation is one key, and each write is one script on that key. If the address is that of a node of a Redis
/// Cluster, each script runs at the node that holds its key. Ages are measured by Redis's clock.
///
/// Redis's settings decide what happens to the records of answered calls. With `appendonly yes`, they survive a crash
/// of Redis. With `appendfsync always` as well, they also survive a power loss. With `?wait=N` in the address, N
/// replicas have the record before the call is answered.
pub struct RedisStore {
    name: String,
    connection: Connection,
    script: Script,
    probe: Script,
    limit_scripts: limits::Scripts,
    replicas: u32,
    revisions: Revisions,
    keep_for_ms: AtomicU64,
    /// How long a call may wait.
    wait_ms: AtomicU64,
    warning: Option<String>,
    closed: AtomicBool,
}

impl RedisStore {
    /// Connects to the server at an address, and checks its persistence settings: [`warning`](Store::warning) says
    /// which records can be lost. An address is one of
    ///
    /// - `redis://[[user]:password@]host[:port][/db][?wait=REPLICAS]`, a server or a node of a cluster; the port is 6379
    ///   unless given;
    /// - `redis+sentinel://[[user]:password@]host[:port][,…]/primary[/db][?wait=REPLICAS]`, the primary that these
    ///   Sentinels monitor under the name `primary`; their port is 26379 unless given. User, password and `db` are those
    ///   of the primary. If the Sentinels have a password too, it is in the option `sentinel_password=…`, and the user
    ///   in `sentinel_user=…`.
    ///
    /// `rediss://` and `rediss+sentinel://` (here for the Sentinels and the primary) ask for TLS, which needs the feature
    /// `redis-tls`: the server's certificate must be valid by the root certificates of the system (or of
    /// `SSL_CERT_FILE`), and for the name or the IP address that the address or Sentinel gives.
    ///
    /// After a failover the store continues with the new primary: a connection is replaced if its server does not
    /// answer in time (3 s), refuses writes or has too few replicas for `wait=N`. Sentinel is asked each time a
    /// connection is opened, and about once a second while there are calls, so that a former primary that lives on is
    /// left. Behind one address, the new primary has to be reachable by the same address. Until a call has waited too
    /// long, a failed write is sent once more on the new connection. After that, calls are refused with [`StoreError`].
    ///
    /// # Errors
    /// If the address is wrong, no Sentinel names a primary, or the server cannot be reached, is a replica, or is older
    /// than Redis 7.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        let Address {
            servers,
            replicas,
            name,
        } = Address::parse(address)?;
        let failed = |source: RedisError| StoreError::unavailable(&name, "be reached", source);
        let one = Connection::to_one(servers.clone()).await.map_err(failed)?;
        let connection = match servers {
            Servers::At(node) if checks::is_of_a_cluster(&one, &name).await? => {
                Connection::to_cluster(*node).await.map_err(failed)?
            }
            _ => one,
        };
        let warning = checks::look_at(&connection, &name).await?;
        let script = Script::load(&connection, swapping::SCRIPT, &name).await?;
        let probe = Script::load(&connection, PROBE, &name).await?;
        let limit_scripts = limits::Scripts::load(&connection, &name).await?;
        let revisions = Revisions::from_a_random_place()
            .map_err(|source| StoreError::unavailable(&name, "get a random number for its revisions", source))?;
        Ok(Self {
            name,
            connection,
            script,
            probe,
            limit_scripts,
            replicas,
            revisions,
            keep_for_ms: AtomicU64::new(milliseconds(LONGEST)),
            wait_ms: AtomicU64::new(milliseconds(WAIT)),
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
            audit: _,
        } = proposal;
        self.refuse_when_closed()?;
        let revision = self.revisions.next();
        let keep_for_ms = self.keep_for_ms.load(Ordering::Relaxed);
        let is_confirmed = self.replicas > 0;
        let arguments = swapping::Arguments::new(id, expected, revision, new, first_seen, keep_for_ms, is_confirmed);
        let command = |evaluates: &str, script: &str| arguments.command(evaluates, script);
        let asked = self.ask(arguments.key(), &self.script, command).await;
        let (answer, confirmed) = asked.map_err(|failed| {
            if failed.may_be_done {
                self.unconfirmed(revision, failed.error)
            } else {
                StoreError::unavailable(&self.name, "write a record", failed.error)
            }
        })?;
        let swap = swapping::read(answer, revision, &self.name)?;
        if confirmed >= self.replicas {
            return Ok(swap);
        }
        let source = self.lacking_replicas(confirmed);
        match swap {
            Swap::Swapped(_) => Err(self.unconfirmed(revision, source)),
            // The record may be lost with this server, so no call may be answered from it.
            Swap::Held { .. } => Err(StoreError::unavailable(&self.name, "confirm a record", source)),
            Swap::Gone => Ok(swap),
        }
    }

    /// The error of a write that too few replicas have confirmed.
    fn lacking_replicas(&self, confirmed: u32) -> std::io::Error {
        let replicas = self.replicas;
        std::io::Error::other(format!(
            "{confirmed} of {replicas} replicas confirmed the write in time"
        ))
    }

    fn refuse_when_closed(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Closed {
                store: self.name.clone(),
            });
        }
        Ok(())
    }

    /// Runs the script on the key. If the connection was lost, or its server is not the primary any more, the script is
    /// sent once more, on a new connection: a first write that did arrive is recognised by its revision, or by its
    /// operation, so sending it twice is safe.
    async fn ask(
        &self,
        key: &[u8],
        script: &Script,
        command: impl Fn(&str, &str) -> Cmd,
    ) -> Result<(Value, u32), Failed> {
        let begun = timer_now();
        let first = match self
            .connection
            .write(key, command("EVALSHA", &script.sha), self.replicas)
            .await
        {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let wait = Duration::from_millis(self.wait_ms.load(Ordering::Relaxed));
        let is_repeated = first.is_over && begun.elapsed() < wait;
        if !is_repeated && first.error.code() != Some("NOSCRIPT") {
            return Err(first);
        }
        // A server that was restarted or promoted, or that has taken over the key, does not know the script. `EVAL`
        // loads it.
        let again = command("EVAL", &script.text);
        let answer = self.connection.write(key, again, self.replicas).await;
        answer.map_err(|failed| Failed {
            may_be_done: failed.may_be_done || first.may_be_done,
            ..failed
        })
    }

    /// The answer of a script, if enough replicas have confirmed what it has written. A count that they have not confirmed
    /// may be lost with this server, so no handler may start.
    fn confirmed(&self, answer: Result<(Value, u32), Failed>, doing: &'static str) -> Result<Value, StoreError> {
        let (answer, confirmed) = answer.map_err(|failed| StoreError::unavailable(&self.name, doing, failed.error))?;
        if confirmed >= self.replicas {
            return Ok(answer);
        }
        let source = self.lacking_replicas(confirmed);
        Err(StoreError::unavailable(&self.name, doing, source))
    }

    fn unconfirmed(&self, revision: Revision, source: impl Error + Send + Sync + 'static) -> StoreError {
        StoreError::Unconfirmed {
            store: self.name.clone(),
            revision,
            source: Arc::new(source),
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

    fn wait_for(&self, wait: Duration) {
        self.wait_ms.store(milliseconds(wait), Ordering::Relaxed);
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

    /// Whether the server would accept a write and, with `wait=N`, has at least N replicas. In a cluster, only one node is
    /// asked: while another node is lost, the calls whose keys are elsewhere are answered.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            let key = swapping::key_of(&OperationId::new("", ""));
            let probe = |evaluates: &str, script: &str| {
                let mut probe = Cmd::new();
                probe.arg(evaluates).arg(script).arg(1).arg(&key[..]);
                probe
            };
            let answer = self.ask(&key, &self.probe, probe).await;
            self.confirmed(answer, "accept a write").map(drop)
        })
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            let counted = listing::count(&self.connection, lease).await;
            counted.map_err(|source| StoreError::unavailable(&self.name, "count its records", source))
        })
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
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
