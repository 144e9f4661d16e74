//! Parses a Postgres address such as `postgres://app@db.internal/shop?pool=32`.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::session::Use;
use super::way::Way;
use crate::store::StoreError;

/// The default size of each pool. As many commits can share a flush to the disk.
const POOL: usize = 16;
/// More readers would not be faster, because they would compete for the server.
pub(super) const READERS: usize = 8;
const CONNECT: Duration = Duration::from_secs(5);
/// A machine that disappears sends no reset, so its connection is closed after this time rather than after a quarter of
/// an hour.
const VANISHED: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Address {
    config: Config,
    pub(super) way: Way,
    pub(super) pool: usize,
    /// The name for messages, without the password.
    pub(super) name: String,
}

impl Address {
    pub(super) fn parse(address: &str) -> Result<Self, StoreError> {
        let (url, options) = address.split_once('?').unwrap_or((address, ""));
        let mut pool = POOL;
        let mut rest = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            if let Some(size) = option.strip_prefix("pool=") {
                let size = size.parse().ok().filter(|size| *size > 0);
                pool = size.ok_or_else(|| {
                    refused("has a wrong value for `pool`: write a whole number above 0, such as `pool=16`")
                })?;
            } else {
                rest.push(option);
            }
        }
        // The driver's error is dropped, because it may repeat the password.
        let mut config: Config = format!("{url}?{}", rest.join("&")).parse().map_err(|_| {
            refused("cannot be parsed: write postgres://[user[:password]@]host[:port]/database, with `%40` for an `@` in the password, and after a `?` the option `pool=N` and options of libpq")
        })?;
        let way = Way::of(&config)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(VANISHED);
        }
        if config.get_application_name().is_none() {
            config.application_name("operator-runtime");
        }
        let name = name(&config);
        Ok(Self {
            config,
            way,
            pool,
            name,
        })
    }

    /// The settings of the connections for one use. The options of the address come last, so they override ours.
    pub(super) fn config(&self, used: Use) -> Config {
        let mut config = self.config.clone();
        let own = self.config.get_options().unwrap_or_default();
        config.options(format!("{} {own}", used.options()));
        config
    }
}

/// The time limit for opening a connection: one timeout for each host.
pub(super) fn opens_within(config: &Config) -> Duration {
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
    let each = config.get_connect_timeout().copied().unwrap_or(CONNECT);
    each.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX))
}

fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config
            .get_hostaddrs()
            .first()
            .map_or_else(String::new, ToString::to_string),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("Postgres at {host}:{port}, database {database}")
}

pub(super) fn refused(why: &str) -> StoreError {
    StoreError::Address(format!("the Postgres address {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_size_is_parsed_and_errors_hide_the_password() {
        let address =
            Address::parse("postgres://u:hunter2@db:7000/shop?pool=3&application_name=x").expect("an address");
        assert_eq!(
            (address.pool, address.name.as_str()),
            (3, "Postgres at db:7000, database shop")
        );
        for wrong in [
            "postgres://u:hunter2@h/d?pool=0",
            "postgres://u:hunter2@h/d?hunter2=1",
            #[cfg(not(feature = "postgres-tls"))]
            "postgres://u:hunter2@h/d?sslmode=require",
            "postgres://u:hunter2@h:port/d",
        ] {
            let error = Address::parse(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn options_of_the_address_override_ours() {
        let address = Address::parse("postgres://u@h/d?options=-c%20lock_timeout=1").expect("an address");
        let config = address.config(Use::Handlers);
        let options = config.get_options().expect("some");
        assert!(
            options.contains("read_only=on") && options.ends_with("-c lock_timeout=1"),
            "{options}"
        );
    }
}
