//! The admin page, on a port of its own: people see recent operations, and settle those whose outcome is unknown. Each
//! request for data needs a token of a person.

mod listing;

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use self::listing::{Filter, Listing};
use super::console::{json, protect, text};
use super::desk::{Desk, NotFound, Said, StoredAnswer, Told};
use super::reading::Reading;
use super::room::BodyRoom;
use super::router::refused;
use super::{Assembled, Given, Limits, StartProblem, side_port};
use crate::clock::timer_now;
use crate::console::guard::{Asked, Site, bearer};
use crate::console::page;
use crate::idempotency::machine::NothingToSettle;
use crate::pipeline::detached::Detached;
use crate::problem::{Error, Kind};
use crate::protocol::api_keys::ApiKeys;
use crate::protocol::caller::Caller;
use crate::protocol::request::{Refusal, is_json_in_utf8};
use crate::protocol::request_id::{self, REQUEST_ID};

/// The path of the page.
const PATH: &str = "/admin";
/// How often the task checks whether the app still exists.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest name of a person, in bytes.
const LONGEST_NAME: usize = 200;
/// How many bytes the body of a settlement may have in addition to the answer.
const BESIDE_THE_ANSWER: usize = 4096;

/// The state of the routes.
struct Admin {
    desk: Desk,
    site: Site,
    tokens: Arc<ArcSwap<ApiKeys>>,
    limits: Limits,
    /// The room for bodies. It is not that of the port for calls, so that settling works while calls fill theirs.
    room: BodyRoom,
    /// Only one listing reads the store at a time.
    listing: Arc<Mutex<()>>,
}

/// Listens, and answers until the task is aborted, or the app is dropped or drained. `None` if there is no admin page.
///
/// # Errors
/// If the address is in use.
pub(super) async fn serve_while_held(assembled: &Arc<Assembled>) -> Result<Option<JoinHandle<()>>, StartProblem> {
    let Some(admin) = &assembled.settings.admin else {
        return Ok(None);
    };
    let Given { value, setting } = admin.listen;
    let listener = TcpListener::bind(value).await;
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|error| {
        let sentence = format!(
            "The server cannot listen on {value} for the admin page: {error}. Set {setting} to a free address of this machine."
        );
        StartProblem::of(setting, sentence).caused_by(error)
    })?;
    tracing::info!(admin = %address, "the admin page is at http://{address}{PATH}");
    let of_endpoints = assembled.own_endpoints().map(|bound| bound.endpoint);
    let of_handlers = assembled.handlers.iter().map(|handler| &handler.endpoint);
    let router = routes(Admin {
        desk: Desk {
            operations: assembled.pipeline.operations().clone(),
            endpoints: of_endpoints.chain(of_handlers).collect(),
        },
        site: Site { port: address.port() },
        tokens: Arc::clone(&admin.tokens),
        limits: assembled.settings.limits,
        room: BodyRoom::new(assembled.settings.limits.memory_for_bodies),
        listing: Arc::default(),
    });
    let held = Arc::downgrade(assembled);
    let limits = assembled.settings.limits;
    Ok(Some(tokio::spawn(side_port::serve(
        listener,
        router,
        limits,
        gone(held),
    ))))
}

/// Waits until the app is dropped or drained.
async fn gone(held: Weak<Assembled>) {
    while held.upgrade().is_some_and(|held| !held.pipeline.is_draining()) {
        tokio::time::sleep(PAUSE).await;
    }
}

fn routes(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let mut pages = Router::new()
        .route("/", get(|| async { Redirect::to(PATH) }))
        .route(PATH, get(|| async { text("text/html; charset=utf-8", page::ADMIN) }))
        .fallback(async || {
            let sentence = format!("There is nothing at this path: the admin page is at {PATH}.");
            refused(&Error::new(Kind::NoSuchPath, sentence))
        });
    for asset in &page::ADMIN_ASSETS {
        let path = format!("{PATH}/{}", asset.name);
        pages = pages.route(&path, get(|| async { text(asset.content_type, asset.content) }));
    }
    let data = Router::new()
        .route("/admin/operations", get(list))
        .route("/admin/operations/{id}", get(show))
        .route("/admin/settle", post(settle));
    let guarded = |routes: Router<Arc<Admin>>, asked: Asked| {
        let admin = Arc::clone(&admin);
        let routes = routes.method_not_allowed_fallback(async || {
            let sentence = "The admin page does not answer this method at this path: load the page again.";
            refused(&Error::new(Kind::MethodNotAllowed, sentence))
        });
        routes.layer(middleware::from_fn(move |request, next| {
            guard(Arc::clone(&admin), asked, request, next)
        }))
    };
    guarded(pages, Asked::Page)
        .merge(guarded(data, Asked::Data))
        .with_state(admin)
}

