//! The settings of an app, from the environment or from builder methods. `settled` checks them. The builder methods of
//! credentials, limits and TLS are in the files of these names.

mod admin;
mod credentials;
mod limits;
mod secret_file;
mod setting;
mod settled;
mod tls;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) use self::limits::Limits;
pub use self::setting::SettingName;
pub(crate) use self::setting::{Given, Names};
pub(crate) use self::settled::Settled;
use super::start_error::StartProblem;
use crate::idempotency::machine::Settings;
use crate::pipeline::rate::Rate;
#[cfg(feature = "cli")]
use crate::protocol::public_url::PublicUrl;
#[cfg(all(feature = "cli", feature = "mcp"))]
use crate::protocol::randomness::NoRandomBytes;
#[cfg(all(feature = "cli", feature = "mcp"))]
use crate::protocol::signature::generate_secret;

/// The default address to listen on.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);

/// The settings of an app. Without a `Config`, an app reads its settings from the environment.
///
/// ```
/// use std::time::Duration;
/// use operator_runtime::Config;
///
/// let config = Config::new()
///     .signing_key("op_sk_live_…")
///     .public_url("https://api.example.com/support")
///     .listen(([127, 0, 0, 1], 8080))
///     .store("sqlite:support.db")
///     .handler_timeout(Duration::from_secs(20));
/// ```
#[derive(Clone)]
pub struct Config {
    signing_key: Option<Given<String>>,
    signing_keys: Option<Given<String>>,
    public_url: Option<Given<String>>,
    listen: Option<Given<Address>>,
    store: Option<Given<String>>,
    /// The address of the store, if `store` names a file.
    store_in_file: OnceLock<Result<String, StartProblem>>,
    /// An error if the environment variable is neither `true` nor `false`.
    serve_manifest: Result<bool, StartProblem>,
    /// An error if the environment variable is not a duration.
    stop_delay: Result<Option<Given<Duration>>, StartProblem>,
    /// An error if the environment variable is not a rate.
    rate: Result<Option<Given<Rate>>, StartProblem>,
    /// An error if the environment variable is not a duration.
    audit: Result<Option<Given<Duration>>, StartProblem>,
    /// Whether there is an audit if `audit` is not set and the store can keep one.
    audits_if_possible: bool,
    metrics: Option<Given<Address>>,
    count_records: bool,
    admin: Option<Given<Address>>,
    admin_tokens: Option<Given<String>>,
    verifying_keys: Option<Given<String>>,
    api_keys: Option<Given<String>>,
    /// The API keys in the variable's earlier name.
    mcp_tokens: Option<Given<String>>,
    oauth_issuer: Option<Given<String>>,
    oauth_audience: Option<Given<String>>,
    oauth_tenant_claim: Option<Given<String>>,
    tls_cert: Option<Given<String>>,
    tls_key: Option<Given<String>>,
    client_ca: Option<Given<String>>,
    clients: Option<Given<String>>,
    /// Whether another server serves the app, which then has TLS settings of its own.
    is_hosted: bool,
    /// Environment variables that are not UTF-8.
    unreadable: Vec<&'static str>,
    /// Whether the settings were read from the environment. Then the message about a missing setting also names its
    /// environment variable.
    is_from_environment: bool,
    pub(crate) limits: Limits,
    pub(crate) operations: Settings,
}

