//! Tries samples of an input at start-up, because serde and schemars read some attributes differently. A value that the
//! schema accepts and the type can never decode would be a 400 that no caller understands; a value that the type accepts
//! and the schema refuses, such as an alias, would never reach the type.

mod probe;
pub(super) mod samples;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use self::probe::{Asked, What};
use self::samples::UNKNOWN;
use super::bound::Checked;
use super::document::Document;
use super::mistake::Disagreement;
use crate::schema::{definitions, walk};

/// How an input's type decodes a value.
#[derive(Debug)]
pub(crate) struct Tried {
    /// Why the type refuses the value.
    error: Option<String>,
    asked: Vec<Asked>,
}

/// Decodes a value as `T`.
pub(super) fn of<T: DeserializeOwned>(value: &Value) -> Tried {
    Tried {
        error: serde_json::from_str::<T>(&value.to_string())
            .err()
            .map(|error| error.to_string()),
        asked: probe::asked::<T>(value),
    }
}

/// The first value about which the schema and the type disagree, if the trial finds one.
pub(super) fn disagreement(schema: &Value, checked: &Checked, tried: fn(&Value) -> Tried) -> Option<Disagreement> {
    if is_one_scalar(schema) {
        return None;
    }
    let places = Places::of(schema);
    let mut known = BTreeSet::new();
    let samples = samples::of(schema)
        .into_iter()
        .filter(|sample| accepts(checked, sample));
    for sample in samples {
        let Tried { error, asked } = tried(&sample);
        if let Some(error) = error.filter(|error| is_of_derive(error, schema)) {
            let value = sample.to_string();
            return Some(if error.contains("invalid type: map") && has_arbitrary_precision() {
                Disagreement::Precision { value, error }
            } else {
                Disagreement::Refused { value, error }
            });
        }
        for Asked { place, what } in asked {
            if !known.insert((place.clone(), format!("{what:?}"))) {
                continue;
            }
            let shown = places.names_at(&place);
            let is_hidden = |name: &&&str| {
                let hidden = With {
                    name,
                    place: &place,
                    sample: &sample,
                };
                !shown.contains(**name) && hidden.is_refused_by(checked, tried, &what)
            };
            let (kind, names) = match what {
                What::Struct(fields) => ("field", fields),
                What::Enum(variants) => ("variant", variants),
                What::Tagged => ("field", [].as_slice()),
            };
            if let Some(hidden) = names.iter().find(is_hidden) {
                let name = (*hidden).to_owned();
                return Some(Disagreement::Hidden { kind, name });
            }
            let takes_any = |value: &Value| !accepts(checked, value) && tried(value).error.is_none();
            if with_unknown_choices(&sample, &place, &what, &places)
                .iter()
                .any(takes_any)
            {
                return Some(Disagreement::AnyChoice);
            }
        }
    }
    None
}

/// Whether the schema is that of a single text, whole number or boolean, about which nobody can disagree.
fn is_one_scalar(schema: &Value) -> bool {
    let has_choices = ["allOf", "anyOf", "const", "enum", "oneOf"]
        .iter()
        .any(|keyword| schema.get(*keyword).is_some());
    !has_choices
        && ["boolean", "integer", "string"]
            .iter()
            .any(|name| schema["type"] == *name)
}

/// Whether serde_json's feature `arbitrary_precision` is on. Without it, serde_json cannot read such a number.
fn has_arbitrary_precision() -> bool {
    serde_json::from_str::<serde_json::Number>("1e999").is_ok()
}

fn accepts(checked: &Checked, value: &Value) -> bool {
    let text = value.to_string();
    Document::of(&text).is_ok_and(|document| checked.accepts(document.root()))
}

/// Whether the error is of serde's derive and about the form of a value. Other errors, such as that of `try_from`, depend
/// on the value.
fn is_of_derive(error: &str, schema: &Value) -> bool {
    const ENTRY: [&str; 5] = ["a tuple", "tuple struct", "struct", "a map", "a sequence"];
    // The text of a sample is made up, unless the schema lists it. An enum whose schema is that of any text refuses it.
    if let Some(given) = error.strip_prefix("unknown variant `") {
        let name = given.split('`').next().unwrap_or(given);
        return lists(schema, name);
    }
    match error.split_once(", expected ") {
        // serde_json reads numbers and booleans from the keys of a map, and their schemas do not say which.
        Some((given, expected)) if given.starts_with("invalid type: string") => {
            !given.contains(UNKNOWN) && ENTRY.iter().any(|form| expected.starts_with(form))
        }
        _ => [
            "unknown field ",
            "invalid type: ",
            "u128 is not supported",
            "i128 is not supported",
            "can only flatten ",
        ]
        .iter()
        .any(|begin| error.starts_with(begin)),
    }
}

/// Whether the schema or one of its subschemas has that choice or field.
fn lists(schema: &Value, name: &str) -> bool {
    let is_choice = schema["const"] == name
        || schema["enum"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name));
    is_choice
        || schema["properties"].get(name).is_some()
        || walk::children(schema).into_iter().any(|child| lists(child, name))
}

