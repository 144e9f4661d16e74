//! Tries samples of an input at start-up, because serde and schemars read some attributes differently. A value that the
//! schema accepts and the type can never decode would be a 400 that no caller understands; a value that the type accepts
//! and the schema refuses, such as an alias, would never reach the type.

mod choices;
mod places;
mod probe;
pub(super) mod samples;
mod scalars;
mod wrong;

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::places::Places;
use self::probe::Struct;
use self::wrong::Wrong;
use super::bound::Checked;
use super::document::Document;
use super::mistake::Disagreement;
use crate::schema::walk;

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
    let exact = Trial {
        schema,
        checked,
        tried,
        places: Places::of(schema),
        texts: Texts::Fit,
    };
    let without_texts = LazyCell::new(|| checked_without_texts(schema));
    let mut done = BTreeSet::new();
    let mut is_new = |what: String| done.insert(what);
    samples::of(schema).into_iter().find_map(|sample| {
        if exact.accepts(&sample) {
            return exact.disagreement(&sample, &mut is_new);
        }
        let loose = Trial {
            checked: without_texts.as_ref()?,
            texts: Texts::MadeUp,
            ..exact
        };
        if loose.accepts(&sample) {
            loose.disagreement(&sample, &mut is_new)
        } else {
            None
        }
    })
}

/// The schema without its rules about texts, for samples whose texts do not follow these rules. The rest of the schema
/// can be tried all the same. `None` if there are no such rules.
fn checked_without_texts(schema: &Value) -> Option<Checked> {
    let mut loose = schema.clone();
    walk::rewrite(&mut loose, &mut |schema| {
        if let Some(schema) = schema.as_object_mut() {
            schema.retain(|keyword, _| !["format", "pattern"].contains(&keyword.as_str()));
        }
    });
    (loose != *schema).then(|| Checked::new(loose, false).ok()).flatten()
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
    texts: Texts,
}

/// Whether the texts in the samples follow the rules of the schema.
#[derive(Clone, Copy)]
enum Texts {
    Fit,
    MadeUp,
}

impl Trial<'_> {
    /// What is wrong about a sample that the schema accepts.
    fn disagreement(&self, sample: &Value, is_new: &mut dyn FnMut(String) -> bool) -> Option<Disagreement> {
        let tried = (self.tried)(sample);
        let structs = tried.structs.iter().filter(|one| is_new(format!("{one:?}")));
        let structs: Vec<_> = structs.collect();
        self.refusal(sample, &tried)
            .or_else(|| structs.into_iter().find_map(|one| self.hidden_field(sample, one)))
            .or_else(|| self.disagreement_in_choices(sample, is_new))
    }

    /// Whether the schema accepts the value.
    fn accepts(&self, value: &Value) -> bool {
        let text = value.to_string();
        Document::of(&text).is_ok_and(|document| self.checked.accepts(document.root()))
    }

    /// Why the type never decodes a value that the schema accepts. A reason that depends on the value does not count,
    /// because the texts of a sample are made up.
    fn refusal(&self, sample: &Value, tried: &Tried) -> Option<Disagreement> {
        let error = tried.error.clone()?;
        let value = match self.texts {
            Texts::Fit => sample.to_string(),
            Texts::MadeUp => format!("{sample} (with texts that match its patterns and formats)"),
        };
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
        let fields = sample.pointer(place).and_then(Value::as_object);
        let with = |fields: Map<String, Value>| {
            let mut with = sample.clone();
            if let Some(place) = with.pointer_mut(place) {
                *place = fields.into();
            }
            with
        };
        // The right value for an alias is that of the other name.
        let values = fields
            .into_iter()
            .flatten()
            .map(|(other, value)| (other.as_str(), value));
        // Null comes from no other name. It only has to be accepted by the schema.
        values.chain([("", &Value::Null)]).any(|(other, value)| {
            let mut all = fields.cloned().unwrap_or_default();
            all.insert(name.to_owned(), value.clone());
            // serde refuses a field that is sent under two names, once it has decoded the first. Other fields are left
            // out, because the type may refuse their made-up values before.
            let pair = Map::from_iter([(other.to_owned(), value.clone()), (name.to_owned(), value.clone())]);
            !self.accepts(&with(all)) || matches!((self.tried)(&with(pair)).probed, Err(Wrong::Twice))
        })
    }
}
