//! Finds the parts of a schema that apply to a place of a value.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::probe;
use crate::schema::definitions;

/// Finds the parts of a schema that apply to a place of a value.
#[derive(Clone, Copy)]
pub(super) struct Places<'s> {
    schema: &'s Value,
    definitions: Option<&'s Map<String, Value>>,
}

impl<'s> Places<'s> {
    pub(super) fn of(schema: &'s Value) -> Self {
        Self {
            schema,
            definitions: schema["$defs"].as_object(),
        }
    }

    /// The names of the fields and choices at a place.
    pub(super) fn names_at(&self, place: &str) -> BTreeSet<&'s str> {
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
