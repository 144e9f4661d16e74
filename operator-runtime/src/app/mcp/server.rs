//! The MCP server for one client: lists the tools and calls them.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult, MetaObject,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use super::outcome::result_of;
use super::parsing::Parsing;
use super::tools::{ToolEndpoint, Tools};
use super::{IDEMPOTENCY_KEY, arguments};
use crate::protocol::bearer::{Bearer, IdempotencyKey, ToolCall};
use crate::protocol::request_id;
use crate::protocol::trace_parent::{TRACEPARENT, TRACESTATE};

/// How long a client may keep the list of tools, in milliseconds. The list is fixed until the program is replaced by
/// another release, and a call that does not fit the new release is refused, with an error that says what is wrong.
const FRESH_MS: u64 = 60 * 60 * 1000;

/// The server as one client sees it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) tools: Arc<Tools>,
    /// The client that makes the calls.
    pub(super) bearer: Bearer,
    /// The turn of the client's message.
    pub(super) parsing: Parsing,
    /// The result of every call, if the client has sent more calls than its rate allows.
    pub(super) over_rate: Option<CallToolResult>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        let (name, version) = &self.tools.program;
        info.server_info = Implementation::new(name.clone(), version.clone());
        info
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // The list is private, because it depends on the client's scopes.
        let list = ListToolsResult::with_all_items(self.tools.list_for(self.bearer.caller()));
        Ok(list.with_ttl_ms(FRESH_MS).with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(refused) = &self.over_rate {
            return Ok(refused.clone().into());
        }
        let cancelled = context.ct.clone();
        // The parsed message is dropped here, because the call may wait for long.
        let prepared = self.parsing.finish(move || self.prepare(request, &context));
        let Prepared { tool, call, key } = prepared?;
        let answering = self
            .tools
            .pipeline
            .answer_bearer(&self.bearer, &tool.bound, call, key.is_some());
        tokio::select! {
            reply = answering => Ok(result_of(&reply, tool, key.as_ref().map(IdempotencyKey::as_str)).into()),
            // The client no longer waits for the answer. If the call changes something and has started, it continues
            // until its outcome is recorded.
            () = cancelled.cancelled() => Err(ErrorData::internal_error("The client cancelled the call.", None)),
        }
    }
}

/// A call that is taken from its message.
struct Prepared<'t> {
    tool: &'t ToolEndpoint,
    call: ToolCall,
    /// The key that names the operation. `None` if the inputs name the operation: the reply must not show the random
    /// key, because a call with that key would be another operation.
    key: Option<IdempotencyKey>,
}

impl Server {
    /// Takes the call from a parsed message. The error is the answer to a message that calls nothing.
    fn prepare(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Prepared<'_>, ErrorData> {
        let tool = self.tools.find(&request.name).ok_or_else(|| {
            let names = self.tools.names_for(self.bearer.caller());
            ErrorData::invalid_params(
                format!("There is no tool `{}`; the tools are {names}.", request.name),
                None,
            )
        })?;
        let given = idempotency_key(context)?;
        let is_named = given.is_some() || tool.bound.endpoint.key.is_none();
        let key = match given {
            Some(key) => key,
            None => IdempotencyKey::random().map_err(|error| ErrorData::internal_error(error.to_string(), None))?,
        };
        // Without the spare capacity, because the call may wait for long.
        let arguments = arguments::written(request.arguments).into_boxed_str();
        let call = ToolCall {
            key: key.clone(),
            arguments: Bytes::from(arguments.into_boxed_bytes()),
            head: head(tool, context.extensions.get::<Parts>(), &context.meta),
        };
        Ok(Prepared {
            tool,
            call,
            key: is_named.then_some(key),
        })
    }
}

/// The client's idempotency key, if the client sends one.
fn idempotency_key(context: &RequestContext<RoleServer>) -> Result<Option<IdempotencyKey>, ErrorData> {
    let Some(given) = context.meta.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = given.as_str().and_then(IdempotencyKey::of_client).ok_or_else(|| {
        let sentence =
            format!("`{IDEMPOTENCY_KEY}` in `_meta` must be 1 to 255 visible ASCII characters without a colon.");
        ErrorData::invalid_params(sentence, None)
    })?;
    Ok(Some(key))
}

/// The head that the endpoint's extractors read: the endpoint's own method and path and, over HTTP, the headers of the
/// client's request. The trace in `_meta` replaces that of the headers, because it is about this one call.
fn head(tool: &ToolEndpoint, of_client: Option<&Parts>, meta: &MetaObject) -> Parts {
    let endpoint = tool.bound.endpoint;
    let request = Request::builder()
        .method(endpoint.method.as_str())
        .uri(endpoint.path)
        .body(());
    let (mut head, ()) = request.unwrap_or_default().into_parts();
    if let Some(parts) = of_client {
        head.headers.clone_from(&parts.headers);
        head.extensions.clone_from(&parts.extensions);
    }
    // Over standard input, a message has no headers.
    let _ = request_id::identify(&mut head.headers);
    if meta.contains_key(TRACEPARENT.as_str()) {
        for name in [TRACEPARENT, TRACESTATE] {
            head.headers.remove(&name);
            let given = meta.get(name.as_str()).and_then(Value::as_str);
            if let Some(value) = given.and_then(|given| HeaderValue::from_str(given).ok()) {
                head.headers.insert(name, value);
            }
        }
    }
    head
}
