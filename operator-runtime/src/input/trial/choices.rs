//! Tries other texts at the places of a sample where the schema lists the choices. This also sees enums inside tagged and
//! untagged enums, which serde decodes from a buffer.

use serde_json::{Map, Value, json};

use super::probe::{escaped, unescaped};
use super::{Disagreement, Trial};

/// A choice that no type has, and that no sample contains.
const OTHER: &str = "operator-other";

/// One of several choices at a place of a sample: a text, or the only field of an object.
struct Choice<'v> {
    sample: &'v Value,
    place: String,
}

impl Trial<'_> {
    /// A variant that the type accepts and the schema refuses, in one of the choices for which `is_new` is true.
    pub(super) fn disagreement_in_choices(
        &self,
        sample: &Value,
        is_new: &mut dyn FnMut(String) -> bool,
    ) -> Option<Disagreement> {
        let mut found = Vec::new();
        visit(sample, String::new(), &mut |place, name| {
            if self.places.names_at(&place).contains(name) && is_new(format!("{place} {name}")) {
                found.push(Choice { sample, place });
            }
        });
        let mut found = found.into_iter();
        found.find_map(|choice| self.hidden_variant(&choice).or_else(|| self.any_variant(&choice)))
    }

    /// A variant that the type's error lists and the schema does not: usually an alias.
    fn hidden_variant(&self, choice: &Choice<'_>) -> Option<Disagreement> {
        let wrong = (self.tried)(&choice.named(OTHER)).probed.err()?;
        let known = wrong.variants_without(OTHER)?;
        let shown = self.places.names_at(&choice.place);
        let is_hidden = |name: &&&str| !shown.contains(**name) && !self.accepts(&choice.named(name));
        let name = known.iter().find(is_hidden)?;
        Some(Disagreement::Hidden {
            kind: "variant",
            name: (*name).to_owned(),
        })
    }

    /// Whether the type takes any text as a variant. A type that takes any text as it is, such as `String`, has a schema
    /// written by hand and is not an enum: an enum is also read from a number or from an object, but not from a list.
    fn any_variant(&self, choice: &Choice<'_>) -> Option<Disagreement> {
        let is_hidden = |value: &Value| !self.accepts(value) && (self.tried)(value).error.is_none();
        let takes = |value: &Value| (self.tried)(value).probed.is_ok();
        let is_any = |with: &dyn Fn(Value) -> Value| {
            is_hidden(&with(OTHER.into()))
                && (takes(&with(json!({ OTHER: null }))) || takes(&with(u32::MAX.into())))
                && !takes(&with(json!([[[true]]])))
        };
        let is_any = is_any(&|value| choice.replaced(value)) || is_any(&|value| choice.alone(value));
        is_any.then_some(Disagreement::AnyChoice)
    }
}

impl Choice<'_> {
    /// The sample with another choice.
    fn named(&self, name: &str) -> Value {
        match self.sample.pointer(&self.place) {
            // The keys of a map may be choices too.
            Some(Value::Object(fields)) => {
                let mut fields = fields.clone();
                let content = fields.values().next().cloned().unwrap_or_default();
                if fields.len() == 1 {
                    fields.clear();
                }
                fields.insert(name.to_owned(), content);
                self.replaced(fields.into())
            }
            _ => self.replaced(name.into()),
        }
    }

    /// The sample with this value instead of the choice.
    fn replaced(&self, value: Value) -> Value {
        let mut sample = self.sample.clone();
        if let Some(choice) = sample.pointer_mut(&self.place) {
            *choice = value;
        }
        sample
    }

    /// Like [`replaced`](Self::replaced), without the other fields of the object that has the choice: the fields of one
    /// variant may not fit another.
    fn alone(&self, value: Value) -> Value {
        let mut sample = self.sample.clone();
        if let Some((object, name)) = self.place.rsplit_once('/')
            && let Some(Value::Object(fields)) = sample.pointer_mut(object)
        {
            let name = unescaped(name);
            *fields = Map::from_iter([(name, value)]);
        }
        sample
    }
}

/// Visits each text and the first field of each object, with its place as a JSON pointer.
fn visit(value: &Value, place: String, found: &mut dyn FnMut(String, &str)) {
    match value {
        Value::String(text) => found(place, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, format!("{place}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                visit(field, format!("{place}/{}", escaped(name)), found);
            }
            if let Some(name) = fields.keys().next() {
                found(place, name);
            }
        }
        _ => {}
    }
}
