//! Where the server of a store is: at one address, or wherever the Sentinels say.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError};

use super::sentinels::Sentinels;

/// How long a server may take to accept a connection, and then to answer a command.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
pub(super) const ANSWER: Duration = Duration::from_secs(2);
/// How long replicas may take to confirm a write, if the address asks for a confirmation.
pub(super) const CONFIRM: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) enum Servers {
    /// The server at this address, or the cluster that this server belongs to.
    At(Box<ConnectionInfo>),
    /// The primary that Sentinel names each time a connection is opened.
    NamedBy(Arc<Sentinels>),
}

impl Servers {
    /// Opens a connection, and says to which address.
    pub(super) async fn open(&self) -> Result<(MultiplexedConnection, ConnectionAddr), RedisError> {
        match self {
            Self::At(server) => Ok((open(server).await?, server.addr().clone())),
            Self::NamedBy(sentinels) => sentinels.open().await,
        }
    }

    /// The Sentinels that name the server.
    pub(super) fn sentinels(&self) -> Option<&Arc<Sentinels>> {
        match self {
            Self::At(_) => None,
            Self::NamedBy(sentinels) => Some(sentinels),
        }
    }
}

pub(super) async fn open(server: &ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER + CONFIRM));
    let client = Client::open(server.clone())?;
    client.get_multiplexed_async_connection_with_config(&config).await
}
