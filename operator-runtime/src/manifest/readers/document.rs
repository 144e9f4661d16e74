//! Writes the document of a reader: the usual document, without what the reader does not accept.

use serde_json::Value;

use super::cut::{cut, length};
use super::{Form, Misfit, Place, Reader, shape};
use crate::idempotency::effect::Effect;
use crate::manifest::mcp::{Tool, Tools};
use crate::manifest::model::{Described, Model};
use crate::manifest::openapi::{self, Dialect};
use crate::manifest::security::SECURITY;
use crate::manifest::{Format, to_text};

const LEFT_OUT: &str = "the document does not have the endpoint";

/// The document, and what the reader does not accept.
pub(crate) fn document(model: &Model, reader: &'static Reader) -> Result<(String, Vec<Misfit>), serde_json::Error> {
    let mut found = Vec::new();
    let text = match reader.format {
        Format::OpenApi | Format::OpenApi30 => to_text(&of_operations(model, reader, &mut found)),
        Format::Mcp | Format::Operator => to_text(&of_tools(model, reader, &mut found)),
    }?;
    Ok((text, found))
}

fn of_tools(model: &Model, reader: &Reader, found: &mut Vec<Misfit>) -> Tools {
    let mut tools = Tools::from(model);
    let all = std::mem::take(&mut tools.tools);
    let fitted = model.endpoints.iter().zip(all);
    tools.tools = fitted
        .filter_map(|(described, tool)| fitted_tool(described, tool, reader, found))
        .collect();
    if let Some(most) = reader.most_tools.filter(|most| tools.tools.len() > *most) {
        let count = tools.tools.len();
        let left_out: Vec<&str> = tools.tools.split_off(most).iter().map(|tool| tool.name).collect();
        found.push(Misfit {
            place: Place::App,
            what: format!("There are {count} tools, but {} accepts at most {most}", reader.title),
            better: "Serve some of the endpoints to another agent with `App::only`.",
            instead: format!("the document does not have {}", left_out.join(", ")),
        });
    }
    tools
}

/// The tool as the reader accepts it; `None` if the reader cannot accept the tool.
fn fitted_tool(described: &Described, mut tool: Tool, reader: &Reader, found: &mut Vec<Misfit>) -> Option<Tool> {
    let name = described.endpoint.name;
    if length(name) > reader.longest_name {
        found.push(Misfit {
            place: Place::Endpoint(name),
            what: format!(
                "The name has {} characters, but {} accepts at most {}",
                length(name),
                reader.title,
                reader.longest_name
            ),
            better: "Give the endpoint a shorter name: `name = \"…\"`.",
            // A shortened name would not be the name by which the server knows the tool.
            instead: LEFT_OUT.to_owned(),
        });
        return None;
    }
    if reader.refuses(Form::Reference) {
        tool.input_schema = described.inlined_inputs();
        if let Some(recursive) = tool.input_schema["$defs"]
            .as_object()
            .and_then(|types| types.keys().next())
        {
            found.push(Misfit {
                place: Place::Endpoint(name),
                what: format!(
                    "The type `{recursive}` of the inputs contains itself, which {} does not accept",
                    reader.title
                ),
                better: "Take a list, whose items name the item that they belong to.",
                instead: LEFT_OUT.to_owned(),
            });
            return None;
        }
    }
    if !takes_names(name, &mut tool.input_schema, reader, found) {
        return None;
    }
    if !reader.refuses.is_empty() {
        tool.output_schema = None;
    }
    let of_inputs = shape::fit(reader, &mut tool.input_schema);
    found.extend(of_inputs.into_iter().map(|one| of_input(name, one)));
    if let Some(short) = shortened("description", &tool.description, name, reader, found) {
        tool.description = short.into();
    }
    Some(tool)
}

/// Leaves out optional inputs whose names the reader does not accept. Returns false if a required input has such a name.
fn takes_names(endpoint: &'static str, inputs: &mut Value, reader: &Reader, found: &mut Vec<Misfit>) -> bool {
    let names = inputs["properties"].as_object().into_iter().flatten();
    let refused: Vec<String> = names
        .map(|(name, _)| name.clone())
        .filter(|name| !reader.takes_input_name(name))
        .collect();
    let required: Vec<Value> = inputs["required"].as_array().cloned().unwrap_or_default();
    let mut all_optional = true;
    for name in refused {
        let is_required = required.iter().any(|one| *one == name);
        all_optional &= !is_required;
        if let Some(properties) = inputs["properties"].as_object_mut() {
            properties.remove(&name);
        }
        found.push(Misfit {
            what: format!("The name `{name}` is not one that {} accepts", reader.title),
            place: Place::Input(endpoint, name),
            better: "Use at most 64 ASCII letters, digits and `_`, and begin with a letter.",
            instead: if is_required {
                LEFT_OUT.to_owned()
            } else {
                "the document does not have the input".to_owned()
            },
        });
    }
    all_optional
}

