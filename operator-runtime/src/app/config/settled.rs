//! Checks the settings. The result is settings that can be used, or a problem for each setting that cannot be used.

use std::net::SocketAddr;
use std::str::ParseBoolError;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use arc_swap::ArcSwap;

#[cfg(feature = "cli")]
use super::admin::AdminSettings;
use super::secret_file::{Contents, SecretFile};
use super::setting::{self, Given, Names, SettingName};
use super::{Address, Config, LISTEN, Limits};
use crate::app::start_error::StartProblem;
#[cfg(feature = "tls")]
use crate::app::tls::ServerTls;
use crate::pipeline::rate::{NotARate, Rate};
use crate::protocol::credentials::Credentials;
use crate::protocol::public_url::PublicUrl;
use crate::protocol::secret_text::wrong_beginning;

/// Settings that have been checked.
pub(crate) struct Settled {
    /// The credentials at start-up. Those that are in files may change later.
    pub(crate) credentials: Arc<Credentials>,
    /// The certificate of the server, which is replaced when its files change; `None` if `serve` speaks http.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<ArcSwap<ServerTls>>>,
    pub(crate) public_url: PublicUrl,
    pub(crate) listen: Given<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) serves_manifest: bool,
    pub(crate) stop_delay: Duration,
    /// `None` if no rate is set. A rate that is set may be unlimited.
    pub(crate) rate: Option<Rate>,
    /// How long the rows of the audit are kept, if the audit is on.
    pub(crate) audit: Option<Given<Duration>>,
    pub(crate) counts_records: bool,
    /// The admin page, if there is one.
    #[cfg(feature = "cli")]
    pub(crate) admin: Option<AdminSettings>,
}

impl Settled {
    /// Whether `/mcp` is served: its clients send an API key or an access token.
    #[cfg(feature = "mcp")]
    pub(crate) fn serves_mcp(&self) -> bool {
        self.credentials.accepted().has_tokens()
    }
}

impl Config {
    /// Checks every setting and reports every problem.
    pub(crate) fn settle(&self, problems: &mut Vec<StartProblem>) -> Option<Settled> {
        problems.extend(self.unreadable());
        let credentials = self.credentials().map_err(|several| problems.extend(several));
        #[cfg(feature = "tls")]
        let clients = credentials.as_ref().ok().and_then(|all| all.clients.as_ref());
        #[cfg(feature = "tls")]
        let tls = self.server_tls(clients).map_err(|several| problems.extend(several));
        let public_url = self.settle_public_url();
        let public_url = public_url.and_then(|url| url.ok_or_else(|| self.no_public_url()));
        let public_url = public_url.map_err(|problem| problems.push(problem));
        let listen = self.settle_listen().map_err(|problem| problems.push(problem));
        let serves_manifest = self.serve_manifest.clone();
        let serves_manifest = serves_manifest.map_err(|problem| problems.push(problem));
        let stop_delay = self.settle_stop_delay().map_err(|problem| problems.push(problem));
        #[cfg(feature = "cli")]
        let admin = self.settle_admin(credentials.as_ref().ok());
        #[cfg(feature = "cli")]
        let admin = admin.map_err(|several| problems.extend(several));
        #[cfg(not(feature = "cli"))]
        problems.extend(self.settle_admin().err().into_iter().flatten());
        let rate = self.settle_rate().map_err(|problem| problems.push(problem));
        let audit = self.settle_audit().map_err(|problem| problems.push(problem));
        problems.extend(self.limits.problems());
        problems.extend(self.operations.problems().into_iter().map(|problem| {
            let setting = SettingName::Method("Config::operations");
            StartProblem::of(setting, format!("In {setting}: {problem}"))
        }));
        Some(Settled {
            credentials: Arc::new(credentials.ok()?),
            #[cfg(feature = "tls")]
            tls: tls.ok()?.map(|tls| Arc::new(ArcSwap::from_pointee(tls))),
            public_url: public_url.ok()?,
            listen: listen.ok()?,
            limits: self.limits,
            serves_manifest: serves_manifest.ok()?,
            stop_delay: stop_delay.ok()?,
            rate: rate.ok()?,
            audit: audit.ok()?,
            counts_records: self.count_records || self.metrics.is_some(),
            #[cfg(feature = "cli")]
            admin: admin.ok()?,
        })
    }

    /// The address to listen on.
    pub(crate) fn settle_listen(&self) -> Result<Given<SocketAddr>, StartProblem> {
        let unset = || Given {
            value: Address::Known(LISTEN.into()),
            setting: self.unset(setting::LISTEN),
        };
        address(&self.listen.clone().unwrap_or_else(unset), "127.0.0.1:8080")
    }

