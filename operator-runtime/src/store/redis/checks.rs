//! Checks of Redis at start-up: whether it can keep records, and which records it may lose.

use std::collections::{BTreeMap, HashMap};

use ::redis::Cmd;

use super::connection::Connection;
use crate::store::StoreError;

/// The oldest maintained version with all that the store needs. Valkey reports itself as 7.2.4.
const OLDEST: u32 = 7;

/// Whether the server is a node of a Redis Cluster.
pub(super) async fn is_of_a_cluster(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let answers = info(connection, name).await?;
    Ok(answers
        .iter()
        .any(|info| Server::read(info).says("cluster_enabled", "1")))
}

/// Refuses a server that the store cannot use, and returns a warning if any server may lose records.
pub(super) async fn look_at(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let mut warning = None;
    for info in info(connection, name).await? {
        let server = Server::read(&info);
        server.refuse(name)?;
        warning = warning.or(server.warning());
    }
    Ok(warning.or(what_a_power_cut_loses(connection).await))
}

/// `INFO` does not report `appendfsync`, and managed services may refuse `CONFIG GET`: then there is no warning.
async fn what_a_power_cut_loses(connection: &Connection) -> Option<String> {
    let mut config = Cmd::new();
    config.arg("CONFIG").arg("GET").arg("appendfsync");
    let answers: BTreeMap<String, HashMap<String, String>> = connection.ask_every_primary(&config).await.ok()?;
    let mut flushes = answers.values().filter_map(|answer| answer.get("appendfsync"));
    let seldom = flushes.find(|flushes| *flushes != "always")?;
    Some(format!(
        "Redis answers before its append-only file is on the disk (appendfsync {seldom}): a crash of its machine or a power cut loses the records of about the last second, and a retry of such a call runs again; set `appendfsync always` to prevent this."
    ))
}

async fn info(connection: &Connection, name: &str) -> Result<Vec<String>, StoreError> {
    let mut info = Cmd::new();
    info.arg("INFO");
    let answers = connection.ask_every_primary::<String>(&info).await;
    let answers = answers.map_err(|source| StoreError::unavailable(name, "report its settings", source))?;
    Ok(answers.into_values().collect())
}

/// The answer to `INFO`, which managed services allow even if they refuse `CONFIG`.
struct Server<'i>(HashMap<&'i str, &'i str>);

impl<'i> Server<'i> {
    fn read(info: &'i str) -> Self {
        Self(
            info.lines()
                .filter_map(|line| line.trim_end().split_once(':'))
                .collect(),
        )
    }

    fn says(&self, field: &str, value: &str) -> bool {
        self.0.get(field).is_some_and(|found| *found == value)
    }

    fn refuse(&self, name: &str) -> Result<(), StoreError> {
        let version = self.0.get("redis_version").copied().unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        let why = if major.is_some_and(|major| major < OLDEST) {
            format!("the server is Redis {version}, and this store needs Redis {OLDEST} or later: upgrade the server")
        } else if self.says("role", "slave") {
            "the server is a replica, which accepts no writes: use the address of the primary, or let Sentinel name the primary with `redis+sentinel://`".to_owned()
        } else {
            return Ok(());
        };
        Err(StoreError::unavailable(name, "be used", std::io::Error::other(why)))
    }

    fn warning(&self) -> Option<String> {
        let mut warnings = Vec::new();
        if self.says("aof_enabled", "0") {
            warnings.push(
                "Redis keeps no append-only file: a restart loses the records written since its last snapshot, and a retry of such a call runs again; set `appendonly yes`."
                    .to_owned(),
            );
        }
        let policy = self.0.get("maxmemory_policy").copied().unwrap_or("noeviction");
        if policy != "noeviction" && !self.says("maxmemory", "0") {
            warnings.push(format!(
                "Redis drops records when its memory is full (maxmemory-policy {policy}), and a retry of a call whose record was dropped runs again; set `maxmemory-policy noeviction`, which refuses new calls instead."
            ));
        }
        (!warnings.is_empty()).then(|| warnings.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_only_records_that_can_be_lost() {
        let warning = |info: &str| Server::read(info).warning();
        assert_eq!(
            warning("aof_enabled:1\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n"),
            None
        );
        assert_eq!(
            warning("aof_enabled:1\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n"),
            None
        );
        let both = warning("aof_enabled:0\r\nmaxmemory:100\r\nmaxmemory_policy:volatile-ttl\r\n").expect("two");
        assert!(
            both.contains("appendonly yes") && both.contains("volatile-ttl"),
            "{both}"
        );
    }

    #[test]
    fn a_replica_or_an_old_server_is_refused() {
        let refused = |info: &str| Server::read(info).refuse("Redis").is_err();
        assert!(refused("redis_version:6.2.1\r\nrole:master\r\n"));
        assert!(refused("redis_version:7.0.15\r\nrole:slave\r\n"));
        assert!(!refused("redis_version:7.2.4\r\nrole:master\r\n"));
    }
}
