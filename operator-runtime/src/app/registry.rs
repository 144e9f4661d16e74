//! What is linked, or chosen of it, held against itself and against what the app gives.

use std::any::TypeId;
use std::collections::HashMap;

use super::{SettingName, StartProblem};
use crate::endpoint::call::Call;
use crate::endpoint::need::{Need, NeedKind};
use crate::endpoint::states::States;
use crate::endpoint::{Endpoint, Endpoints};
use crate::protocol::public_url::PublicUrl;
#[cfg(feature = "postgres")]
use crate::store::Postgres;
#[cfg(feature = "sqlite")]
use crate::store::Sqlite;
use crate::store::Store;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::transaction::Reader;

const ONLY: SettingName = SettingName::Method("App::only");
const STATE: SettingName = SettingName::Method("App::state");

/// Every endpoint linked into the program, by path.
pub(crate) fn linked() -> Vec<&'static Endpoint> {
    let mut endpoints: Vec<_> = inventory::iter::<&'static Endpoint>.into_iter().copied().collect();
    endpoints.sort_by_key(|endpoint| (endpoint.path, endpoint.name, endpoint.source.file, endpoint.source.line));
    endpoints
}

/// The linked endpoints, or those of the list. None at all is a problem, and so is a listed function that is no endpoint
/// or that is listed twice.
pub(crate) fn select(only: &[Endpoints], problems: &mut Vec<StartProblem>) -> Vec<&'static Endpoint> {
    let linked = linked();
    let [Endpoints(chosen), others @ ..] = only else {
        if linked.is_empty() {
            problems.push(StartProblem::new("No endpoint is linked into this program: annotate a function with `#[operator_api(…)]`, and where it is in a library crate, name that crate with `use that_crate as _;`."));
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
        problems.push(StartProblem::of(ONLY, format!("The list of {ONLY} is empty: name the endpoints in `endpoints![…]`, or leave {ONLY} out for all that are linked.")));
    }
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
            None => problems.push(StartProblem::of(
                ONLY,
                format!("`{name}` in {ONLY} is not an endpoint: put `#[operator_api(…)]` on the function."),
            )),
        }
    }
    endpoints
}

/// Two endpoints with one name or one path.
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

/// A path that is another endpoint's once the public URL's base path stands before it: both are served, so one would
/// hide the other.
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
                "`{}` ({}) is answered at `{below}` too, below the base path of the public URL ({setting}), and that is the path of `{}` ({}): give one of them another path, or the public URL another base path.",
                endpoint.name, endpoint.source, other.name, other.source
            )));
        }
    }
}

/// What the endpoints need of the app: values and transactions. Of a store that could not be opened nothing is asked:
/// its own problem says why.
pub(crate) fn check_needs(
    endpoints: &[&'static Endpoint],
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
                NeedKind::Borrowed => id == TypeId::of::<Call>() || states.contains(id),
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

fn lacking(endpoint: &Endpoint, need: &Need, store: SettingName) -> StartProblem {
    let (name, argument, source) = (endpoint.name, need.argument, endpoint.source);
    let shown = last_segments((need.type_name)());
    match need.kind {
        NeedKind::Borrowed if !is_of_a_store((need.type_id)()) => StartProblem::of(
            STATE,
            format!(
                "`{name}` borrows `{argument}: &{shown}`, and no such value was given: give one to the app by {STATE} ({source})."
            ),
        ),
        NeedKind::Borrowed | NeedKind::Transaction | NeedKind::Extracted(_) => StartProblem::of(
            store,
            format!(
                "`{name}` takes `{argument}: {shown}`, and the store is another database: set {store} to one of that kind ({source})."
            ),
        ),
    }
}

/// Whether the type is one that a store gives to handlers.
fn is_of_a_store(id: TypeId) -> bool {
    let of_stores: &[TypeId] = &[
        #[cfg(feature = "sqlite")]
        TypeId::of::<Reader<Sqlite>>(),
        #[cfg(feature = "postgres")]
        TypeId::of::<Reader<Postgres>>(),
    ];
    of_stores.contains(&id)
}

/// `Reader<Sqlite>` of `a::b::Reader<c::Sqlite>`.
fn last_segments(type_name: &str) -> String {
    type_name
        .split_inclusive(['<', '>', ',', ' ', '(', ')', '[', ']', '&'])
        .map(|part| part.rsplit("::").next().unwrap_or(part))
        .collect()
}

/// A path that is the MCP server's, as it stands or below the public URL's base path.
#[cfg(feature = "mcp")]
pub(crate) fn check_mcp_path(
    endpoints: &[&'static Endpoint],
    public_url: &PublicUrl,
    setting: SettingName,
    problems: &mut Vec<StartProblem>,
) {
    let path = super::mcp::http::PATH;
    let published = public_url.published_path(path);
    let is_taken = |own: &str| own == path || own == published;
    for endpoint in endpoints {
        if is_taken(endpoint.path) || is_taken(&public_url.published_path(endpoint.path)) {
            problems.push(StartProblem::of(setting, format!(
                "`{}` ({}) answers at `{}`, where MCP clients are answered because {setting} is set: give the endpoint another path.",
                endpoint.name, endpoint.source, endpoint.path
            )));
        }
    }
}
