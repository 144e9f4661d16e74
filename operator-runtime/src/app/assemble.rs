//! Start-up: checks an app and its settings, and prepares everything that answers calls. If the app cannot start, the
//! error names every problem.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::before_serving;
#[cfg(feature = "oauth")]
use super::protected_resource;
use super::room::BodyRoom;
use super::rotation::Versions;
use super::{App, Config, Given, SettingName, Settled, StartError, StartProblem, registry, setup};
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::endpoint::arguments::ArgumentSources;
use crate::endpoint::call::Call;
use crate::endpoint::event::{EVENTS, EventHandler};
use crate::endpoint::states::States;
use crate::events::{self, Event};
use crate::idempotency::operations::{Operations, Retention};
use crate::input::BoundInputs;
#[cfg(feature = "mcp")]
use crate::manifest::info::Info;
use crate::manifest::model::Model;
use crate::manifest::served::{self, Documents};
use crate::meter::{self, CallMeter};
use crate::pipeline::Pipeline;
use crate::pipeline::audited::AuditedEndpoint;
use crate::pipeline::events::Handlers;
use crate::pipeline::prepared::PreparedEndpoint;
use crate::protocol::credentials::Credentials;
use crate::store::{self, BoxFuture, Store};

/// An app that is ready to answer calls.
pub(crate) struct Assembled {
    pub(crate) settings: Settled,
    /// The settings as they were given, which name the files of credentials.
    pub(super) config: Config,
    /// The versions of the files that credentials and certificates were read from.
    pub(super) files: Versions,
    /// What the program says about itself, for MCP clients.
    #[cfg(feature = "mcp")]
    pub(super) info: Info,
    /// The credentials in use, which are replaced when their files change.
    pub(crate) credentials: ArcSwap<Credentials>,
    /// The endpoints of the app, and the endpoint at which events arrive, if the app has handlers of events.
    pub(crate) endpoints: Vec<Arc<PreparedEndpoint>>,
    pub(crate) handlers: Vec<&'static EventHandler>,
    #[cfg(feature = "cli")]
    pub(crate) events_path: &'static str,
    pub(crate) pipeline: Arc<Pipeline>,
    /// The memory for all request bodies that are being read.
    pub(crate) room: BodyRoom,
    /// Serves the metrics to Prometheus until the app is dropped.
    _exporter: Exporting,
}

/// Checks and prepares the app, and runs what the program does before it serves. The error names every problem, not only
/// the first one.
///
/// The future is boxed, because rustc computes the layouts of nested futures for each program, up to a limit.
pub(crate) fn assemble<'a>(
    app: &'a App,
    config: &'a Config,
    clock: Arc<dyn Clock>,
) -> BoxFuture<'a, Result<Assembled, StartError>> {
    Box::pin(check_and_prepare(app, config, clock))
}

