//! The connection to one server, which all calls share. It is replaced when it fails, and when its server is no longer
//! the primary: the server says so, its replicas confirm nothing, or Sentinel names another server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionLike as _, MultiplexedConnection};
use ::redis::{Cmd, ConnectionAddr, Pipeline, RedisError, Value};
use tokio::time::{Instant, timeout};

use super::connection::{Failed, is_no_primary};
use super::servers::Servers;
use crate::clock::timer_now;

/// A connection is kept for at least this time although its server refuses writes or has too few replicas. Otherwise
/// each refused call would open a connection, and the machine would run out of ports.
const KEPT: Duration = Duration::from_millis(200);

/// While there are calls, the Sentinels are asked this often whether they name another primary, and may take as long to
/// answer. A former primary that they cannot reach would otherwise be used until it fails.
const ASKED: Duration = Duration::from_secs(1);

pub(super) struct One {
    servers: Servers,
    state: Mutex<State>,
    /// Held by the one call that opens a connection.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    opened: Option<Arc<Opened>>,
    /// How often opening a connection has failed, and why it failed the last time.
    failures: u64,
    failure: Option<RedisError>,
    /// When the Sentinels were asked the last time.
    asked: Option<Instant>,
}

struct Opened {
    connection: MultiplexedConnection,
    server: ConnectionAddr,
    since: Instant,
}

impl One {
    /// Opens a connection.
    pub(super) async fn open(servers: Servers) -> Result<Arc<Self>, RedisError> {
        let one = Arc::new(Self {
            servers,
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        });
        one.opened().await?;
        Ok(one)
    }

    pub(super) async fn ask(self: &Arc<Self>, command: &Cmd) -> Result<Value, Failed> {
        let opened = self.opened().await.map_err(Failed::before_it_was_sent)?;
        let answer = opened.connection.clone().send_packed_command(command).await;
        let answer = answer.and_then(Value::extract_error);
        answer.map_err(|error| self.failed(&opened, error))
    }

    /// The answers to all commands, of which some may be errors. If `replicas` is not 0, the last command is a `WAIT` for
    /// as many replicas.
    pub(super) async fn ask_each(self: &Arc<Self>, commands: &Pipeline, replicas: u32) -> Result<Vec<Value>, Failed> {
        let opened = self.opened().await.map_err(Failed::before_it_was_sent)?;
        let mut connection = opened.connection.clone();
        let answers = connection.req_packed_commands(commands, 0, commands.len()).await;
        let answers = answers.map_err(|error| self.failed(&opened, error))?;
        let is_refused = |answer: &Value| matches!(answer, Value::ServerError(error) if is_no_primary(error.code()));
        // A primary that was cut off from its replicas and from Sentinel does not know that another server is the primary.
        let lacks_replicas = matches!(answers.last(), Some(Value::Int(confirmed)) if *confirmed < replicas.into());
        if lacks_replicas || answers.iter().any(is_refused) {
            self.replace_unless_new(&opened);
        }
        Ok(answers)
    }

    /// The connection in use, or a new one. Callers that wait for the same attempt to connect share its result.
    async fn opened(self: &Arc<Self>) -> Result<Arc<Opened>, RedisError> {
        let failures = {
            let mut state = self.state();
            if let Some(opened) = state.opened.clone() {
                self.ask_the_sentinels(&mut state, &opened);
                return Ok(opened);
            }
            state.failures
        };
        let _opening = self.opening.lock().await;
        {
            let state = self.state();
            if let Some(opened) = &state.opened {
                return Ok(Arc::clone(opened));
            }
            if let Some(failure) = state.failure.as_ref().filter(|_| state.failures != failures) {
                return Err(failure.clone());
            }
        }
        let opened = self.servers.open().await;
        let mut state = self.state();
        match opened {
            Ok((connection, server)) => {
                let since = timer_now();
                state.asked = Some(since);
                let opened = Opened {
                    connection,
                    server,
                    since,
                };
                Ok(Arc::clone(state.opened.insert(Arc::new(opened))))
            }
            Err(error) => {
                state.failures += 1;
                state.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Replaces the connection if the Sentinels name another server by now. No call waits for that.
    fn ask_the_sentinels(self: &Arc<Self>, state: &mut State, opened: &Arc<Opened>) {
        let Some(sentinels) = self.servers.sentinels() else {
            return;
        };
        if state.asked.is_some_and(|asked| asked.elapsed() < ASKED) {
            return;
        }
        state.asked = Some(timer_now());
        let (one, opened, sentinels) = (Arc::clone(self), Arc::clone(opened), Arc::clone(sentinels));
        tokio::spawn(async move {
            if let Ok(true) = timeout(ASKED, sentinels.name_another_than(&opened.server)).await {
                one.replace(&opened);
            }
        });
    }

    fn failed(&self, opened: &Arc<Opened>, error: RedisError) -> Failed {
        let failed = Failed::of_server(error);
        if failed.error.code().is_some_and(is_no_primary) {
            self.replace_unless_new(opened);
        } else if failed.is_over {
            self.replace(opened);
        }
        failed
    }

    fn replace_unless_new(&self, opened: &Arc<Opened>) {
        if opened.since.elapsed() >= KEPT {
            self.replace(opened);
        }
    }

    /// The next command opens a new connection. The commands that are under way on this connection go on.
    fn replace(&self, old: &Arc<Opened>) {
        let mut state = self.state();
        if state.opened.as_ref().is_some_and(|opened| Arc::ptr_eq(opened, old)) {
            state.opened = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
