//! Keeps the beginning and ending of transactions to the writer, and handlers to their time, whatever SQL they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::clock::Clock;

/// Savepoints that begin so are the writer's.
pub(super) const PREFIX: &str = "operator_";
/// After how many steps of a statement, of which there are millions a second, it is asked whether it may go on.
pub(super) const STEPS: i32 = 4_000;

#[derive(Debug, Clone)]
pub(super) struct Guard {
    state: Arc<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    handler_runs: AtomicBool,
    /// When the handler's time is up, on the clock's monotonic time, in microseconds.
    deadline: AtomicU64,
    commit: AtomicBool,
    rolled_back: AtomicBool,
}

/// Four hooks: SQL that would end the transaction is refused when a handler prepares it; a handler's statement is
/// interrupted when its time is up, which nothing else can do, for it awaits nothing; that SQLite itself has rolled back
/// (a full disk does that, an interrupted write, and `OR ROLLBACK`) is seen, whatever is begun afterwards; and what the
/// handler then runs, outside the transaction, is not kept.
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
    /// From now on SQL is a handler's, and none of it runs when `limit` has passed.
    pub(super) fn handler_begins(&self, limit: Duration) {
        let deadline = microseconds(self.clock.monotonic().saturating_add(limit));
        self.state.deadline.store(deadline, Ordering::Relaxed);
        self.state.handler_runs.store(true, Ordering::Relaxed);
    }

    /// From now on SQL is the writer's.
    pub(super) fn handler_ended(&self) {
        self.state.handler_runs.store(false, Ordering::Relaxed);
    }

    fn handler_is_overdue(&self) -> bool {
        self.state.handler_runs.load(Ordering::Relaxed)
            && microseconds(self.clock.monotonic()) >= self.state.deadline.load(Ordering::Relaxed)
    }

    /// A transaction is begun, and nothing has rolled it back yet.
    pub(super) fn transaction_begins(&self) {
        self.state.rolled_back.store(false, Ordering::Relaxed);
    }

    /// Whether SQLite has rolled the transaction back by itself.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.state.rolled_back.load(Ordering::Relaxed)
    }

    /// The one commit that is kept.
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
