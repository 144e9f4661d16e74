//! The app: the values and settings that the program gives to its endpoints, and the ways to serve them.

#[cfg(feature = "cli")]
mod admin;
mod announcement;
mod assemble;
mod before_serving;
#[cfg(feature = "cli")]
mod cli;
mod closing;
mod config;
mod connection;
mod connections;
#[cfg(feature = "cli")]
mod console;
#[cfg(feature = "cli")]
mod desk;
mod driven;
mod exchange;
#[cfg(feature = "prometheus")]
mod exporter;
mod host;
#[cfg(feature = "oauth")]
mod issuer;
#[cfg(feature = "cli")]
mod log;
#[cfg(feature = "mcp")]
mod mcp;
mod probes;
#[cfg(feature = "oauth")]
mod protected_resource;
mod reading;
pub(crate) mod registry;
mod room;
mod rotation;
mod router;
mod server;
mod service;
mod setup;
#[cfg(any(feature = "cli", feature = "prometheus"))]
mod side_port;
mod start_error;
#[cfg(feature = "tls")]
mod tls;
#[cfg(any(feature = "cli", feature = "oauth"))]
mod trusted;
#[cfg(feature = "cli")]
mod used;
mod watched;
mod wrong_protocol;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::BoxError;
use bytes::Bytes;
use tokio::task::JoinHandle;

use self::before_serving::Step;
pub(crate) use assemble::{Assembled, assemble};
pub use config::{Config, SettingName};
pub(crate) use config::{Given, Limits, Settled};
pub use host::Host;
pub(crate) use service::Service;
pub use start_error::{StartError, StartProblem};

use self::rotation::rotate_while_held;
use crate::clock::SystemClock;
use crate::endpoint::Endpoints;
use crate::endpoint::state::AppState;
use crate::endpoint::states::States;
use crate::manifest::info::Info;
use crate::pipeline::Adopt;
use crate::protocol::trace_parent::TraceParent;
#[cfg(feature = "cli")]
use crate::store::BoxFuture;
use crate::store::{Store, Trial};
use crate::upkeep::counting::count_while_held;
use crate::upkeep::sweeping::sweep_while_held;

/// Says why this program has no MCP server.
#[cfg(not(feature = "mcp"))]
const WITHOUT_MCP: &str = "this program was built without MCP: turn it on with `operator-runtime = { features = [\"mcp\"] }` in its Cargo.toml.";