/// Checks access before every route, and adds the security headers to every answer.
async fn guard(admin: Arc<Admin>, asked: Asked, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let request_id = request_id::identify(&mut parts.headers);
    let mut response = match admin.admit(asked, &parts) {
        Ok(person) => {
            parts.extensions.insert(person);
            next.run(Request::from_parts(parts, body)).await
        }
        Err((status, sentence)) => {
            let request_id = request_id::of(&parts.headers);
            tracing::warn!(
                request_id,
                path = parts.uri.path(),
                "refused by the admin page: {sentence}"
            );
            problem(status, &sentence)
        }
    };
    protect(&mut response);
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// The holder of the token of a request for data.
type Person = Option<Caller>;

impl Admin {
    /// Reads the body of a settlement, within the limit of an answer.
    async fn read(&self, request: Request) -> Result<Settling, Error> {
        let content_type = request.headers().get(CONTENT_TYPE).map(http::HeaderValue::to_str);
        if !content_type.is_some_and(|value| value.is_ok_and(is_json_in_utf8)) {
            return Err(Refusal::ContentType.into());
        }
        // The page sends the answer inside a JSON string, which is longer than the answer itself.
        let answer = self.desk.operations.settings().response_limit.saturating_mul(2);
        let limits = Limits {
            body: answer.saturating_add(BESIDE_THE_ANSWER),
            ..self.limits
        };
        let mut reading = Reading::of(request.into_body());
        let (body, _held) = reading.finish(limits, &self.room).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::malformed(format!(
                "The page's request is not understood ({error}): load the page again."
            ))
        })
    }

    fn admit(&self, asked: Asked, request: &Parts) -> Result<Person, (StatusCode, String)> {
        let forbidden = |sentence: &str| (StatusCode::FORBIDDEN, sentence.to_owned());
        self.site.admit(asked, request).map_err(forbidden)?;
        if names_a_token(request.uri.query().unwrap_or_default()) {
            let sentence = "An address with a token stays in the history of the browser: open the page without it and type the token there. If the token was a real one, replace it.";
            return Err((StatusCode::BAD_REQUEST, sentence.to_owned()));
        }
        if asked == Asked::Page {
            return Ok(None);
        }
        let given = bearer(&request.headers).map_err(forbidden)?;
        let held = given.and_then(|token| self.tokens.load().holder(token.as_bytes()).ok());
        held.map(Some).ok_or_else(|| {
            let sentence = "This is not a token of the admin page: sign in with one that OPERATOR_ADMIN_TOKENS lists.";
            (StatusCode::UNAUTHORIZED, sentence.to_owned())
        })
    }
}

/// Whether a query has a parameter that is called like a token.
fn names_a_token(query: &str) -> bool {
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.to_lowercase());
    names.any(|name| {
        ["token", "key", "secret", "password", "authorization"]
            .iter()
            .any(|word| name.contains(word))
    })
}

async fn list(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> Response {
    let filter = match Filter::parse(query.as_deref().unwrap_or_default()) {
        Ok(filter) => filter,
        Err(sentence) => return problem(StatusCode::BAD_REQUEST, &sentence),
    };
    let turn = Arc::clone(&admin.listing).lock_owned().await;
    let started = timer_now();
    let listing = Listing::read(&admin.desk, &filter).await;
    // The page asks again and again, and a large store takes long to read: listings take at most a fifth of the time.
    let pause = (timer_now() - started).saturating_mul(4);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        drop(turn);
    });
    match listing {
        Ok(listing) => json(&listing),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, &NotFound::from(error).to_string()),
    }
}

