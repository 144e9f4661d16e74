//! Asks Sentinel which server is the primary: each time a connection is opened, and about once a second while it is in
//! use.
//!
//! The driver has a Sentinel client too. Its errors do not say whether the Sentinels, the name or the primary is at
//! fault, and it checks the primary on another connection than the one that is used afterwards.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ConnectionAddr, ConnectionInfo, RedisConnectionInfo, RedisError, Role};
use tokio::task::JoinSet;

use super::servers;

#[derive(Debug)]
pub(super) struct Sentinels {
    /// How to connect to each Sentinel.
    pub(super) each: Vec<ConnectionInfo>,
    /// The name under which the Sentinels monitor the primary.
    pub(super) primary: String,
    /// The user, the password and the database at the primary.
    pub(super) settings: RedisConnectionInfo,
}

/// Why a Sentinel has not led to the primary.
#[derive(Debug, thiserror::Error)]
enum NotFound {
    #[error("cannot be asked ({0})")]
    NoAnswer(RedisError),
    #[error("monitors no primary named `{0}`, the name at the end of the address")]
    Unknown(String),
    #[error("names {0}, which cannot be used ({1})")]
    Unusable(ConnectionAddr, RedisError),
    #[error("names {0}, which is a replica, so a failover may be under way")]
    Replica(ConnectionAddr),
}

impl Sentinels {
    /// Asks all Sentinels at once, and opens a connection to the first server that one of them names and that is a
    /// primary.
    pub(super) async fn open(self: &Arc<Self>) -> Result<(MultiplexedConnection, ConnectionAddr), RedisError> {
        let mut asked = JoinSet::new();
        for sentinel in self.each.clone() {
            let sentinels = Arc::clone(self);
            asked.spawn(async move {
                let opened = sentinels.open_by(&sentinel).await;
                opened.map_err(|why| format!("the Sentinel at {} {why}", sentinel.addr()))
            });
        }
        let mut reasons = Vec::new();
        while let Some(opened) = asked.join_next().await {
            match opened {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(reason)) => reasons.push(reason),
                Err(ended) => reasons.push(ended.to_string()),
            }
        }
        reasons.sort_unstable();
        Err(std::io::Error::other(reasons.join("; ")).into())
    }

    /// Whether more than half of the Sentinels name another server than the one at this address. As many have to agree
    /// on a failover, so a Sentinel that is cut off from the others does not decide.
    pub(super) async fn name_another_than(self: &Arc<Self>, server: &ConnectionAddr) -> bool {
        let mut asked = JoinSet::new();
        for sentinel in self.each.clone() {
            let (sentinels, server) = (Arc::clone(self), server.clone());
            asked.spawn(async move {
                let named = sentinels.named_by(&sentinel).await;
                let named = named.ok().flatten();
                named.is_some_and(|(host, port)| *sentinels.server(&sentinel, host, port).addr() != server)
            });
        }
        let mut others = 0;
        while let Some(names_another) = asked.join_next().await {
            others += usize::from(names_another.unwrap_or(false));
            if others * 2 > self.each.len() {
                return true;
            }
        }
        false
    }

    async fn open_by(&self, sentinel: &ConnectionInfo) -> Result<(MultiplexedConnection, ConnectionAddr), NotFound> {
        let (host, port) = self
            .named_by(sentinel)
            .await
            .map_err(NotFound::NoAnswer)?
            .ok_or_else(|| NotFound::Unknown(self.primary.clone()))?;
        let primary = self.server(sentinel, host, port);
        let unusable = |source| NotFound::Unusable(primary.addr().clone(), source);
        let mut connection = servers::open(&primary).await.map_err(unusable)?;
        let mut role = Cmd::new();
        role.arg("ROLE");
        match role.query_async(&mut connection).await.map_err(unusable)? {
            Role::Primary { .. } => Ok((connection, primary.addr().clone())),
            _ => Err(NotFound::Replica(primary.addr().clone())),
        }
    }

    /// The host and the port that a Sentinel names.
    async fn named_by(&self, sentinel: &ConnectionInfo) -> Result<Option<(String, u16)>, RedisError> {
        let mut connection = servers::open(sentinel).await?;
        let mut ask = Cmd::new();
        ask.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.primary);
        ask.query_async(&mut connection).await
    }

    /// A server that a Sentinel names. TLS is used for the servers if it is used for the Sentinels.
    fn server(&self, sentinel: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
        let address = match sentinel.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        let server = sentinel.clone().set_addr(address);
        server.set_redis_settings(self.settings.clone())
    }
}
