//! The list of tools: the description of each tool and the endpoint behind it.

use std::sync::Arc;

use rmcp::model::{JsonObject, MetaObject, Tool, ToolAnnotations};
use serde_json::Value;

use crate::app::Assembled;
use crate::manifest::mcp;
use crate::manifest::model::Model;
use crate::manifest::served;
use crate::pipeline::Pipeline;
use crate::pipeline::prepared::PreparedEndpoint;
use crate::protocol::caller::Caller;

/// All tools: every endpoint except the manifest, because `tools/list` already describes the tools.
pub(super) struct Tools {
    pub(super) pipeline: Arc<Pipeline>,
    /// The descriptions of the tools, in the same words and the same order as in the manifest.
    pub(super) list: Vec<Tool>,
    endpoints: Vec<ToolEndpoint>,
    /// The name and the version of the program.
    pub(super) program: (String, String),
}

/// The endpoint behind a tool.
pub(super) struct ToolEndpoint {
    pub(super) bound: Arc<PreparedEndpoint>,
    /// Whether the tool's answer wraps the endpoint's answer as `result`.
    pub(super) wraps_result: bool,
}

impl Tools {
    /// The tools of an app.
    pub(super) fn new(assembled: &Assembled) -> Self {
        let is_tool = |bound: &&Arc<PreparedEndpoint>| !std::ptr::eq(bound.endpoint, &raw const served::ENDPOINT);
        let mut bound: Vec<_> = assembled.own_endpoints().filter(is_tool).collect();
        bound.sort_by_key(|bound| bound.endpoint.name);
        let endpoints: Vec<_> = bound.iter().map(|bound| bound.endpoint).collect();
        let model = Model::new(&endpoints, &assembled.settings.public_url);
        let endpoints = bound
            .into_iter()
            .zip(&model.endpoints)
            .map(|(bound, described)| ToolEndpoint {
                bound: Arc::clone(bound),
                wraps_result: mcp::wraps_result(&described.own_outputs()),
            });
        Self {
            pipeline: Arc::clone(&assembled.pipeline),
            endpoints: endpoints.collect(),
            program: assembled.info.name_and_version(),
            list: mcp::Tools::from(&model).tools.into_iter().map(described).collect(),
        }
    }

    /// The tools that the caller may call.
    pub(super) fn list_for(&self, caller: &Caller) -> Vec<Tool> {
        self.allowed(caller).cloned().collect()
    }

    fn allowed(&self, caller: &Caller) -> impl Iterator<Item = &Tool> {
        let all = self.list.iter().zip(&self.endpoints);
        let allowed = all.filter(|(_, tool)| caller.may(tool.bound.endpoint.scope()));
        allowed.map(|(described, _)| described)
    }

    pub(super) fn find(&self, name: &str) -> Option<&ToolEndpoint> {
        self.endpoints.iter().find(|tool| tool.bound.endpoint.name == name)
    }

    /// The names of the tools that the caller may call, separated by commas.
    pub(super) fn names_for(&self, caller: &Caller) -> String {
        let names: Vec<&str> = self.allowed(caller).map(|tool| &*tool.name).collect();
        names.join(", ")
    }
}

fn described(tool: mcp::Tool) -> Tool {
    let annotations = ToolAnnotations::from_raw(
        Some(tool.annotations.title),
        Some(tool.annotations.read_only_hint),
        Some(tool.annotations.destructive_hint),
        Some(tool.annotations.idempotent_hint),
        Some(tool.annotations.open_world_hint),
    );
    let mut described = Tool::new(tool.name, tool.description, object(tool.input_schema));
    described.output_schema = tool.output_schema.map(|schema| Arc::new(object(schema)));
    described.annotations = Some(annotations);
    described.meta = serde_json::to_value(tool.meta)
        .ok()
        .map(|meta| MetaObject(object(meta)));
    described
}

/// The value as an object. Schemas and `_meta` are always objects, so the empty object is never returned.
fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
