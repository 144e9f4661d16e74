//! Parses a Postgres address such as `postgres://app@db1.internal,db2.internal/shop?pool=32`.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::guards::{self, Settings};
use super::passfile;
use super::schema::Place;
use super::servers::label;
use super::way::{Verified, Way};
use crate::store::StoreError;
use crate::store::address_parts::Parts;

/// The default size of each pool. Up to this many commits can share one flush to disk.
const POOL: usize = 16;
/// The size of the readers' pool. A larger pool is not faster, because the readers compete for the same server.
pub(super) const READERS: usize = 8;
const CONNECT: Duration = Duration::from_secs(5);
/// A machine that loses power sends no TCP reset. Its connection is closed after this time; the system's default is
/// about 15 minutes.
const VANISHED: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Address {
    /// The configuration of each host.
    pub(super) hosts: Vec<Config>,
    pub(super) way: Way,
    pub(super) pool: usize,
    /// Where the tables are.
    pub(super) schema: Place,
    /// The settings of sessions that the address asks for.
    pub(super) settings: Settings,
    /// The time limit for opening a session at one address of a host.
    pub(super) opens_within: Duration,
    /// The name for messages, without user and password.
    pub(super) name: String,
}

impl Address {
    pub(super) fn parse(address: &str) -> Result<Self, StoreError> {
        let Parts {
            userinfo,
            hosts,
            path,
            options,
        } = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| address.strip_prefix(scheme))
            .and_then(|rest| Parts::of(rest, &['/', '?']))
            .ok_or_else(unreadable)?;
        let options = Options::parse(options)?;
        let mut config: Config = format!("postgres:///{path}?{}", options.of_session.join("&"))
            .parse()
            .map_err(|_| refused("has an invalid database name: write the name in UTF-8, percent-encoded"))?;
        if let Some(userinfo) = userinfo {
            identify(&mut config, userinfo)?;
        }
        let way = Way::of(options.verified, options.roots.as_deref())?;
        if options.verified.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        let opens_within = *config.get_connect_timeout().unwrap_or(&CONNECT);
        config.connect_timeout(opens_within);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(VANISHED);
        }
        if config.get_application_name().is_none() {
            config.application_name("operator-runtime");
        }
        let mut hosts = each_host(&config, hosts, &options.of_hosts)?;
        passfile::set(&mut hosts);
        let name = name(&hosts, &config);
        Ok(Self {
            hosts,
            way,
            pool: options.pool,
            schema: options.schema,
            settings: options.settings,
            opens_within,
            name,
        })
    }
}

/// The options of an address.
struct Options<'a> {
    pool: usize,
    schema: Place,
    settings: Settings,
    /// Which parts of the server's certificate are verified. `None` means no TLS.
    verified: Option<Verified>,
    /// The file of root certificates.
    roots: Option<String>,
    /// The options that name hosts.
    of_hosts: Vec<&'a str>,
    /// The options that the driver applies to every session.
    of_session: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(options: &'a str) -> Result<Self, StoreError> {
        let mut parsed = Self {
            pool: POOL,
            schema: Place::default(),
            settings: Settings::new(),
            verified: None,
            roots: None,
            of_hosts: Vec::new(),
            of_session: Vec::new(),
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "pool" => {
                    let size = value.parse().ok().filter(|size| *size > 0);
                    parsed.pool = size.ok_or_else(|| {
                        refused("has a wrong value for `pool`: write a whole number above 0, such as `pool=16`")
                    })?;
                }
                "schema" => {
                    let name = percent_decode_str(value).decode_utf8().ok();
                    let name = name.filter(|name| !name.is_empty() && !name.contains(['\0', '$']));
                    let name = name.ok_or_else(|| {
                        refused("has a wrong value for `schema`: write the name of a schema in UTF-8, without `$` and without a NUL, such as `schema=operator`")
                    })?;
                    parsed.schema = Place::named(&name);
                }
                // `options` is not passed to the driver, because poolers refuse it in the start-up message.
                "options" => {
                    let value = percent_decode_str(value).decode_utf8();
                    let value = value.map_err(|_| {
                        refused("has `options` that are not UTF-8: write them in UTF-8, percent-encoded")
                    })?;
                    parsed.settings = guards::parse(&value)?;
                }
                "sslmode" => parsed.verified = verified(value)?,
                "sslrootcert" => {
                    let file = percent_decode_str(value).decode_utf8().ok();
                    let file = file.filter(|file| !file.is_empty());
                    let file = file.ok_or_else(|| {
                        refused(
                            "has a wrong value for `sslrootcert`: write the path of a file in PEM format, or `system`",
                        )
                    })?;
                    parsed.roots = Some(file.into_owned());
                }
                "target_session_attrs" => check_target(value)?,
                "host" | "hostaddr" | "port" => parsed.of_hosts.push(option),
                _ => {
                    // An `&` in a password makes the rest of the password look like an option.
                    if parsed.of_session.iter().any(|option| option.starts_with("password=")) && !is_known(name) {
                        return Err(refused(
                            "has an unknown option after `password`: in the password, write `%26` for `&`",
                        ));
                    }
                    check(name, option)?;
                    parsed.of_session.push(option);
                }
            }
        }
        if parsed.roots.is_some() && parsed.verified.is_none() {
            return Err(refused(
                "has `sslrootcert` but does not ask for TLS: add `sslmode=verify-full`",
            ));
        }
        Ok(parsed)
    }
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// Checks one option by letting the driver parse it.
fn check(name: &str, option: &str) -> Result<(), StoreError> {
    if format!("postgres:///?{option}").parse::<Config>().is_ok() {
        return Ok(());
    }
    // The driver's error is dropped, because it does not say what to write.
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    Err(match known {
        Some((_, values)) => refused(&format!("has a wrong value for `{name}`: write {values}")),
        None => {
            let known: Vec<String> = KNOWN.iter().map(|(known, _)| format!("`{known}`")).collect();
            refused(&format!(
                "has an unknown option `{name}`: the options are `pool`, `schema`, `host`, `hostaddr`, `port`, `target_session_attrs`, `options`, `sslmode`, `sslrootcert`, {}",
                known.join(", ")
            ))
        }
    })
}

