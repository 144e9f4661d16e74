//! Which server a connection has reached. After a failover, the same address may lead to another server.

use std::time::SystemTime;

use tokio_postgres::Client;

use super::session::Failure;

/// All of these functions may be called by every role.
const READ: &str = "SELECT pg_postmaster_start_time(), system_identifier, pg_is_in_recovery() FROM pg_control_system()";

/// A server that runs.
#[derive(Debug)]
pub(super) struct Instance {
    /// When the server was started, to the microsecond. Copies of a database differ in nothing else that every role may
    /// read.
    started: SystemTime,
    /// A primary and its standbys have the same.
    system: i64,
    is_standby: bool,
}

impl Instance {
    pub(super) async fn of(client: &Client) -> Result<Self, Failure> {
        let read = client.query_typed_one(READ, &[]).await?;
        Ok(Self {
            started: read.try_get(0)?,
            system: read.try_get(1)?,
            is_standby: read.try_get(2)?,
        })
    }

    /// Whether a server, to which the same address leads, has taken the place of this one: it is another server with the
    /// same data, and accepts writes. A pooler or a load balancer may also lead to a standby, or to another database. Such
    /// a server does not replace this one, which may still work.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        !other.is_standby && other.system == self.system && other.started != self.started
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_a_promoted_standby_or_the_restarted_server_takes_the_place_of_a_server() {
        let server = |started, system, is_standby| Instance {
            started: SystemTime::UNIX_EPOCH + Duration::from_micros(started),
            system,
            is_standby,
        };
        let ours = server(1, 7, false);
        assert!(ours.is_replaced_by(&server(2, 7, false)));
        for other in [server(1, 7, false), server(2, 7, true), server(2, 8, false)] {
            assert!(!ours.is_replaced_by(&other), "{other:?}");
        }
    }
}
