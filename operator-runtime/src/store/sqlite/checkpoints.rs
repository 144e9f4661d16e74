//! Checkpoints on a thread of their own: they move the write-ahead log into the file while the writer goes on.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::{Durability, connection};
use crate::store::StoreError;

/// A checkpoint begins after this many changed rows. A new record changes about one page of its own, in the index of the
/// ids, so this is also about the number of pages to move.
const ROWS: u64 = 1_000;

/// The thread that checkpoints. It ends when this value is dropped.
///
/// A checkpoint by the writer would hold up every waiting call while thousands of pages are written to random places
/// and flushed. This thread moves most pages while the writer commits. Only the writer can begin the log anew, after a
/// checkpoint that misses no page. That checkpoint is the writer's own, at [`connection::LOG`], and finds few pages left.
#[derive(Debug)]
pub(super) struct Checkpoints {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// The number of changed rows at the last checkpoint.
    changed: u64,
}

impl Checkpoints {
    pub(super) fn spawn(path: &Path, durability: Durability, name: &str) -> Result<Self, StoreError> {
        let connection = connection::open_for_checkpoints(path, durability)
            .map_err(|source| StoreError::unavailable(name, "be opened", source))?;
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("operator-sqlite-log".to_owned())
            .spawn(move || {
                while let Ok(()) = woken.recv() {
                    checkpoint(&connection);
                }
            })
            .map_err(|source| StoreError::unavailable(name, "start its checkpoint thread", source))?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            changed: 0,
        })
    }

    /// Starts a checkpoint if enough rows have changed. `changed` is the number of rows that the writer has changed so
    /// far.
    pub(super) fn committed(&mut self, changed: u64) {
        if changed.saturating_sub(self.changed) >= ROWS {
            self.changed = changed;
            // If the channel is full, a checkpoint is about to begin anyway.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
    }
}

impl Drop for Checkpoints {
    /// Waits for the thread, so that its connection is closed when the store is.
    fn drop(&mut self) {
        drop(self.wake.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Moves the pages that no reader holds back, without waiting for readers or for the writer. A failed checkpoint loses
/// nothing: the pages stay in the log until the next one.
fn checkpoint(connection: &Connection) {
    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
}
