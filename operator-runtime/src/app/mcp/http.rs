//! MCP over streamable HTTP at `/mcp`: checks the token, the host, the origin and the size of a request. There are no
//! sessions, so any of several servers can answer any request.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::Full;
use rmcp::model::CallToolResult;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tower::service_fn;

use super::arguments::as_text;
use super::outcome::result_of;
use super::parsing::Parsing;
use super::size::check_values;
use super::{Server, Tools};
use crate::app::reading::Reading;
use crate::app::router::refused;
use crate::app::{Assembled, Settled};
use crate::input::Effort;
use crate::pipeline::large::{self, Turn};
use crate::pipeline::reply::{Reply, log_refused};
use crate::problem::{Error, Kind};
use crate::protocol::bearer::Bearer;
use crate::protocol::caller::Refused;
use crate::protocol::credentials::Credentials;
use crate::protocol::public_url::MCP;
use crate::protocol::request::RefusalKind;

/// The path, which is also served below the base path of the public URL.
pub(in crate::app) const PATH: &str = MCP;

/// Adds `/mcp`, if tokens are configured.
pub(in crate::app) fn route(mut router: Router, assembled: &Arc<Assembled>) -> Router {
    if !assembled.settings.serves_mcp() {
        return router;
    }
    let door = Arc::new(Door {
        tools: Arc::new(Tools::new(assembled)),
        config: config(&assembled.settings),
        assembled: Arc::clone(assembled),
    });
    let service = service_fn(move |request| answer(Arc::clone(&door), request));
    let public_url = &assembled.settings.public_url;
    if !public_url.base_path().is_empty() {
        router = router.route_service(&public_url.published_path(PATH), service.clone());
    }
    router.route_service(PATH, service)
}

/// The longest error text of rmcp that is turned into a problem document, in bytes.
const MOST_WORDS: usize = 4096;

struct Door {
    tools: Arc<Tools>,
    config: StreamableHttpServerConfig,
    assembled: Arc<Assembled>,
}

impl Door {
    /// Refuses a message that has too many values, or that calls a tool which the client may not call. The value is the
    /// result of the call, if the client has sent more messages than its rate allows.
    fn check(
        &self,
        credentials: &Credentials,
        bearer: &Bearer,
        headers: &HeaderMap,
        message: &[u8],
    ) -> Result<Option<CallToolResult>, Box<Response>> {
        check_values(message).map_err(|detail| Box::new(refused(&Error::new(Kind::TooLarge, detail))))?;
        let tool = called(message).and_then(|name| self.tools.find(&name));
        let endpoint = tool.map(|tool| &*tool.bound);
        let counted = self
            .tools
            .pipeline
            .rates
            .count_over_mcp(bearer.caller(), endpoint, headers);
        let over_rate = match (counted, tool) {
            (Ok(()), _) => None,
            // An agent reads the result of its call, but many clients hide an HTTP error from it.
            (Err(error), Some(tool)) => Some(result_of(&Reply::from_error(&error), tool, None)),
            (Err(error), None) => return Err(Box::new(refused(&error))),
        };
        let allowed = endpoint.map_or(Ok(()), |bound| bearer.caller().check(bound.endpoint.scope()));
        let name = endpoint.map_or(PATH, |bound| bound.endpoint.name);
        allowed.map_err(|refusal| Box::new(turned_away(credentials, name, refusal, headers)))?;
        Ok(over_rate)
    }

    /// Makes a service for one request only, because the service contains the client's token.
    fn service(
        &self,
        bearer: Bearer,
        over_rate: Option<CallToolResult>,
        parsing: Parsing,
    ) -> StreamableHttpService<Server, NeverSessionManager> {
        let server = Server {
            tools: Arc::clone(&self.tools),
            bearer,
            over_rate,
            parsing,
        };
        StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), self.config.clone())
    }
}

/// The settings of rmcp's HTTP service. There are no sessions, and answers are JSON instead of streams, because the
/// server sends nothing before the answer. Requests from pages of other origins and requests to other hosts (DNS
/// rebinding) are refused.
fn config(settings: &Settled) -> StreamableHttpServerConfig {
    let url = settings.public_url.as_str();
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split('/').next().unwrap_or(rest);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let origin = match (has_port, scheme) {
        (true, _) => format!("{scheme}://{authority}"),
        (false, "http") => format!("{scheme}://{authority}:80"),
        (false, _) => format!("{scheme}://{authority}:443"),
    };
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // `Reading` limits the body, before its arguments become a text, which is longer.
        .with_max_request_body_bytes(usize::MAX)
        .with_allowed_hosts([authority, "localhost", "127.0.0.1", "::1"])
        .with_allowed_origins([origin])
        .enforce_origin_validation()
}

