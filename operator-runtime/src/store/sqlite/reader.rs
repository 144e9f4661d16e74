//! The pool of read-only connections, which never wait for the writer.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::guard::STEPS;
use super::{Sqlite, connection};
use crate::transaction::Reader;

/// The number of connections. More would not be faster, because they would compete for the processors.
const CONNECTIONS: usize = 8;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// SQLite returned an error.
    #[error("the database could not be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The closure given to [`Reader::read`] panicked.
    #[error("the code that reads the database panicked")]
    Panicked,
    /// The store has been closed.
    #[error("the database is closed; the program is shutting down")]
    Closed,
}

/// Whether the file could not be read for a reason that may be temporary.
pub(in crate::store) fn is_out_of_reach(error: &(dyn Error + 'static)) -> bool {
    use rusqlite::ErrorCode as Code;
    if let Some(ReadError::Closed) = error.downcast_ref() {
        return true;
    }
    let code = error.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    matches!(
        code,
        Some(
            Code::CannotOpen
                | Code::SystemIoFailure
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::FileLockingProtocolFailed
                | Code::DiskFull
        )
    )
}

#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(path: &Path) -> Self {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Self(Arc::new(Shared {
            path: path.to_owned(),
            idle: Mutex::default(),
            permits,
        }))
    }

    pub(super) fn close(&self) {
        self.0.permits.close();
        self.0.idle().clear();
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`. When `caller` is dropped, nobody waits for the result, so the running statement is interrupted.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>, caller: Weak<()>) -> rusqlite::Result<T> {
        let idle = self.idle().pop();
        #[allow(
            unused_mut,
            reason = "the oldest accepted rusqlite takes the handler by a shared reference"
        )]
        let mut connection = match idle {
            Some(connection) => connection,
            None => connection::open_for_reading(&self.path)?,
        };
        connection.progress_handler(STEPS, Some(move || caller.strong_count() == 0))?;
        let result = work(&connection);
        // A connection inside an open transaction is not reused, because it would keep reading an old state.
        if connection.is_autocommit() && !self.permits.is_closed() {
            self.idle().push(connection);
        }
        result
    }
}

impl Reader<Sqlite> {
    /// Reads committed data, on a thread that may block: `reader.read(|connection| connection.query_row(…)).await`.
    ///
    /// If the future is dropped, for example at the handler's time limit, the running statement is interrupted.
    ///
    /// # Errors
    /// If `work` fails or panics, or the file cannot be opened.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let shared = self.pool.0.clone();
        // The permit moves into the work, which may continue for a moment after this future is dropped.
        let permit = shared
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| ReadError::Closed)?;
        let caller = Arc::new(());
        let waiting = Arc::downgrade(&caller);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            shared.read(work, waiting)
        });
        let read = reading.await;
        drop(caller);
        match read {
            Ok(result) => result.map_err(ReadError::Sqlite),
            Err(stopped) if stopped.is_panic() => Err(ReadError::Panicked),
            Err(_) => Err(ReadError::Closed),
        }
    }
}
