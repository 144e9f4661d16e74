//! Chooses the endpoints to serve among those that are linked into the program, and checks them: names and paths must
//! be unique, and the app must provide what they need.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};

use super::{SettingName, StartProblem, probes};
use crate::endpoint::event::{EVENTS, EventHandler};
use crate::endpoint::need::{Need, NeedKind};
use crate::endpoint::states::States;
use crate::endpoint::{Endpoint, Endpoints};
use crate::events::Event;
use crate::manifest::info::Info;
use crate::protocol::public_url::PublicUrl;
#[cfg(feature = "postgres")]
use crate::store::Postgres;
#[cfg(feature = "sqlite")]
use crate::store::Sqlite;
use crate::store::Store;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::transaction::Reader;

const ONLY: SettingName = SettingName::Method("App::only");
const INFO: SettingName = SettingName::Method("App::info");
const EVENTS_PATH: SettingName = SettingName::Method("App::events_path");
const STATE: SettingName = SettingName::Method("App::state");

/// The path of the MCP server, if the program has one.
const MCP_PATH: Option<&str> = {
    #[cfg(feature = "mcp")]
    let path = Some(super::mcp::http::PATH);
    #[cfg(not(feature = "mcp"))]
    let path = None;
    path
};

/// Every endpoint linked into the program, sorted by path.
pub(crate) fn linked() -> Vec<&'static Endpoint> {
    let mut endpoints: Vec<_> = inventory::iter::<&'static Endpoint>.into_iter().copied().collect();
    endpoints.sort_by_key(|endpoint| (endpoint.path, endpoint.name, endpoint.source.file, endpoint.source.line));
    endpoints
}

/// Every handler of events linked into the program, sorted by the type of its events.
fn linked_handlers() -> Vec<&'static EventHandler> {
    let mut handlers: Vec<_> = inventory::iter::<&'static EventHandler>.into_iter().copied().collect();
    let source = |handler: &EventHandler| (handler.endpoint.source.file, handler.endpoint.source.line);
    handlers.sort_by_key(|handler| (handler.endpoint.name, source(handler)));
    handlers
}

/// The handlers of events in the list, or every linked handler if there is no list.
pub(crate) fn select_handlers(only: &[Endpoints]) -> Vec<&'static EventHandler> {
    let mut handlers = linked_handlers();
    if let Some(Endpoints(chosen)) = only.first() {
        let is_chosen = |handler: &EventHandler| {
            chosen
                .iter()
                .any(|(function, _)| *function == (handler.endpoint.function)())
        };
        handlers.retain(|handler| is_chosen(handler));
    }
    handlers
}

/// The endpoints in the list, or every linked endpoint if there is no list. Reports a problem if there are no
/// endpoints, or if a listed function is not an endpoint or is listed twice.
pub(crate) fn select(only: &[Endpoints], problems: &mut Vec<StartProblem>) -> Vec<&'static Endpoint> {
    let linked = linked();
    let [Endpoints(chosen), others @ ..] = only else {
        if linked.is_empty() && linked_handlers().is_empty() {
            problems.push(StartProblem::new("No endpoint is linked into this program: annotate a function with `#[operator_api(…)]`; if the function is in a library crate, also write `use that_crate as _;` in the program."));
        }
        return linked;
    };
    if !others.is_empty() {
        let sentence = format!(
            "{ONLY} was called {} times: call it once, with one list; `collect` joins lists.",
            only.len()
        );
        problems.push(StartProblem::of(ONLY, sentence));
    }
    if chosen.is_empty() {
        problems.push(StartProblem::of(ONLY, format!("The list of {ONLY} is empty: name the endpoints in `endpoints![…]`, or leave {ONLY} out to serve every linked endpoint.")));
    }
    let handlers = linked_handlers();
    let mut endpoints = Vec::new();
    for (index, (function, name)) in chosen.iter().enumerate() {
        if chosen[..index].iter().any(|(earlier, _)| earlier == function) {
            problems.push(StartProblem::of(
                ONLY,
                format!("`{name}` is listed twice in {ONLY}: list it once."),
            ));
            continue;
        }
        match linked.iter().find(|endpoint| (endpoint.function)() == *function) {
            Some(endpoint) => endpoints.push(*endpoint),
            None if handlers
                .iter()
                .any(|handler| (handler.endpoint.function)() == *function) => {}
            None => problems.push(StartProblem::of(
                ONLY,
                format!("`{name}` in {ONLY} is not an endpoint: put `#[operator_api(…)]` on the function."),
            )),
        }
    }
    endpoints
}

