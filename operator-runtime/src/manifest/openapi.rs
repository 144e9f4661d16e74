//! The formats `openapi` and `openapi-3.0`: one operation for each endpoint, its types and problems shared.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::model::{Described, Model};
use super::openapi_3_0;
use super::operator::Manifest;
use super::problems::{self, Problem};
use crate::problem::{PROBLEM_JSON, type_uri};
use crate::protocol::method::Method;
use crate::schema::definitions::{self, Shared};

/// Which revision of the OpenAPI Specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// 3.1, whose schemas are JSON Schema 2020-12.
    V3_1,
    /// 3.0, whose schemas are its own.
    V3_0,
}

/// The whole document, its parts in the order that people read them.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    security: Value,
    paths: Map<String, Value>,
    components: Value,
}

pub(crate) fn document(model: &Model, dialect: Dialect) -> Document {
    let mut writer = Writer {
        dialect,
        shared: Shared::default(),
        problems: Map::new(),
    };
    // First, so that no type of the app's takes the name.
    writer.shared.hoist(&mut problem_schema(), "");
    let paths = model
        .endpoints
        .iter()
        .map(|described| {
            let method = described.endpoint.method.as_str().to_lowercase();
            let operation = writer.operation(described);
            (described.endpoint.path.to_owned(), json!({ method: operation }))
        })
        .collect();
    Document {
        openapi: match dialect {
            Dialect::V3_1 => "3.1.0",
            Dialect::V3_0 => "3.0.3",
        },
        info: info(model),
        servers: json!([{ "url": model.public_url.as_str() }]),
        // One requirement of three schemes: all of them together.
        security: json!([{ "idempotencyKey": [], "timestamp": [], "signature": [] }]),
        paths,
        components: json!({
            "schemas": writer.schemas(),
            "responses": writer.problems,
            "securitySchemes": security_schemes(),
        }),
    }
}

/// The version says which descriptions these are: it changes with them and with nothing else.
fn info(model: &Model) -> Value {
    let mut crates: Vec<&str> = model
        .endpoints
        .iter()
        .map(|one| one.endpoint.source.crate_name())
        .collect();
    crates.sort_unstable();
    crates.dedup();
    let text = serde_json::to_string(&Manifest::from(model)).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    let version = digest.iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    json!({
        "title": format!("Endpoints of {}", crates.join(", ")),
        "description": "What an AI support agent can look up and do here. Every call is signed, and every operation takes effect once, however often it is retried.",
        "version": version,
    })
}

fn security_schemes() -> Value {
    let header = |name: &str, description: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": description });
    json!({
        "idempotencyKey": header(
            "X-Idempotency-Key",
            "One operation's own key, the same on each retry: 1 to 255 visible ASCII characters without a colon. Not to be reused for 24 hours.",
        ),
        "timestamp": header(
            "X-Timestamp",
            "Whole seconds since 1970-01-01 UTC, when this attempt was signed. At most 30 s from the server's clock.",
        ),
        "signature": header(
            "X-Signature",
            "Lower-case hex of HMAC-SHA256, by the signing key, over `URL:X-Idempotency-Key:X-Timestamp:content`: the endpoint's URL without its query, and as content the raw body of a POST, or the search parameters of a GET as a JSON object of texts with sorted keys, as CPython's `json.dumps(…, sort_keys=True)` prints it.",
        ),
    })
}

/// A problem (RFC 9457 §3.1) with what we add: the wrong inputs.
fn problem_schema() -> Value {
    json!({
        "$ref": "#/$defs/Problem",
        "$defs": { "Problem": {
            "type": "object",
            "description": "Why a call was not answered with a value (RFC 9457).",
            "properties": {
                "type": { "type": "string", "format": "uri", "description": "Which kind of problem." },
                "title": { "type": "string", "description": "The kind in a few words." },
                "status": { "type": "integer", "description": "The HTTP status.", "minimum": 400, "maximum": 599 },
                "detail": { "type": "string", "description": "What is wrong and what would be right, in sentences that can be repeated to a person." },
                "operation": { "type": "string", "description": "The operation that a person is to look up, where its outcome is unknown.", "pattern": "^[0-9a-f]{64}$" },
                "errors": {
                    "type": "array",
                    "description": "Each wrong input.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "input": { "type": "string", "description": "The input's name, or the path of a part of it." },
                            "detail": { "type": "string", "description": "What is wrong with it." },
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
            "description": endpoint.description,
            "responses": self.responses(described),
        });
        if endpoint.deprecated {
            operation["deprecated"] = true.into();
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

    /// The inputs of a GET, each a search parameter.
    fn parameters(&mut self, described: &Described) -> Value {
        let mut inputs = described.inputs.clone();
        self.shared.hoist(&mut inputs, "");
        let required = inputs["required"].as_array().cloned().unwrap_or_default();
        let Some(Value::Object(properties)) = inputs.get_mut("properties").map(Value::take) else {
            return json!([]);
        };
        let parameters = properties.into_iter().map(|(name, mut schema)| {
            let mut parameter = json!({
                "name": name,
                "in": "query",
                "required": required.contains(&Value::from(name.as_str())),
                "style": "form",
                "explode": true,
            });
            if let Some(object) = schema.as_object_mut() {
                // They stand beside the schema here.
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
            "description": "It was carried out.",
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
            // Each other status that an extractor may have.
            for (range, least) in [("4XX", 400), ("5XX", 500)] {
                let problem = Problem::rejected(least, described.endpoint.effect);
                let status = json!({ "type": "integer", "minimum": least, "maximum": least + 99 });
                responses.insert(range.to_owned(), self.problem(status, &[problem]));
            }
        }
        responses.into()
    }

    /// A response with one of these problems; `status` is the schema of theirs.
    #[allow(clippy::needless_pass_by_value, reason = "it becomes a part of the response")]
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
            let header = json!({ "description": "After how many seconds to send it again.", "schema": seconds });
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

    /// A reference to a response that several operations give, and that is written once.
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
        json!({ "description": "There where this is the kept answer of an earlier attempt.", "schema": schema })
    }

    /// A schema whose definitions are shared with every other.
    fn schema(&mut self, mut schema: Value, suffix: &str) -> Value {
        self.shared.hoist(&mut schema, suffix);
        self.in_dialect(schema)
    }

    fn in_dialect(&self, mut schema: Value) -> Value {
        definitions::redirect(&mut schema, "#/components/schemas/");
        match self.dialect {
            Dialect::V3_1 => {}
            Dialect::V3_0 => openapi_3_0::lower(&mut schema),
        }
        schema
    }

    fn schemas(&mut self) -> Map<String, Value> {
        let definitions = std::mem::take(&mut self.shared).into_definitions();
        definitions
            .into_iter()
            .map(|(name, schema)| (name, self.in_dialect(schema)))
            .collect()
    }
}
