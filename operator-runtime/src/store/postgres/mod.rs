//! The Postgres store. Its records are in the same database as the program's own tables, so a handler's changes and its
//! record can be committed together. Several machines can share it.

mod address;
mod audit;
mod guards;
mod idle;
mod instance;
mod limits;
mod passfile;
mod pool;
mod reader;
mod records;
mod schema;
mod servers;
mod session;
#[cfg(feature = "postgres-tls")]
mod tls;
mod transacting;
mod way;

use std::any::{Any, TypeId};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use self::address::Address;
use self::guards::{Guards, Use};
use self::idle::Idle;
use self::pool::Pool;
use self::records::Statements;
use self::servers::Servers;
use super::revisions::Revisions;
use super::{
    AuditLog, BoxFuture, Counts, Cursor, Ended, Limits, OperationId, Page, Proposal, Provided, Step, Store, StoreError,
    Swap, Transactions, Work,
};
use crate::transaction::{Database, Reader, Tx, sealed};

pub use self::reader::Reading;
pub use self::session::Session;
pub(super) use self::session::is_out_of_reach;

/// Postgres, as in `Tx<Postgres>` and `Reader<Postgres>`.
#[derive(Debug, Clone, Copy)]
pub enum Postgres {}

impl sealed::Sealed for Postgres {}

impl Database for Postgres {
    type Connection = Session;
    type Pool = Pool;
}

/// The SQL that creates or upgrades the tables of this store and of the program. SQL comments at the end list the rights
/// that the role of a running program needs.
#[cfg(feature = "cli")]
pub(super) fn migration(address: &str, setup: Option<&str>) -> Result<String, StoreError> {
    let schema = Address::parse(address)?.schema;
    let setup = setup.map(|setup| schema.setup(setup)).unwrap_or_default();
    // The grants come last, because an error message says that they are at the end.
    let [migration, grants] = [schema.migration(), schema.grants()];
    Ok(format!("{migration}{setup}{grants}"))
}

/// Parses an address without connecting.
#[cfg(fuzzing)]
pub(super) fn read_address(address: &str) -> Result<(), StoreError> {
    Address::parse(address).map(drop)
}

/// A store of records in one Postgres database.
///
/// A handler that takes `&mut Tx<Postgres>` runs in the transaction that holds the record. A concurrent duplicate waits
/// for the handler, and then gets the same response. In another process, the duplicate waits for the lock on the
/// record's row. If Postgres ends such a transaction because of a conflict (a deadlock, a serialization failure, a lock
/// timeout), or the connection is lost before the commit, the handler runs again, because nothing of the first run was
/// committed or sent.
///
/// Postgres's clock measures how old a record is. After a call is answered, its record can still be lost in a crash of
/// Postgres if Postgres's settings allow that (`fsync`, `synchronous_commit`).
#[derive(Debug)]
pub struct PostgresStore {
    name: Arc<str>,
    servers: Arc<Servers>,
    schema: schema::Place,
    sql: Statements,
    limits: limits::Statements,
    audit: audit::Statements,
    revisions: Revisions,
    /// Connections for single statements.
    records: Pool,
    /// Connections for handlers' transactions.
    handlers: Pool,
    /// One connection, so that [`Store::ping`] need not wait for calls. It shares the idle connections of `records`.
    probes: Pool,
    reader: Arc<Reader<Postgres>>,
    warning: Option<String>,
}

