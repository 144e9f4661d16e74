//! Parses a Redis address such as `redis://cache.internal:6379/0?wait=1` or
//! `redis+sentinel://s1.internal,s2.internal/orders`.

use std::sync::Arc;

use ::redis::{ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};
use percent_encoding::percent_decode_str;

use super::sentinels::Sentinels;
use super::servers::{ANSWER, Servers};
use crate::store::StoreError;
use crate::store::address_parts::Parts;

/// The largest number of Sentinels. Each takes far more memory than its name.
const MOST_SENTINELS: usize = 32;
const SENTINEL_PORT: u16 = 26379;

#[derive(Debug)]
pub(super) struct Address {
    pub(super) servers: Servers,
    /// How many replicas must confirm each write.
    pub(super) replicas: u32,
    /// The name for messages, without the password.
    pub(super) name: String,
}

impl Address {
    pub(super) fn parse(address: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = address.split_once("://").ok_or_else(unreadable)?;
        let parts = Parts::of(rest, &['/', '?', '#']).ok_or_else(unreadable)?;
        if scheme.starts_with("rediss") {
            prepare_tls()?;
        }
        match scheme {
            "redis+sentinel" => Self::of_sentinels(&parts, "redis"),
            "rediss+sentinel" => Self::of_sentinels(&parts, "rediss"),
            _ => Self::of_one(address, &parts),
        }
    }

    fn of_one(address: &str, parts: &Parts<'_>) -> Result<Self, StoreError> {
        let options = Options::parse(parts.options)?;
        if options.sentinel_user.or(options.sentinel_password).is_some() {
            return Err(refused(
                "has an option for Sentinel, but does not begin with `redis+sentinel://`",
            ));
        }
        let url = address.split_once('?').map_or(address, |(url, _)| url);
        let server = server(url).ok_or_else(unreadable)?;
        let name = format!("Redis at {}, database {}", server.addr(), server.redis_settings().db());
        Ok(Self {
            servers: Servers::At(Box::new(server)),
            replicas: options.replicas,
            name,
        })
    }

    /// `scheme` is the scheme of a single server's address (`redis` or `rediss`). It is used for each Sentinel and for
    /// the primary.
    fn of_sentinels(parts: &Parts<'_>, scheme: &str) -> Result<Self, StoreError> {
        let options = Options::parse(parts.options)?;
        let (primary, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        let primary = percent_decode_str(primary).decode_utf8().ok();
        let primary = primary.filter(|primary| !primary.is_empty()).ok_or_else(|| {
            refused("does not say which primary the Sentinels monitor: write redis+sentinel://host,host,host/primary, with the name of the primary in UTF-8 and percent-encoded")
        })?;
        // The driver parses user, password and database as those of any server.
        let userinfo = parts.userinfo.map_or(String::new(), |userinfo| format!("{userinfo}@"));
        let at_primary = server(&format!("{scheme}://{userinfo}localhost/{db}")).ok_or_else(unreadable)?;
        let hosts: Vec<&str> = parts.hosts.split(',').collect();
        if hosts.len() > MOST_SENTINELS {
            return Err(refused("names more than 32 Sentinels: three or five are enough"));
        }
        let at_sentinel = options.at_sentinel()?;
        let each: Option<Vec<_>> = hosts.iter().map(|host| sentinel(scheme, host, &at_sentinel)).collect();
        let each = each.ok_or_else(unreadable)?;
        let addresses: Vec<String> = each.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        let settings = at_primary.redis_settings().clone();
        let name = format!(
            "Redis primary `{primary}` of the Sentinels at {}, database {}",
            addresses.join(", "),
            settings.db()
        );
        let sentinels = Sentinels {
            each,
            primary: primary.into_owned(),
            settings,
        };
        Ok(Self {
            servers: Servers::NamedBy(Arc::new(sentinels)),
            replicas: options.replicas,
            name,
        })
    }
}

#[derive(Default)]
struct Options<'a> {
    replicas: u32,
    sentinel_user: Option<&'a str>,
    sentinel_password: Option<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(options: &'a str) -> Result<Self, StoreError> {
        let mut parsed = Self::default();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("wait", count)) => {
                    parsed.replicas = count.parse().map_err(|_| {
                        refused("has a wrong value for `wait`: write a number of replicas, such as `wait=1`")
                    })?;
                }
                Some(("sentinel_user", user)) => parsed.sentinel_user = Some(user),
                Some(("sentinel_password", password)) => parsed.sentinel_password = Some(password),
                // The option is not repeated, because it may be a part of a password.
                _ => {
                    return Err(refused(
                        "has a wrong option: the options are `wait=REPLICAS` with a number, such as `wait=1`, and for `redis+sentinel://` also `sentinel_user` and `sentinel_password`",
                    ));
                }
            }
        }
        Ok(parsed)
    }

    /// The user and the password at the Sentinels.
    fn at_sentinel(&self) -> Result<RedisConnectionInfo, StoreError> {
        let decode = |text: &'a str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map_err(|_| {
                refused(
                    "has a user or a password for the Sentinels that is not UTF-8: write it in UTF-8, percent-encoded",
                )
            })
        };
        let mut settings = RedisConnectionInfo::default();
        if let Some(user) = self.sentinel_user {
            settings = settings.set_username(decode(user)?);
        }
        if let Some(password) = self.sentinel_password {
            settings = settings.set_password(decode(password)?);
        }
        Ok(settings)
    }
}

