//! Reads a manifest document of any format into a `Contract`, which contains what callers rely on. `check` compares two
//! contracts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

use super::Format;
use super::guarantees::Guarantees;
use super::openapi::{EFFECT, KEY};
use super::openapi_3_0;
use super::operator::Manifest;
use crate::problem::{PROBLEM_JSON, slug_of};
use crate::protocol::public_url;
use crate::schema::definitions::{self, Inline};
use crate::schema::walk;

/// What a document promises to callers, as far as its format can express it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contract {
    pub(super) endpoints: Vec<Promised>,
    /// The events that the program handles, by type; only OpenAPI 3.1 has them.
    pub(super) events: Vec<Promised>,
    /// The named types, from which callers may have generated code; only OpenAPI has them.
    pub(super) types: BTreeSet<String>,
}

/// What a document promises about one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Promised {
    pub(super) name: String,
    pub(super) description: String,
    /// `None` for an MCP tool, which is called by its name, and for an event, which is told by its type.
    pub(super) place: Option<Place>,
    /// The schema of the inputs. Only recursive types are references; all other types are inlined, as in `outputs`.
    pub(super) inputs: Value,
    pub(super) outputs: Value,
    /// The hints of an MCP tool; empty in the other formats.
    pub(super) hints: BTreeMap<String, bool>,
    /// The problem responses by status; only OpenAPI has them.
    pub(super) problems: BTreeMap<String, Value>,
    pub(super) guarantees: Guarantees,
}

/// The method and URL of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) method: String,
    pub(super) url: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.url)
    }
}

impl Contract {
    /// Reads a document in this format, which this version or an earlier version wrote.
    ///
    /// # Errors
    /// If the text is not such a document; the error says why.
    pub(crate) fn read(format: Format, text: &str) -> Result<Self, NotADocument> {
        let document: Value = serde_json::from_str(text).map_err(NotADocument::Json)?;
        match format {
            Format::Operator => of_operator(document),
            Format::OpenApi => of_openapi(document, "3.1"),
            Format::OpenApi30 => of_openapi(document, "3.0"),
            Format::Mcp => of_mcp(&document),
        }
    }
}