/// The libpq options that the driver supports, and what to write as each value.
const KNOWN: [(&str, &str); 13] = [
    ("user", "a name in UTF-8"),
    ("password", "text in UTF-8"),
    ("dbname", "a name in UTF-8"),
    ("application_name", "a name in UTF-8"),
    ("sslnegotiation", "`postgres` or `direct`"),
    ("connect_timeout", "a number of seconds"),
    ("tcp_user_timeout", "a number of seconds"),
    ("keepalives", "0 or 1"),
    ("keepalives_idle", "a number of seconds"),
    ("keepalives_interval", "a number of seconds"),
    ("keepalives_retries", "a number"),
    ("channel_binding", "`disable`, `prefer` or `require`"),
    ("load_balance_hosts", "`disable` or `random`"),
];

/// Sets the user and the password from `user:password`.
fn identify(config: &mut Config, userinfo: &str) -> Result<(), StoreError> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    let user = percent_decode_str(user).decode_utf8();
    config.user(user.map_err(|_| refused("has a user that is not UTF-8: write the name in UTF-8, percent-encoded"))?);
    if let Some(password) = password {
        config.password(percent_decode_str(password).collect::<Vec<u8>>());
    }
    Ok(())
}

/// The largest number of hosts. Each has a configuration, which takes far more memory than the host's name.
const MOST_HOSTS: usize = 32;

/// One configuration per host. They differ only in host, address and port.
fn each_host(config: &Config, hosts: &str, options: &[&str]) -> Result<Vec<Config>, StoreError> {
    let all: Config = format!("postgres://{hosts}?{}", options.join("&"))
        .parse()
        .map_err(|_| {
            refused("has a wrong host or port: write `host` or `host:port`, and separate several hosts with commas")
        })?;
    let (hosts, addresses, ports) = (all.get_hosts(), all.get_hostaddrs(), all.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(refused(
            "names no host: write a host after `//`, or the directory of a Unix socket, such as `?host=/run/postgresql`",
        ));
    }
    if count > MOST_HOSTS {
        return Err(refused(
            "names more than 32 hosts: write the few servers of one database",
        ));
    }
    let fits = |length: usize| length == 0 || length == count;
    if !fits(hosts.len()) || !fits(addresses.len()) || !(ports.len() == 1 || fits(ports.len())) {
        return Err(refused(
            "has lists of `host`, `hostaddr` and `port` of different lengths: write one entry per server in each list",
        ));
    }
    let of_host = |number: usize| {
        let mut config = config.clone();
        match hosts.get(number) {
            Some(Host::Tcp(host)) => drop(config.host(host)),
            #[cfg(unix)]
            Some(Host::Unix(path)) => drop(config.host_path(path)),
            None => {}
        }
        addresses.get(number).map(|address| config.hostaddr(*address));
        let port = ports.get(number).or(ports.first());
        port.map(|port| config.port(*port));
        config
    };
    Ok((0..count).map(of_host).collect())
}

/// Maps `sslmode` to what is verified. `prefer` (libpq's default) and `allow` mean no TLS, because they accept a server
/// without TLS. `require` verifies as much as `verify-full`.
fn verified(mode: &str) -> Result<Option<Verified>, StoreError> {
    match mode {
        "disable" | "allow" | "prefer" => Ok(None),
        "verify-ca" => Ok(Some(Verified::Authority)),
        "require" | "verify-full" => Ok(Some(Verified::Name)),
        _ => Err(refused(
            "has a wrong value for `sslmode`: write `disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
        )),
    }
}