    /// The public URL, if there is one.
    pub(crate) fn settle_public_url(&self) -> Result<Option<PublicUrl>, StartProblem> {
        let Some(Given { value, setting }) = &self.public_url else {
            return Ok(None);
        };
        PublicUrl::parse(value).map(Some).map_err(|why| {
            let sentence = format!(
                "The public URL `{value}` {why}: {setting} takes a scheme, a host and an optional base path, such as https://api.example.com/support."
            );
            StartProblem::of(*setting, sentence).caused_by(why)
        })
    }

    fn no_public_url(&self) -> StartProblem {
        let setting = self.unset(setting::PUBLIC_URL);
        let sentence = format!(
            "There is no public URL: set {setting} to the URL that callers sign, such as https://api.example.com/support."
        );
        StartProblem::of(setting, sentence)
    }

    /// The name by which a setting was given, or the names by which it can be given.
    pub(super) fn setting_of<T>(&self, given: Option<&Given<T>>, names: Names) -> SettingName {
        given.map_or_else(|| self.unset(names), |given| given.setting)
    }

    /// The name by which the public URL was given, or the names by which it can be given.
    pub(crate) fn public_url_setting(&self) -> SettingName {
        self.setting_of(self.public_url.as_ref(), setting::PUBLIC_URL)
    }

    /// The URL at which `dev` serves if no public URL is set.
    #[cfg(feature = "cli")]
    pub(crate) fn url_of_this_machine(&self) -> Result<PublicUrl, StartProblem> {
        let listen = self.settle_listen()?;
        Ok(PublicUrl::of_listener(listen.value))
    }

    /// The store's address, from the setting or from the file that the setting names. The file is read once.
    pub(crate) fn store_url(&self) -> Result<Given<&str>, StartProblem> {
        if let Some(given) = &self.store {
            let value = match SecretFile::of(given) {
                None => &given.value,
                Some(file) => {
                    let read = self.store_in_file.get_or_init(|| address_in(&file));
                    read.as_ref().map_err(Clone::clone)?
                }
            };
            return Ok(Given {
                value,
                setting: given.setting,
            });
        }
        let setting = self.store_setting();
        let default = cfg!(feature = "sqlite").then_some("sqlite:operator.db");
        default.map(|value| Given { value, setting }).ok_or_else(|| {
            let addresses = crate::store::addresses();
            let sentence = format!(
                "There is no store: set {setting} to {addresses}; the default, a SQLite file, needs the feature `sqlite`, and this program was built without that feature."
            );
            StartProblem::of(setting, sentence)
        })
    }

    /// The name by which the store's address was given, or the names by which it can be given.
    pub(crate) fn store_setting(&self) -> SettingName {
        self.setting_of(self.store.as_ref(), setting::STORE)
    }

    /// A problem for each environment variable that was ignored because it is not UTF-8.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = StartProblem> {
        self.unreadable.iter().map(|name| {
            let sentence = format!("The value of {name} is not UTF-8, so it cannot be used: set {name} again.");
            StartProblem::of(SettingName::Variable(name), sentence)
        })
    }

    fn settle_stop_delay(&self) -> Result<Duration, StartProblem> {
        const DEFAULT: Duration = Duration::from_secs(5);
        const LONGEST: Duration = Duration::from_secs(3600);
        match self.stop_delay.clone()? {
            None => Ok(DEFAULT),
            Some(Given { value, .. }) if value <= LONGEST => Ok(value),
            Some(Given { setting, .. }) => {
                let sentence = format!(
                    "{setting} is longer than an hour, so the program would not stop: make it an hour or less."
                );
                Err(StartProblem::of(setting, sentence))
            }
        }
    }

    fn settle_rate(&self) -> Result<Option<Rate>, StartProblem> {
        let Some(Given { value, setting }) = self.rate.clone()? else {
            return Ok(None);
        };
        value.check().map(Some).map_err(|why| {
            let sentence = format!("{setting} is {value}, which is not a possible rate: {why}.");
            StartProblem::of(setting, sentence).caused_by(why)
        })
    }

    /// How long the rows of the audit are kept, if a setting turns the audit on.
    pub(crate) fn settle_audit(&self) -> Result<Option<Given<Duration>>, StartProblem> {
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        let Some(Given { value, setting }) = self.audit.clone()? else {
            return Ok(None);
        };
        let wrong = if value.is_zero() {
            "is 0, so no row of the audit would be kept"
        } else if value > LONGEST {
            "is longer than a hundred years"
        } else {
            return Ok(Some(Given { value, setting }));
        };
        let sentence = format!(
            "{setting} {wrong}: set how long rows are kept, at most a hundred years, such as `90d`, or leave it unset."
        );
        Err(StartProblem::of(setting, sentence))
    }

    /// Whether the store keeps an audit if it can, although no setting says so.
    pub(crate) fn audits_if_possible(&self) -> bool {
        self.audits_if_possible
    }

    /// The address at which Prometheus scrapes the metrics, if one is set.
    pub(crate) fn settle_metrics(&self) -> Result<Option<Given<SocketAddr>>, StartProblem> {
        let Some(given) = &self.metrics else {
            return Ok(None);
        };
        if !cfg!(feature = "prometheus") {
            let setting = given.setting;
            return Err(StartProblem::of(
                setting,
                format!(
                    "{setting} is set, but this program was built without the exporter for Prometheus: turn it on with `operator-runtime = {{ features = [\"prometheus\"] }}` in its Cargo.toml, or leave {setting} unset."
                ),
            ));
        }
        address(given, "127.0.0.1:9464").map(Some)
    }
}