/// An address to listen on.
#[derive(Clone, Debug)]
enum Address {
    Known(SocketAddr),
    /// The text of the environment variable. It has not been checked and might not be an address.
    Text(String),
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// The default settings: the app listens on `127.0.0.1:8080` and stores operations in `sqlite:operator.db`. The
    /// signing key and the public URL have no default. Without the feature `sqlite`, the store has no default either.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signing_key: None,
            signing_keys: None,
            public_url: None,
            listen: None,
            store: None,
            store_in_file: OnceLock::new(),
            serve_manifest: Ok(false),
            stop_delay: Ok(None),
            rate: Ok(None),
            audit: Ok(None),
            audits_if_possible: false,
            metrics: None,
            count_records: false,
            admin: None,
            admin_tokens: None,
            verifying_keys: None,
            api_keys: None,
            mcp_tokens: None,
            oauth_issuer: None,
            oauth_audience: None,
            oauth_tenant_claim: None,
            tls_cert: None,
            tls_key: None,
            client_ca: None,
            clients: None,
            is_hosted: false,
            unreadable: Vec::new(),
            is_from_environment: false,
            limits: Limits::default(),
            operations: Settings::default(),
        }
    }

    /// The settings in the environment variables `OPERATOR_SIGNING_KEY` or `OPERATOR_SIGNING_KEYS`,
    /// `OPERATOR_PUBLIC_URL`, `OPERATOR_LISTEN`, `OPERATOR_STORE`, `OPERATOR_SERVE_MANIFEST`, `OPERATOR_STOP_DELAY`,
    /// `OPERATOR_RATE`, `OPERATOR_AUDIT`, `OPERATOR_METRICS`, `OPERATOR_ADMIN`, `OPERATOR_ADMIN_TOKENS`,
    /// `OPERATOR_VERIFYING_KEYS`, `OPERATOR_API_KEYS`, `OPERATOR_OAUTH_ISSUER`, `OPERATOR_OAUTH_AUDIENCE`,
    /// `OPERATOR_OAUTH_TENANT_CLAIM`, `OPERATOR_TLS_CERT`, `OPERATOR_TLS_KEY`, `OPERATOR_CLIENT_CA` and
    /// `OPERATOR_CLIENTS`.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut unreadable = Vec::new();
        let mut read = |names: Names| {
            let value = variable(names.variable)?.into_string();
            let value = value.map_err(|_| unreadable.push(names.variable)).ok()?;
            Some(names.by_variable(value)).filter(|given| !given.value.is_empty())
        };
        let address = |given: Given<String>| given.map(Address::Text);
        Self {
            signing_key: read(setting::SIGNING_KEY),
            signing_keys: read(setting::SIGNING_KEYS),
            public_url: read(setting::PUBLIC_URL),
            listen: read(setting::LISTEN).map(address),
            store: read(setting::STORE),
            serve_manifest: read(setting::SERVE_MANIFEST).map_or(Ok(false), |given| settled::true_or_false(&given)),
            stop_delay: read(setting::STOP_DELAY).map(settled::duration).transpose(),
            rate: read(setting::RATE).map(settled::rate).transpose(),
            audit: read(setting::AUDIT).map(settled::duration).transpose(),
            metrics: read(setting::METRICS).map(address),
            admin: read(setting::ADMIN).map(address),
            admin_tokens: read(setting::ADMIN_TOKENS),
            verifying_keys: read(setting::VERIFYING_KEYS),
            api_keys: read(setting::API_KEYS),
            mcp_tokens: read(setting::MCP_TOKENS),
            oauth_issuer: read(setting::OAUTH_ISSUER),
            oauth_audience: read(setting::OAUTH_AUDIENCE),
            oauth_tenant_claim: read(setting::OAUTH_TENANT_CLAIM),
            tls_cert: read(setting::TLS_CERT),
            tls_key: read(setting::TLS_KEY),
            client_ca: read(setting::CLIENT_CA),
            clients: read(setting::CLIENTS),
            unreadable,
            is_from_environment: true,
            ..Self::new()
        }
    }

    /// The URL that callers sign: a scheme, a host and an optional base path. It is published in normalized form, as
    /// browsers and other clients write it: `HTTPS://Api.Shop.Example:443` becomes `https://api.shop.example`.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(setting::PUBLIC_URL.by_method(url.into()));
        self
    }

    /// The address and port to listen on; `([127, 0, 0, 1], 8080)` unless set. With the port 0, the operating system
    /// chooses a free port.
    #[must_use]
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = Some(setting::LISTEN.by_method(Address::Known(address.into())));
        self
    }

    /// The address of the store of operations: `sqlite:PATH`, `postgres://…`, `redis://…`, `redis+sentinel://…` or
    /// `memory:`. All but `memory:` need the feature of the same name. With the feature `sqlite`, the default is
    /// `sqlite:operator.db`. Without it, there is no default, and the app does not start until a store is set. `@FILE`
    /// names a file that contains the address.
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.store = Some(setting::STORE.by_method(url.into()));
        self.store_in_file = OnceLock::new();
        self
    }

    /// Whether `GET /manifest?format=…` answers signed calls with the manifest; `false` unless set.
    #[must_use]
    pub fn serve_manifest(mut self, serve: bool) -> Self {
        self.serve_manifest = Ok(serve);
        self
    }

    /// How long [`App::serve`](crate::App::serve) goes on answering calls after SIGTERM; 5 s unless set, and at most an
    /// hour. `/readyz` answers 503 meanwhile, so set it to the time in which the load balancer notices this. The command
    /// `dev` stops at once.
    #[must_use]
    pub fn stop_delay(mut self, delay: Duration) -> Self {
        self.stop_delay = Ok(Some(setting::STOP_DELAY.by_method(delay)));
        self
    }

    /// How often each credential may call, in each process. A call over the rate is refused with 429 and `Retry-After`
    /// before anything is claimed; retries count as calls. Calls whose credential or form is wrong do not count, and
    /// neither do the probes. The clients of an OAuth issuer are counted one by one, up to 10,000 of them; beyond that
    /// number, they share one rate.
    ///
    /// Unless set, endpoints have no limit, and each credential may send 50 messages per second to `/mcp`, because the
    /// specification of MCP demands a limit. [`Rate::UNLIMITED`] removes this limit too. A rate that is set counts the
    /// calls of a credential to endpoints and to `/mcp` together.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rate = Ok(Some(setting::RATE.by_method(rate)));
        self
    }

    /// How long the rows of the audit are kept, at most a hundred years; the audit is off unless set. Each operation that
    /// ends adds one row to the table `operator_audit`, in the commit of its record. The store must be SQLite or Postgres.
    /// The command `dev` keeps an audit unless set, and then removes no row.
    #[must_use]
    pub fn audit(mut self, keep: Duration) -> Self {
        self.audit = Ok(Some(setting::AUDIT.by_method(keep)));
        self
    }

    /// Keeps an audit if the store can, also if none is set.
    #[cfg(feature = "cli")]
    pub(crate) fn audit_if_possible(mut self) -> Self {
        self.audits_if_possible = true;
        self
    }

    /// The address and port, such as `([127, 0, 0, 1], 9464)`, at which Prometheus scrapes `/metrics`; needs the feature
    /// `prometheus`. Unless set, the metrics are not served. Everybody who can reach the address can read the metrics,
    /// so use a private address.
    #[must_use]
    pub fn metrics(mut self, address: impl Into<SocketAddr>) -> Self {
        self.metrics = Some(setting::METRICS.by_method(Address::Known(address.into())));
        self
    }

    /// Whether to count the store's records once a minute, for the gauge `operator_records`. Turn this on in a program
    /// that installs its own metrics recorder. If [`metrics`](Self::metrics) is set, the records are always counted.
    #[must_use]
    pub fn count_records(mut self, count: bool) -> Self {
        self.count_records = count;
        self
    }

    /// The times and sizes for stored operations, such as how long they are kept and how long a lease lasts.
    #[must_use]
    pub fn operations(mut self, settings: Settings) -> Self {
        self.operations = settings;
        self
    }

    /// The settings of an app that another server serves.
    pub(crate) fn hosted(self) -> Self {
        Self {
            is_hosted: true,
            ..self
        }
    }

    /// The settings for `dev`: if no key is given, a generated key; if no URL is given, the URL of the listener. It speaks
    /// http.
    #[cfg(feature = "cli")]
    pub(crate) fn or_else_development<E>(
        mut self,
        listens: SocketAddr,
        secret: impl FnOnce() -> Result<String, E>,
    ) -> Result<Self, E> {
        if !self.has_keys() {
            self.signing_key = Some(setting::SIGNING_KEY.by_method(secret()?));
        }
        let here = || setting::PUBLIC_URL.by_method(PublicUrl::of_listener(listens).to_string());
        self.public_url.get_or_insert_with(here);
        Ok(self.without_tls())
    }

    /// The settings for `mcp` over standard input. Nothing is signed there, so a key and a URL are filled in if they
    /// are not given. The API keys are removed, because only HTTP checks them.
    #[cfg(all(feature = "cli", feature = "mcp"))]
    pub(crate) fn or_else_for_stdio(mut self) -> Result<Self, NoRandomBytes> {
        self.api_keys = None;
        self.mcp_tokens = None;
        // The process does not listen, so any valid URL works here.
        self.or_else_development(SocketAddr::from(LISTEN), generate_secret)
    }

    /// The settings for calls within the process: a key and a URL are filled in if they are not given, and there is no TLS.
    pub(crate) fn or_else_for_tests(mut self, secret: &str) -> Self {
        if !self.has_keys() {
            self.signing_key = Some(setting::SIGNING_KEY.by_method(secret.to_owned()));
        }
        let url = || setting::PUBLIC_URL.by_method("https://testing.example".to_owned());
        self.public_url.get_or_insert_with(url);
        self.without_tls()
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.signing_key.is_some() || self.signing_keys.is_some()
    }

    /// The names by which a missing setting can be given.
    fn unset(&self, names: Names) -> SettingName {
        let Names { method, variable } = names;
        if self.is_from_environment {
            SettingName::Unset { variable, method }
        } else {
            SettingName::Method(method)
        }
    }
}