/// Checks `target_session_attrs`. The store always needs a server that accepts writes, so a value that allows only or
/// prefers standbys is refused.
fn check_target(wanted: &str) -> Result<(), StoreError> {
    if ["any", "read-write", "primary"].contains(&wanted) {
        return Ok(());
    }
    Err(refused(
        "has a wrong value for `target_session_attrs`: the store only uses servers that accept writes, so write `read-write`, or leave the option out",
    ))
}

fn name(hosts: &[Config], all: &Config) -> String {
    let hosts: Vec<String> = hosts.iter().map(label).collect();
    // Without a name, the database is named like the user, and no part of the user information is shown.
    let database = all
        .get_dbname()
        .map_or_else(|| "the user's database".to_owned(), |name| format!("database {name}"));
    format!("Postgres at {}, {database}", hosts.join(","))
}

fn unreadable() -> StoreError {
    refused(
        "is not valid: write postgres://[user[:password]@]host[:port]/database. In a name or password, write `%40` for `@`, `%2F` for `/` and `%3F` for `?`. After a `?`, you can add `pool=N`, `schema=NAME` and libpq options",
    )
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
            "postgres://u:hunter2@h/d?sharding=1",
            "postgres://u:a@hunter2@h/d?connect_timeout=hunter2",
            "postgres://u:a/hunter2@h/d",
            "postgres://u:5432?hunter2=@h/d",
            "postgres://u:a?hunter2@h/d",
            "postgres://u:a%zz@hunter2:5432@h:port/d",
            "postgres://u:hunter2@/d",
            #[cfg(not(feature = "postgres-tls"))]
            "postgres://u:hunter2@h/d?sslmode=require",
            "postgres://u:hunter2@h:port/d",
            "postgres://u@h/d?password=a&hunter2",
            "postgres://u@h/d?password=a&hunter2=1",
        ] {
            let error = Address::parse(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_wrong_option_is_named_with_what_to_write() {
        for (option, said) in [
            ("sharding=1", "an unknown option `sharding`: the options are `pool`"),
            (
                "connect_timeout=soon",
                "a wrong value for `connect_timeout`: write a number of seconds",
            ),
            ("pool=0", "a wrong value for `pool`: write a whole number above 0"),
            ("options=-d%205", "a wrong value for `options`: write `-c name=value`"),
            ("port=1,2", "of different lengths"),
            ("sslmode=always", "a wrong value for `sslmode`: write `disable`"),
            ("sslrootcert=root.pem", "does not ask for TLS"),
            ("sslrootcert=", "a wrong value for `sslrootcert`: write the path"),
            ("schema=", "a wrong value for `schema`: write the name"),
            ("schema=a$b", "without `$`"),
            ("schema=a%24b", "without `$`"),
            #[cfg(feature = "postgres-tls")]
            (
                "sslmode=verify-ca&sslrootcert=/nowhere",
                "`sslrootcert=/nowhere`, which cannot be used",
            ),
        ] {
            let error = Address::parse(&format!("postgres://u@h/d?{option}")).expect_err(option);
            assert!(error.to_string().contains(said), "{option}: {error}");
        }
    }

    #[test]
    fn user_and_password_end_at_the_last_at_sign_before_the_hosts() {
        let address = Address::parse("postgres://u%40x:p@ss:w%2Frd@a,b:7000/d?application_name=x").expect("an address");
        assert_eq!(address.name, "Postgres at a:5432,b:7000, database d");
        let [first, second] = address.hosts.as_slice() else {
            panic!("{address:?}")
        };
        assert_eq!((first.get_ports(), second.get_ports()), (&[5432][..], &[7000][..]));
        for host in [first, second] {
            assert_eq!(host.get_user(), Some("u@x"));
            assert_eq!(host.get_password(), Some(&b"p@ss:w/rd"[..]));
            assert_eq!(host.get_hosts().len(), 1);
        }
    }

    #[test]
    fn a_target_that_takes_no_writes_is_refused() {
        for (wanted, is_accepted) in [
            ("any", true),
            ("read-write", true),
            ("primary", true),
            ("read-only", false),
            ("prefer-standby", false),
        ] {
            let address = format!("postgres://u@h/d?target_session_attrs={wanted}");
            assert_eq!(Address::parse(&address).is_ok(), is_accepted, "{wanted}");
        }
    }

    #[test]
    fn an_address_of_very_many_hosts_is_refused() {
        let address = |count: usize| Address::parse(&format!("postgres://{}/shop", vec!["h"; count].join(",")));
        assert_eq!(address(32).unwrap().hosts.len(), 32);
        let error = address(33).err().unwrap().to_string();
        assert!(error.contains("more than 32 hosts"), "{error}");
    }
}
