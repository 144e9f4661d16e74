//! Keeps the beginning and ending of transactions to the writer, whatever SQL a handler runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Savepoints that begin so are the writer's.
pub(super) const PREFIX: &str = "operator_";

#[derive(Debug, Clone, Default)]
pub(super) struct Guard(Arc<Allowed>);

#[derive(Debug, Default)]
struct Allowed {
    handler_runs: AtomicBool,
    commit: AtomicBool,
}

/// Two hooks: SQL that would end the transaction is refused when a handler prepares it; and should SQLite itself have
/// rolled back (a full disk does that), what the handler runs afterwards, now outside any transaction, is not kept.
pub(super) fn install(connection: &mut Connection) -> rusqlite::Result<Guard> {
    let guard = Guard::default();
    let allowed = guard.0.clone();
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        let ours = match context.action {
            AuthAction::Transaction { .. } => true,
            AuthAction::Savepoint { savepoint_name, .. } => savepoint_name
                .get(..PREFIX.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)),
            _ => false,
        };
        if ours && allowed.handler_runs.load(Ordering::Relaxed) {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    }))?;
    let allowed = guard.0.clone();
    connection.commit_hook(Some(move || !allowed.commit.load(Ordering::Relaxed)))?;
    Ok(guard)
}

impl Guard {
    /// Until it is dropped, SQL is a handler's.
    pub(super) fn handler_runs(&self) -> impl Drop + use<> {
        self.set_handler_runs(true);
        HandlerRuns(self.clone())
    }

    pub(super) fn set_handler_runs(&self, runs: bool) {
        self.0.handler_runs.store(runs, Ordering::Relaxed);
    }

    /// The one commit that is kept.
    pub(super) fn commit(&self, commit: impl FnOnce() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        self.0.commit.store(true, Ordering::Relaxed);
        let committed = commit();
        self.0.commit.store(false, Ordering::Relaxed);
        committed
    }
}

struct HandlerRuns(Guard);

impl Drop for HandlerRuns {
    fn drop(&mut self) {
        self.0.set_handler_runs(false);
    }
}