/// What the program says about itself. Reports what the OpenAPI document cannot show.
pub(crate) fn check_info<'a>(given: &'a [Info], problems: &mut Vec<StartProblem>) -> Option<&'a Info> {
    let info = given.first()?;
    if given.len() > 1 {
        let sentence = format!(
            "{INFO} was called {} times: call it once, with one `Info`.",
            given.len()
        );
        problems.push(StartProblem::of(INFO, sentence));
    }
    let wrong = info.problems().into_iter();
    problems.extend(wrong.map(|why| StartProblem::of(INFO, format!("The information in {INFO} {why}."))));
    Some(info)
}

/// Reports endpoints that have the same name or the same path.
pub(crate) fn check_unique(endpoints: &[&'static Endpoint], problems: &mut Vec<StartProblem>) {
    let mut names: HashMap<&str, &Endpoint> = HashMap::new();
    let mut paths: HashMap<&str, &Endpoint> = HashMap::new();
    for endpoint in endpoints {
        let (name, path, source) = (endpoint.name, endpoint.path, endpoint.source);
        if let Some(other) = names.insert(name, endpoint) {
            let other = other.source;
            problems.push(StartProblem::new(format!(
                "Two endpoints are named `{name}`, at {other} and at {source}: give one of them another `name = \"…\"`."
            )));
        }
        if let Some(other) = paths.insert(path, endpoint) {
            let other = other.source;
            problems.push(StartProblem::new(format!(
                "Two endpoints answer at `{path}`, at {other} and at {source}: give one of them another path."
            )));
        }
    }
}

/// Reports two handlers of one type of event, and a handler whose type is the name of an endpoint, which would hide the
/// one behind the other in the log and in the metrics.
pub(crate) fn check_handlers(
    endpoints: &[&'static Endpoint],
    handlers: &[&'static EventHandler],
    problems: &mut Vec<StartProblem>,
) {
    for pair in handlers.windows(2) {
        if let [one, other] = pair
            && one.endpoint.name == other.endpoint.name
        {
            problems.push(StartProblem::new(format!(
                "Two handlers are for the event `{}`, `{}` ({}) and `{}` ({}): remove one, or let one call the other.",
                one.endpoint.name, one.name, one.endpoint.source, other.name, other.endpoint.source
            )));
        }
    }
    for handler in handlers {
        let event_type = handler.endpoint.name;
        if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.name == event_type) {
            problems.push(StartProblem::new(format!(
                "The endpoint at {} and the event type that `{}` ({}) handles are both called `{event_type}`: give the endpoint another `name = \"…\"`.",
                endpoint.source, handler.name, handler.endpoint.source
            )));
        }
    }
}

/// Reports a path of the events that is not a path, or at which something else answers, with or without the base path of
/// the public URL.
pub(crate) fn check_events_path(
    endpoints: &[&'static Endpoint],
    given: &[&'static str],
    public_url: &PublicUrl,
    problems: &mut Vec<StartProblem>,
) {
    if given.len() > 1 {
        let sentence = format!("{EVENTS_PATH} was called {} times: call it once.", given.len());
        problems.push(StartProblem::of(EVENTS_PATH, sentence));
    }
    let path = events_path(given);
    if !is_path(path) {
        problems.push(StartProblem::of(EVENTS_PATH, format!(
            "The path `{path}` of the events is not a path: give {EVENTS_PATH} one like `/events`, of ASCII letters, digits, `-`, `_`, `.`, `~` and `/`, with no `/` at its end."
        )));
    }
    let is_of_mcp = MCP_PATH.is_some_and(|mcp| clashes(mcp, path, public_url));
    if probes::PATHS.contains(&path) || is_of_mcp {
        problems.push(StartProblem::of(EVENTS_PATH, format!(
            "The path `{path}` of the events is that of a probe or of the MCP server: give {EVENTS_PATH} another path."
        )));
    }
    for endpoint in endpoints
        .iter()
        .filter(|endpoint| clashes(endpoint.path, path, public_url))
    {
        problems.push(StartProblem::of(EVENTS_PATH, format!(
            "`{}` ({}) answers at `{}`, which is the path of the events: give the endpoint another path, or the events with {EVENTS_PATH}.",
            endpoint.name, endpoint.source, endpoint.path
        )));
    }
}

/// The path at which the events arrive.
pub(crate) fn events_path(given: &[&'static str]) -> &'static str {
    given.first().copied().unwrap_or(EVENTS.path)
}

fn is_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_allowed)
    };
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(is_segment))
}

/// Whether two paths are the same path, if each of them is also served below the base path of the public URL.
fn clashes(one: &str, other: &str, public_url: &PublicUrl) -> bool {
    one == other || one == public_url.published_path(other) || public_url.published_path(one) == other
}

/// Reports an endpoint at the path of a probe.
pub(crate) fn check_probes(endpoints: &[&'static Endpoint], problems: &mut Vec<StartProblem>) {
    let clashes = endpoints
        .iter()
        .filter(|endpoint| probes::PATHS.contains(&endpoint.path));
    problems.extend(clashes.map(|endpoint| {
        StartProblem::new(format!(
            "`{}` ({}) answers at `{}`, which is the path of a probe: give the endpoint another path.",
            endpoint.name, endpoint.source, endpoint.path
        ))
    }));
}

/// Reports an endpoint whose path equals another endpoint's path after the public URL's base path is added. Endpoints
/// are served with and without the base path, so one of the two would hide the other.
pub(crate) fn check_base_path(
    endpoints: &[&'static Endpoint],
    public_url: &PublicUrl,
    setting: SettingName,
    problems: &mut Vec<StartProblem>,
) {
    if public_url.base_path().is_empty() {
        return;
    }
    let by_path: HashMap<&str, &Endpoint> = endpoints.iter().map(|endpoint| (endpoint.path, *endpoint)).collect();
    for endpoint in endpoints {
        let below = public_url.published_path(endpoint.path);
        if let Some(other) = by_path.get(below.as_str()) {
            problems.push(StartProblem::of(setting, format!(
                "`{}` ({}) also answers at `{below}`, because the public URL ({setting}) has a base path, but `{}` ({}) already answers there: give one of them another path, or the public URL another base path.",
                endpoint.name, endpoint.source, other.name, other.source
            )));
        }
    }
}

/// Reports the values and transactions that endpoints need and the app does not provide. The types `own` belong to each
/// call. If the store could not be opened, the needs that a store provides are not checked, because another problem
/// already reports the store.
pub(crate) fn check_needs(
    endpoints: impl IntoIterator<Item = &'static Endpoint>,
    own: &[TypeId],
    states: &States,
    store: Option<&dyn Store>,
    store_setting: SettingName,
    problems: &mut Vec<StartProblem>,
) {
    for endpoint in endpoints {
        for need in endpoint.needs {
            let id = (need.type_id)();
            let provided = match need.kind {
                NeedKind::Extracted(_) => true,
                NeedKind::Borrowed if is_of_a_store(id) => store.is_none() || states.contains(id),
                NeedKind::Borrowed => own.contains(&id) || states.contains(id),
                NeedKind::Transaction => store.is_none_or(|store| {
                    store
                        .transactions()
                        .is_some_and(|transactions| transactions.handle_type() == id)
                }),
            };
            if !provided {
                problems.push(lacking(endpoint, need, store_setting));
            }
        }
    }
}

/// Reports endpoints with limits whose store cannot count them.
pub(crate) fn check_limits(
    endpoints: &[&'static Endpoint],
    store: Option<&dyn Store>,
    setting: SettingName,
    problems: &mut Vec<StartProblem>,
) {
    let Some(store) = store.filter(|store| store.limits().is_none()) else {
        return;
    };
    let limited = endpoints.iter().filter(|endpoint| endpoint.limits.is_some());
    problems.extend(limited.map(|endpoint| {
        let sentence = format!(
            "`{}` has a limit, but the store ({}) cannot count limits: set {setting} to another store, or implement `Store::limits` ({}).",
            endpoint.name,
            store.describe(),
            endpoint.source
        );
        StartProblem::of(setting, sentence)
    }));
}

/// Reports limits that are counted for each value of an input whose values can be written in several ways, because a
/// caller could write a value in another way to be under the limit.
pub(crate) fn check_per(endpoints: &[&'static Endpoint], problems: &mut Vec<StartProblem>) {
    for endpoint in endpoints {
        let limits = endpoint.limits.iter().flat_map(|limits| limits.limits);
        let names: BTreeSet<&str> = limits.flat_map(|limit| limit.per).copied().collect();
        let inputs = endpoint.inputs.iter().filter(|input| names.contains(input.name));
        for input in inputs.filter(|input| !input.has_one_identity()) {
            problems.push(StartProblem::new(format!(
                "`{}` has a limit for each `{}`, but a value of this input can be written in several ways, and each would be counted on its own: name an id in `per`, which is an integer, a boolean, a `String`, a UUID, a date or an enum of texts, and is not `lenient` ({}).",
                endpoint.name, input.name, endpoint.source
            )));
        }
    }
}

fn lacking(endpoint: &Endpoint, need: &Need, store: SettingName) -> StartProblem {
    let (name, argument, source) = (endpoint.name, need.argument, endpoint.source);
    let shown = last_segments((need.type_name)());
    match need.kind {
        NeedKind::Borrowed if (need.type_id)() == TypeId::of::<Event>() => StartProblem::new(format!(
            "`{name}` borrows `{argument}: &{shown}`, which only a handler of events has: handle events in a function with `#[operator_event(…)]` ({source})."
        )),
        NeedKind::Borrowed if !is_of_a_store((need.type_id)()) => StartProblem::of(
            STATE,
            format!(
                "`{name}` borrows `{argument}: &{shown}`, but the app has no value of that type: give one to the app with {STATE} ({source})."
            ),
        ),
        NeedKind::Borrowed | NeedKind::Transaction | NeedKind::Extracted(_) => StartProblem::of(
            store,
            format!(
                "`{name}` takes `{argument}: {shown}`, but the store is a different database: set {store} to a database of that kind ({source})."
            ),
        ),
    }
}

/// Whether a store, not the app, provides values of this type to handlers.
fn is_of_a_store(id: TypeId) -> bool {
    let of_stores: &[TypeId] = &[
        #[cfg(feature = "sqlite")]
        TypeId::of::<Reader<Sqlite>>(),
        #[cfg(feature = "postgres")]
        TypeId::of::<Reader<Postgres>>(),
    ];
    of_stores.contains(&id)
}

/// Removes the module paths from a type's name: `a::b::Reader<c::Sqlite>` becomes `Reader<Sqlite>`.
fn last_segments(type_name: &str) -> String {
    type_name
        .split_inclusive(['<', '>', ',', ' ', '(', ')', '[', ']', '&'])
        .map(|part| part.rsplit("::").next().unwrap_or(part))
        .collect()
}

/// Reports an endpoint at the path of the MCP server, with or without the public URL's base path.
#[cfg(feature = "mcp")]
pub(crate) fn check_mcp_path(
    endpoints: &[&'static Endpoint],
    public_url: &PublicUrl,
    setting: SettingName,
    problems: &mut Vec<StartProblem>,
) {
    for endpoint in endpoints {
        if clashes(endpoint.path, super::mcp::http::PATH, public_url) {
            problems.push(StartProblem::of(setting, format!(
                "`{}` ({}) answers at `{}`, which is the path of the MCP server because {setting} is set: give the endpoint another path.",
                endpoint.name, endpoint.source, endpoint.path
            )));
        }
    }
}