/// Leaves out the keys and the store's address, which may contain a password, so that neither is ever logged.
impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("signing keys", &if self.has_keys() { "given" } else { "none" })
            .field("public_url", &self.public_url)
            .field("listen", &self.listen)
            .field(
                "store",
                &self
                    .store_url()
                    .ok()
                    .and_then(|store| crate::store::scheme(store.value)),
            )
            .field("limits", &self.limits)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::{Config, Rate, SettingName, StartProblem};

    #[test]
    fn a_value_that_is_no_text_is_a_problem_and_not_taken_as_unset() {
        let config = Config::from_variables(|name| match name {
            "OPERATOR_SIGNING_KEY" => Some("op_sk_tests".into()),
            "OPERATOR_PUBLIC_URL" => Some("http://127.0.0.1:1".into()),
            "OPERATOR_STORE" => Some(OsString::from_vec(b"sqlite:\xff".to_vec())),
            _ => None,
        });
        let mut problems = Vec::new();
        config.settle(&mut problems);
        let [problem] = problems.as_slice() else {
            panic!("{problems:?}")
        };
        assert_eq!(problem.setting(), Some(SettingName::Variable("OPERATOR_STORE")));
        assert!(
            problem
                .to_string()
                .starts_with("The value of OPERATOR_STORE is not UTF-8")
        );
    }

    fn in_file(path: &std::path::Path) -> Config {
        let named = format!("@{}", path.display());
        Config::from_variables(move |name| (name == "OPERATOR_STORE").then(|| named.clone().into()))
    }

    #[test]
    fn the_address_of_the_store_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let missing = in_file(&path).store_url().unwrap_err().to_string();
        assert!(missing.contains("(OPERATOR_STORE) cannot be read"), "{missing}");
        std::fs::write(&path, "postgres://app:hunter2@db/shop\n").unwrap();
        let config = in_file(&path);
        assert_eq!(config.store_url().unwrap().value, "postgres://app:hunter2@db/shop");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        for (address, scheme) in [
            ("postgres://app:hunter2@db/shop", "Some(\"postgres\")"),
            ("hunter2:x@db/shop", "None"),
            ("host=db password=hunter2:er", "None"),
            ("sqlite:hunter2.db", "Some(\"sqlite\")"),
        ] {
            let shown = format!("{:?}", Config::new().store(address));
            assert!(shown.contains(scheme) && !shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(config.store("memory:").store_url().unwrap().value, "memory:");
        std::fs::write(&path, "\u{feff}postgres://app:hunter2@db/shop\n").unwrap();
        let marked = in_file(&path).store_url().unwrap_err().to_string();
        assert!(
            marked.contains("(OPERATOR_STORE) begins with a byte-order mark: remove it"),
            "{marked}"
        );
    }

    #[test]
    fn a_rate_that_is_not_possible_is_a_problem_of_its_setting() {
        let problems = |config: &Config| {
            let mut problems = Vec::new();
            config.settle(&mut problems);
            let of_rate = |problem: &StartProblem| {
                problem
                    .to_string()
                    .contains("which is not a possible rate: write a number")
            };
            let problems = problems.into_iter().filter(of_rate);
            problems.map(|problem| problem.setting()).collect::<Vec<_>>()
        };
        for wrong in ["0/s", "100", "1/d", "4294967296/s", "1000001/h"] {
            let config = Config::from_variables(|name| (name == "OPERATOR_RATE").then(|| wrong.into()));
            assert_eq!(
                problems(&config),
                [Some(SettingName::Variable("OPERATOR_RATE"))],
                "{wrong}"
            );
            let overwritten = config.rate(Rate::UNLIMITED);
            assert!(problems(&overwritten).is_empty());
        }
        for right in ["", "off", "1/s", "1000000/h"] {
            let config = Config::from_variables(|name| (name == "OPERATOR_RATE").then(|| right.into()));
            assert!(problems(&config).is_empty(), "{right}");
        }
        let by_method = Config::new().rate(Rate::per_second(0));
        assert_eq!(problems(&by_method), [Some(SettingName::Method("Config::rate"))]);
    }

    #[test]
    fn a_problem_names_the_setting_as_it_was_given() {
        let said = |config: Config| {
            let mut problems = Vec::new();
            config.settle(&mut problems);
            let said = problems.iter().map(|problem| format!("{problem}\n"));
            said.collect::<String>()
        };
        let by_variables = Config::from_variables(|name| match name {
            "OPERATOR_PUBLIC_URL" => Some("http://a.example".into()),
            "OPERATOR_LISTEN" | "OPERATOR_SERVE_MANIFEST" => Some("nowhere".into()),
            _ => None,
        });
        let of_variables = said(by_variables.clone());
        for sentence in [
            "There is no signing key: set OPERATOR_SIGNING_KEY or `Config::signing_key` to",
            "The public URL `http://a.example` is not https (only a loopback host may use http): OPERATOR_PUBLIC_URL takes",
            "OPERATOR_LISTEN is `nowhere`, which is not an IP address and a port",
            "OPERATOR_SERVE_MANIFEST is `nowhere`: write `true` or `false`",
        ] {
            assert!(of_variables.contains(sentence), "{sentence}\n{of_variables}");
        }
        let overwritten = said(by_variables.public_url("http://b.example").serve_manifest(true));
        assert!(overwritten.contains("`http://b.example`"), "{overwritten}");
        assert!(overwritten.contains(": `Config::public_url` takes"), "{overwritten}");
        assert!(!overwritten.contains("OPERATOR_SERVE_MANIFEST"), "{overwritten}");
        let by_methods = said(Config::new());
        assert!(
            by_methods.contains("There is no public URL: set `Config::public_url` to"),
            "{by_methods}"
        );
        assert!(!by_methods.contains("OPERATOR_"), "{by_methods}");
    }
}
