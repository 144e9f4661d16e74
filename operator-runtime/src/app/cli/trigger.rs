//! `trigger`: sends a sample of an event as the agent does, and shows the answer.

use std::collections::BTreeMap;

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::Sending;
use super::caller::{self, Inputs};
use super::{Done, settings};
use crate::app::{App, registry};
use crate::endpoint::event::EventHandler;
use crate::manifest::events;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The type of the event, such as `conversation.setup`.
    name: String,
    /// Fields to change in the sample, such as `payload.channel.caller_no=+493012345678`; write a value that is not a
    /// string as JSON.
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    #[command(flatten)]
    sending: Sending,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Done {
    let handler = find(app, &arguments.name)?;
    let config = settings(app)?;
    let schema = events::fields(handler);
    let mut event = sample(&schema);
    // Each sample is an event of its own, so that the handler runs.
    event["id"] = format!("ev_{}", caller::idempotency_key(None)?).into();
    let mut event = Typed::from(event);
    for field in &arguments.fields {
        set(&mut event, &schema, field)?;
    }
    let fields = event.fields.into_iter();
    let inputs = Inputs::Object(fields.map(|(name, value)| (name, caller::as_json(&value))).collect());
    let path = registry::events_path(&app.events_paths);
    arguments.sending.send(&config, path, &inputs).await
}

/// An event in which fields can be replaced by JSON as it was typed.
#[derive(Default)]
struct Typed {
    /// The value; `None` if the value is an object with these fields.
    json: Option<Box<RawValue>>,
    fields: BTreeMap<String, Self>,
}

impl Typed {
    fn of(json: Box<RawValue>) -> Self {
        Self {
            json: Some(json),
            fields: BTreeMap::new(),
        }
    }

    /// The field of that name. A value that is not an object becomes one.
    fn field(&mut self, name: &str) -> &mut Self {
        self.json = None;
        self.fields.entry(name.to_owned()).or_default()
    }
}

impl From<Value> for Typed {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => Self {
                json: None,
                fields: fields.into_iter().map(|(name, field)| (name, field.into())).collect(),
            },
            other => Self::of(caller::as_json(&other)),
        }
    }
}

impl Serialize for Typed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.json {
            Some(json) => json.serialize(serializer),
            None => self.fields.serialize(serializer),
        }
    }
}

fn find(app: &App, name: &str) -> Result<&'static EventHandler, String> {
    let handlers = registry::select_handlers(&app.only);
    let found = handlers.iter().find(|handler| handler.endpoint.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = handlers.iter().map(|handler| handler.endpoint.name).collect();
        if names.is_empty() {
            return "This program has no handler of events: write a function with `#[operator_event(…)]`.".to_owned();
        }
        let sentence = format!("There is no handler of the event `{name}`");
        caller::unknown(&sentence, name, "the events", &names)
    })
}

/// A value that fits the schema, from its examples. What has no example is left out, or is null if it is required.
fn sample(schema: &Value) -> Value {
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
        if !value.is_null() || caller::is_required(schema, name) {
            object.insert(name.clone(), value);
        }
    }
    object.into()
}

/// Sets the field that `field`, `path.to.field=value`, names. The value gets the JSON type that the schema names, or
/// else that of its text.
fn set(event: &mut Typed, schema: &Value, field: &str) -> Result<(), String> {
    let (path, value) = field
        .split_once('=')
        .filter(|(path, _)| !path.split('.').any(str::is_empty))
        .ok_or_else(|| format!("`{field}` is not a field: write `payload.name=value`."))?;
    let (mut place, mut schema) = (event, schema);
    for name in path.split('.') {
        schema = &schema["properties"][name];
        place = place.field(name);
    }
    *place = Typed::of(caller::json_of(schema, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Typed, set};

    #[test]
    fn a_field_is_set_at_its_path_with_the_type_of_its_schema() {
        let schema = json!({ "properties": { "a": { "properties": { "text": { "type": ["string", "null"] } } } } });
        let mut event = Typed::from(json!({ "a": { "text": "x", "other": 1 }, "b": null }));
        for field in [
            "a.text=5",
            "a.number=18446744073709551617",
            "b.deep.er=x=y",
            "c={\"d\":[1.10]}",
        ] {
            set(&mut event, &schema, field).unwrap();
        }
        let expected =
            r#"{"a":{"number":18446744073709551617,"other":1,"text":"5"},"b":{"deep":{"er":"x=y"}},"c":{"d":[1.10]}}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), expected);
        for wrong in ["a", "=5", "a..b=5", ".a=5"] {
            assert!(set(&mut event, &schema, wrong).is_err(), "{wrong}");
        }
    }
}
