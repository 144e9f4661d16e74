//! Parses a Redis address such as `redis://cache.internal:6379/0?wait=1`.

use ::redis::{ConnectionInfo, IntoConnectionInfo as _};

use crate::store::StoreError;

#[derive(Debug)]
pub(super) struct Address {
    pub(super) info: ConnectionInfo,
    /// How many replicas must confirm each write.
    pub(super) replicas: u32,
    /// The name for messages, without the password.
    pub(super) name: String,
}

impl Address {
    pub(super) fn parse(address: &str) -> Result<Self, StoreError> {
        let (url, options) = address.split_once('?').unwrap_or((address, ""));
        let mut replicas = 0;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let count = option.strip_prefix("wait=").and_then(|count| count.parse().ok());
            replicas = count.ok_or_else(|| {
                refused("has a wrong option: the only option is `wait=REPLICAS` with a number, such as `wait=1`")
            })?;
        }
        if url.starts_with("rediss:") {
            prepare_tls()?;
        }
        // The driver's error is dropped, because it may repeat the password.
        let info = url.into_connection_info().map_err(|_| {
            refused("cannot be parsed: write redis://[[user]:password@]host[:port][/db] (or rediss:// for TLS), with `%40` for an `@` in the password")
        })?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        // A machine that disappears sends no reset, so its connection is closed after this time rather than after a
        // quarter of an hour.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(super::connection::ANSWER);
        let info = info.set_tcp_settings(tcp);
        let name = format!("Redis at {}, database {}", info.addr(), info.redis_settings().db());
        Ok(Self { info, replicas, name })
    }
}

/// Installs a TLS provider for the process unless the program has chosen one, because the driver uses that provider.
#[cfg(feature = "redis-tls")]
fn prepare_tls() -> Result<(), StoreError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread has installed a provider in the meantime.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Ok(())
}

#[cfg(not(feature = "redis-tls"))]
fn prepare_tls() -> Result<(), StoreError> {
    Err(refused(
        "begins with `rediss`, which means TLS, but this program was built without TLS: turn it on with `operator-runtime = { features = [\"redis-tls\"] }` in its Cargo.toml, or connect over a private network with `redis://`",
    ))
}

fn refused(why: &str) -> StoreError {
    StoreError::Address(format!("the Redis address {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_parsed_and_errors_hide_the_password() {
        let address = Address::parse("redis://:hunter2@cache:7000/3?wait=2").expect("an address");
        assert_eq!(
            (address.replicas, address.name.as_str()),
            (2, "Redis at cache:7000, database 3")
        );
        for wrong in [
            "redis://:hunter2@h?wait=",
            "redis://:hunter2@h?hunter2=1",
            "redis://:hunter2@[",
            "redis://:h@h/hunter2",
        ] {
            let error = Address::parse(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