/// The value of an environment variable that must be a rate.
pub(super) fn rate(given: Given<String>) -> Result<Given<Rate>, StartProblem> {
    let Given { value, setting } = given;
    let rate: Result<Rate, NotARate> = value.parse();
    rate.map(|value| Given { value, setting }).map_err(|why| {
        let sentence = format!("{setting} is `{value}`, which is not a possible rate: {why}.");
        StartProblem::of(setting, sentence).caused_by(why)
    })
}

/// The value of an environment variable that must be a duration: a number of seconds, or a number with a unit.
pub(super) fn duration(given: Given<String>) -> Result<Given<Duration>, StartProblem> {
    let Given { value, setting } = given;
    let seconds = value.parse().map(Duration::from_secs);
    let parsed = seconds.or_else(|_| humantime::parse_duration(&value));
    let parsed = parsed.map(|value| Given { value, setting });
    parsed.map_err(|error| {
        let sentence = format!("{setting} is `{value}`, which is not a duration: write one such as `5s` or `500ms`.");
        StartProblem::of(setting, sentence).caused_by(error)
    })
}

/// The value of an environment variable that must be `true` or `false`.
pub(super) fn true_or_false(given: &Given<String>) -> Result<bool, StartProblem> {
    let Given { value, setting } = given;
    value.parse().map_err(|error: ParseBoolError| {
        let sentence = format!("{setting} is `{value}`: write `true` or `false`, or leave {setting} unset.");
        StartProblem::of(*setting, sentence).caused_by(error)
    })
}

pub(super) fn address(given: &Given<Address>, example: &str) -> Result<Given<SocketAddr>, StartProblem> {
    let setting = given.setting;
    match &given.value {
        Address::Known(value) => Ok(Given { value: *value, setting }),
        Address::Text(text) => match text.parse::<SocketAddr>() {
            Ok(value) => Ok(Given { value, setting }),
            Err(error) => {
                let sentence = format!(
                    "{setting} is `{text}`, which is not an IP address and a port: write both, such as {example}."
                );
                Err(StartProblem::of(setting, sentence).caused_by(error))
            }
        },
    }
}

/// The address of a store in a file: one line, with or without a line end after it.
fn address_in(file: &SecretFile<'_>) -> Result<String, StartProblem> {
    let Contents { text, problems } = file.read();
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    let text = text.unwrap_or_default();
    let text = text.trim();
    if let Some(beginning) = wrong_beginning(text) {
        return Err(file.problem(format!("The file {} begins with {beginning}: remove it.", file.place())));
    }
    match text {
        "" => Err(file.problem(format!(
            "The file {} is empty: write the address of the store into it.",
            file.place()
        ))),
        address if address.contains('\n') => Err(file.problem(format!(
            "The file {} has several lines: write only the address of the store into it.",
            file.place()
        ))),
        address => Ok(address.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Config;

    #[test]
    fn a_stop_is_delayed_by_five_seconds_unless_the_settings_say_otherwise() {
        let delay = |config: Config| config.settle_stop_delay().map_err(|problem| problem.to_string());
        assert_eq!(delay(Config::new()), Ok(Duration::from_secs(5)));
        assert_eq!(delay(Config::new().stop_delay(Duration::ZERO)), Ok(Duration::ZERO));
        let error = delay(Config::new().stop_delay(Duration::from_secs(3601))).expect_err("longer than an hour");
        assert!(error.contains("`Config::stop_delay`"), "{error}");
    }
}
