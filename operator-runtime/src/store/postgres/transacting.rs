//! A handler's transaction: the store begins it together with the claim in one round trip, and commits it together with
//! the record's completion in another.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use tokio_postgres::Row;

use super::records::{self, Write};
use super::session::{Failure, Session};
use super::{Postgres, PostgresStore, Proposal};
use super::{guards, limits};
use crate::store::{Ended, Reservation, Reserved, State, Step, StoreError, Swap, Transaction, Verdict, Work};
use crate::transaction::Tx;

/// Postgres ends a transaction that is idle for the handler's limit plus this margin, because its process has probably
/// died.
const GRACE: Duration = Duration::from_secs(5);
const SAVEPOINT: &str = "SAVEPOINT operator_handler";

pub(super) async fn transact(store: &PostgresStore, limit: Duration, work: Work) -> Ended {
    let pooled = match store.handlers.acquire().await {
        Ok(pooled) => pooled,
        Err(error) => return Ended::Failed(error),
    };
    let (session, place) = pooled.into_parts();
    let mut transacting = Transacting {
        store,
        tx: Tx { connection: session },
        // If this process freezes, Postgres ends the idle transaction `GRACE` after this limit, which releases its
        // row locks.
        before: Before::Begin(limit),
        begun: false,
        savepoint: false,
        announced: None,
        reserved: None,
        completion: None,
    };
    let opened = Arc::clone(&transacting.tx.connection.opened);
    let verdict = store.servers.watch(&opened, work(&mut transacting)).await;
    let (ended, reusable) = transacting.end(verdict).await;
    if reusable {
        place.give_back(transacting.tx.connection);
    }
    ended
}

/// The SQL that is sent before the next write.
enum Before {
    Begin(Duration),
    /// Releases the savepoint that an earlier try of the claim has set.
    Release,
    RollBack,
    Nothing,
}

impl Before {
    fn sql(&self) -> Cow<'static, str> {
        match self {
            Self::Begin(limit) => {
                let idle = limit.saturating_add(GRACE);
                if idle == guards::IDLE {
                    return "BEGIN READ WRITE".into();
                }
                let idle = idle.as_millis().min(i32::MAX as u128);
                format!("BEGIN READ WRITE; SET LOCAL idle_in_transaction_session_timeout = {idle}").into()
            }
            Self::Release => "RELEASE operator_handler".into(),
            Self::RollBack => "ROLLBACK TO operator_handler".into(),
            Self::Nothing => "".into(),
        }
    }
}

struct Transacting<'s> {
    store: &'s PostgresStore,
    tx: Tx<Postgres>,
    before: Before,
    /// Whether `BEGIN` has been sent, whether or not the statements after it succeeded.
    begun: bool,
    /// Whether the handler's savepoint is set. Until then, each write is part of the claim.
    savepoint: bool,
    /// The first reservation, if the claim writes a new record.
    announced: Option<Reservation>,
    /// The answer to the announced reservation, if it was sent with the claim.
    reserved: Option<Result<Row, Failure>>,
    /// The write that is sent with the commit.
    completion: Option<Write>,
}

