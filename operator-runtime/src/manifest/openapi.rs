//! The formats `openapi` and `openapi-3.0`: one operation for each endpoint, with shared types and problems.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::discriminator;
use super::guarantees;
use super::model::{Described, Model};
use super::openapi_3_0;
use super::problems::{self, Problem};
use super::security;
use crate::endpoint::InputKey;
use crate::input::Input;
use crate::problem::{PROBLEM_JSON, type_uri};
use crate::protocol::method::Method;
use crate::schema::definitions::{self, Shared};
use crate::schema::published::{Within, publish};

/// The extension of an operation that contains its effect.
pub(super) const EFFECT: &str = "x-operator-effect";

/// The extension of an operation that names the inputs of its key.
pub(super) const KEY: &str = "x-operator-key";

/// The revision of the OpenAPI Specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// 3.1, whose schemas are JSON Schema 2020-12.
    V3_1,
    /// 3.0, whose schemas are a different dialect of JSON Schema.
    V3_0,
}

/// The whole document, with its parts in reading order.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    tags: Value,
    /// Null if the reader takes it from somewhere else. An operation that needs a key has a list of its own.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) security: Value,
    pub(super) paths: Map<String, Value>,
    /// What the agent sends without being asked. OpenAPI 3.0 cannot express it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    webhooks: Map<String, Value>,
    pub(super) components: Value,
}

pub(crate) fn document(model: &Model, dialect: Dialect) -> Document {
    let mut writer = Writer {
        dialect,
        shared: Shared::default(),
        problems: Map::new(),
    };
    writer.shared.hoist(&mut problem_schema(), "");
    let mut paths: Map<String, Value> = model
        .endpoints
        .iter()
        .map(|described| {
            let method = described.endpoint.method.as_str().to_lowercase();
            let mut operation = writer.operation(described);
            if security::needs_key(described.endpoint) {
                operation[security::SECURITY] = security::with_key(dialect);
            }
            (described.endpoint.path.to_owned(), sorted(json!({ method: operation })))
        })
        .collect();
    paths.sort_keys();
    let events: &[Described] = match dialect {
        Dialect::V3_1 => &model.events,
        Dialect::V3_0 => &[],
    };
    let webhooks = events.iter().map(|described| {
        let operation = writer.operation(described);
        (described.endpoint.name.to_owned(), sorted(json!({ "post": operation })))
    });
    let webhooks = webhooks.collect();
    let components = json!({
        "schemas": writer.schemas(),
        "responses": writer.problems,
        "securitySchemes": security::schemes(dialect),
    });
    Document {
        openapi: match dialect {
            Dialect::V3_1 => "3.1.0",
            Dialect::V3_0 => "3.0.3",
        },
        info: sorted(model.info.to_value(dialect)),
        servers: sorted(model.info.servers(&model.public_url)),
        tags: sorted(tags(model.endpoints.iter().chain(events))),
        security: sorted(security::without_key(dialect)),
        paths,
        webhooks,
        components: sorted(components),
    }
}

/// Sorts the keys, so that the document is the same if a crate of the program turns on serde_json's `preserve_order`.
fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}

/// The headings of the operations, sorted.
fn tags<'d>(shown: impl Iterator<Item = &'d Described>) -> Value {
    let names: BTreeSet<&str> = shown.map(Described::tag).collect();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// The schema of a problem (RFC 9457 §3.1), with our extensions: the operation and the wrong inputs.
fn problem_schema() -> Value {
    json!({
        "$ref": "#/$defs/Problem",
        "$defs": { "Problem": {
            "type": "object",
            "description": "Why a call was not answered with a value (RFC 9457).",
            "properties": {
                "type": { "type": "string", "format": "uri", "description": "The kind of problem." },
                "title": { "type": "string", "description": "The kind in a few words." },
                "status": { "type": "integer", "description": "The HTTP status.", "minimum": 400, "maximum": 599 },
                "detail": { "type": "string", "description": "What is wrong and what to do instead, in sentences that can be repeated to a person." },
                "operation": { "type": "string", "description": "The operation whose outcome is unknown, for a person to look up.", "pattern": "^[0-9a-f]{64}$" },
                "errors": {
                    "type": "array",
                    "description": "Each wrong input.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "input": { "type": "string", "description": "The input's name, or the path of a part of the input." },
                            "detail": { "type": "string", "description": "What is wrong with the input." },
                        },
                        "required": ["input", "detail"],
                    },
                },
            },
            "required": ["type", "title", "status", "detail"],
        }},
    })
}

