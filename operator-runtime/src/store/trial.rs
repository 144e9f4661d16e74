//! A temporary store for checking a start-up, used if the address names a file that does not exist yet.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;

/// A temporary file in the folder of the named file, opened with the same options, and removed afterwards.
pub(crate) struct Trial {
    store: Arc<dyn Store>,
    file: PathBuf,
}

impl Trial {
    /// Returns `None` if opening the address would create no file, or if the temporary file cannot be opened. In the
    /// second case, opening the named store gives the same error.
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

    /// Closes the store, and removes its files.
    pub(crate) async fn end(self) {
        self.store.close().await;
        remove(&self.file);
    }
}

/// Removes the file and the files that SQLite keeps next to it.
fn remove(file: &Path) {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = OsString::from(file);
        name.push(ending);
        // Errors are ignored, because most of these files do not exist.
        let _ = std::fs::remove_file(name);
    }
}
