//! The routes of the console that `dev` serves. The guard checks access to every route, and each call goes through the
//! app's service.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Collected, Full};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Assembled;
use super::reading::Reading;
use super::router::refused;
use super::service::Service;
use super::used::{NotKnown, used};
use crate::clock::{Clock, milliseconds};
use crate::console::comparison::{Question, Server};
use crate::console::guard::{Asked, Guard};
use crate::console::page;
use crate::console::signed::{Signed, Wanted};
use crate::endpoint::Endpoint;
use crate::manifest::events;
use crate::manifest::model::{Described, Model};
use crate::manifest::operator::Description;
use crate::problem::{Error, Kind};
use crate::protocol::randomness::NoRandomBytes;
use crate::protocol::request::{Refusal, is_json_in_utf8};
use crate::protocol::signature::KeyName;

/// The state of the console's routes.
struct Console {
    assembled: Arc<Assembled>,
    /// The service that also answers requests from the network.
    service: Service,
    clock: Arc<dyn Clock>,
    guard: Guard,
}

/// Says why the console cannot be served together with the endpoints: an endpoint uses a path of the console. `None` if
/// no endpoint does.
pub(crate) fn clash(assembled: &Assembled) -> Option<String> {
    let public_url = &assembled.settings.public_url;
    let is_taken = |path: &str| {
        path.strip_prefix(page::PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut all = assembled.endpoints.iter();
    let bound = all.find(|bound| is_taken(bound.path) || is_taken(&public_url.published_path(bound.path)))?;
    Some(format!(
        "This run has no console, because the endpoint `{}` ({}) uses the path `{}`: give it a path outside `{}`.",
        bound.endpoint.name,
        bound.endpoint.source,
        bound.path,
        page::PATH
    ))
}

/// The console's routes for this run; `port` is the port that the server listens on.
pub(crate) fn routes(assembled: &Arc<Assembled>, clock: Arc<dyn Clock>, port: u16) -> Result<Router, NoRandomBytes> {
    let console = Arc::new(Console {
        assembled: Arc::clone(assembled),
        service: Service::new(assembled),
        clock,
        guard: Guard::new(port)?,
    });
    let mut pages = Router::new().route(page::PATH, get(html));
    for asset in &page::ASSETS {
        let path = format!("{}/{}", page::PATH, asset.name);
        pages = pages.route(&path, get(|| async { text(asset.content_type, asset.content) }));
    }
    let data = Router::new()
        .route("/console/endpoints", get(endpoints))
        .route("/console/preview", post(preview))
        .route("/console/call", post(call))
        .route("/console/limits", post(limits))
        .route("/console/compare", post(compare));
    let guarded = |routes: Router<Arc<Console>>, asked: Asked| {
        let console = Arc::clone(&console);
        let routes = routes.method_not_allowed_fallback(async || {
            let sentence = "The console does not answer this method at this path: load the page again.";
            refused(&Error::new(Kind::MethodNotAllowed, sentence))
        });
        routes.layer(middleware::from_fn(move |request, next| {
            guard(Arc::clone(&console), asked, request, next)
        }))
    };
    Ok(guarded(pages, Asked::Page)
        .merge(guarded(data, Asked::Data))
        .with_state(console))
}

/// Checks access before every route, and adds the security headers to every answer.
async fn guard(console: Arc<Console>, asked: Asked, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match console.guard.admit(asked, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(sentence) => {
            tracing::warn!(path = parts.uri.path(), "refused by the console: {sentence}");
            refused(&Error::new(Kind::NotForYou, sentence))
        }
    };
    protect(&mut response);
    response
}

/// Adds the security headers.
pub(super) fn protect(response: &mut Response) {
    for (name, value) in page::HEADERS {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

async fn html(State(console): State<Arc<Console>>) -> Response {
    text("text/html; charset=utf-8", page::html(console.guard.token()))
}

pub(super) fn text(content_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An endpoint, as the page shows it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    description: Description,
    effect: &'static str,
    is_recorded: bool,
    /// The names of the inputs, in the order of the function's arguments.
    order: Vec<&'static str>,
    /// Whether this is an event, whose id identifies its operation.
    is_event: bool,
    /// Whether the endpoint has limits.
    is_limited: bool,
    /// The examples as one JSON object, sent as a string so that the page can keep every digit of large numbers.
    examples: String,
    source: String,
}

async fn endpoints(State(console): State<Arc<Console>>) -> Response {
    let public_url = &console.assembled.settings.public_url;
    let assembled = &console.assembled;
    let endpoints: Vec<_> = assembled.own_endpoints().map(|bound| bound.endpoint).collect();
    let model = Model::new(&endpoints, public_url).with_events(&assembled.handlers, assembled.events_path);
    let shown = |described: &Described, examples: &Value, is_event| Shown {
        description: Description::from(described),
        examples: examples.to_string(),
        is_event,
        is_limited: described.endpoint.limits.is_some(),
        effect: described.endpoint.effect.in_words(),
        is_recorded: described.endpoint.effect.is_recorded(),
        order: described.endpoint.inputs.iter().map(|input| input.name).collect(),
        source: described.endpoint.source.to_string(),
    };
    let endpoints = model.endpoints.iter();
    let endpoints = endpoints.map(|described| shown(described, &examples(described), false));
    let events = model.events.iter();
    let events = events.map(|described| shown(described, &events::sample(&described.inputs), true));
    json(&endpoints.chain(events).collect::<Vec<_>>())
}

fn examples(described: &Described) -> Value {
    let inputs = described.inlined_inputs();
    let properties = inputs["properties"].as_object().into_iter().flatten();
    properties
        .filter_map(|(name, property)| Some((name.clone(), property["examples"].get(0)?.clone())))
        .collect()
}

async fn preview(State(console): State<Arc<Console>>, request: Request) -> Response {
    let wanted = console.read::<Wanted>(request).await;
    match wanted.and_then(|wanted| console.sign(&wanted)) {
        Ok(signed) => json(&signed),
        Err(error) => refused(&error),
    }
}

/// A call that was made.
#[derive(Serialize)]
struct Called {
    request: Signed,
    answer: Answered,
}

#[derive(Serialize)]
struct Answered {
    status: u16,
    reason: &'static str,
    headers: Vec<(String, String)>,
    body: String,
    duration_ms: f64,
}

async fn call(State(console): State<Arc<Console>>, request: Request) -> Response {
    let wanted = console.read::<Wanted>(request).await;
    let signed = wanted.and_then(|wanted| console.sign(&wanted));
    let called = match signed {
        Ok(signed) => console.call(signed).await,
        Err(error) => Err(error),
    };
    match called {
        Ok(called) => json(&called),
        Err(error) => refused(&error),
    }
}

/// One limit of an endpoint, and how much of it is used for the inputs that the form shows.
#[derive(Serialize)]
struct Use {
    /// The rule in words.
    limit: String,
    max: u64,
    used: Option<u64>,
    /// Why it is not known how much is used.
    why: Option<String>,
}

async fn limits(State(console): State<Arc<Console>>, request: Request) -> Response {
    let wanted = console.read::<Wanted>(request).await;
    let found = wanted.and_then(|wanted| Ok((console.find(&wanted.endpoint)?.0, wanted.inputs)));
    match found {
        Ok((endpoint, inputs)) => json(&console.uses(endpoint, &inputs).await),
        Err(error) => refused(&error),
    }
}

async fn compare(State(console): State<Arc<Console>>, request: Request) -> Response {
    let question = console.read::<Question>(request).await;
    let settings = &console.assembled.settings;
    let server = Server {
        public_url: &settings.public_url,
        endpoints: &console.assembled.endpoints,
        keys: &settings.credentials.keys,
        now: console.clock.unix_seconds(),
    };
    match question {
        Ok(question) => json(&question.answer(&server)),
        Err(error) => refused(&error),
    }
}

impl Console {
    /// Reads the body of a request from the page, within the app's limits.
    async fn read<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::to_str);
        if !content_type.is_some_and(|value| value.is_ok_and(is_json_in_utf8)) {
            return Err(Refusal::ContentType.into());
        }
        let mut limits = self.assembled.settings.limits;
        // The page sends a body inside a JSON string, which is longer than the body itself.
        limits.body = limits.body.saturating_mul(2).saturating_add(64 * 1024);
        let mut reading = Reading::of(request.into_body());
        let (body, _) = reading.finish(limits, &self.assembled.room).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::malformed(format!(
                "The page's request is not understood ({error}): load the page again."
            ))
        })
    }

    /// The endpoint or the handler of events with this name, and its path.
    fn find(&self, name: &str) -> Result<(&'static Endpoint, &'static str), Error> {
        let mut endpoints = self.assembled.own_endpoints();
        let mut handlers = self.assembled.handlers.iter();
        let bound = endpoints.find(|bound| bound.endpoint.name == name);
        let found = bound.map(|bound| (bound.endpoint, bound.path)).or_else(|| {
            let handler = handlers.find(|handler| handler.endpoint.name == name)?;
            Some((&handler.endpoint, self.assembled.events_path))
        });
        found.ok_or_else(|| Error::not_found(format!("There is no endpoint `{name}`: load the page again.")))
    }

    /// The uses of the endpoint's limits. The console's calls are those of the tenant whose key signs them.
    async fn uses(&self, endpoint: &Endpoint, inputs: &str) -> Vec<Use> {
        let operations = self.assembled.pipeline.operations();
        let tenant = self
            .assembled
            .settings
            .credentials
            .keys
            .signing()
            .map_or("", KeyName::tenant);
        let mut uses = Vec::new();
        for limit in endpoint.limits.iter().flat_map(|limits| limits.limits) {
            let (used, why) = match used(operations, endpoint, limit, tenant, inputs).await {
                Ok(used) => (Some(used), None),
                Err(NotKnown::Missing(input)) => (None, Some(format!("Fill in `{input}` to see how much is used."))),
                Err(NotKnown::Input(sentence)) => (None, Some(sentence)),
                Err(NotKnown::Store(error)) => (None, Some(format!("The limit cannot be read: {error}."))),
            };
            uses.push(Use {
                limit: limit.to_string(),
                max: limit.max,
                used,
                why,
            });
        }
        uses
    }

    fn sign(&self, wanted: &Wanted) -> Result<Signed, Error> {
        let settings = &self.assembled.settings;
        let (endpoint, path) = self.find(&wanted.endpoint)?;
        let place = (endpoint.method, path);
        let now = self.clock.unix_seconds();
        wanted
            .sign(place, &settings.public_url, &settings.credentials.keys, now)
            .map_err(Error::malformed)
    }

    /// Sends the request through the app's service, which verifies it like any other request.
    async fn call(&self, signed: Signed) -> Result<Called, Error> {
        let request = signed.to_request().map_err(Error::malformed)?.map(Full::new);
        let started = self.clock.monotonic();
        let Ok(response) = self.service.answer(request).await;
        let (mut head, body) = response.into_parts();
        // This cannot fail, because an endpoint's answer is already complete in memory.
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let duration = self.clock.monotonic().saturating_sub(started);
        // Hyper adds this header on the wire, so the page shows it too.
        head.headers.entry(CONTENT_LENGTH).or_insert(body.len().into());
        let answer = Answered {
            status: head.status.as_u16(),
            reason: head.status.canonical_reason().unwrap_or_default(),
            headers: shown_headers(&head.headers),
            body: String::from_utf8_lossy(&body).into_owned(),
            duration_ms: milliseconds(duration),
        };
        Ok(Called {
            request: signed,
            answer,
        })
    }
}

fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => text("application/json", bytes),
        Err(error) => refused(&Error::internal(error)),
    }
}