async fn answer(door: Arc<Door>, request: Request) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let credentials = door.assembled.credentials.load_full();
    credentials.fetch(&head.headers).await;
    let bearer = match door.tools.pipeline.bearer(&credentials, &head) {
        Ok(bearer) => bearer,
        Err(refusal) => return Ok(turned_away(&credentials, PATH, refusal.into(), &head.headers)),
    };
    let limits = door.assembled.settings.limits;
    let (body, room) = match Reading::of(body).finish(limits, &door.assembled.room).await {
        Ok(read) => read,
        Err(error) => return Ok(refused(&error)),
    };
    let effort = Effort::of_message(body.len());
    let turn = match Turn::of(effort).await {
        Ok(turn) => turn,
        Err(error) => return Ok(refused(&error)),
    };
    let over_rate = match large::run(effort, || door.check(&credentials, &bearer, &head.headers, &body)) {
        Ok(over_rate) => over_rate,
        Err(refusal) => return Ok(*refusal),
    };
    let is_json = is_json(&head.headers);
    let service = door.service(bearer, over_rate, Parsing::new(effort, turn));
    let message = large::run(effort, || as_text(&body).map_or_else(|| body.clone(), Bytes::from));
    let mut answering = pin!(service.handle(Request::from_parts(head, Full::new(message))));
    // The body is complete, so the first poll parses the message.
    let begun = poll_fn(|context| Poll::Ready(large::run(effort, || answering.as_mut().poll(context)))).await;
    drop(room);
    let response = match begun {
        // rmcp also answers 415 if it cannot read a body whose type is JSON.
        Poll::Ready(response) if is_json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let detail = large::run(effort, || no_message(&body));
            return Ok(refused(&Error::malformed(detail)));
        }
        Poll::Ready(response) => response,
        Poll::Pending => {
            // The call may wait for long, and the message is parsed.
            drop(body);
            answering.await
        }
    };
    Ok(as_ours(response.map(Body::new)).await)
}

/// The name of the tool that a message calls. rmcp answers every message with 200, but a client whose token lacks a scope
/// learns that from 403 and `WWW-Authenticate`. The pipeline checks the scope too, because rmcp may read another name in
/// a message that is not well-formed.
fn called(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Message<'b> {
        #[serde(borrow)]
        method: Cow<'b, str>,
        #[serde(borrow)]
        params: Params<'b>,
    }
    #[derive(Deserialize)]
    struct Params<'b> {
        #[serde(borrow)]
        name: Cow<'b, str>,
    }
    let message: Message<'_> = serde_json::from_slice(body).ok()?;
    (message.method == "tools/call").then_some(message.params.name)
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| {
        let essence = given.split(';').next().unwrap_or(given);
        essence.trim().eq_ignore_ascii_case("application/json")
    })
}

/// Says why the body is not an MCP message.
fn no_message(body: &Bytes) -> String {
    let Ok(text) = std::str::from_utf8(body) else {
        return "The body is not UTF-8, so it is not JSON: send one JSON-RPC 2.0 message.".to_owned();
    };
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => format!("The body is not JSON: {error}."),
        Ok(_) if text.trim_ascii_start().starts_with('[') => {
            "The body is an array, but MCP has no batches: send one JSON-RPC 2.0 message at a time.".to_owned()
        }
        Ok(_) => "The body is JSON, but not a JSON-RPC 2.0 message that MCP knows: send an object with `\"jsonrpc\": \"2.0\"`, `method`, the method's `params` and, for a request, `id`.".to_owned(),
    }
}

/// Turns rmcp's plain-text refusals into problem documents. rmcp answers plain text if there is no JSON-RPC message.
async fn as_ours(refusal: Response) -> Response {
    let status = refusal.status();
    if status.is_success() || refusal.headers().contains_key(CONTENT_TYPE) {
        return refusal;
    }
    let (head, body) = refusal.into_parts();
    let text = to_bytes(body, MOST_WORDS).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let kind = match status.as_u16() {
        403 => Kind::NotForYou,
        405 => Kind::MethodNotAllowed,
        406 => Kind::NotAcceptable,
        415 => Kind::Refused(RefusalKind::UnsupportedMediaType),
        500.. => Kind::Internal,
        _ => Kind::Malformed,
    };
    let mut response = refused(&Error::new(kind, format!("{text}.")));
    if let Some(allowed) = head.headers.get(ALLOW) {
        response.headers_mut().insert(ALLOW, allowed.clone());
    }
    response
}

/// The answer to a client that is not verified, or may not do what it asks for.
fn turned_away(credentials: &Credentials, endpoint: &str, refusal: Refused, headers: &HeaderMap) -> Response {
    log_refused(endpoint, &refusal, headers);
    let challenge = credentials.challenge(&refusal.why, "MCP", PATH);
    let mut response = refused(&refusal.why.into());
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
