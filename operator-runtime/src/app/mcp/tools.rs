//! The tools that there are: what a client is told of each, and the endpoint behind it.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;

use crate::app::Assembled;
use crate::manifest::mcp;
use crate::manifest::model::Model;
use crate::manifest::served;
use crate::pipeline::Pipeline;
use crate::pipeline::prepared::PreparedEndpoint;

/// Every endpoint but the manifest, which a client has by `tools/list`.
pub(super) struct Tools {
    pub(super) pipeline: Arc<Pipeline>,
    /// As the manifest describes them, in its order.
    pub(super) list: Vec<Tool>,
    endpoints: Vec<ToolEndpoint>,
}

/// The endpoint that a tool is.
pub(super) struct ToolEndpoint {
    pub(super) bound: Arc<PreparedEndpoint>,
    /// Whether its answer is the `result` of the tool's.
    pub(super) wraps_result: bool,
    /// Whether an input is a whole number that JSON-RPC's reader here does not hold.
    has_128_bits: bool,
}

impl ToolEndpoint {
    /// Whether a number may have lost digits before it came here, and would mean another one.
    pub(super) fn may_mistake(&self, arguments: &JsonObject) -> bool {
        self.has_128_bits && arguments.values().any(is_beyond_64_bits)
    }
}

/// From there on a whole number of 128 bits may have come as a float; all of those are whole.
const TWO_TO_THE_63: f64 = 9_223_372_036_854_775_808.0;

fn is_beyond_64_bits(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|number| number.abs() >= TWO_TO_THE_63),
        Value::Array(items) => items.iter().any(is_beyond_64_bits),
        Value::Object(fields) => fields.values().any(is_beyond_64_bits),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

impl Tools {
    /// The app's.
    pub(super) fn new(assembled: &Assembled) -> Self {
        let is_tool = |bound: &&Arc<PreparedEndpoint>| !std::ptr::eq(bound.endpoint, &raw const served::ENDPOINT);
        let mut bound: Vec<_> = assembled.endpoints.iter().filter(is_tool).collect();
        bound.sort_by_key(|bound| bound.endpoint.name);
        let endpoints: Vec<_> = bound.iter().map(|bound| bound.endpoint).collect();
        let model = Model::new(&endpoints, &assembled.settings.public_url);
        let endpoints = bound
            .into_iter()
            .zip(&model.endpoints)
            .map(|(bound, described)| ToolEndpoint {
                bound: Arc::clone(bound),
                wraps_result: mcp::wraps_result(&described.own_outputs()),
                has_128_bits: described.inputs.to_string().contains("int128\""),
            });
        Self {
            pipeline: Arc::clone(&assembled.pipeline),
            endpoints: endpoints.collect(),
            list: mcp::Tools::from(&model).tools.into_iter().map(described).collect(),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&ToolEndpoint> {
        self.endpoints.iter().find(|tool| tool.bound.endpoint.name == name)
    }

    /// The names of all, as a sentence lists them.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.list.iter().map(|tool| &*tool.name).collect();
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
    described.output_schema = Some(Arc::new(object(tool.output_schema)));
    described.annotations = Some(annotations);
    described
}

/// A tool's schema is an object always.
fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