fn sentinel(scheme: &str, host: &str, settings: &RedisConnectionInfo) -> Option<ConnectionInfo> {
    // The colons inside the brackets belong to an IPv6 address.
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let url = if after_brackets.contains(':') {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{SENTINEL_PORT}")
    };
    Some(server(&url)?.set_redis_settings(settings.clone()))
}

/// Lets the driver parse the address of one server. The driver's error is dropped, because it may repeat the password.
fn server(url: &str) -> Option<ConnectionInfo> {
    let server = url.into_connection_info().ok()?;
    let tcp = server.tcp_settings().clone().set_nodelay(true);
    // A machine that disappears sends no reset, so its connection is closed after this time rather than after a quarter
    // of an hour.
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(ANSWER);
    Some(server.set_tcp_settings(tcp))
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

fn unreadable() -> StoreError {
    refused(
        "cannot be parsed: write redis://[[user]:password@]host[:port][/db] or redis+sentinel://[[user]:password@]host[:port],host[:port]/primary[/db] (with `rediss` for TLS), with `%40` for an `@`, `%2F` for a `/`, `%3F` for a `?` and `%23` for a `#` in the password",
    )
}

fn refused(why: &str) -> StoreError {
    StoreError::Address(format!("the Redis address {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinels(address: &str) -> (Address, Arc<Sentinels>) {
        let address = Address::parse(address).expect("an address");
        let Servers::NamedBy(sentinels) = address.servers.clone() else {
            panic!("{address:?}")
        };
        (address, sentinels)
    }

    #[test]
    fn replicas_are_parsed() {
        let address = Address::parse("redis://:hunter2@cache:7000/3?wait=2").expect("an address");
        assert_eq!(
            (address.replicas, address.name.as_str()),
            (2, "Redis at cache:7000, database 3")
        );
    }

    #[test]
    fn sentinels_have_their_own_port_and_password() {
        let (address, sentinels) = sentinels(
            "redis+sentinel://app:hunter%402@s1,s2:7000,[::1]/orders%201/3?wait=1&sentinel_user=ask&sentinel_password=p%26",
        );
        assert_eq!(
            (address.replicas, address.name.as_str()),
            (
                1,
                "Redis primary `orders 1` of the Sentinels at s1:26379, s2:7000, ::1:26379, database 3"
            )
        );
        let (at_primary, at_sentinel) = (&sentinels.settings, sentinels.each[2].redis_settings());
        assert_eq!(
            (at_primary.username(), at_primary.password()),
            (Some("app"), Some("hunter@2"))
        );
        assert_eq!(
            (at_sentinel.username(), at_sentinel.password()),
            (Some("ask"), Some("p&"))
        );
        assert_eq!((at_primary.db(), at_sentinel.db()), (3, 0));
    }

    #[test]
    fn a_wrong_address_is_refused_without_a_part_of_the_password() {
        for wrong in [
            "redis://:hunter2@h?wait=",
            "redis://:hunter2@h?hunter2=1",
            "redis://:hunter2@[",
            "redis://:h@h/hunter2",
            "redis://hunter2/x@h",
            "redis://hunter2#x@h",
            "redis://:h@h?sentinel_password=hunter2",
            "redis+sentinel://:hunter2@h",
            "redis+sentinel://:hunter2@/orders",
            "redis+sentinel://:hunter2@h,/orders",
            "redis+sentinel://:hunter2@h:x/orders",
            "redis+sentinel://hunter2/x@h/orders",
            "redis+sentinel://hunter2?x@h/orders",
            "redis+sentinel://:h@h/orders/hunter2",
            "redis+sentinel://:hunter2@h/orders?hunter2",
            "redis+sentinel://h/orders?sentinel_password=hunter2%FF",
        ] {
            let error = Address::parse(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let many = vec!["h"; MOST_SENTINELS + 1].join(",");
        Address::parse(&format!("redis+sentinel://{many}/orders")).expect_err("too many");
    }
}
