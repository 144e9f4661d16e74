//! Settings, from the environment or by hand, and what they come to once checked.

mod limits;
mod secret_file;
mod settled;

use std::ffi::OsString;
#[cfg(feature = "cli")]
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use self::limits::Limits;
pub(crate) use self::settled::Settled;
use crate::idempotency::machine::Settings;
#[cfg(all(feature = "cli", feature = "mcp"))]
use crate::protocol::signature::generate_secret;
use crate::store;

/// The settings of an app, where they are not to come from the environment.
///
/// ```
/// use std::time::Duration;
/// use operator_runtime::Config;
///
/// let config = Config::new()
///     .signing_key("op_sk_live_…")
///     .public_url("https://api.example.com/support")
///     .store("sqlite:support.db")
///     .handler_timeout(Duration::from_secs(20));
/// ```
#[derive(Clone)]
pub struct Config {
    signing_key: Option<String>,
    signing_keys: Option<String>,
    public_url: Option<String>,
    listen: String,
    store: Option<String>,
    serve_manifest: Option<String>,
    metrics: Option<String>,
    count_records: bool,
    mcp_tokens: Option<String>,
    /// Environment variables whose value is no text.
    unreadable: Vec<&'static str>,
    pub(crate) limits: Limits,
    pub(crate) operations: Settings,
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
            listen: "127.0.0.1:8080".to_owned(),
            store: None,
            serve_manifest: None,
            metrics: None,
            count_records: false,
            mcp_tokens: None,
            unreadable: Vec::new(),
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
        let mut config = Self::new();
        let mut unreadable = Vec::new();
        let mut read = |name: &'static str| {
            let value = variable(name)?.into_string().map_err(|_| unreadable.push(name));
            value.ok().filter(|value| !value.is_empty())
        };
        config.signing_key = read("OPERATOR_SIGNING_KEY");
        config.signing_keys = read("OPERATOR_SIGNING_KEYS");
        config.public_url = read("OPERATOR_PUBLIC_URL");
        config.listen = read("OPERATOR_LISTEN").unwrap_or(config.listen);
        config.store = read("OPERATOR_STORE");
        config.serve_manifest = read("OPERATOR_SERVE_MANIFEST");
        config.metrics = read("OPERATOR_METRICS");
        config.mcp_tokens = read("OPERATOR_MCP_TOKENS");
        config.unreadable = unreadable;
        config
    }

    /// One secret, taken literally but for one line end after it; control characters, and quotes or spaces around it,
    /// are refused.
    #[must_use]
    pub fn signing_key(mut self, secret: impl Into<String>) -> Self {
        self.signing_key = Some(secret.into());
        self
    }

    /// Several keys: `[tenant/]id=secret` with commas between, or `@FILE` with one a line. Ids and tenants are 1 to 64 of
    /// `A-Z a-z 0-9 . _ -`; a secret is taken literally, as that of [`signing_key`](Self::signing_key).
    ///
    /// A file that its group or everybody may write is refused; one that everybody may read is a warning in the log.
    #[must_use]
    pub fn signing_keys(mut self, keys: impl Into<String>) -> Self {
        self.signing_keys = Some(keys.into());
        self
    }

    /// What callers sign over: scheme, host and base path.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The address and port to listen on.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Where operations are kept: `sqlite:PATH`, `postgres://…`, `redis://…` or `memory:`.
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.store = Some(url.into());
        self
    }

    /// Whether `GET /manifest?format=…` answers with the manifest, to signed calls only; `false` unless set.
    #[must_use]
    pub fn serve_manifest(mut self, serve: bool) -> Self {
        self.serve_manifest = Some(serve.to_string());
        self
    }

    /// The address and port that Prometheus scrapes `/metrics` at, with the feature `prometheus`; nothing listens there
    /// unless set. Whoever reaches it reads the figures, so leave it on a private address.
    #[must_use]
    pub fn metrics(mut self, address: impl Into<String>) -> Self {
        self.metrics = Some(address.into());
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
        self.mcp_tokens = Some(tokens.into());
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
    pub(crate) fn or_else_development(
        mut self,
        listens: SocketAddr,
        secret: impl FnOnce() -> Result<String, String>,
    ) -> Result<Self, String> {
        if self.signing_key.is_none() && self.signing_keys.is_none() {
            self.signing_key = Some(secret()?);
        }
        if self.public_url.is_none() {
            self.public_url = Some(format!("http://{listens}"));
        }
        Ok(self)
    }

    /// For `mcp` over standard input: nothing is signed there, so that a key and a URL need not be given, and no token
    /// opens anything.
    #[cfg(all(feature = "cli", feature = "mcp"))]
    pub(crate) fn or_else_for_stdio(mut self) -> Result<Self, String> {
        self.mcp_tokens = None;
        let secret = || generate_secret().map_err(|error| format!("The machine gave no random bytes: {error}."));
        // Nothing listens, so that any URL that may be signed over will do.
        let unused = SocketAddr::from(([127, 0, 0, 1], 8080));
        self.or_else_development(unused, secret)
    }

    /// For calls in process: a key and a URL where none are given.
    pub(crate) fn or_else_for_tests(mut self, secret: &str) -> Self {
        if self.signing_key.is_none() && self.signing_keys.is_none() {
            self.signing_key = Some(secret.to_owned());
        }
        self.public_url
            .get_or_insert_with(|| "https://testing.example".to_owned());
        self
    }

    /// The store's address, or the sentence that asks for one.
    pub(crate) fn store_url(&self) -> Result<&str, String> {
        let default = cfg!(feature = "sqlite").then_some("sqlite:operator.db");
        self.store.as_deref().or(default).ok_or_else(|| {
            format!(
                "There is no store: set OPERATOR_STORE to {}; a file of SQLite's is not the default here, because this program was built without the feature `sqlite`.",
                store::addresses()
            )
        })
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.signing_key.is_some() || self.signing_keys.is_some()
    }

    /// Where to listen, if only this machine can connect there.
    #[cfg(feature = "cli")]
    pub(crate) fn loopback(&self) -> Option<SocketAddr> {
        self.listen
            .parse()
            .ok()
            .filter(|address: &SocketAddr| address.ip().is_loopback())
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
            .field("store", &self.store_url().ok().and_then(scheme))
            .field("limits", &self.limits)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::Config;

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
        assert_eq!(
            problems,
            ["The value of OPERATOR_STORE is not UTF-8, so it cannot be used: set it anew."]
        );
    }
}