fn of_operations(model: &Model, reader: &Reader, found: &mut Vec<Misfit>) -> openapi::Document {
    let mut document = openapi::document(model, Dialect::V3_1);
    for described in &model.endpoints {
        let method = described.endpoint.method.as_str().to_lowercase();
        let path = document.paths.get_mut(described.endpoint.path);
        if let Some(operation) = path.and_then(|path| path.get_mut(method)) {
            fit_operation(described, operation, reader, found);
        }
    }
    for (name, schema) in document.components["schemas"].as_object_mut().into_iter().flatten() {
        found.extend(shape::fit(reader, schema).into_iter().map(|one| Misfit {
            place: Place::Type(format!("{name} {}", one.path).trim_end().to_owned()),
            what: one.what,
            better: one.better,
            instead: one.instead.to_owned(),
        }));
    }
    if !reader.sends_headers {
        document.security = Value::Null;
        if let Some(components) = document.components.as_object_mut() {
            components.remove("securitySchemes");
        }
        found.push(Misfit {
            place: Place::App,
            what: format!(
                "{} sends no headers of its own, so its calls are not signed",
                reader.title
            ),
            better: "Set OPERATOR_API_KEYS, and give the reader one of the API keys, which it sends as a bearer token.",
            instead: "the document does not say how callers show who they are".to_owned(),
        });
    }
    // What was fitted is sorted again, so that the document does not depend on serde_json's `preserve_order`.
    document.paths.values_mut().for_each(Value::sort_all_objects);
    document.components.sort_all_objects();
    document
}

fn fit_operation(described: &Described, operation: &mut Value, reader: &Reader, found: &mut Vec<Misfit>) {
    let name = described.endpoint.name;
    for part in ["summary", "description"] {
        let text = operation[part].as_str().unwrap_or_default();
        if let Some(short) = shortened(part, text, name, reader, found) {
            operation[part] = short.into();
        }
    }
    // ChatGPT asks a person before it calls an endpoint that changes something.
    operation["x-openai-isConsequential"] = (described.endpoint.effect != Effect::ReadOnly).into();
    if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
        let of_body = shape::fit(reader, body).into_iter();
        found.extend(of_body.map(|one| of_input(name, one)));
    }
    if !reader.sends_headers {
        if let Some(operation) = operation.as_object_mut() {
            operation.remove(SECURITY);
        }
        if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.retain(|parameter| parameter["in"] != "header");
        }
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let input = parameter["name"].as_str().unwrap_or_default().to_owned();
        // The description of a parameter is beside its schema; it is fitted as a part of the schema.
        let mut schema = parameter["schema"].take();
        move_description(parameter, &mut schema);
        for mut one in shape::fit(reader, &mut schema) {
            one.path = match one.path.as_str() {
                "" => input.clone(),
                path if path.starts_with('[') => format!("{input}{path}"),
                path => format!("{input}.{path}"),
            };
            found.push(of_input(name, one));
        }
        move_description(&mut schema, parameter);
        parameter["schema"] = schema;
    }
}

fn move_description(from: &mut Value, to: &mut Value) {
    if let (Some(from), Some(to)) = (from.as_object_mut(), to.as_object_mut()) {
        to.extend(from.remove_entry("description"));
    }
}

fn of_input(endpoint: &'static str, found: shape::Found) -> Misfit {
    Misfit {
        place: match found.path.as_str() {
            "" => Place::Endpoint(endpoint),
            _ => Place::Input(endpoint, found.path),
        },
        what: found.what,
        better: found.better,
        instead: found.instead.to_owned(),
    }
}

/// The beginning of a part of an endpoint's description; `None` if the reader accepts the whole part.
fn shortened(
    part: &str,
    text: &str,
    endpoint: &'static str,
    reader: &Reader,
    found: &mut Vec<Misfit>,
) -> Option<String> {
    let most = reader.longest_description.filter(|most| length(text) > *most)?;
    let short = cut(text, most);
    found.push(Misfit {
        place: Place::Endpoint(endpoint),
        what: format!(
            "The {part} has {} characters, but {} accepts at most {most}",
            length(text),
            reader.title
        ),
        better: "Say first what the endpoint does and when to use it, and move the rest to the descriptions of the inputs.",
        instead: format!("the document has its first {} characters", length(&short)),
    });
    Some(short)
}
