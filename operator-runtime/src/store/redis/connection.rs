//! A connection to one Redis server or to a Redis Cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::{Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError, Value};

/// How long the server may take to accept a connection, and then to answer a command.
const CONNECT: Duration = Duration::from_secs(2);
pub(super) const ANSWER: Duration = Duration::from_secs(2);
/// How long replicas may take to confirm a write, if the address asks for a confirmation.
pub(super) const CONFIRM: Duration = Duration::from_secs(1);
/// How often a command is repeated while the cluster fails over, within the time limit of an answer.
const TRIES: u32 = 4;

#[derive(Clone)]
pub(super) enum Connection {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Each attempt to connect is retried once. While the server is unavailable, calls are refused, and each refused
    /// call starts a new attempt.
    pub(super) async fn to_one(info: ConnectionInfo) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER + CONFIRM))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(Client::open(info)?, config).await?;
        Ok(Self::One(connection))
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
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::One(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Sends all commands in order on one connection.
    pub(super) async fn ask_all<T: FromRedisValue>(&self, at: Node<'_>, commands: Pipeline) -> Result<T, RedisError> {
        match self {
            Self::One(connection) => commands.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => {
                let (count, route) = (commands.len(), at.route()?);
                let answers = connection.clone().route_pipeline(commands, 0, count, route).await?;
                let answers = answers
                    .into_iter()
                    .map(Value::extract_error)
                    .collect::<Result<_, _>>()?;
                Ok(T::from_redis_value(Value::Array(answers))?)
            }
        }
    }

    /// The answer of every primary, ordered by the address of the node in a cluster.
    pub(super) async fn ask_every_primary<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<BTreeMap<String, T>, RedisError> {
        match self {
            Self::One(_) => Ok(BTreeMap::from([(String::new(), self.ask(command).await?)])),
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
