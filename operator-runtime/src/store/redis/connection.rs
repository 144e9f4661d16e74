//! A connection to one Redis server or to a Redis Cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::{Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError, Value};

use super::milliseconds;
use super::one::One;
use super::servers::{ANSWER, CONFIRM, CONNECT, Servers};

/// How often a command is repeated while the cluster fails over, within the time limit of an answer.
const TRIES: u32 = 4;

#[derive(Clone)]
pub(super) enum Connection {
    One(Arc<One>),
    Cluster(ClusterConnection),
}

/// A failed command.
pub(super) struct Failed {
    pub(super) error: RedisError,
    /// Whether the command may have been carried out.
    pub(super) may_be_done: bool,
    /// Whether the connection is of no more use, so that the command may succeed on a new connection.
    pub(super) is_over: bool,
}

impl Failed {
    /// No connection could be opened.
    pub(super) fn before_it_was_sent(error: RedisError) -> Self {
        Self {
            error,
            may_be_done: false,
            is_over: false,
        }
    }

    pub(super) fn of_server(error: RedisError) -> Self {
        // A command that the server has refused is not carried out.
        let is_refused = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        let is_broken = error.is_io_error() || error.is_unrecoverable_error();
        Self {
            may_be_done: !(is_refused || error.is_connection_refusal()),
            is_over: is_broken || error.code().is_some_and(is_no_primary),
            error,
        }
    }

    /// The driver has repeated the command already, unless the connection was lost.
    fn of_cluster(error: RedisError) -> Self {
        Self {
            is_over: error.is_connection_dropped(),
            ..Self::of_server(error)
        }
    }
}

/// Whether an error of the server means that it is not the primary, or is not the primary any more: it follows another
/// server (`READONLY`, `MASTERDOWN`), has been restarted (`LOADING`), was demoted while it waited for its replicas
/// (`UNBLOCKED`), or has lost its replicas (`NOREPLICAS`). `MISCONF` is not one of these errors: the primary cannot
/// write to its disk, and another connection does not change that.
pub(super) fn is_no_primary(code: &str) -> bool {
    matches!(code, "READONLY" | "MASTERDOWN" | "LOADING" | "UNBLOCKED" | "NOREPLICAS")
}

impl From<Failed> for RedisError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Connection {
    pub(super) async fn to_one(servers: Servers) -> Result<Self, RedisError> {
        Ok(Self::One(One::open(servers).await?))
    }

    /// The cluster that a server belongs to: each command goes to the node that holds its key, even after the key has
    /// moved.
    pub(super) async fn to_cluster(info: ConnectionInfo) -> Result<Self, RedisError> {
        let tcp = info.tcp_settings().clone();
        let client = ClusterClientBuilder::new([info])
            .connection_timeout(CONNECT)
            .response_timeout(ANSWER + CONFIRM)
            .retries(TRIES)
            .tcp_settings(tcp)
            .build()?;
        Ok(Self::Cluster(client.get_async_connection().await?))
    }

    /// Sends a command to the node that holds its key.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Failed> {
        match self {
            Self::One(one) => one.ask(command).await,
            Self::Cluster(connection) => {
                let answer = command.query_async(&mut connection.clone()).await;
                answer.map_err(Failed::of_cluster)
            }
        }
    }

    /// Sends all commands in order on one connection. Each answer may be an error.
    pub(super) async fn ask_each(&self, at: Node<'_>, commands: Pipeline) -> Result<Vec<Value>, Failed> {
        match self {
            Self::One(one) => one.ask_each(&commands, 0).await,
            Self::Cluster(connection) => {
                let (count, route) = (commands.len(), at.route().map_err(Failed::before_it_was_sent)?);
                let answers = connection.clone().route_pipeline(commands, 0, count, route).await;
                answers.map_err(Failed::of_cluster)
            }
        }
    }

    /// Sends a write to the node that holds its key. Returns the answer, and how many replicas have confirmed the write,
    /// which are asked if `replicas` is not 0.
    pub(super) async fn write(&self, key: &[u8], write: Cmd, replicas: u32) -> Result<(Value, u32), Failed> {
        if replicas == 0 {
            return Ok((self.ask(&write).await?, 0));
        }
        // `WAIT` is sent after the write on the same connection, because it waits only for the writes of its own
        // connection.
        let mut wait = Cmd::new();
        wait.arg("WAIT").arg(replicas).arg(milliseconds(CONFIRM));
        let mut both = Pipeline::with_capacity(2);
        both.add_command(write).add_command(wait);
        let answers = match self {
            Self::One(one) => one.ask_each(&both, replicas).await?,
            Self::Cluster(_) => self.ask_each(Node::Of(key), both).await?,
        };
        let mut answers = answers.into_iter().map(Value::extract_error);
        let written = answers.next().unwrap_or(Ok(Value::Nil));
        let written = written.map_err(Failed::of_server)?;
        let confirmed = answers.next().unwrap_or(Ok(Value::Nil));
        let confirmed = confirmed.and_then(|confirmed| Ok(u32::from_redis_value(confirmed)?));
        // The script has run, and its write may survive: a failover can interrupt `WAIT` after the write.
        let confirmed = confirmed.map_err(|error| Failed {
            error,
            may_be_done: true,
            is_over: true,
        })?;
        Ok((written, confirmed))
    }

    /// Like [`ask_each`](Self::ask_each), and fails if any of the commands fails.
    pub(super) async fn ask_all<T: FromRedisValue>(&self, at: Node<'_>, commands: Pipeline) -> Result<T, RedisError> {
        let answers = self.ask_each(at, commands).await?;
        let answers = answers
            .into_iter()
            .map(Value::extract_error)
            .collect::<Result<_, _>>()?;
        Ok(T::from_redis_value(Value::Array(answers))?)
    }

    /// The answer of every primary, ordered by the address of the node in a cluster.
    pub(super) async fn ask_every_primary<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<BTreeMap<String, T>, RedisError> {
        match self {
            Self::One(one) => {
                let answer = T::from_redis_value(one.ask(command).await?)?;
                Ok(BTreeMap::from([(String::new(), answer)]))
            }
            Self::Cluster(connection) => {
                let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answers = connection.clone().route_command(command.clone(), everywhere).await?;
                Ok(BTreeMap::from_redis_value(answers)?)
            }
        }
    }
}

/// A node of a cluster. Ignored if there is only one server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'n> {
    /// The node that holds this key.
    Of(&'n [u8]),
    /// The node at this address, as the cluster reports it.
    At(&'n str),
}

impl Node<'_> {
    fn route(self) -> Result<SingleNodeRoutingInfo, RedisError> {
        let address = match self {
            Self::Of(key) => {
                return Ok(SingleNodeRoutingInfo::SpecificNode(Route::with_key(
                    key,
                    SlotAddr::Master,
                )));
            }
            Self::At(address) => address,
        };
        let parts = address.rsplit_once(':');
        let (host, port) = parts
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
            .ok_or((ErrorKind::InvalidClientConfig, "a node's address has no port"))?;
        Ok(SingleNodeRoutingInfo::ByAddress { host, port })
    }
}
