//! Events in documents: the fields of an event as one schema.

#[cfg(feature = "cli")]
use serde_json::Map;
use serde_json::{Value, json};

use super::inputs;
use super::model::Described;
use crate::endpoint::event::EventHandler;
use crate::protocol::public_url::PublicUrl;
use crate::schema::definitions::{self, Inline};
#[cfg(feature = "cli")]
use crate::schema::keywords::requires;

/// The description of the events that a handler takes, at this path below the public URL. No type in it has a name, so
/// that no type of an event changes the name of a type of the app.
pub(super) fn described(handler: &'static EventHandler, path: &str, public_url: &PublicUrl) -> Described {
    let mut described = Described::at(&handler.endpoint, public_url.published(path));
    described.inputs = fields(handler);
    described.outputs = definitions::inline(described.outputs, Inline::NotRecursive);
    described
}

/// The schema of an event of the handler's type. The sender may add fields without notice.
pub(crate) fn fields(handler: &EventHandler) -> Value {
    let mut schema = definitions::inline(inputs::with_definitions(&handler.endpoint), Inline::NotRecursive);
    if let Some(object) = schema.as_object_mut() {
        object.remove("additionalProperties");
    }
    let payload = &mut schema["properties"]["payload"];
    payload["properties"]["type"] = json!({ "type": "string", "const": handler.endpoint.name });
    let mut required = vec![json!("type")];
    required.extend(payload["required"].as_array().into_iter().flatten().cloned());
    payload["required"] = required.into();
    schema
}

/// A value that fits the schema, from its examples. What has no example is left out, or is null if it is required.
#[cfg(feature = "cli")]
pub(crate) fn sample(schema: &Value) -> Value {
    let shown = schema["examples"].get(0).or_else(|| schema.get("const"));
    if let Some(value) = shown.or_else(|| schema.get("default")) {
        return value.clone();
    }
    let Some(properties) = schema["properties"].as_object() else {
        return Value::Null;
    };
    let mut object = Map::new();
    for (name, property) in properties {
        let value = sample(property);
        if !value.is_null() || requires(schema, name) {
            object.insert(name.clone(), value);
        }
    }
    object.into()
}