impl PostgresStore {
    /// Connects to `postgres://[user[:password]@]host[:port][,host[:port]…]/database`, and creates or upgrades the
    /// tables if needed; a lock lets only one process at a time do this. libpq parameters can follow after a `?`, such
    /// as `options=-c%20statement_timeout=5000`. The parameter `pool=N` limits two pools separately: connections for
    /// transactions, and connections for single statements (default: 16 each). A connection that is idle for 5 s is
    /// closed.
    ///
    /// TLS needs the feature `postgres-tls`. With `sslmode=verify-full` or `require`, the server's certificate must be
    /// valid for the host name; with `verify-ca`, the name is not checked. `sslmode=prefer`, which is libpq's default, and
    /// `allow` mean the same as `disable`: no TLS, because both accept a server without TLS. The trusted root certificates come from the
    /// system, from `SSL_CERT_FILE`, or from `sslrootcert=FILE`. If the address has no password, the password comes
    /// from `PGPASSWORD`, or from the file that `PGPASSFILE` names (default: `~/.pgpass`).
    ///
    /// If the tables are up to date, the store does not change their structure, and the role needs only the rights that
    /// `migrate --print` lists. The parameter `schema=NAME` says in which schema the tables are; without it, the server
    /// looks for them in the `search_path`.
    ///
    /// With several hosts, the store uses the host that accepts writes. If that host stops answering or becomes a
    /// standby, or if its address leads to a promoted standby instead, all connections are closed, and the store connects
    /// to the host that accepts writes at that time. So a call that waits for a lost server is refused or repeated after
    /// about 3 s, and after about 8 s if its address leads nowhere; a statement that is merely slow goes on.
    ///
    /// Defaults that the address can change: a statement may take 30 s and wait 10 s for a lock, and connecting may
    /// take 5 s. These limits are set in each session after connecting, and then read back. The store keeps state in
    /// its sessions, so a connection pooler in front of Postgres must use session pooling (`pool_mode=session`).
    ///
    /// # Errors
    /// If the address is wrong, the database cannot be reached, a pooler does not use session pooling, the tables are
    /// out of date and the role may not upgrade them, the role lacks rights on the tables, or a newer version of this
    /// crate has upgraded the tables.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        let address = Address::parse(address)?;
        let name: Arc<str> = address.name.as_str().into();
        let revisions = Revisions::from_a_random_place()
            .map_err(|source| StoreError::unavailable(&name, "get a random number for its revisions", source))?;
        let servers = Servers::new(name.clone(), address.way, address.hosts, address.opens_within);
        let (servers, idle) = (Arc::new(servers), Idle::new());
        let pool = |used: Use, size, room| {
            let guards = Guards::new(used, &address.settings);
            Pool::new(servers.clone(), idle.clone(), used, guards, size, room)
        };
        let records = pool(Use::Records, address.pool, address.pool);
        let handlers = pool(Use::Handlers, address.pool, address.pool);
        let session = records.acquire().await?;
        let other = handlers.acquire().await?;
        let apart = session::in_time(session.is_apart_from(&other)).await;
        apart.map_err(|failure| failure.of_store(&name, "be used"))?;
        other.give_back();
        let schema = schema::ready(&session, &address.schema, &name).await?;
        let warning = session::in_time(session.what_can_be_lost()).await;
        let warning = warning.map_err(|failure| failure.of_store(&name, "report its settings"))?;
        session.give_back();
        Ok(Self {
            sql: Statements::new(&schema),
            limits: limits::Statements::new(&schema),
            audit: audit::Statements::new(&schema),
            schema,
            revisions,
            records,
            handlers,
            // Calls may use all sessions that a probe has opened, and the next probe must be able to open another one.
            probes: pool(Use::Records, 1, usize::MAX),
            reader: Arc::new(Reader {
                pool: pool(Use::Readers, address::READERS, address::READERS),
            }),
            warning,
            servers,
            name,
        })
    }

    /// Runs SQL in one transaction, for example to create the program's own tables before the program serves calls.
    ///
    /// Every process runs this SQL when it starts, one process at a time. It must therefore be repeatable: write
    /// `CREATE TABLE IF NOT EXISTS`. Names that begin with `operator_` are reserved for this crate.
    ///
    /// # Errors
    /// If the SQL fails; then none of its changes are kept.
    pub async fn setup(&self, sql: &str) -> Result<(), StoreError> {
        let session = self.records.acquire().await?;
        let done = schema::under_its_lock(&session, session.batch_execute(sql)).await;
        // The session is not given back: the SQL may have changed its settings or its role, and after an error it may still
        // be in its transaction.
        done.map_err(|source| StoreError::unavailable(&self.name, "run the program's set-up", source))
    }

    /// Runs a program's set-up, unless it has run before and `again` is false.
    pub(crate) async fn set_up(&self, sql: &str, again: bool) -> Result<(), StoreError> {
        // Asked without the lock first, so that a start whose set-up has run does not wait while another server runs a
        // newer one.
        let has_run = async |session: &Session| session::in_time(schema::has_run(session, &self.schema, sql)).await;
        if !again && self.ask("read which set-ups have run", has_run).await? {
            return Ok(());
        }
        let session = self.records.acquire().await?;
        // The session is not given back, as in `setup`.
        schema::set_up(&session, &self.schema, sql, again, &self.name).await
    }

    /// A reader of this database. Its reads are not part of a call's transaction.
    #[must_use]
    pub fn reader(&self) -> &Reader<Postgres> {
        &self.reader
    }

    /// Retries once with a new connection if the connection was lost. If the first try was in fact written, the record
    /// has its revision.
    async fn swap_record(&self, proposal: &Proposal) -> Result<Swap, StoreError> {
        let &Proposal {
            id,
            expected,
            ref new,
            first_seen,
            ref audit,
        } = proposal;
        let revision = self.revisions.next();
        let write = records::Write::new(id, expected, revision, new, first_seen, audit);
        let mut may_be_written = false;
        let answer = match self.swap_once(&write, &mut may_be_written).await {
            Err(StoreError::Interrupted { .. }) => self.swap_once(&write, &mut may_be_written).await,
            answer => answer,
        };
        answer.map_err(|error| {
            if may_be_written {
                StoreError::Unconfirmed {
                    store: self.name.to_string(),
                    revision,
                    source: Arc::new(error),
                }
            } else {
                error
            }
        })
    }

    async fn swap_once(&self, write: &records::Write, may_be_written: &mut bool) -> Result<Swap, StoreError> {
        let session = self.records.acquire().await?;
        let swap = session
            .ask(async |session| records::swap(session, &self.sql, write).await)
            .await;
        swap.map_err(|failure| {
            *may_be_written |= failure.leaves_a_commit_unknown();
            failure.of_write(&self.name)
        })
    }

    /// Sends any request other than the write of a record.
    async fn ask<T>(
        &self,
        doing: &'static str,
        asking: impl AsyncFnOnce(&Session) -> Result<T, session::Failure>,
    ) -> Result<T, StoreError> {
        let session = self.records.acquire().await?;
        let answer = session.ask(asking).await;
        answer.map_err(|failure| failure.of_store(&self.name, doing))
    }
}