async fn check_and_prepare(app: &App, config: &Config, clock: Arc<dyn Clock>) -> Result<Assembled, StartError> {
    let mut problems = Vec::new();
    let mut endpoints = choose(app, &mut problems);
    let handlers = registry::select_handlers(&app.only);
    let events_path = registry::events_path(&app.events_paths);
    let info = registry::check_info(&app.info, &mut problems);
    // Before the files are read, so that a change meanwhile is noticed later.
    let files = Versions::of(config);
    let settings = config.settle(&mut problems);
    let exporter = export(config, &mut problems).await;
    let documents = settings
        .as_ref()
        .filter(|settings| settings.serves_manifest)
        .and_then(|settings| {
            let model = Model::new(&endpoints, &settings.public_url)
                .with_info(info)
                .with_events(&handlers, events_path);
            write_manifest(&model, &mut problems)
        });
    if documents.is_some() {
        endpoints.push(&served::ENDPOINT);
    }
    registry::check_unique(&endpoints, &mut problems);
    registry::check_handlers(&endpoints, &handlers, &mut problems);
    registry::check_probes(&endpoints, &mut problems);
    let of_handlers = || handlers.iter().map(|handler| &handler.endpoint);
    check_lifetimes(endpoints.iter().copied().chain(of_handlers()), config, &mut problems);
    if let Some(settings) = &settings {
        if !handlers.is_empty() {
            registry::check_events_path(&endpoints, &app.events_paths, &settings.public_url, &mut problems);
        }
        registry::check_base_path(
            &endpoints,
            &settings.public_url,
            config.public_url_setting(),
            &mut problems,
        );
        #[cfg(feature = "mcp")]
        if settings.serves_mcp() {
            registry::check_mcp_path(&endpoints, &settings.public_url, config.tokens_setting(), &mut problems);
        }
        #[cfg(feature = "oauth")]
        if settings.credentials.issuer.is_some() {
            let paths = endpoints.iter().map(|endpoint| endpoint.path).chain([events_path]);
            problems.extend(protected_resource::check_paths(paths, &settings.public_url));
        }
    }
    let store = open_store(app, config).await;
    let store = store.map_err(|problem| problems.push(problem)).ok();
    let store_setting = app.store_setting(config);
    if let Some(store) = &store {
        setup::run(app, store, store_setting, setup::Runs::IfChanged, &mut problems).await;
    }
    let audit = match (&settings, &store) {
        (Some(settings), Some(store)) => audit(settings, config, &**store, store_setting, &mut problems).await,
        _ => None,
    };
    let mut states = states(app, store.as_deref(), documents);
    let mut check_needs = |endpoints: Vec<&'static Endpoint>, own: &[TypeId]| {
        registry::check_needs(endpoints, own, &states, store.as_deref(), store_setting, &mut problems);
    };
    check_needs(endpoints.clone(), &[TypeId::of::<Call>()]);
    check_needs(of_handlers().collect(), &[TypeId::of::<Call>(), TypeId::of::<Event>()]);
    registry::check_per(&endpoints, &mut problems);
    registry::check_limits(&endpoints, store.as_deref(), store_setting, &mut problems);
    let inputs = bind_inputs(&endpoints, &mut problems);
    let (Some(settings), Some(store), true) = (settings, store, problems.is_empty()) else {
        return Err(StartError::new(problems));
    };
    before_serving::run(&app.before_serving, &mut states).await?;
    meter::describe();
    let binding = Binding {
        settings: &settings,
        states: &states,
        is_audited: audit.is_some(),
    };
    let mut endpoints: Vec<_> = endpoints
        .into_iter()
        .zip(inputs)
        .map(|(endpoint, inputs)| Arc::new(binding.bind(endpoint, endpoint.path, inputs)))
        .collect();
    if !handlers.is_empty() {
        endpoints.push(Arc::new(binding.bind_events(&handlers, events_path)));
    }
    let operations = Operations::audited(store, config.operations, audit);
    let pipeline = Pipeline::new(operations, clock, settings.limits.concurrency)
        .adopting(app.adopt.clone())
        .limited(settings.rate);
    Ok(Assembled {
        room: BodyRoom::new(settings.limits.memory_for_bodies),
        config: config.clone(),
        files,
        #[cfg(feature = "mcp")]
        info: info
            .cloned()
            .unwrap_or_else(|| Info::unnamed().title(super::program_name())),
        credentials: ArcSwap::new(Arc::clone(&settings.credentials)),
        settings,
        endpoints,
        handlers,
        #[cfg(feature = "cli")]
        events_path,
        pipeline: Arc::new(pipeline),
        _exporter: exporter,
    })
}

impl Assembled {
    /// The endpoints of the app, without that of the events.
    pub(crate) fn own_endpoints(&self) -> impl Iterator<Item = &Arc<PreparedEndpoint>> {
        self.endpoints.iter().filter(|endpoint| endpoint.events.is_none())
    }
}

#[cfg(feature = "prometheus")]
type Exporting = Option<super::exporter::Exporter>;
#[cfg(not(feature = "prometheus"))]
type Exporting = Option<std::convert::Infallible>;

/// Starts the Prometheus exporter, if it has an address. It starts before anything is counted, so that no count is
/// lost.
#[cfg_attr(
    not(feature = "prometheus"),
    expect(clippy::unused_async, reason = "only the exporter needs `await`")
)]
async fn export(config: &Config, problems: &mut Vec<StartProblem>) -> Exporting {
    let address = config.settle_metrics().map_err(|problem| problems.push(problem));
    #[cfg(feature = "prometheus")]
    if let Ok(Some(address)) = address {
        let opened = super::exporter::Exporter::open(address, config.limits).await;
        return opened.map_err(|problem| problems.push(problem)).ok();
    }
    let _ = address;
    None
}

/// How long the rows of the audit are kept; `None` if the audit is off.
async fn audit(
    settings: &Settled,
    config: &Config,
    store: &dyn Store,
    store_setting: SettingName,
    problems: &mut Vec<StartProblem>,
) -> Option<Retention> {
    let Some(Given { value, setting }) = settings.audit else {
        return (config.audits_if_possible() && store.audit().is_some()).then_some(Retention::Unlimited);
    };
    let Some(log) = store.audit() else {
        let sentence = format!(
            "{setting} is set, but the store, {}, keeps no audit, because it may lose what it has written: set {store_setting} to `sqlite:PATH` or `postgres://…`, or leave {setting} unset.",
            store.describe()
        );
        problems.push(StartProblem::of(setting, sentence));
        return None;
    };
    if let Err(error) = log.ready().await {
        let sentence = format!("{setting} is set, but the audit cannot be kept: {error}.");
        problems.push(StartProblem::of(setting, sentence).caused_by(error));
    }
    Some(Retention::For(value))
}

/// The endpoints to serve: those given to `App::only`, or else every linked endpoint.
fn choose(app: &App, problems: &mut Vec<StartProblem>) -> Vec<&'static Endpoint> {
    for type_name in &app.twice {
        let setting = SettingName::Method("App::state");
        problems.push(StartProblem::of(
            setting,
            format!("Two values of type `{type_name}` were given to {setting}: an endpoint finds a value by its type, so give only one value, or wrap each value in a type of its own."),
        ));
    }
    registry::select(&app.only, problems)
}

