//! `trigger`: sends a sample of an event as the agent does, and shows the answer.

use clap::Args;
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
    for field in &arguments.fields {
        set(&mut event, &schema, field)?;
    }
    let Value::Object(event) = event else {
        return Err("The sample is not an object.".to_owned());
    };
    let path = registry::events_path(&app.events_paths);
    arguments.sending.send(&config, path, &Inputs::Object(event)).await
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
fn set(event: &mut Value, schema: &Value, field: &str) -> Result<(), String> {
    let (path, value) = field
        .split_once('=')
        .filter(|(path, _)| !path.split('.').any(str::is_empty))
        .ok_or_else(|| format!("`{field}` is not a field: write `payload.name=value`."))?;
    let (mut place, mut schema) = (event, schema);
    for name in path.split('.') {
        if !place.is_object() {
            *place = Map::new().into();
        }
        (place, schema) = (&mut place[name], &schema["properties"][name]);
    }
    *place = caller::json_of(schema, value.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::set;

    #[test]
    fn a_field_is_set_at_its_path_with_the_type_of_its_schema() {
        let schema = json!({ "properties": { "a": { "properties": { "text": { "type": ["string", "null"] } } } } });
        let mut event = json!({ "a": { "text": "x", "other": 1 }, "b": null });
        for field in ["a.text=5", "a.number=5", "b.deep.er=x=y", "c={\"d\":[]}"] {
            set(&mut event, &schema, field).unwrap();
        }
        let expected = json!({
            "a": { "text": "5", "other": 1, "number": 5 }, "b": { "deep": { "er": "x=y" } }, "c": { "d": [] },
        });
        assert_eq!(event, expected);
        for wrong in ["a", "=5", "a..b=5", ".a=5"] {
            assert!(set(&mut event, &schema, wrong).is_err(), "{wrong}");
        }
    }
}
