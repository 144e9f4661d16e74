//! A guard against handlers' SQL: only the writer can begin and end transactions, and a handler's statement is
//! interrupted at the handler's time limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::clock::Clock;

/// The prefix of the writer's savepoints, which handlers must not use.
pub(super) const PREFIX: &str = "operator_";
/// SQLite calls the progress handler after this many steps of its virtual machine. SQLite makes millions of steps a
/// second.
pub(super) const STEPS: i32 = 4_000;

#[derive(Debug, Clone)]
pub(super) struct Guard {
    state: Arc<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    handler_runs: AtomicBool,
    /// The monotonic time at which the handler reaches its time limit, in microseconds.
    deadline: AtomicU64,
    commit: AtomicBool,
    rolled_back: AtomicBool,
}

/// Installs four hooks:
///
/// - The authorizer refuses a handler's SQL that would begin or end a transaction.
/// - The progress handler interrupts a handler's statement at the handler's time limit. A timeout of the handler's
///   future cannot do this, because a running statement does not await.
/// - The rollback hook records that SQLite itself has rolled back (because of a full disk, an interrupted write or
///   `OR ROLLBACK`), even if the handler begins another transaction afterwards.
/// - The commit hook refuses every commit except the writer's. So nothing is kept of SQL that a handler runs after such
///   a rollback.
pub(super) fn install(connection: &mut Connection, clock: Arc<dyn Clock>) -> rusqlite::Result<Guard> {
    let guard = Guard {
        state: Arc::default(),
        clock,
    };
    let state = guard.state.clone();
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        let ours = match context.action {
            AuthAction::Transaction { .. } => true,
            AuthAction::Savepoint { savepoint_name, .. } => savepoint_name
                .get(..PREFIX.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)),
            _ => false,
        };
        if ours && state.handler_runs.load(Ordering::Relaxed) {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    }))?;
    let watch = guard.clone();
    connection.progress_handler(STEPS, Some(move || watch.handler_is_overdue()))?;
    let state = guard.state.clone();
    connection.rollback_hook(Some(move || state.rolled_back.store(true, Ordering::Relaxed)))?;
    let state = guard.state.clone();
    connection.commit_hook(Some(move || !state.commit.load(Ordering::Relaxed)))?;
    Ok(guard)
}

impl Guard {
    /// From now on, statements belong to a handler, and are interrupted once `limit` has passed.
    pub(super) fn handler_begins(&self, limit: Duration) {
        let deadline = microseconds(self.clock.monotonic().saturating_add(limit));
        self.state.deadline.store(deadline, Ordering::Relaxed);
        self.state.handler_runs.store(true, Ordering::Relaxed);
    }

    /// From now on, statements belong to the writer.
    pub(super) fn handler_ended(&self) {
        self.state.handler_runs.store(false, Ordering::Relaxed);
    }

    fn handler_is_overdue(&self) -> bool {
        self.state.handler_runs.load(Ordering::Relaxed)
            && microseconds(self.clock.monotonic()) >= self.state.deadline.load(Ordering::Relaxed)
    }

    /// Marks the beginning of a new transaction, which is not rolled back yet.
    pub(super) fn transaction_begins(&self) {
        self.state.rolled_back.store(false, Ordering::Relaxed);
    }

    /// Whether SQLite itself has rolled the transaction back.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.state.rolled_back.load(Ordering::Relaxed)
    }

    /// Runs the only commit that the commit hook allows.
    pub(super) fn commit(&self, commit: impl FnOnce() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        self.state.commit.store(true, Ordering::Relaxed);
        let committed = commit();
        self.state.commit.store(false, Ordering::Relaxed);
        committed
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