/// One operation, as the page shows it.
#[derive(Serialize)]
struct Shown<'f> {
    #[serde(flatten)]
    told: Told<'f>,
    effect: Option<&'static str>,
    description: &'static str,
    /// Why nobody has to settle the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    nothing_to_settle: Option<String>,
    /// Whether settling the operation as not done once more may free its part of the limits.
    may_free_again: bool,
    /// The schema of the answer that a person gives if the operation was done.
    outputs: Option<Value>,
    answer: Option<StoredAnswer>,
    /// Whether the audit is on.
    has_audit: bool,
    /// The inputs as JSON, if the audit has them.
    inputs: Option<String>,
}

async fn show(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let found = match admin.desk.find(&id).await {
        Ok(found) => found,
        Err(error) => return not_found(&error),
    };
    let inputs = match admin.desk.inputs(&found).await {
        Ok(inputs) => inputs,
        Err(error) => return not_found(&error.into()),
    };
    json(&Shown {
        told: found.told(),
        effect: found.endpoint.map(|endpoint| endpoint.effect.in_words()),
        description: found.endpoint.map_or("", |endpoint| endpoint.description),
        nothing_to_settle: found.to_settle.as_ref().err().map(ToString::to_string),
        may_free_again: matches!(found.to_settle, Err(NothingToSettle::SettledAsNotDone))
            && found.endpoint.is_some_and(|endpoint| endpoint.limits.is_some()),
        outputs: found.endpoint.map(|endpoint| (endpoint.output)().to_value()),
        answer: found.answer(),
        has_audit: admin.desk.operations.has_audit(),
        inputs,
    })
}

/// What a person says about an operation.
#[derive(Deserialize)]
struct Settling {
    operation: String,
    /// The JSON of the answer, if the operation was done.
    answer: Option<String>,
    /// The name of the person.
    by: String,
}

#[derive(Serialize)]
struct Settled {
    sentence: String,
}

async fn settle(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let person = request.extensions().get::<Person>().cloned().flatten();
    let settling = match admin.read(request).await {
        Ok(settling) => settling,
        Err(error) => return problem(error.status(), error.detail()),
    };
    let by = settling.by.trim();
    if by.is_empty() || by.len() > LONGEST_NAME || by.chars().any(char::is_control) {
        let sentence = format!("Write your name, in at most {LONGEST_NAME} bytes: it is stored with the operation.");
        return problem(StatusCode::BAD_REQUEST, &sentence);
    }
    let by = by.to_owned();
    let desk = admin.desk.clone();
    let settled = async move { settle_as(&desk, &settling, &by, person.as_ref()).await };
    // A person who closes the page must not stop the settlement between its two writes, nor must shutdown.
    let unfinished = admin.desk.operations.unfinished();
    unfinished.track_future(Detached::new(unfinished, settled)).await
}

async fn settle_as(desk: &Desk, settling: &Settling, by: &str, person: Option<&Caller>) -> Response {
    let found = match desk.find(&settling.operation).await {
        Ok(found) => found,
        Err(error) => return not_found(&error),
    };
    let operation = found.id;
    let said = match &settling.answer {
        Some(answer) => Said::Done {
            place: "The answer",
            answer,
        },
        None => Said::NotDone,
    };
    let token = person.map(|person| format!("{:?}", person.name()));
    match desk.settle(found, said, by).await {
        Ok(sentence) => {
            tracing::info!(operation = %operation, by, token, was_done = settling.answer.is_some(), "settled on the admin page");
            json(&Settled { sentence })
        }
        Err(sentence) => {
            tracing::warn!(operation = %operation, by, token, "said on the admin page: {sentence}");
            problem(StatusCode::CONFLICT, &sentence)
        }
    }
}

fn not_found(error: &NotFound) -> Response {
    let status = match error {
        NotFound::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        NotFound::NotAnId(_) | NotFound::Nowhere { .. } | NotFound::Several { .. } | NotFound::Unreadable(_) => {
            StatusCode::NOT_FOUND
        }
    };
    problem(status, &error.to_string())
}

/// What the page shows instead of data.
#[derive(Serialize)]
struct Problem<'s> {
    detail: &'s str,
}

fn problem(status: StatusCode, sentence: &str) -> Response {
    let mut response = json(&Problem { detail: sentence });
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