impl Transacting<'_> {
    /// Sends `before`, the write and, if the write is part of the claim, the handler's savepoint and the announced
    /// reservation, in one round trip: all are sent in this order before the first answer arrives. Returns the answers to
    /// the write and to the reservation.
    async fn swap_record(&self, write: &Write) -> Result<(Swap, Option<Result<Row, Failure>>), Failure> {
        let (session, sql) = (&self.tx.connection, &self.store.sql);
        // The first reservation in a session is not sent with the claim: its statement is prepared only after the claim, so
        // that a locked table of limits does not make the claim fail.
        let announced = self.announced.as_ref().filter(|_| write.is_insert());
        let reservation = announced.zip(session.cached(&self.store.limits.reserve_with_claim));
        // Prepares the completion too, because no statement can be prepared in a transaction in which the handler's SQL
        // has failed.
        let (prepared, _) = tokio::try_join!(
            records::prepare(session, sql, write),
            records::prepare_completion(session, sql, write)
        )?;
        let before = self.before.sql();
        let after = if self.savepoint { "" } else { SAVEPOINT };
        let reserve = async {
            match &reservation {
                Some((asked, statement)) => limits::reserve_with_claim(session, statement, asked, write).await,
                None => Ok(None),
            }
        };
        let (before, written, after, reserved) = tokio::join!(
            biased;
            execute(session, &before),
            prepared.write(session),
            execute(session, after),
            reserve,
        );
        before.map_err(Failure::of_begin)?;
        let written = written?;
        after?;
        if written {
            return Ok((write.swapped(), reserved.transpose()));
        }
        if reserved.is_err() {
            // The transaction has failed, for example because the table of limits was locked for longer than `lock_timeout`.
            // The record can still be read, because a claim that finds one reserves nothing.
            session.batch_execute("ROLLBACK TO operator_handler").await?;
        }
        Ok((records::held(session, sql, write).await?, None))
    }

    /// Ends the transaction. Returns the outcome, and whether the connection can be reused.
    async fn end(&self, verdict: Verdict) -> (Ended, bool) {
        if !self.begun {
            return (Ended::RolledBack, verdict == Verdict::RollBack);
        }
        let (servers, name) = (&self.store.servers, &self.store.name);
        let session = &self.tx.connection;
        match verdict {
            Verdict::Commit => match servers.answer(session, self.commit()).await {
                Ok(()) => (Ended::Committed, true),
                Err(failure) => {
                    let is_unknown = failure.leaves_a_commit_unknown();
                    let error = failure.of_store(name, "commit");
                    let ended = if is_unknown {
                        Ended::CommitUnknown(error)
                    } else {
                        Ended::Failed(error)
                    };
                    (ended, false)
                }
            },
            // No savepoint yet means that the claim failed. Its error is more useful than that of a rollback.
            Verdict::RollBack if !self.savepoint && session.is_over() => (Ended::RolledBack, false),
            Verdict::RollBack => match session.end_by("ROLLBACK").await {
                Ok(reusable) => {
                    // The handler has failed, perhaps because a table has changed since one of its statements was prepared.
                    if self.savepoint {
                        session.forget_statements();
                    }
                    (Ended::RolledBack, reusable)
                }
                // Closing the connection rolls back. But the handler's own error may come from the lost connection, so
                // the caller gets the store's error instead of the handler's.
                Err(failure) => (Ended::Failed(failure.of_store(name, "roll back")), false),
            },
        }
    }

    /// Sends the record's completion and the commit in one round trip. If the completion fails, Postgres turns the
    /// commit into a rollback.
    async fn commit(&self) -> Result<(), Failure> {
        let session = &self.tx.connection;
        let Some(write) = &self.completion else {
            return Ok(session.batch_execute("COMMIT").await?);
        };
        let sql = &self.store.sql;
        let completion = records::prepare_completion(session, sql, write).await?;
        let before = self.before.sql();
        let (before, written, committed) = tokio::join!(
            biased;
            execute(session, &before),
            completion.write(session),
            session.batch_execute("COMMIT"),
        );
        before?;
        written?;
        Ok(committed?)
    }
}

async fn execute(session: &Session, sql: &str) -> Result<(), tokio_postgres::Error> {
    if sql.is_empty() {
        return Ok(());
    }
    session.batch_execute(sql).await
}

impl Transaction for Transacting<'_> {
    fn swap(&mut self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        let Proposal {
            id,
            expected,
            new,
            first_seen,
            audit,
        } = proposal;
        let revision = self.store.revisions.next();
        let write = Write::new(id, expected, revision, &new, first_seen, &audit).in_a_transaction(&new);
        if self.savepoint && new.state != State::InProgress {
            let swapped = write.swapped();
            self.completion = Some(write);
            return Step::Now(Ok(swapped));
        }
        Step::Later(Box::pin(async move {
            let (servers, name) = (&self.store.servers, &self.store.name);
            let session = &self.tx.connection;
            self.begun = true;
            let is_claim = !self.savepoint;
            let swapping = self.swap_record(&write);
            let swapping = swapping.map_err(|failure| if is_claim { failure.of_the_server() } else { failure });
            let swap = servers.answer(session, swapping).await;
            self.before = if is_claim { Before::Release } else { Before::Nothing };
            let (swap, reserved) = swap.map_err(|failure| failure.of_write(name))?;
            self.reserved = reserved;
            Ok(swap)
        }))
    }

    fn will_reserve(&mut self, first: Reservation) {
        self.announced = Some(first);
    }

    /// Returns the answer to a reservation that was sent with the claim. The claim has set the savepoint, so nothing has to be
    /// sent before other reservations. A later attempt in a transaction finds nothing of an earlier one, which was rolled
    /// back, unless the endpoint was not transactional before.
    fn reserve(&mut self, asked: Reservation) -> Step<'_, Result<Reserved, StoreError>> {
        Step::Later(Box::pin(async move {
            let (servers, name) = (&self.store.servers, &self.store.name);
            let session = &self.tx.connection;
            let (sql, may_be_held) = (&self.store.limits, asked.holder.epoch > 1);
            let sent = self.reserved.take();
            let reserving = async {
                match sent {
                    Some(row) => limits::reserved(session, sql, &asked, &row?).await,
                    None => {
                        // For the next claim in this session.
                        session.prepare_cached(&sql.reserve_with_claim).await?;
                        limits::reserve(session, sql, &asked, may_be_held).await
                    }
                }
            };
            let reserved = servers.answer(session, reserving).await;
            reserved.map_err(|failure| failure.of_store(name, "reserve a part of a limit"))
        }))
    }

    /// Sends nothing, because the savepoint was set together with the claim.
    fn savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.savepoint = true;
        self.before = Before::Nothing;
        Step::Now(Ok(()))
    }

    fn roll_back_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.before = Before::RollBack;
        Step::Now(Ok(()))
    }

    /// Sends nothing, because the commit releases the savepoint.
    fn release_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        Step::Now(Ok(()))
    }

    fn handle(&mut self) -> &mut (dyn Any + Send) {
        &mut self.tx
    }
}
