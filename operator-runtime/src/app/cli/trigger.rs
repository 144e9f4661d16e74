//! `trigger`: sends a sample of an event as the agent does, and shows the answer.

use std::collections::BTreeMap;

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::Sending;
use super::caller::{self, Inputs};
use super::{Done, settings};
use crate::app::{App, registry};
use crate::endpoint::event::EventHandler;
use crate::manifest::events;
use crate::schema::keywords::lists_type;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The type of the event, such as `conversation.setup`.
    name: String,
    /// Fields to change in the sample, such as `payload.channel.caller_no=+493012345678`; write a value that is not a
    /// string as JSON. The items of a list are numbered from 0: `payload.items.0=first`.
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    #[command(flatten)]
    sending: Sending,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Done {
    let handler = find(app, &arguments.name)?;
    let config = settings(app)?;
    let schema = events::fields(handler);
    let mut event = events::sample(&schema);
    // Each sample is an event of its own, so that the handler runs.
    event["id"] = format!("ev_{}", caller::idempotency_key(None)?).into();
    let mut event = Typed::Json(caller::as_json(&event));
    for field in &arguments.fields {
        set(&mut event, &schema, field)?;
    }
    let fields = event.into_fields().into_iter();
    let inputs = Inputs::Object(fields.map(|(name, value)| (name, caller::as_json(&value))).collect());
    let path = registry::events_path(&app.events_paths);
    arguments.sending.send(&config, path, &inputs).await
}

/// A value in which fields can be replaced by JSON as it was typed.
enum Typed {
    Json(Box<RawValue>),
    Object(BTreeMap<String, Self>),
    Array(Vec<Self>),
}

impl Typed {
    fn null() -> Self {
        Self::Json(RawValue::NULL.to_owned())
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Json(json) if json.get() == "null")
    }

    /// The value, of which the fields or items can be replaced if it has some.
    fn open(&mut self) -> &mut Self {
        if let Self::Json(json) = self {
            let text = json.get();
            if let Ok(fields) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text) {
                *self = Self::Object(
                    fields
                        .into_iter()
                        .map(|(name, json)| (name, Self::Json(json)))
                        .collect(),
                );
            } else if let Ok(items) = serde_json::from_str::<Vec<Box<RawValue>>>(text) {
                *self = Self::Array(items.into_iter().map(Self::Json).collect());
            }
        }
        self
    }

    /// The fields; none if the value is not an object.
    fn into_fields(mut self) -> BTreeMap<String, Self> {
        self.open();
        match self {
            Self::Object(fields) => fields,
            Self::Json(_) | Self::Array(_) => BTreeMap::new(),
        }
    }
}

impl Serialize for Typed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(json) => json.serialize(serializer),
            Self::Object(fields) => fields.serialize(serializer),
            Self::Array(items) => items.serialize(serializer),
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

/// Sets the field that `field`, `path.to.field=value`, names. The value gets the JSON type that the schema names, or
/// else that of its text.
fn set(event: &mut Typed, schema: &Value, field: &str) -> Result<(), String> {
    let (path, value) = field
        .split_once('=')
        .filter(|(path, _)| !path.split('.').any(str::is_empty))
        .ok_or_else(|| format!("`{field}` is not a field: write `payload.name=value`."))?;
    let (mut place, mut schema) = (event, schema);
    let mut whole = String::new();
    for name in path.split('.') {
        if place.is_null() {
            *place = match lists_type(schema, "array") {
                true => Typed::Array(Vec::new()),
                false => Typed::Object(BTreeMap::new()),
            };
        }
        (place, schema) = match place.open() {
            Typed::Object(fields) => {
                let field = fields.entry(name.to_owned()).or_insert_with(Typed::null);
                (field, &schema["properties"][name])
            }
            Typed::Array(items) => (item(items, name, &whole)?, &schema["items"]),
            Typed::Json(other) => {
                return Err(format!(
                    "`{whole}` is {other}, which has no fields: write `{whole}=…` to replace it."
                ));
            }
        };
        whole = match whole.as_str() {
            "" => name.to_owned(),
            above => format!("{above}.{name}"),
        };
    }
    *place = Typed::Json(caller::json_of(schema, value));
    Ok(())
}

/// The item of a list at this number, or the place for one more.
fn item<'v>(items: &'v mut Vec<Typed>, number: &str, list: &str) -> Result<&'v mut Typed, String> {
    let next = items.len();
    let number = number
        .parse::<usize>()
        .ok()
        .filter(|number| *number <= next)
        .ok_or_else(|| {
            format!(
                "`{list}` is a list with {next} items, and has no item `{number}`: write `{list}.{next}=…` to add one."
            )
        })?;
    if number == next {
        items.push(Typed::null());
    }
    Ok(&mut items[number])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Typed, set};
    use crate::app::cli::caller::as_json;

    #[test]
    fn a_field_is_set_at_its_path_with_the_type_of_its_schema() {
        let texts = json!({ "type": "array", "items": { "type": "string" } });
        let schema = json!({ "properties": {
            "a": { "properties": { "text": { "type": ["string", "null"] }, "texts": texts } }, "new": texts,
        } });
        let event =
            json!({ "a": { "text": "x", "other": 1, "texts": ["x", "y"], "objects": [{ "b": 1 }] }, "b": null });
        let mut event = Typed::Json(as_json(&event));
        for field in [
            "a.text=5",
            "a.number=18446744073709551617",
            "b.deep.er=x=y",
            "c={\"d\":[1.10]}",
            "c.d.1=2",
            "a.texts.0=5",
            "a.texts.2=z",
            "a.objects.0.c=2",
            "new.0=1",
        ] {
            set(&mut event, &schema, field).unwrap();
        }
        let expected = concat!(
            r#"{"a":{"number":18446744073709551617,"objects":[{"b":1,"c":2}],"other":1,"text":"5","texts":["5","y","z"]},"#,
            r#""b":{"deep":{"er":"x=y"}},"c":{"d":[1.10,2]},"new":["1"]}"#
        );
        let written = |event: &Typed| serde_json::to_string(event).unwrap();
        assert_eq!(written(&event), expected);
        for (wrong, said) in [
            ("a", "`a` is not a field"),
            ("=5", "is not a field"),
            ("a..b=5", "is not a field"),
            (".a=5", "is not a field"),
            (
                "a.texts.4=5",
                "`a.texts` is a list with 3 items, and has no item `4`: write `a.texts.3=…`",
            ),
            ("a.texts.-1=5", "has no item `-1`"),
            ("a.texts.first=5", "has no item `first`"),
            ("a.text.b=5", "`a.text` is \"5\", which has no fields: write `a.text=…`"),
        ] {
            let error = set(&mut event, &schema, wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
        assert_eq!(written(&event), expected);
    }
}
