//! The schema of an endpoint's inputs, as one object.

use serde_json::{Map, Value};

use crate::endpoint::Endpoint;
use crate::protocol::method::Method;
#[cfg(feature = "cli")]
use crate::schema::definitions::Inline;
use crate::schema::definitions::{self, Shared};
use crate::schema::exact;

/// The schema of an endpoint's inputs as one object: each input is a property, and no other property is allowed. A type
/// that is used once is inlined.
#[cfg(feature = "cli")]
pub(crate) fn of_inputs(endpoint: &Endpoint) -> Value {
    definitions::inline(with_definitions(endpoint), Inline::UsedOnce)
}

/// The schema of an endpoint's inputs as one object, with every named type as a definition.
pub(crate) fn with_definitions(endpoint: &Endpoint) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    let mut shared = Shared::default();
    for input in endpoint.inputs {
        let mut schema = input.property();
        if input.flatten.is_some() {
            schema = definitions::resolved_root(schema);
        }
        shared.hoist(&mut schema, "");
        if input.flatten.is_some() {
            if let Some(Value::Object(fields)) = schema.get_mut("properties").map(Value::take) {
                properties.extend(fields.into_iter().map(|(name, mut field)| {
                    if endpoint.method == Method::Get {
                        // A search parameter is never null: the caller leaves the parameter out instead.
                        exact::refuse_null(&mut field);
                    }
                    (name, field)
                }));
            }
            required.extend(schema["required"].as_array().into_iter().flatten().cloned());
        } else {
            properties.insert(input.name.to_owned(), schema);
            if input.is_required() {
                required.push(input.name.into());
            }
        }
    }
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), properties.into());
    if !required.is_empty() {
        object.insert("required".into(), required.into());
    }
    object.insert("additionalProperties".into(), false.into());
    let definitions = shared.into_definitions();
    if !definitions.is_empty() {
        object.insert("$defs".into(), definitions.into());
    }
    object.into()
}
