//! The servers in an address: finds the one that accepts writes, and drops its sessions when it fails.

use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{OptionFuture, TryFutureExt as _, join_all};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::guards::Guards;
use super::instance::Instance;
use super::session::{self, Failure, Session};
use super::way::Way;
use crate::causes::with_causes;
use crate::clock::timer_now;

/// If an answer takes longer than this, a new connection tests whether the server still responds, and is the same.
const LONG: Duration = Duration::from_secs(3);

/// How long a call waits for a session until [`Servers::wait_for`] says otherwise. The start waits as long, which is
/// longer than another process keeps a session that it does not use.
const WAIT: Duration = Duration::from_secs(10);

/// For this time after a server has refused a session because it is full, only one call at a time asks for another.
const FULL: Duration = Duration::from_secs(5);

/// A pooler lets the first statement of a session wait until one of its own sessions is free. An attempt waits for at
/// least this time, because the statement of a pooler that is not full takes a moment as well.
const TURN: Duration = Duration::from_secs(1);

/// One of the addresses of one of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    host: usize,
    address: Option<IpAddr>,
}

/// Where a session was opened and at which server, the token that closes it, and a reference that counts it.
pub(super) struct Opened {
    config: Config,
    place: Place,
    era: CancellationToken,
    /// The server, unless it does not say which one it is.
    instance: Option<Instance>,
    _counted: Arc<()>,
}

impl Opened {
    /// Whether the token was cancelled. If so, the connection is closed or about to close.
    pub(super) fn is_over(&self) -> bool {
        self.era.is_cancelled()
    }
}

/// The server that answered last is tried first, and the server that failed last is tried last.
#[derive(Debug, Default)]
struct Experience {
    good: Option<Place>,
    bad: Option<Place>,
}

pub(super) struct Servers {
    name: Arc<str>,
    way: Way,
    /// One configuration for each host.
    hosts: Vec<Config>,
    /// The time limit for opening a session at one address.
    limit: Duration,
    /// How long a call waits for a session.
    wait: Mutex<Duration>,
    experience: Mutex<Experience>,
    /// The last refusal of a session by a full server.
    refused: Mutex<Option<Instant>>,
    /// Cancelled when a server fails. This closes every session opened so far; a new token replaces it.
    era: Mutex<CancellationToken>,
    /// Shared by the open sessions, so its references count them.
    open: Arc<()>,
}

impl Servers {
    pub(super) fn new(name: Arc<str>, way: Way, hosts: Vec<Config>, limit: Duration) -> Self {
        Self {
            name,
            way,
            hosts,
            limit,
            wait: Mutex::new(WAIT),
            experience: Mutex::default(),
            refused: Mutex::default(),
            era: Mutex::default(),
            open: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn wait_for(&self, wait: Duration) {
        *self.wait.lock().unwrap_or_else(PoisonError::into_inner) = wait;
    }

    pub(super) fn wait(&self) -> Duration {
        *self.wait.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session at the first server that accepts writes. If a pooler lets the session wait, waits no longer than
    /// `until`.
    pub(super) async fn open(&self, guards: &Guards, until: Instant) -> Result<Session, NotOpened> {
        let mut failures = Vec::new();
        for (place, config) in self.candidates(&mut failures).await {
            let era = self.era().clone();
            let begun = timer_now();
            let opening = async {
                // We set our own limit. The driver's limit covers only the TCP connection, and the operating system of
                // a frozen server still accepts that.
                let client = session::within(self.limit, self.way.connect(&config, &era)).await?;
                let turn = until.max(timer_now() + TURN).min(begun + self.limit);
                let asked = async { tokio::join!(guards.set(&client), Instance::of(&client)) };
                let (backend, instance) = timeout_at(turn, asked).await.map_err(|_| Failure::NoTurn)?;
                let backend = backend?;
                Ok::<_, Failure>((client, backend, instance.ok()))
            };
            match opening.await {
                Ok((client, backend, instance)) => {
                    self.experience().good = Some(place);
                    let opened = Opened {
                        config,
                        place,
                        era,
                        instance,
                        _counted: Arc::clone(&self.open),
                    };
                    return Ok(Session::new(client, self.way.clone(), backend, Arc::new(opened)));
                }
                Err(failure) => failures.push((label(&config), failure)),
            }
        }
        // Each host has failed. One that is full will have room again.
        let refuses = failures.iter().any(|(_, failure)| failure.refuses_a_session());
        *self.refused() = refuses.then(timer_now);
        Err(NotOpened(failures))
    }

    /// Every address of every host, in the order in which to try them.
    async fn candidates(&self, failures: &mut Vec<(String, Failure)>) -> Vec<(Place, Config)> {
        let lookups = self.hosts.iter().map(|config| {
            let (Some(Host::Tcp(name)), []) = (config.get_hosts().first(), config.get_hostaddrs()) else {
                return OptionFuture::from(None);
            };
            let port = config.get_ports().first().copied().unwrap_or(5432);
            let found = lookup_host((name.as_str(), port)).map_err(Failure::NoAddress);
            Some(session::within(self.limit, found)).into()
        });
        // All at once, so that the times of slow lookups do not add up.
        let found = join_all(lookups).await;
        let mut candidates = Vec::new();
        for ((host, config), found) in self.hosts.iter().enumerate().zip(found) {
            match found {
                None => candidates.push((Place { host, address: None }, config.clone())),
                Some(Ok(found)) => candidates.extend(found.map(|found| {
                    let address = Some(found.ip());
                    let mut config = config.clone();
                    config.hostaddr(found.ip());
                    (Place { host, address }, config)
                })),
                Some(Err(failure)) => failures.push((label(config), failure)),
            }
        }
        let experience = self.experience();
        candidates.sort_by_key(|(place, _)| match Some(*place) {
            place if place == experience.bad => 2,
            place if place == experience.good => 0,
            _ => 1,
        });
        candidates
    }

    /// Reacts to a failed request. If the server no longer answers or accepts writes, closes all sessions and tries
    /// this server last.
    fn heed(&self, failure: &Failure, opened: &Opened) {
        let Opened { place, era, .. } = opened;
        if !failure.is_the_servers() {
            return;
        }
        let mut current = self.era();
        if era.is_cancelled() {
            return;
        }
        *self.refused() = None;
        *current = CancellationToken::new();
        *self.experience() = Experience {
            good: None,
            bad: Some(*place),
        };
        era.cancel();
        drop(current);
        let server = self.hosts.get(place.host).map_or_else(String::new, label);
        tracing::warn!(server, %failure, "a Postgres server failed; closing all connections and opening new ones");
    }

    /// Waits for the answer until its time limit. Meanwhile tests whether the server accepts new connections, so a dead
    /// server is noticed before the limit.
    pub(super) async fn answer<T>(
        &self,
        session: &Session,
        asking: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let answer = tokio::select! {
            biased;
            answer = session::in_time(asking) => answer,
            silent = self.silence(&session.opened) => Err(silent),
        };
        answer.inspect_err(|failure| self.heed(failure, &session.opened))
    }

    /// Waits for work that sends its own statements in a session. Meanwhile tests the server as [`answer`](Self::answer)
    /// does. If the server is lost, the session is closed, so that the statement which the work waits for fails.
    pub(super) async fn watch<T>(&self, opened: &Opened, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let silent = tokio::select! {
            biased;
            done = &mut work => return done,
            silent = self.silence(opened) => silent,
        };
        self.heed(&silent, opened);
        work.await
    }

    /// Like [`watch`](Self::watch), until the returned value is dropped.
    pub(super) fn keep_watch(self: &Arc<Self>, opened: Arc<Opened>) -> AbortOnDropHandle<()> {
        let servers = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let silent = servers.silence(&opened).await;
            servers.heed(&silent, &opened);
        }))
    }

