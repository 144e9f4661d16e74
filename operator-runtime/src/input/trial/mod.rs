//! Tries samples of an input at start-up, because serde and schemars read some attributes differently. A value that the
//! schema accepts and the type can never decode would be a 400 that no caller understands; a value that the type accepts
//! and the schema refuses, such as an alias, would never reach the type.

mod choices;
mod places;
mod probe;
pub(super) mod samples;
mod wrong;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::places::Places;
use self::probe::Struct;
use self::wrong::Wrong;
use super::bound::Checked;
use super::document::Document;
use super::mistake::Disagreement;

/// How an input's type decodes a value.
#[derive(Debug)]
pub(crate) struct Tried {
    /// Why serde_json refuses the value.
    error: Option<String>,
    /// The same reason, from a deserializer whose errors say what kind they are of.
    probed: Result<(), Wrong>,
    structs: Vec<Struct>,
}

/// Decodes a value as `T`.
pub(super) fn of<T: DeserializeOwned>(value: &Value) -> Tried {
    let (probed, structs) = probe::decode::<T>(value);
    let error = serde_json::from_str::<T>(&value.to_string()).err();
    Tried {
        error: error.map(|error| error.to_string()),
        probed,
        structs,
    }
}

/// The first value about which the schema and the type disagree, if the trial finds one.
pub(super) fn disagreement(schema: &Value, checked: &Checked, tried: fn(&Value) -> Tried) -> Option<Disagreement> {
    if is_one_scalar(schema) {
        return None;
    }
    let trial = Trial {
        schema,
        checked,
        tried,
        places: Places::of(schema),
    };
    let mut done = BTreeSet::new();
    let mut is_new = |what: String| done.insert(what);
    let samples = samples::of(schema).into_iter().filter(|sample| trial.accepts(sample));
    samples.into_iter().find_map(|sample| {
        let tried = tried(&sample);
        let structs = tried.structs.iter().filter(|one| is_new(format!("{one:?}")));
        let structs: Vec<_> = structs.collect();
        trial
            .refusal(&sample, &tried)
            .or_else(|| structs.into_iter().find_map(|one| trial.hidden_field(&sample, one)))
            .or_else(|| trial.disagreement_in_choices(&sample, &mut is_new))
    })
}

/// Whether the schema is that of a single text, whole number or boolean, about which schema and type cannot disagree.
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

/// An input's schema and its type.
struct Trial<'t> {
    schema: &'t Value,
    checked: &'t Checked,
    tried: fn(&Value) -> Tried,
    places: Places<'t>,
}

impl Trial<'_> {
    /// Whether the schema accepts the value.
    fn accepts(&self, value: &Value) -> bool {
        let text = value.to_string();
        Document::of(&text).is_ok_and(|document| self.checked.accepts(document.root()))
    }

    /// Why the type never decodes a value that the schema accepts. A reason that depends on the value does not count,
    /// because the texts of a sample are made up.
    fn refusal(&self, sample: &Value, tried: &Tried) -> Option<Disagreement> {
        let error = tried.error.clone()?;
        let value = sample.to_string();
        match &tried.probed {
            Err(wrong) if wrong.is_of_form(self.schema) => Some(Disagreement::Refused { value, error }),
            // The probe decodes numbers as serde_json does without that feature.
            Ok(()) if has_arbitrary_precision() => Some(Disagreement::Precision { value, error }),
            _ => None,
        }
    }

    /// A field that the type has at one place of a sample, and the schema refuses there: usually an alias.
    fn hidden_field(&self, sample: &Value, asked: &Struct) -> Option<Disagreement> {
        let shown = self.places.names_at(&asked.place);
        let is_hidden = |name: &&&str| !shown.contains(**name) && self.refuses_field(sample, &asked.place, name);
        let name = asked.fields.iter().find(is_hidden)?;
        Some(Disagreement::Hidden {
            kind: "field",
            name: (*name).to_owned(),
        })
    }

    /// Whether the schema refuses a value with the field. An object whose schema allows any other field accepts an alias,
    /// but not in place of a required field, so an alias counts as refused.
    fn refuses_field(&self, sample: &Value, place: &str, name: &str) -> bool {
        // serde refuses a field that is sent under two names, once it has decoded the first. The right value for an alias
        // is that of the other name.
        let fields = sample.pointer(place).and_then(Value::as_object);
        let values = fields.into_iter().flat_map(Map::values);
        values.chain([&Value::Null]).any(|value| {
            let mut with = sample.clone();
            if let Some(fields) = with.pointer_mut(place).and_then(Value::as_object_mut) {
                fields.insert(name.to_owned(), value.clone());
            }
            !self.accepts(&with) || matches!((self.tried)(&with).probed, Err(Wrong::Twice))
        })
    }
}
