//! The format `mcp`: the result of `tools/list` (Model Context Protocol, revision 2026-07-28; the previous revision,
//! 2025-11-25, requires less).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::guarantees::Guarantees;
use super::model::{Described, Model};
use crate::idempotency::effect::Effect;

/// The result of `tools/list`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tools {
    result_type: &'static str,
    /// How long a client may cache the list, in milliseconds: 0, because the next release may describe the tools
    /// differently.
    ttl_ms: u32,
    cache_scope: &'static str,
    pub(crate) tools: Vec<Tool>,
}

/// One tool.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) description: Cow<'static, str>,
    pub(crate) input_schema: Value,
    /// `None` in the document of a reader that refuses forms of schemas: a schema without these forms could refuse answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output_schema: Option<Value>,
    pub(crate) annotations: Annotations,
    #[serde(rename = "_meta")]
    pub(crate) meta: Meta,
}

/// What the specification leaves to the server: the guarantees.
#[derive(Debug, Serialize)]
pub(crate) struct Meta {
    #[serde(rename = "operator-runtime/guarantees")]
    guarantees: Guarantees,
}

/// Hints for a client that asks a person before it calls a tool.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the MCP specification defines these fields"
)]
pub(crate) struct Annotations {
    pub(crate) title: String,
    pub(crate) read_only_hint: bool,
    pub(crate) destructive_hint: bool,
    pub(crate) idempotent_hint: bool,
    pub(crate) open_world_hint: bool,
}

impl From<&Model> for Tools {
    fn from(model: &Model) -> Self {
        Self {
            result_type: "complete",
            ttl_ms: 0,
            cache_scope: "private",
            tools: model.endpoints.iter().map(Tool::from).collect(),
        }
    }
}

impl From<&Described> for Tool {
    fn from(described: &Described) -> Self {
        let outputs = described.own_outputs();
        Self {
            name: described.endpoint.name,
            description: described.description.clone().into(),
            input_schema: described.own_inputs(),
            output_schema: Some(if wraps_result(&outputs) {
                wrapped(outputs)
            } else {
                outputs
            }),
            annotations: Annotations::of(described),
            meta: Meta {
                guarantees: described.into(),
            },
        }
    }
}

impl Annotations {
    /// The annotations of an endpoint's tool. Two calls of a tool are two operations with different idempotency keys,
    /// so a tool is idempotent only if the endpoint is read-only or rerunnable.
    fn of(described: &Described) -> Self {
        let effect = described.endpoint.effect;
        let read_only = effect == Effect::ReadOnly;
        Self {
            title: described.summary(),
            read_only_hint: read_only,
            destructive_hint: !read_only,
            idempotent_hint: read_only || effect == Effect::Rerunnable,
            // An endpoint works only with the company's own systems.
            open_world_hint: false,
        }
    }
}

/// Whether the tool's answer wraps the endpoint's answer as `result`, because a tool must answer with an object.
pub(crate) fn wraps_result(outputs: &Value) -> bool {
    outputs.get("type") != Some(&json!("object"))
}

fn wrapped(mut outputs: Value) -> Value {
    let definitions = outputs.as_object_mut().and_then(|object| object.remove("$defs"));
    let mut object = json!({ "type": "object", "properties": { "result": outputs }, "required": ["result"] });
    if let Some(definitions) = definitions {
        object["$defs"] = definitions;
    }
    object.sort_all_objects();
    object
}