/// The values that endpoints may borrow: the app's values, the store's values, and the manifest if it is served.
fn states(app: &App, store: Option<&dyn Store>, documents: Option<Documents>) -> States {
    let mut states = app.states.clone();
    for (id, value) in store.iter().flat_map(|store| store.provides()) {
        states.insert(id, value);
    }
    if let Some(documents) = documents {
        states.insert(TypeId::of::<Documents>(), Arc::new(documents));
    }
    states
}

/// The manifest that its endpoint answers with. It describes every endpoint except the manifest's own endpoint.
fn write_manifest(model: &Model, problems: &mut Vec<StartProblem>) -> Option<Documents> {
    Documents::new(model)
        .map_err(|error| {
            let sentence = format!("The manifest cannot be written as JSON: {error}.");
            problems.push(StartProblem::new(sentence).caused_by(error));
        })
        .ok()
}

/// What all endpoints are bound to.
struct Binding<'a> {
    settings: &'a Settled,
    states: &'a States,
    is_audited: bool,
}

impl Binding<'_> {
    fn bind(&self, endpoint: &'static Endpoint, path: &'static str, inputs: BoundInputs) -> PreparedEndpoint {
        let Self {
            settings,
            states,
            is_audited,
        } = self;
        PreparedEndpoint {
            endpoint,
            path,
            credentials: ArcSwap::from_pointee(settings.credentials.bind(&settings.public_url.published(path))),
            arguments: Arc::new(ArgumentSources {
                endpoint: endpoint.name,
                inputs,
                states: (*states).clone(),
                needs: endpoint.needs,
            }),
            max_execution: max_execution(endpoint, settings.limits.handler_timeout),
            meter: CallMeter::of(endpoint.name),
            slow: None,
            audited: is_audited.then(|| AuditedEndpoint::of(endpoint)),
            events: None,
        }
    }

    /// The endpoint at which the events arrive. A payload is decoded by its handler, so it has no inputs.
    fn bind_events(&self, handlers: &[&'static EventHandler], path: &'static str) -> PreparedEndpoint {
        let default = self.settings.limits.handler_timeout;
        let longest = handlers.iter().map(|handler| max_execution(&handler.endpoint, default));
        let max_execution = longest.max().unwrap_or(default);
        let bound = handlers.iter().map(|handler| {
            let name = handler.endpoint.name;
            let prepared = PreparedEndpoint {
                slow: (name == events::SETUP).then(|| meter::slow_setups(name)),
                audited: self.is_audited.then(|| AuditedEndpoint::of_events(&handler.endpoint)),
                ..self.bind(&handler.endpoint, path, BoundInputs::default())
            };
            (*handler, Arc::new(prepared))
        });
        PreparedEndpoint {
            max_execution,
            events: Some(Handlers::new(bound)),
            ..self.bind(&EVENTS, path, BoundInputs::default())
        }
    }
}

fn max_execution(endpoint: &Endpoint, default: Duration) -> Duration {
    endpoint.timeout.unwrap_or(default)
}

/// Checks for each endpoint whose calls are recorded that a record is kept for longer than callers may retry.
fn check_lifetimes(
    endpoints: impl Iterator<Item = &'static Endpoint>,
    config: &Config,
    problems: &mut Vec<StartProblem>,
) {
    for endpoint in endpoints.filter(|endpoint| endpoint.effect.is_recorded()) {
        let longest = max_execution(endpoint, config.limits.handler_timeout);
        if let Err(problem) = config.operations.check(longest) {
            let sentence = format!("`{}` ({}): {problem}", endpoint.name, endpoint.source);
            problems.push(StartProblem::of(SettingName::Method("Config::operations"), sentence).caused_by(problem));
        }
    }
}

/// The store that the app was given, or else the store that the settings name.
pub(super) async fn open_store(app: &App, config: &Config) -> Result<Arc<dyn Store>, StartProblem> {
    if let Some(store) = &app.store {
        return Ok(Arc::clone(&store.value));
    }
    let Given { value, setting } = config.store_url()?;
    store::open(value).await.map_err(|error| {
        let sentence = store::not_opened(&setting.to_string(), value, &error);
        StartProblem::of(setting, sentence).caused_by(error)
    })
}

fn bind_inputs(endpoints: &[&'static Endpoint], problems: &mut Vec<StartProblem>) -> Vec<BoundInputs> {
    let mut bound = Vec::new();
    for endpoint in endpoints {
        match BoundInputs::of(endpoint.method, endpoint.inputs) {
            Ok(inputs) => bound.push(inputs),
            Err(mistakes) => problems.extend(mistakes.into_iter().map(|mistake| {
                let sentence = format!("`{}` ({}): {mistake}.", endpoint.name, endpoint.source);
                StartProblem::new(sentence).caused_by(mistake)
            })),
        }
    }
    bound
}