/// A name that a type accepts at one place of a sample, and that the schema does not have at this place.
struct With<'v> {
    name: &'v str,
    place: &'v str,
    sample: &'v Value,
}

impl With<'_> {
    /// Whether the schema refuses a value with the name. An object whose schema allows any other field accepts an alias,
    /// but not in place of a required field, so an alias counts as refused.
    fn is_refused_by(&self, checked: &Checked, tried: fn(&Value) -> Tried, what: &What) -> bool {
        if matches!(what, What::Enum(_)) {
            let mut value = self.sample.clone();
            if let Some(choice) = value.pointer_mut(self.place) {
                *choice = match choice.as_object().and_then(|fields| fields.values().next()) {
                    Some(content) => json!({ self.name: content }),
                    None => self.name.into(),
                };
            }
            return !accepts(checked, &value);
        }
        // serde refuses a field that is sent under two names, once it has decoded the first. The right value for an alias
        // is that of the other name.
        let fields = self.sample.pointer(self.place).and_then(Value::as_object);
        let values = fields.into_iter().flat_map(Map::values);
        values.chain([&Value::Null]).any(|value| {
            let mut with = self.sample.clone();
            if let Some(fields) = with.pointer_mut(self.place).and_then(Value::as_object_mut) {
                fields.insert(self.name.to_owned(), value.clone());
            }
            let is_alias = |error: String| error.starts_with("duplicate field ");
            !accepts(checked, &with) || tried(&with).error.is_some_and(is_alias)
        })
    }
}

/// The sample with an unknown text instead of the choice at that place: the text itself, or the tag of an object. An
/// object is tried with the tag only, because its other fields belong to the known choice or may be fixed too.
fn with_unknown_choices(sample: &Value, place: &str, what: &What, places: &Places<'_>) -> Vec<Value> {
    let tag = |name: &str| json!({ name: UNKNOWN });
    let mut choices = Vec::new();
    match (what, sample.pointer(place)) {
        (What::Enum(_), Some(Value::String(_))) => {
            choices.push((place, UNKNOWN.into()));
            // The enum may be an adjacent tag.
            choices.extend(
                place
                    .rsplit_once('/')
                    .map(|(object, name)| (object, tag(&probe::unescaped(name)))),
            );
        }
        (What::Tagged, Some(Value::Object(fields))) => {
            let is_fixed = |name: &&String| places.is_fixed(&format!("{place}/{}", probe::escaped(name)));
            choices.extend(fields.keys().filter(is_fixed).map(|name| (place, tag(name))));
        }
        _ => {}
    }
    let with = |(place, choice): (&str, Value)| {
        let mut value = sample.clone();
        *value.pointer_mut(place)? = choice;
        Some(value)
    };
    choices.into_iter().filter_map(with).collect()
}

/// Finds the parts of a schema that apply to a place of a value.
struct Places<'s> {
    schema: &'s Value,
    definitions: Option<&'s Map<String, Value>>,
}

impl<'s> Places<'s> {
    fn of(schema: &'s Value) -> Self {
        Self {
            schema,
            definitions: schema["$defs"].as_object(),
        }
    }

    /// The names of the fields and choices at a place.
    fn names_at(&self, place: &str) -> BTreeSet<&'s str> {
        let mut names = BTreeSet::new();
        for schema in self.at(place) {
            names.extend(
                schema["properties"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.as_str()),
            );
            names.extend(
                schema["enum"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str),
            );
            names.extend(schema["const"].as_str());
        }
        names
    }

    fn is_fixed(&self, place: &str) -> bool {
        self.at(place).iter().any(|schema| schema["const"].is_string())
    }

    fn at(&self, place: &str) -> Vec<&'s Value> {
        let mut found = self.same(vec![self.schema]);
        for name in place.split('/').skip(1) {
            let name = probe::unescaped(name);
            let inside = found.into_iter().flat_map(|schema| inside(schema, &name)).collect();
            found = self.same(inside);
        }
        found
    }

    /// The schemas, and all that they refer to for the same value.
    fn same(&self, mut waiting: Vec<&'s Value>) -> Vec<&'s Value> {
        let mut found: Vec<&Value> = Vec::new();
        while let Some(schema) = waiting.pop() {
            if found.iter().any(|one| std::ptr::eq(*one, schema)) {
                continue;
            }
            found.push(schema);
            waiting.extend(definitions::name_of(schema).and_then(|name| self.definitions?.get(name)));
            for keyword in ["allOf", "anyOf", "oneOf"] {
                waiting.extend(schema[keyword].as_array().into_iter().flatten());
            }
        }
        found
    }
}

fn inside<'s>(schema: &'s Value, name: &str) -> Vec<&'s Value> {
    let field = schema["properties"].get(name);
    let item = name
        .parse()
        .ok()
        .and_then(|index: usize| schema["prefixItems"].get(index));
    let others = schema["patternProperties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, one)| one);
    let any = ["additionalProperties", "items"]
        .iter()
        .filter_map(|keyword| schema.get(*keyword));
    field.into_iter().chain(item).chain(others).chain(any).collect()
}
