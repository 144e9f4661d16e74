//! Reads credentials and certificates again when their files change, and when the process gets SIGHUP, so that they can
//! be replaced without a restart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};

#[cfg(feature = "cli")]
use super::start_error::StartProblem;
use super::{Assembled, Config};
#[cfg(feature = "cli")]
use crate::protocol::api_keys::ApiKeys;
use crate::protocol::credentials::Credentials;

/// The pause between two checks of the files.
const EVERY: Duration = Duration::from_secs(5);
/// A changed file is read once it has stayed the same for this time. So a file that is being written is not read, and
/// neither is a certificate whose key has not been replaced yet.
const SETTLED: Duration = Duration::from_secs(1);
/// The issuer's keys are fetched again after this many checks, so that a key that the issuer removed is forgotten.
const LOOKS_UNTIL_FETCH: u32 = 120;

/// What tells two versions of a file apart: device, inode, size, and the time of the last change in nanoseconds, which
/// a change of the mode sets too. `None` if the file cannot be inspected.
type Version = Option<(u64, u64, u64, i64, i64)>;

/// A credential: its kind, its name, and a digest that differs after it was changed.
type Described = (&'static str, String, [u8; 32]);

/// The versions of all files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Versions(Vec<Version>);

impl Versions {
    /// The versions that the files have now.
    pub(super) fn of(config: &Config) -> Self {
        let files = config.credential_files().into_iter();
        let version = |path| {
            let file = fs::metadata(path).ok()?;
            Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
        };
        Self(files.map(version).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Checks the files until the task is aborted, or the app is dropped or drained. Without a file and without an issuer,
/// there is no task, and SIGHUP ends the process, as it does unless a program waits for it.
pub(super) fn rotate_while_held(assembled: &Arc<Assembled>) -> Option<JoinHandle<()>> {
    if assembled.files.is_empty() && !assembled.credentials.load().accepted().oauth {
        return None;
    }
    // Before the task, because SIGHUP ends the process until then.
    let mut hangup = signal(SignalKind::hangup()).ok();
    let (mut taken, mut seen) = (assembled.files.clone(), assembled.files.clone());
    let held = Arc::downgrade(assembled);
    Some(tokio::spawn(async move {
        let mut looks = 0_u32;
        loop {
            let pause = if seen == taken { EVERY } else { SETTLED };
            let is_asked = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                Some(()) = async { hangup.as_mut()?.recv().await } => true,
            };
            let Some(assembled) = held.upgrade().filter(|held| !held.pipeline.is_draining()) else {
                return;
            };
            let last = (taken, seen);
            // The files are read on a thread for blocking work, because their disk may be slow.
            let looked = spawn_blocking({
                let assembled = Arc::clone(&assembled);
                move || look(&assembled, last, is_asked)
            });
            let Ok(now) = looked.await else { return };
            (taken, seen) = now;
            looks += 1;
            if looks.is_multiple_of(LOOKS_UNTIL_FETCH) {
                fetch_keys(&assembled).await;
            }
        }
    }))
}

/// Reads the files if the process was asked to, or if they have changed and then stayed the same. `taken` are the
/// versions that were read last, and `seen` are those of the last check. Returns both.
fn look(assembled: &Assembled, (taken, seen): (Versions, Versions), is_asked: bool) -> (Versions, Versions) {
    let now = Versions::of(&assembled.config);
    if is_asked {
        tracing::info!("SIGHUP: reading the files of credentials and certificates again");
    }
    if is_asked || (now != taken && now == seen) {
        replace(assembled);
        (now.clone(), now)
    } else {
        (taken, now)
    }
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

/// Reads all files, and replaces the credentials of every endpoint and the server's certificate. If there is a problem
/// with the credentials, none of them is replaced; the certificate is replaced on its own.
fn replace(assembled: &Assembled) {
    let new = assembled.config.credentials();
    #[cfg(feature = "cli")]
    let new = replace_admin_tokens(assembled, new);
    match new {
        Ok(new) => put(assembled, new),
        Err(problems) => {
            for problem in problems {
                tracing::error!("credentials were not replaced, and the old ones stay in use: {problem}");
            }
        }
    }
    #[cfg(feature = "tls")]
    replace_certificate(assembled);
}

/// Reads the admin page's tokens again, and replaces those in use. `new` are the callers' credentials that were read;
/// returns them, or the problem if one of them is a token that stays in use.
#[cfg(feature = "cli")]
fn replace_admin_tokens(
    assembled: &Assembled,
    new: Result<Credentials, Vec<StartProblem>>,
) -> Result<Credentials, Vec<StartProblem>> {
    let Some(admin) = &assembled.settings.admin else {
        return new;
    };
    let in_use = assembled.credentials.load();
    let callers = new.as_ref().unwrap_or(&in_use);
    match assembled.config.read_admin_tokens(Some(callers)) {
        Ok(new) => {
            let described = |tokens: &ApiKeys| -> BTreeSet<_> {
                let digests = tokens.digests();
                digests
                    .map(|(name, digest)| ("admin token", format!("{name:?}"), digest))
                    .collect()
            };
            // Logged afterwards, so that the log names what is in use.
            let old = admin.tokens.swap(Arc::new(new));
            log_changes(&described(&old), &described(&admin.tokens.load()));
        }
        Err(problems) => {
            for problem in problems {
                tracing::error!("admin tokens were not replaced, and the old ones stay in use: {problem}");
            }
        }
    }
    let new = new?;
    let tokens = admin.tokens.load();
    match tokens.one_of_a_caller(&new.keys, &new.api_keys) {
        None => Ok(new),
        Some(token) => Err(vec![StartProblem::of(
            admin.listen.setting,
            format!(
                "one of the new credentials of callers equals the token {token:?} of the admin page: use another one (`keygen` makes one), because a caller must not settle operations."
            ),
        )]),
    }
}

/// Reads the server's certificate and its key, and replaces them. Clients are asked for certificates of the authorities
/// in use.
#[cfg(feature = "tls")]
fn replace_certificate(assembled: &Assembled) {
    let Some(tls) = &assembled.settings.tls else {
        return;
    };
    match assembled
        .config
        .server_tls(assembled.credentials.load().clients.as_ref())
    {
        Ok(Some(new)) => {
            let (old, digest) = (tls.load().digest, new.digest);
            tls.store(Arc::new(new));
            if digest != old {
                let digest = const_hex::encode(digest);
                tracing::info!("replaced the server's certificate; the new one has the SHA-256 digest {digest}");
            }
        }
        Ok(None) => {}
        Err(problems) => {
            for problem in problems {
                tracing::error!("the server's certificate was not replaced, and the old one stays in use: {problem}");
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
    let new = Arc::new(new);
    for endpoint in &assembled.endpoints {
        let url = assembled.settings.public_url.published(endpoint.path);
        endpoint.credentials.store(Arc::new(new.bind(&url)));
    }
    assembled.credentials.store(Arc::clone(&new));
    report(&old, &new);
}

/// Logs one line for each credential that was added or removed. A changed credential has both lines.
fn report(old: &Credentials, new: &Credentials) {
    log_changes(&old.described().collect(), &new.described().collect());
}

fn log_changes(old: &BTreeSet<Described>, new: &BTreeSet<Described>) {
    for (kind, name, _) in old.difference(new) {
        tracing::info!("removed the {kind} {name}");
    }
    for (kind, name, _) in new.difference(old) {
        tracing::info!("added the {kind} {name}");
    }
}