impl Store for PostgresStore {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Later(Box::pin(async move { self.swap_record(&proposal).await }))
    }

    fn wait_for(&self, wait: Duration) {
        self.servers.wait_for(wait);
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.ask("remove expired records", async move |session| {
            records::sweep(session, &self.sql, older_than, limit).await
        }))
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.ask("list its records", async move |session| {
            records::list(session, &self.sql, &ids, after.as_ref(), limit).await
        }))
    }

    /// Calls that use all connections, or all sessions that the server allows, do not mean that the server is out of
    /// reach.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            let id = OperationId::new("", "");
            let listing = async |session: &Session| records::list(session, &self.sql, &(id..=id), None, 1).await;
            let asked = match self.probes.acquire_now().await {
                Ok(session) => session.ask(listing).await.map(drop),
                Err(StoreError::Crowded { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            asked.map_err(|failure| failure.of_store(&self.name, "list its records"))
        })
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(self.ask("count its records", async move |session| {
            records::count(session, &self.sql, lease).await
        }))
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
    }

    fn built_in(&self) -> Option<&(dyn Any + Send + Sync)> {
        Some(self)
    }

    fn describe(&self) -> String {
        self.name.to_string()
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    fn provides(&self) -> Provided {
        let reader: Arc<dyn Any + Send + Sync> = self.reader.clone();
        vec![(TypeId::of::<Reader<Postgres>>(), reader)]
    }

    fn transactions(&self) -> Option<&dyn Transactions> {
        Some(self)
    }

    fn audit(&self) -> Option<&dyn AuditLog> {
        Some(self)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        for pool in [&self.records, &self.handlers, &self.probes, &self.reader.pool] {
            pool.close();
        }
        Box::pin(std::future::ready(()))
    }
}

impl Transactions for PostgresStore {
    fn handle_type(&self) -> TypeId {
        TypeId::of::<Tx<Postgres>>()
    }

    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended> {
        Box::pin(transacting::transact(self, limit, work))
    }
}

/// Whether Postgres ended a handler's transaction because of a conflict, so that the handler may succeed when it runs
/// again.
pub(super) fn is_conflict(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<tokio_postgres::Error>())
        .any(|error| session::interrupts(error.code()))
}
