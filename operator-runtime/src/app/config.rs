//! Settings, from the environment or by hand, and what they come to once checked.

mod limits;
mod secret_file;
mod setting;
mod settled;

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
#[cfg(feature = "cli")]
use crate::protocol::public_url::PublicUrl;
#[cfg(all(feature = "cli", feature = "mcp"))]
use crate::protocol::randomness::NoRandomBytes;
#[cfg(all(feature = "cli", feature = "mcp"))]
use crate::protocol::signature::generate_secret;

/// Where an app listens unless it is told to listen elsewhere.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);

/// The settings of an app, where they are not to come from the environment.
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
    /// The address of the store, where `store` names a file.
    store_in_file: OnceLock<Result<String, StartProblem>>,
    /// An error where the environment variable is neither true nor false.
    serve_manifest: Result<bool, StartProblem>,
    metrics: Option<Given<Address>>,
    count_records: bool,
    mcp_tokens: Option<Given<String>>,
    /// Environment variables that are not UTF-8.
    unreadable: Vec<&'static str>,
    /// Whether a setting that no builder method gives may come from an environment variable.
    is_from_environment: bool,
    pub(crate) limits: Limits,
    pub(crate) operations: Settings,
}

/// An address to listen on.
#[derive(Clone, Debug)]
enum Address {
    Known(SocketAddr),
    /// From the environment; it may be no address.
    Text(String),
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// The defaults: listens on `127.0.0.1:8080`, keeps operations in `sqlite:operator.db`; key and URL are to be given,
    /// and without the feature `sqlite` the store too.
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
            metrics: None,
            count_records: false,
            mcp_tokens: None,
            unreadable: Vec::new(),
            is_from_environment: false,
            limits: Limits::default(),
            operations: Settings::default(),
        }
    }

    /// The settings in `OPERATOR_SIGNING_KEY` or `OPERATOR_SIGNING_KEYS`, `OPERATOR_PUBLIC_URL`, `OPERATOR_LISTEN`,
    /// `OPERATOR_STORE`, `OPERATOR_SERVE_MANIFEST`, `OPERATOR_METRICS` and `OPERATOR_MCP_TOKENS`.
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
            metrics: read(setting::METRICS).map(address),
            mcp_tokens: read(setting::MCP_TOKENS),
            unreadable,
            is_from_environment: true,
            ..Self::new()
        }
    }

    /// One secret, taken literally but for one line end after it; control characters, and quotes or spaces around it,
    /// are refused.
    #[must_use]
    pub fn signing_key(mut self, secret: impl Into<String>) -> Self {
        self.signing_key = Some(setting::SIGNING_KEY.by_method(secret.into()));
        self
    }

    /// Several keys: `[tenant/]id=secret` with commas between, or `@FILE` with one a line. Ids and tenants are 1 to 64 of
    /// `A-Z a-z 0-9 . _ -`; a secret is taken literally, as that of [`signing_key`](Self::signing_key).
    ///
    /// A file that its group or everybody may write is refused; one that everybody may read is a warning in the log.
    #[must_use]
    pub fn signing_keys(mut self, keys: impl Into<String>) -> Self {
        self.signing_keys = Some(setting::SIGNING_KEYS.by_method(keys.into()));
        self
    }

    /// What callers sign over: scheme, host and base path.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(setting::PUBLIC_URL.by_method(url.into()));
        self
    }

    /// The address and port to listen on, such as `([127, 0, 0, 1], 8080)`, which it is unless set. With the port 0 the
    /// system chooses a free port.
    #[must_use]
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = Some(setting::LISTEN.by_method(Address::Known(address.into())));
        self
    }

    /// Where operations are kept: `sqlite:PATH`, `postgres://…`, `redis://…` or `memory:`, each with the feature of that
    /// name; `memory:` is always there. `@FILE` names a file that holds the address. Unless set, it is `sqlite:operator.db` with the feature `sqlite`, whatever other
    /// features are on; without that feature there is no default, and start-up asks for a store.
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.store = Some(setting::STORE.by_method(url.into()));
        self.store_in_file = OnceLock::new();
        self
    }

    /// Whether `GET /manifest?format=…` answers with the manifest, to signed calls only; `false` unless set.
    #[must_use]
    pub fn serve_manifest(mut self, serve: bool) -> Self {
        self.serve_manifest = Ok(serve);
        self
    }

    /// The address and port, such as `([127, 0, 0, 1], 9464)`, that Prometheus scrapes `/metrics` at, with the feature
    /// `prometheus`; nothing listens there unless set. Whoever reaches it reads the figures, so leave it on a private address.
    #[must_use]
    pub fn metrics(mut self, address: impl Into<SocketAddr>) -> Self {
        self.metrics = Some(setting::METRICS.by_method(Address::Known(address.into())));
        self
    }

    /// Whether the gauge `operator_records` is kept, which reads the store once a minute, for a program with a recorder
    /// of its own; it always is where [`metrics`](Self::metrics) is set.
    #[must_use]
    pub fn count_records(mut self, count: bool) -> Self {
        self.count_records = count;
        self
    }

    /// Who may call over MCP, at `/mcp`: `[tenant/]id=token` with commas between, or `@FILE` with one a line. Unless set,
    /// nothing answers there.
    #[cfg(feature = "mcp")]
    #[must_use]
    pub fn mcp_tokens(mut self, tokens: impl Into<String>) -> Self {
        self.mcp_tokens = Some(setting::MCP_TOKENS.by_method(tokens.into()));
        self
    }

    /// The largest body, in bytes; 1 MiB unless set.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// The memory for all request bodies that are arriving, in bytes; 256 MiB unless set. Each takes its room as it grows;
    /// a body for which no room is left is refused with 503. A body that has arrived with its headers takes none.
    #[must_use]
    pub fn memory_for_bodies(mut self, bytes: usize) -> Self {
        self.limits.memory_for_bodies = bytes;
        self
    }

    /// The largest head of a request, URL and headers together, in bytes; 64 KiB unless set, and at least 8 KiB. A longer
    /// one is refused with 431. Two such buffers are the most that a connection holds beside a body. It holds behind
    /// [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn head_limit(mut self, bytes: usize) -> Self {
        self.limits.head = bytes;
        self
    }

    /// The most connections whose request has begun and whose head is not finished; 1024 unless set. With one more, the
    /// head that has been unfinished longest is refused with 503. It holds behind [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn unfinished_heads(mut self, heads: usize) -> Self {
        self.limits.unfinished_heads = heads;
        self
    }

    /// The most connections; unless set, three quarters of the descriptors that the process may open (`ulimit -n`), and
    /// at most 8192. For one more, the one that has been idle longest is closed; where none is idle, the one that has
    /// kept the server waiting longest for a head, for a body or for taking its answer. Where all are in handlers, the
    /// new one is refused with 503. It holds behind [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.limits.connections = Some(most);
        self
    }

    /// The longest that a head, and then a body, may take to arrive, else 408; 10 s unless set, and at most an hour. A
    /// body also has to arrive at 1 KiB a second after its first second. A caller has as long to take its answer, and one
    /// second more for each 512 KiB of it; then its connection is closed.
    #[must_use]
    pub fn read_timeout(mut self, limit: Duration) -> Self {
        self.limits.read_timeout = limit;
        self
    }

    /// The longest that a connection is kept without a request; 75 s unless set, and at most a day. It holds behind
    /// [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// The longest a handler may run where it does not say so itself; 60 s unless set.
    #[must_use]
    pub fn handler_timeout(mut self, limit: Duration) -> Self {
        self.limits.handler_timeout = limit;
        self
    }

    /// The most calls at work at the same time; 1024 unless set. More are refused with 503 before any effect.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.limits.concurrency = calls;
        self
    }

    /// How long operations are remembered, and how their attempts are leased.
    #[must_use]
    pub fn operations(mut self, settings: Settings) -> Self {
        self.operations = settings;
        self
    }

    /// For `dev`: a key, and the URL of where it listens, where none are given.
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
        Ok(self)
    }

    /// For `mcp` over standard input: nothing is signed there, so a key and a URL need not be given, and no token
    /// opens anything.
    #[cfg(all(feature = "cli", feature = "mcp"))]
    pub(crate) fn or_else_for_stdio(mut self) -> Result<Self, NoRandomBytes> {
        self.mcp_tokens = None;
        // Nothing listens, so any URL that callers may sign over will do.
        self.or_else_development(SocketAddr::from(LISTEN), generate_secret)
    }

    /// For calls in process: a key and a URL where none are given.
    pub(crate) fn or_else_for_tests(mut self, secret: &str) -> Self {
        if !self.has_keys() {
            self.signing_key = Some(setting::SIGNING_KEY.by_method(secret.to_owned()));
        }
        let url = || setting::PUBLIC_URL.by_method("https://testing.example".to_owned());
        self.public_url.get_or_insert_with(url);
        self
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.signing_key.is_some() || self.signing_keys.is_some()
    }

    /// How a setting that is not given can be given.
    fn unset(&self, names: Names) -> SettingName {
        let Names { method, variable } = names;
        if self.is_from_environment {
            SettingName::Unset { variable, method }
        } else {
            SettingName::Method(method)
        }
    }
}

fn scheme(address: &str) -> Option<&str> {
    address.split_once(':').map(|(scheme, _)| scheme)
}

/// The keys stay out of every log, and so does the password that a store's address may hold.
impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("signing keys", &if self.has_keys() { "given" } else { "none" })
            .field("public_url", &self.public_url)
            .field("listen", &self.listen)
            .field("store", &self.store_url().ok().and_then(|store| scheme(store.value)))
            .field("limits", &self.limits)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::{Config, SettingName};

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

    #[test]
    fn the_address_of_the_store_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let config = || {
            let named = format!("@{}", path.display());
            Config::from_variables(move |name| (name == "OPERATOR_STORE").then(|| named.clone().into()))
        };
        let missing = config().store_url().unwrap_err().to_string();
        assert!(missing.contains("(OPERATOR_STORE) cannot be read"), "{missing}");
        std::fs::write(&path, "postgres://app:hunter2@db/shop\n").unwrap();
        let config = config();
        assert_eq!(config.store_url().unwrap().value, "postgres://app:hunter2@db/shop");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        assert_eq!(config.store("memory:").store_url().unwrap().value, "memory:");
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
            "The public URL `http://a.example` is not https, which only a loopback host can do without: OPERATOR_PUBLIC_URL takes",
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