/// The name of the program's file.
#[cfg(any(feature = "cli", feature = "mcp"))]
fn program_name() -> String {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = called.as_deref().and_then(std::path::Path::file_stem);
    name.map_or_else(|| "This program".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// An app of every endpoint that is linked into the program.
///
/// rustc does not link a library crate that the program never names. If the endpoints are in such a crate, write
/// `use billing as _;` in the program.
///
/// ```no_run
/// use operator_runtime::{App, operator_api};
///
/// /// Greets a customer by name. Use it to open a conversation.
/// #[operator_api(GET, "/greeting")]
/// async fn greeting(
///     /// The customer's first name.
///     name: String,
/// ) -> String {
///     format!("Good morning, {name}!")
/// }
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     App::new().run().await
/// }
/// # use tokio;
/// ```
#[derive(Clone, Default)]
pub struct App {
    config: Option<Config>,
    /// The lists that were given to `only`. Start-up refuses more than one.
    only: Vec<Endpoints>,
    /// The values that were given to `info`. Start-up refuses more than one.
    info: Vec<Info>,
    states: States,
    twice: Vec<&'static str>,
    /// The paths that were given to `events_path`. Start-up refuses more than one.
    events_paths: Vec<&'static str>,
    before_serving: Vec<Step>,
    adopt: Option<Adopt>,
    store: Option<Given<Arc<dyn Store>>>,
    #[cfg(feature = "sqlite")]
    sqlite_setup: Option<SqliteSetup>,
    #[cfg(feature = "postgres")]
    postgres_setup: Option<&'static str>,
}

#[cfg(feature = "sqlite")]
type SqliteSetup = Arc<dyn Fn(&rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync>;

impl App {
    /// An app that serves every linked endpoint, with settings from the environment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses these settings instead of settings from the environment.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Serves only these endpoints and handlers of events: `App::new().only(endpoints![recent_orders, refund_order])`.
    /// Call this method only once; [`Endpoints`] says how to join several lists.
    #[must_use]
    pub fn only(mut self, endpoints: Endpoints) -> Self {
        self.only.push(endpoints);
        self
    }

    /// Sets the path at which the agent's [events](crate::events) arrive, below the public URL. The default is `/events`.
    /// A program without a handler of events has no such path.
    ///
    /// ```standalone_crate
    /// use operator_runtime::{App, operator_event, testing::Client};
    ///
    /// /// Notes that a conversation has ended.
    /// #[operator_event("conversation.ended")]
    /// async fn ended() {}
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let app = App::new().events_path("/agent/events");
    /// # assert!(Client::new(app).await.is_ok());
    /// # }
    /// ```
    #[must_use]
    pub fn events_path(mut self, path: &'static str) -> Self {
        self.events_paths.push(path);
        self
    }

    /// Sets what the OpenAPI document says about the program: title, version, description, licence, contact and further
    /// servers. `App::new().info(info!())` takes all but the servers from `Cargo.toml`, and the methods of [`Info`] set
    /// each of them.
    #[must_use]
    pub fn info(mut self, info: Info) -> Self {
        self.info.push(info);
        self
    }

    /// Adds a value that endpoints borrow as `&T`.
    #[must_use]
    pub fn state<T: AppState>(mut self, value: T) -> Self {
        let (id, value) = value.shared();
        if !self.states.insert(id, value) {
            self.twice.push(std::any::type_name::<T>());
        }
        self
    }

    /// Adds a value that endpoints borrow as `&T`, and that is made only by programs and commands that serve: a pool of
    /// connections is not needed for `--help` or `manifest --check`. If several values and tasks are given, they are made
    /// and run in that order, once everything else about the app has been checked.
    ///
    /// ```
    /// use operator_runtime::App;
    ///
    /// struct Prices(String);
    ///
    /// let app = App::new().state_with(async || std::fs::read_to_string("prices.csv").map(Prices));
    /// ```
    #[must_use]
    pub fn state_with<T: AppState, E: Into<BoxError>, F>(mut self, make: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        if !self.states.promise(T::id()) {
            self.twice.push(std::any::type_name::<T>());
        }
        self.before_serving.push(Step::state(make));
        self
    }

    /// Runs a task before the program serves, such as migrations of its own tables. The task runs where
    /// [`state_with`](Self::state_with) makes its values; if the task fails, the program does not start.
    ///
    /// ```
    /// use operator_runtime::App;
    ///
    /// let app = App::new().before_serving(async || std::fs::create_dir_all("receipts"));
    /// ```
    #[must_use]
    pub fn before_serving<E: Into<BoxError>, F>(mut self, task: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.before_serving.push(Step::task(task));
        self
    }

    /// Uses this open store, such as one that [`store::open`](crate::store::open) returned, instead of the store that
    /// [`Config::store`] or `OPERATOR_STORE` names.
    ///
    /// ```
    /// use operator_runtime::{App, store};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), store::StoreError> {
    /// let app = App::new().store(store::open("memory:").await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store(self, store: impl Store) -> Self {
        self.with_store(Arc::new(store), SettingName::Method("App::store"))
    }

    /// Creates the program's own tables, in the SQLite file of the store. `setup` runs at each start, in one
    /// transaction, so use `CREATE TABLE IF NOT EXISTS`.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite_setup(
        mut self,
        setup: impl Fn(&rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.sqlite_setup = Some(Arc::new(setup));
        self
    }

    /// Runs for each call whose caller names its trace, before the span of the call is entered, so that a tracing system
    /// can make the caller's span the parent of this span. The page `docs/operating.md` shows the lines for OpenTelemetry.
    ///
    /// ```
    /// use operator_runtime::{App, tracing};
    ///
    /// let app = App::new().trace_parent(|span, parent| {
    ///     tracing::debug!(parent: span, "the caller's trace is {parent}");
    /// });
    /// ```
    #[must_use]
    pub fn trace_parent(mut self, adopt: impl Fn(&tracing::Span, &TraceParent) + Send + Sync + 'static) -> Self {
        self.adopt = Some(Arc::new(adopt));
        self
    }

    /// Creates the program's own tables, in the Postgres database of the store. The SQL runs in one transaction, when the
    /// program starts with a text that the database has not run yet. A changed text runs as a whole, so use
    /// `CREATE TABLE IF NOT EXISTS`. If several processes start together, only one of them runs it.
    ///
    /// If the program's role may not run the SQL, start-up fails: run the command `migrate` as a role that may, or give
    /// the output of `migrate --print` to a database administrator. `migrate` always runs the SQL, for example after a
    /// table was dropped.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres_setup(mut self, sql: &'static str) -> Self {
        self.postgres_setup = Some(sql);
        self
    }

    /// Checks everything that start-up checks, without serving. It blocks the thread while it opens the store. If the
    /// SQLite file of the store does not exist, it is not created; a temporary file in the same folder is checked
    /// instead and then removed.
    ///
    /// # Errors
    /// Every problem, not only the first one.
    pub fn check(&self) -> Result<(), StartError> {
        let settings = self.settings();
        let checking = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| {
                let sentence = format!("The app cannot be checked, because no runtime can be started: {error}.");
                StartProblem::new(sentence).caused_by(error)
            })?;
            runtime.block_on(self.try_out(&settings))
        };
        // The check runs on a separate thread, because a test may call it inside a tokio runtime, which must not start
        // another runtime on the same thread.
        std::thread::scope(|scope| scope.spawn(checking).join())
            .unwrap_or_else(|_| Err(StartProblem::new("The check panicked.").into()))
    }

    async fn try_out(&self, settings: &Config) -> Result<(), StartError> {
        let trial = match &self.store {
            Some(_) => None,
            None => match settings.store_url() {
                Ok(store) => Trial::of(store.value).await,
                Err(_) => None,
            },
        };
        let mut app = trial.iter().fold(self.clone(), |app, trial| {
            app.with_store(trial.store(), settings.store_setting())
        });
        // Only a program that serves makes the values and runs the tasks.
        app.before_serving.clear();
        let assembled = assemble(&app, settings, Arc::new(SystemClock::new())).await;
        if let Some(trial) = trial {
            trial.end().await;
        }
        assembled.map(drop)
    }

    fn with_store(mut self, value: Arc<dyn Store>, setting: SettingName) -> Self {
        self.store = Some(Given { value, setting });
        self
    }

    /// A router to mount in an axum app. Each endpoint answers at its path and, if the public URL has a base path, also
    /// at the base path followed by its path.
    ///
    /// A body of more than 16 KiB is decoded with `tokio::task::block_in_place`, so that other calls go on meanwhile.
    /// On a multi-threaded runtime, tokio does not allow this inside a `LocalSet`, so serve the router outside of a
    /// `LocalSet`.
    ///
    /// A task on the current tokio runtime removes expired operations until the router is dropped. The host has to limit
    /// how long the headers of a request may take. A host that stops while calls are running needs
    /// [`host`](Self::host) instead, whose [`Host::drain`] waits for them. Otherwise an operation that was running is
    /// treated as after a crash: a retry runs it again, or is answered that the outcome is unknown.
    ///
    /// # Errors
    /// Every problem that start-up finds, in one message.
    pub async fn router(self) -> Result<axum::Router, StartError> {
        Ok(self.host().await?.router())
    }

    /// The whole app as a [`tower::Service`], for a host with its own server or layers. [`serve`](Self::serve) uses the
    /// same service for its connections. A path without an endpoint is answered with 404.
    ///
    /// The service finds an endpoint without axum's router, so a call costs less than through
    /// [`router`](Self::router). The documentation of `router` says what the host has to do. The service can be put
    /// behind layers, or be the fallback of an axum app:
    ///
    /// ```no_run
    /// # use operator_runtime::App;
    /// # async fn host() -> Result<(), Box<dyn std::error::Error>> {
    /// let health = axum::Router::new().route("/health", axum::routing::get(async || "well"));
    /// let host: axum::Router = health.fallback_service(App::new().service().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Every problem that start-up finds, in one message.
    pub async fn service<B>(
        self,
    ) -> Result<
        impl tower::Service<
            http::Request<B>,
            Response = http::Response<impl http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
        StartError,
    >
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        Ok(self.host().await?.service())
    }

    /// The app for a host with its own server: the router or the service, and how to stop.
    ///
    /// # Errors
    /// Every problem that start-up finds, in one message.
    pub async fn host(self) -> Result<Host, StartError> {
        let settings = self.settings().hosted();
        let assembled = assemble(&self, &settings, Arc::new(SystemClock::new())).await?;
        announcement::announce(&assembled);
        announcement::announce_mcp(&assembled);
        sweep_while_held(&assembled.pipeline);
        if assembled.settings.counts_records {
            count_while_held(&assembled.pipeline);
        }
        let assembled = Arc::new(assembled);
        rotation::fetch_keys(&assembled).await;
        rotate_while_held(&assembled);
        #[cfg(feature = "cli")]
        admin::serve_while_held(&assembled).await?;
        Ok(Host::new(assembled))
    }

    /// Listens and answers calls until SIGTERM or SIGINT, finishes the running calls, and then returns.
    ///
    /// `/livez` and `/readyz` answer probes without a signature. After SIGTERM, `/readyz` answers 503, and the server
    /// still accepts connections and answers calls for [`Config::stop_delay`], so that load balancers can choose other
    /// servers. Then the server closes the port. Calls on connections that are still open are answered, and each answer
    /// closes its connection. After SIGINT, the server closes the port at once. SIGHUP makes the server read the files of
    /// credentials and certificates again; without such files and without an OAuth issuer, SIGHUP ends the process.
    ///
    /// A SIGTERM or SIGINT during start-up ends the process at once, with exit status 0, because no call is under way.
    ///
    /// A second SIGTERM or SIGINT ends the process at once, with exit status 1. A retry of a call that was running may then
    /// have to wait until that call's lease has expired. A second signal within 0.5 s of the first is ignored, because it
    /// may be a copy: a shell or a wrapper may pass on a signal that the process has already got.
    ///
    /// # Errors
    /// Every problem that start-up finds, in one message; or that the server cannot listen on the address.
    pub async fn serve(self) -> Result<(), StartError> {
        let starting = server::stop_during_start()?;
        let assembled = assemble(&self, &self.settings(), Arc::new(SystemClock::new())).await?;
        announcement::announce(&assembled);
        announcement::announce_mcp(&assembled);
        announcement::announce_tls(&assembled);
        announcement::announce_connections(&assembled);
        rotation::fetch_keys(&assembled).await;
        let listening = server::listen(assembled.settings.listen).await?;
        let assembled = Arc::new(assembled);
        let rotating = rotate_while_held(&assembled);
        #[cfg(feature = "cli")]
        let admin = admin::serve_while_held(&assembled).await?;
        let signals = server::started(starting)?;
        tracing::info!(address = %listening.address, public_url = %assembled.settings.public_url, "listening");
        let stop_delay = assembled.settings.stop_delay;
        let served = server::serve(listening, signals, assembled, axum::Router::new(), stop_delay).await;
        rotating.inspect(JoinHandle::abort);
        #[cfg(feature = "cli")]
        admin.inspect(JoinHandle::abort);
        served
    }

    /// The program's command line: `serve`, `dev`, `manifest`, `lint`, `endpoints`, `call`, `trigger`, `operations`, `keygen`, and
    /// `mcp` with the feature of that name.
    #[cfg(feature = "cli")]
    pub async fn run(self) -> std::process::ExitCode {
        // Boxed, because rustc computes the layouts of nested futures for each program, up to a limit.
        let running: BoxFuture<'static, _> = Box::pin(cli::run(self));
        running.await
    }

    /// The settings that were given to `config`, if there are any.
    pub(crate) fn configured(&self) -> Option<Config> {
        self.config.clone()
    }

    /// Adds a store, if none was given.
    pub(crate) fn or_else_store<S: Store>(self, store: impl FnOnce() -> S) -> Self {
        if self.store.is_some() {
            self
        } else {
            self.store(store())
        }
    }

    /// The name by which the store was given, or the names by which it can be given.
    pub(crate) fn store_setting(&self, config: &Config) -> SettingName {
        let given = self.store.as_ref().map(|given| given.setting);
        given.unwrap_or_else(|| config.store_setting())
    }

    fn settings(&self) -> Config {
        self.config.clone().unwrap_or_else(Config::from_env)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("App")
            .field("config", &self.config)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
