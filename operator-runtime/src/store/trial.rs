//! A store to try a start-up with, where the one that is named would be a new file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;

/// A file beside the one that is named: in the same folder, opened in the same way, and gone afterwards.
pub(crate) struct Trial {
    store: Arc<dyn Store>,
    file: PathBuf,
}

impl Trial {
    /// `None` where nothing would be made, or where opening fails, which the store that is named then tells by itself.
    pub(crate) async fn of(address: &str) -> Option<Self> {
        let rest = address.strip_prefix("sqlite:")?;
        let (path, options) = rest
            .split_once('?')
            .map_or((rest, String::new()), |(path, options)| (path, format!("?{options}")));
        if path.is_empty() || Path::new(path).exists() {
            return None;
        }
        let file = format!("{path}.check-{:016x}", getrandom::u64().ok()?);
        let opened = super::open(&format!("sqlite:{file}{options}")).await;
        let file = PathBuf::from(file);
        match opened {
            Ok(store) => Some(Self { store, file }),
            Err(_) => {
                remove(&file);
                None
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Closes it, and removes what it has made.
    pub(crate) async fn end(self) {
        self.store.close().await;
        remove(&self.file);
    }
}

/// The file, and what SQLite keeps beside one.
fn remove(file: &Path) {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = OsString::from(file);
        name.push(ending);
        // Most of them are not there.
        let _ = std::fs::remove_file(name);
    }
}
