//! Reads credentials and certificates again when their files change, and when the process gets SIGHUP, so that they can
//! be replaced without a restart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::{Assembled, Config};
use crate::protocol::credentials::Credentials;

/// The pause between two looks at the files.
const EVERY: Duration = Duration::from_secs(10);
/// The issuer's keys are fetched again after as many looks, so that a key that the issuer removed is forgotten.
const LOOKS_UNTIL_FETCH: u32 = 60;

/// What tells two versions of a file apart: device, inode, size, and the time of the last change in nanoseconds. `None`
/// if the file cannot be looked at.
type Version = Option<(u64, u64, u64, i64, i64)>;

/// Looks at the files until the task is aborted, or the app is dropped or drained.
pub(super) fn rotate_while_held(assembled: &Arc<Assembled>) -> JoinHandle<()> {
    let mut seen = versions(&assembled.config);
    let held = Arc::downgrade(assembled);
    tokio::spawn(async move {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut looks = 0_u32;
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                Some(()) = async { hangup.as_mut()?.recv().await } => true,
            };
            let Some(assembled) = held.upgrade().filter(|held| !held.pipeline.is_draining()) else {
                return;
            };
            let now = versions(&assembled.config);
            if is_asked || now != seen {
                seen = now;
                replace(&assembled);
            }
            looks += 1;
            if looks % LOOKS_UNTIL_FETCH == 0 {
                fetch_keys(&assembled).await;
            }
        }
    })
}

/// Fetches the issuer's keys, if there is an issuer.
#[cfg_attr(
    not(feature = "oauth"),
    expect(clippy::unused_async, reason = "only an issuer is waited for")
)]
pub(super) async fn fetch_keys(assembled: &Assembled) {
    #[cfg(feature = "oauth")]
    if let Some(issuer) = &assembled.credentials.load_full().issuer {
        issuer.refresh().await;
    }
    let _ = assembled;
}

fn versions(config: &Config) -> Vec<Version> {
    let files = config.credential_files().into_iter();
    let version = |path| {
        let file = fs::metadata(path).ok()?;
        Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
    };
    files.map(version).collect()
}

/// Reads all files, and replaces the credentials of every endpoint. If there is a problem, nothing is replaced.
fn replace(assembled: &Assembled) {
    match assembled.config.credentials() {
        Ok(new) => put(assembled, new),
        Err(problems) => {
            for problem in problems {
                tracing::error!("credentials were not replaced, and the old ones stay in use: {problem}");
            }
        }
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &assembled.settings.tls {
        match assembled.config.tls_config() {
            Ok(Some(new)) => tls.store(Arc::new(new)),
            Ok(None) => {}
            Err(problems) => {
                for problem in problems {
                    tracing::error!("the certificate was not replaced, and the old one stays in use: {problem}");
                }
            }
        }
    }
}

fn put(assembled: &Assembled, #[allow(unused_mut, reason = "only an issuer is kept")] mut new: Credentials) {
    let old = assembled.credentials.load_full();
    #[cfg(feature = "oauth")]
    {
        // The issuer keeps its keys.
        new.issuer.clone_from(&old.issuer);
    }
    report(&old, &new);
    let new = Arc::new(new);
    for endpoint in &assembled.endpoints {
        let url = assembled.settings.public_url.published(endpoint.path);
        endpoint.credentials.store(Arc::new(new.bind(&url)));
    }
    assembled.credentials.store(new);
}

/// Logs one line for each credential that was added, removed or changed.
fn report(old: &Credentials, new: &Credentials) {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.described().collect(), new.described().collect());
    for (kind, name, _) in old.difference(&new) {
        tracing::info!("removed the {kind} {name}");
    }
    for (kind, name, _) in new.difference(&old) {
        tracing::info!("added the {kind} {name}");
    }
}