struct Writer {
    dialect: Dialect,
    shared: Shared,
    /// The responses that are problems, by name.
    problems: Map<String, Value>,
}

impl Writer {
    fn operation(&mut self, described: &Described) -> Value {
        let endpoint = described.endpoint;
        let mut operation = json!({
            "operationId": endpoint.name,
            "summary": described.summary(),
            "tags": [described.tag()],
            "responses": self.responses(described),
        });
        // The summary is not repeated, because readers show the two together.
        if !described.details().is_empty() {
            operation["description"] = described.details().into();
        }
        operation[EFFECT] = endpoint.effect.name().into();
        if endpoint.deprecated {
            operation["deprecated"] = true.into();
        }
        if let Some(key) = &endpoint.key {
            operation[KEY] = json!(guarantees::key(key));
            operation["parameters"] = json!([self.key_header(key)]);
        }
        match endpoint.method {
            Method::Get => operation["parameters"] = self.parameters(described),
            Method::Post => {
                let schema = self.schema(described.inputs.clone(), "");
                operation["requestBody"] =
                    json!({ "required": true, "content": { "application/json": { "schema": schema } } });
            }
        }
        operation
    }

    /// The header that a caller may leave out, because inputs name the operation. Callers that sign send
    /// `X-Idempotency-Key` in any case.
    fn key_header(&self, key: &InputKey) -> Value {
        let inputs: Vec<String> = key.inputs.iter().map(|name| format!("`{name}`")).collect();
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": format!(
                "The key of one operation, the same on each retry. Without a key, calls with the same {} are one operation.",
                inputs.join(", ")
            ),
            "schema": self.in_dialect(json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-9;-~]+$" })),
        })
    }

    /// The inputs of a GET, each a search parameter, in the order of the arguments.
    fn parameters(&mut self, described: &Described) -> Value {
        let mut inputs = described.inputs.clone();
        self.shared.hoist(&mut inputs, "");
        let required = inputs["required"].as_array().cloned().unwrap_or_default();
        let Some(Value::Object(mut properties)) = inputs.get_mut("properties").map(Value::take) else {
            return json!([]);
        };
        let names = described.endpoint.inputs.iter().flat_map(Input::names);
        let in_order: Vec<_> = names.filter_map(|name| properties.remove_entry(&name)).collect();
        let parameters = in_order.into_iter().map(|(name, mut schema)| {
            let mut parameter = json!({
                "name": name,
                "in": "query",
                "required": required.contains(&Value::from(name.as_str())),
                "style": "form",
                "explode": true,
            });
            if let Some(object) = schema.as_object_mut() {
                // OpenAPI puts these keywords beside a parameter's schema, not into the schema.
                for keyword in ["description", "deprecated"] {
                    if let Some(value) = object.remove(keyword) {
                        parameter[keyword] = value;
                    }
                }
                if let Some(Value::Array(mut examples)) = object.remove("examples")
                    && !examples.is_empty()
                {
                    parameter["example"] = examples.remove(0);
                }
            }
            parameter["schema"] = self.in_dialect(schema);
            parameter
        });
        parameters.collect()
    }

    fn responses(&mut self, described: &Described) -> Value {
        let schema = self.schema(described.outputs.clone(), "Output");
        let mut responses = Map::new();
        let mut done = json!({
            "description": "The call was carried out.",
            "content": { "application/json": { "schema": schema } },
        });
        if described.endpoint.effect.is_recorded() {
            done["headers"] = json!({ "Idempotent-Replayed": self.replayed_header() });
        }
        responses.insert("200".to_owned(), done);
        for (status, problems) in &described.problems {
            let response = self.problem(json!({ "type": "integer", "const": status }), problems);
            responses.insert(status.to_string(), self.shared_response(*status, &response));
        }
        if problems::has_any_status(described.endpoint) {
            // An extractor may refuse with any other status.
            for (range, least) in [("4XX", 400), ("5XX", 500)] {
                let problem = Problem::rejected(least, described.endpoint.effect);
                let status = json!({ "type": "integer", "minimum": least, "maximum": least + 99 });
                responses.insert(range.to_owned(), self.problem(status, &[problem]));
            }
        }
        responses.into()
    }

    /// A response with one of these problems; `status` is the schema of their status.
    #[allow(clippy::needless_pass_by_value, reason = "`status` becomes a part of the response")]
    fn problem(&self, status: Value, problems: &[Problem]) -> Value {
        let mut description = String::new();
        for problem in problems {
            let separator = if description.is_empty() { "" } else { "\n" };
            let _ = write!(description, "{separator}- `{}`: {}", problem.slug, problem.words);
        }
        let types: Vec<String> = problems.iter().map(|problem| type_uri(problem.slug)).collect();
        let schema = json!({
            "$ref": "#/$defs/Problem",
            "properties": { "type": { "type": "string", "enum": types }, "status": status },
        });
        let mut headers = Map::new();
        if problems.iter().any(|problem| problem.has_retry_after) {
            let seconds = self.in_dialect(json!({ "type": "integer", "minimum": 0 }));
            let header =
                json!({ "description": "The seconds to wait before the request is sent again.", "schema": seconds });
            headers.insert("Retry-After".to_owned(), header);
        }
        if problems.iter().any(|problem| problem.is_replayed) {
            headers.insert("Idempotent-Replayed".to_owned(), self.replayed_header());
        }
        let mut response = json!({
            "description": description,
            "content": { PROBLEM_JSON: { "schema": self.in_dialect(schema) } },
        });
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        response
    }

    /// A reference to a shared response. Equal responses are written only once.
    fn shared_response(&mut self, status: u16, response: &Value) -> Value {
        let numbered = (2_u64..).map(|number| format!("Problem{status}_{number}"));
        let name = std::iter::once(format!("Problem{status}"))
            .chain(numbered)
            .find(|name| self.problems.get(name).is_none_or(|other| other == response))
            .unwrap_or_default();
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        self.problems.insert(name, response.clone());
        reference
    }

    fn replayed_header(&self) -> Value {
        let schema = self.in_dialect(json!({ "type": "string", "const": "true" }));
        json!({ "description": "Present if this is the stored answer of an earlier attempt.", "schema": schema })
    }

    /// A schema whose definitions are shared by the whole document.
    fn schema(&mut self, mut schema: Value, suffix: &str) -> Value {
        self.shared.hoist(&mut schema, suffix);
        self.in_dialect(schema)
    }

    fn in_dialect(&self, mut schema: Value) -> Value {
        publish(&mut schema, Within::OpenApi);
        definitions::redirect(&mut schema, "#/components/schemas/");
        match self.dialect {
            Dialect::V3_1 => {}
            Dialect::V3_0 => openapi_3_0::lower(&mut schema),
        }
        schema
    }

    fn schemas(&mut self) -> Map<String, Value> {
        let mut definitions = std::mem::take(&mut self.shared).into_definitions();
        discriminator::add(&mut definitions);
        definitions
            .into_iter()
            .map(|(name, schema)| (name, self.in_dialect(schema)))
            .collect()
    }
}