    /// Returns when the server no longer answers new connections, or when another server has taken its place. A refused
    /// connection counts as an answer.
    async fn silence(&self, opened: &Opened) -> Failure {
        loop {
            tokio::time::sleep(LONG).await;
            let Ok(connected) = timeout(self.limit, self.way.connect(&opened.config, &opened.era)).await else {
                return Failure::Silent;
            };
            let (Ok(client), Some(ours)) = (connected, &opened.instance) else {
                continue;
            };
            // A full pooler lets this statement wait, so a missing answer means nothing.
            if let Ok(Ok(found)) = timeout(self.limit, Instance::of(&client)).await
                && ours.is_replaced_by(&found)
            {
                return Failure::Silent;
            }
        }
    }

    /// Whether the server has refused a session recently, so that only one call at a time may ask for another.
    pub(super) fn is_full(&self) -> bool {
        self.refused().is_some_and(|refused| refused.elapsed() < FULL)
    }

    /// Whether this process has an open session.
    pub(super) fn holds_sessions(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }

    /// Whether the address names only one host.
    pub(super) fn is_single(&self) -> bool {
        self.hosts.len() == 1
    }

    /// Asks the server of an idle session whether the session can be used.
    pub(super) async fn ask(&self, session: &Session) -> Result<(), Failure> {
        let asked = timeout(self.limit, session.is_as_it_was_opened()).await;
        let asked = asked.unwrap_or(Err(Failure::Silent));
        asked.inspect_err(|failure| self.heed(failure, &session.opened))
    }

    fn era(&self) -> MutexGuard<'_, CancellationToken> {
        self.era.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn experience(&self) -> MutexGuard<'_, Experience> {
        self.experience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host and port of a configuration.
pub(super) fn label(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config
            .get_hostaddrs()
            .first()
            .map_or_else(String::new, ToString::to_string),
    };
    format!("{host}:{}", config.get_ports().first().copied().unwrap_or(5432))
}

/// Why no session was opened: what each server said.
#[derive(Debug)]
pub(super) struct NotOpened(Vec<(String, Failure)>);

impl NotOpened {
    /// Whether this failure is among the reasons.
    pub(super) fn is(&self, reason: impl Fn(&Failure) -> bool) -> bool {
        self.0.iter().any(|(_, failure)| reason(failure))
    }
}

impl fmt::Display for NotOpened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, only)] = self.0.as_slice() {
            return formatter.write_str(&with_causes(only));
        }
        let each: Vec<String> = self
            .0
            .iter()
            .map(|(server, failure)| format!("{server}: {}", with_causes(failure)))
            .collect();
        formatter.write_str(&each.join("; "))
    }
}

impl std::error::Error for NotOpened {
    /// None, because the text already contains every cause.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Servers").finish_non_exhaustive()
    }
}