/// Why a text is not a document of a format, as the end of the sentence "the file …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotADocument {
    #[error("is not JSON ({0})")]
    Json(#[source] serde_json::Error),
    #[error("is not a manifest ({0})")]
    Manifest(#[source] serde_json::Error),
    #[error("is not a list of MCP tools")]
    NoTools,
    #[error("has an MCP tool without a name")]
    UnnamedTool,
    #[error("is not an OpenAPI {version} document")]
    OtherVersion { version: &'static str },
    #[error("has no `operationId` for {method} {path}")]
    UnnamedOperation { method: String, path: String },
}

/// Reads a document in the format `operator`.
///
/// # Errors
/// If the text is not such a document; the error says why.
pub(crate) fn manifest(text: &str) -> Result<Manifest, NotADocument> {
    manifest_of(serde_json::from_str(text).map_err(NotADocument::Json)?)
}

fn manifest_of(document: Value) -> Result<Manifest, NotADocument> {
    serde_json::from_value(document).map_err(NotADocument::Manifest)
}

fn of_operator(document: Value) -> Result<Contract, NotADocument> {
    let mut manifest = manifest_of(document)?;
    let mut guarantees = std::mem::take(&mut manifest.guarantees);
    let endpoints = manifest.endpoints.into_iter().map(|one| Promised {
        guarantees: guarantees.remove(&one.name).unwrap_or_default(),
        name: one.name,
        description: one.description,
        place: Some(Place {
            method: one.method,
            url: one.url,
        }),
        inputs: expanded(one.inputs),
        outputs: expanded(one.outputs),
        hints: BTreeMap::new(),
        problems: BTreeMap::new(),
    });
    Ok(Contract {
        endpoints: endpoints.collect(),
        events: Vec::new(),
        types: BTreeSet::new(),
    })
}

fn of_mcp(document: &Value) -> Result<Contract, NotADocument> {
    let tools = document["tools"].as_array().ok_or(NotADocument::NoTools)?;
    let of_tool = |tool: &Value| {
        let hints = entries(&tool["annotations"]);
        Ok(Promised {
            name: text(&tool["name"]).ok_or(NotADocument::UnnamedTool)?,
            description: text(&tool["description"]).unwrap_or_default(),
            place: None,
            inputs: expanded(tool["inputSchema"].clone()),
            outputs: expanded(tool["outputSchema"].clone()),
            hints: hints
                .filter_map(|(name, hint)| Some((name.clone(), hint.as_bool()?)))
                .collect(),
            problems: BTreeMap::new(),
            guarantees: serde_json::from_value(tool["_meta"]["operator-runtime/guarantees"].clone())
                .unwrap_or_default(),
        })
    };
    Ok(Contract {
        endpoints: tools.iter().map(of_tool).collect::<Result<_, NotADocument>>()?,
        events: Vec::new(),
        types: BTreeSet::new(),
    })
}

fn of_openapi(mut document: Value, version: &'static str) -> Result<Contract, NotADocument> {
    let found = document["openapi"].as_str().unwrap_or_default();
    if !found.starts_with(version) {
        return Err(NotADocument::OtherVersion { version });
    }
    let mut components = document["components"].take();
    let types = match components["schemas"].take() {
        Value::Object(types) => types,
        _ => Map::new(),
    };
    let reader = OpenApi {
        base: document["servers"][0]["url"].as_str().unwrap_or_default(),
        types: &types,
        responses: &components["responses"],
        is_3_0: version == "3.0",
    };
    let operations = |member: &str| {
        let mut found = Vec::new();
        for (path, methods) in entries(&document[member]) {
            for (method, operation) in entries(methods) {
                found.push(reader.operation(path, method, operation)?);
            }
        }
        Ok(found)
    };
    let (endpoints, mut events) = (operations("paths")?, operations("webhooks")?);
    // An event has its type in the place of a path, and every event is sent to one URL, which the document does not name.
    for event in &mut events {
        event.place = None;
    }
    Ok(Contract {
        endpoints,
        events,
        types: types.into_iter().map(|(name, _)| name).collect(),
    })
}

/// The parts of a document that its operations share.
struct OpenApi<'d> {
    base: &'d str,
    types: &'d Map<String, Value>,
    responses: &'d Value,
    is_3_0: bool,
}

impl OpenApi<'_> {
    fn operation(&self, path: &str, method: &str, operation: &Value) -> Result<Promised, NotADocument> {
        let method = method.to_uppercase();
        let name = text(&operation["operationId"]);
        let unnamed = || NotADocument::UnnamedOperation {
            method: method.clone(),
            path: path.to_owned(),
        };
        let name = name.ok_or_else(unnamed)?;
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let inputs = if body.is_null() {
            self.schema(parameters(operation))
        } else {
            self.schema(body.clone())
        };
        let responses = || entries(&operation["responses"]);
        let done = responses()
            .find(|(status, _)| *status == "200")
            .map(|(_, response)| response);
        let problems: BTreeMap<String, Value> = responses()
            .filter(|(status, _)| *status != "200")
            .map(|(status, response)| (status.clone(), self.response(response)))
            .collect();
        let outputs = done.map(|response| response["content"]["application/json"]["schema"].clone());
        Ok(Promised {
            name,
            description: described(operation),
            place: Some(Place {
                method,
                url: public_url::below(self.base, path),
            }),
            inputs,
            outputs: self.schema(outputs.unwrap_or_default()),
            hints: BTreeMap::new(),
            guarantees: Guarantees {
                effect: text(&operation[EFFECT]),
                key: serde_json::from_value(operation[KEY].clone()).unwrap_or_default(),
                problems: statuses(&problems),
            },
            problems,
        })
    }

    /// Converts a schema to JSON Schema 2020-12, with the types that it refers to as definitions.
    fn schema(&self, mut schema: Value) -> Value {
        if let Some(object) = schema.as_object_mut() {
            object.insert("$defs".to_owned(), self.types.clone().into());
        }
        walk::rewrite(&mut schema, &mut |schema| {
            if let Some(name) = schema["$ref"]
                .as_str()
                .and_then(|to| to.strip_prefix("#/components/schemas/"))
            {
                schema["$ref"] = format!("#/$defs/{name}").into();
            }
            if let Some(object) = schema.as_object_mut() {
                // The variants themselves say everything that a discriminator says.
                object.remove("discriminator");
                if self.is_3_0 {
                    openapi_3_0::raise(object);
                }
            }
        });
        expanded(schema)
    }

    fn response(&self, response: &Value) -> Value {
        let reference = response["$ref"].as_str();
        let shared = reference.and_then(|to| to.strip_prefix("#/components/responses/"));
        shared.map_or(response, |name| &self.responses[name]).clone()
    }
}

/// The description of an operation, whose first sentence is the summary.
fn described(operation: &Value) -> String {
    let parts = ["summary", "description"].map(|part| text(&operation[part]).unwrap_or_default());
    parts.join("\n\n")
}

/// The statuses of each problem in these responses, which may also have a range of statuses, such as `4XX`.
fn statuses(responses: &BTreeMap<String, Value>) -> BTreeMap<String, BTreeSet<u16>> {
    let mut found = BTreeMap::<String, BTreeSet<u16>>::new();
    for (status, response) in responses {
        let Ok(status) = status.parse() else { continue };
        let types = &response["content"][PROBLEM_JSON]["schema"]["properties"]["type"]["enum"];
        let types = types.as_array().into_iter().flatten().filter_map(Value::as_str);
        for slug in types.filter_map(slug_of) {
            found.entry(slug.to_owned()).or_default().insert(status);
        }
    }
    found
}

/// Collects the search parameters into one object schema, as in the other formats.
fn parameters(operation: &Value) -> Value {
    let given = operation["parameters"].as_array().into_iter().flatten();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for parameter in given.filter(|parameter| parameter["in"] == "query") {
        let name = text(&parameter["name"]).unwrap_or_default();
        if parameter["required"] == true {
            required.push(name.clone());
        }
        let mut schema = parameter["schema"].clone();
        for word in ["description", "deprecated", "example"] {
            if let (Some(said), Some(object)) = (parameter.get(word), schema.as_object_mut()) {
                object.insert(word.to_owned(), said.clone());
            }
        }
        properties.insert(name, schema);
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Inlines every type that is not recursive, because two equal references may refer to different types.
fn expanded(schema: Value) -> Value {
    definitions::inline(schema, Inline::NotRecursive)
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
