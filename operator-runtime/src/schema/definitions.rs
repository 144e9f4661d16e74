//! Inlines and shares definitions (`$defs`). A definition that is used once is inlined. A shared or recursive
//! definition gets a unique name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::names::{Names, first_free};
use super::walk;

const PREFIX: &str = "#/$defs/";

/// Which definitions are inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inline {
    /// Definitions that are used once.
    UsedOnce,
    /// All definitions except recursive ones, which cannot be inlined.
    NotRecursive,
}

/// The schema with the chosen definitions inlined and unused definitions removed.
pub(crate) fn inline(mut schema: Value, which: Inline) -> Value {
    let definitions = take(&mut schema);
    let uses = uses(&schema, &definitions);
    let moves = |name: &String| {
        let once = uses.get(name) == Some(&1) || which == Inline::NotRecursive;
        once && !reaches(name, name, &definitions)
    };
    let (inlined, mut kept): (Map<String, Value>, Map<String, Value>) = definitions
        .iter()
        .filter(|(name, _)| uses.contains_key(*name))
        .map(|(name, definition)| (name.clone(), definition.clone()))
        .partition(|(name, _)| moves(name));
    put(&mut schema, &inlined);
    for definition in kept.values_mut() {
        put(definition, &inlined);
    }
    if let (false, Some(object)) = (kept.is_empty(), schema.as_object_mut()) {
        object.insert("$defs".into(), kept.into());
    }
    schema
}

/// The schema with its root `$ref` replaced by the keywords of the definition.
pub(crate) fn resolved_root(schema: Value) -> Value {
    let definitions = schema["$defs"].as_object().cloned();
    resolved(schema, definitions.as_ref())
}

/// Like [`resolved_root`], but with the definitions of another schema.
pub(crate) fn resolved(mut schema: Value, definitions: Option<&Map<String, Value>>) -> Value {
    if let Some(definition) = name_of(&schema).and_then(|name| definitions?.get(name)) {
        merge(&mut schema, definition.clone());
    }
    schema
}

/// Definitions shared by several schemas. Two different definitions of the same name get different names.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    definitions: Map<String, Value>,
    names: BTreeMap<String, String>,
    short: Names,
}

impl Shared {
    /// Definitions of types, which get these short names.
    pub(crate) fn named(short: Names) -> Self {
        Self {
            short,
            ..Self::default()
        }
    }

    /// Moves a schema's definitions here. A definition gets the suffix if a different definition already has its name.
    pub(crate) fn hoist(&mut self, schema: &mut Value, suffix: &str) {
        let own = take(schema);
        let used: Vec<String> = uses(schema, &own).into_keys().collect();
        let mut names = BTreeMap::new();
        let mut new = Vec::new();
        for name in used.into_iter().filter(|name| own.contains_key(name)) {
            let meaning = meaning(&name, &own);
            if let Some(known) = self.names.get(&meaning) {
                names.insert(name, known.clone());
                continue;
            }
            let free = self.free_name(&name, suffix);
            self.names.insert(meaning, free.clone());
            self.definitions.insert(free.clone(), Value::Null);
            new.push((name.clone(), free.clone()));
            names.insert(name, free);
        }
        rename(schema, &names);
        for (name, free) in new {
            let mut definition = own.get(&name).cloned().unwrap_or_default();
            rename(&mut definition, &names);
            self.definitions.insert(free, definition);
        }
    }

    /// Adds to a schema the shared definitions that it refers to.
    pub(crate) fn give_back(&self, schema: &mut Value) {
        let used = uses(schema, &self.definitions);
        let used: Map<String, Value> = used
            .into_keys()
            .filter_map(|name| Some((name.clone(), self.definitions.get(&name)?.clone())))
            .collect();
        if let (false, Some(schema)) = (used.is_empty(), schema.as_object_mut()) {
            schema.insert("$defs".into(), used.into());
        }
    }

    /// All shared definitions.
    pub(crate) fn into_definitions(self) -> Map<String, Value> {
        self.definitions
    }

    fn free_name(&self, name: &str, suffix: &str) -> String {
        let name = self.short.get(name).unwrap_or(name);
        let is_taken = |name: &str| self.definitions.contains_key(name);
        if is_taken(name) {
            first_free([format!("{name}{suffix}")], is_taken)
        } else {
            name.to_owned()
        }
    }
}

/// The text of a definition and of all definitions that it refers to. Two texts are equal only if the definitions are
/// equal.
fn meaning(name: &str, definitions: &Map<String, Value>) -> String {
    let reached: Map<String, Value> = definitions
        .iter()
        .filter(|(other, _)| *other == name || reaches(name, other, definitions))
        .map(|(name, definition)| (name.clone(), definition.clone()))
        .collect();
    format!("{name} {}", Value::Object(reached))
}

/// Changes the prefix of every reference to a shared definition to `to`.
pub(crate) fn redirect(schema: &mut Value, to: &str) {
    walk::rewrite(schema, &mut |schema| {
        if let Some(name) = name_of(schema) {
            let target = format!("{to}{name}");
            schema["$ref"] = target.into();
        }
    });
}

/// A reference to the definition of that name.
pub(super) fn reference(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The name of the definition that a schema refers to.
pub(crate) fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(PREFIX)
}

/// The names of a schema's definitions.
pub(crate) fn names_of(schema: &Value) -> impl Iterator<Item = &str> {
    schema["$defs"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
}

fn take(schema: &mut Value) -> Map<String, Value> {
    match schema.as_object_mut().and_then(|object| object.remove("$defs")) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    }
}

/// The number of references to each used definition.
fn uses(schema: &Value, definitions: &Map<String, Value>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut waiting = vec![schema];
    while let Some(schema) = waiting.pop() {
        for name in references(schema) {
            let count = counts.entry(name.to_owned()).or_insert(0);
            *count += 1;
            if *count == 1 {
                waiting.extend(definitions.get(name));
            }
        }
    }
    counts
}

fn references(schema: &Value) -> Vec<&str> {
    let own = name_of(schema).into_iter();
    own.chain(walk::children(schema).into_iter().flat_map(references))
        .collect()
}

/// Whether a definition refers to `to`, directly or through other definitions.
fn reaches(from: &str, to: &str, definitions: &Map<String, Value>) -> bool {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(name) = waiting.pop() {
        for next in definitions.get(name).map(references).unwrap_or_default() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                waiting.push(next);
            }
        }
    }
    false
}

/// Replaces references by their definitions.
fn put(schema: &mut Value, definitions: &Map<String, Value>) {
    while let Some(definition) = name_of(schema).and_then(|name| definitions.get(name)) {
        let definition = definition.clone();
        merge(schema, definition);
    }
    for child in walk::children_mut(schema) {
        put(child, definitions);
    }
}

/// Merges a definition into the schema that refers to it. The schema's own annotations are kept. If both have the same
/// constraint, the definition goes into `allOf`, so that both constraints apply.
fn merge(schema: &mut Value, definition: Value) {
    let Some(own) = schema.as_object_mut() else { return };
    let definition = match definition {
        Value::Object(definition) => definition,
        // The schema of an enum without variants, which accepts no value.
        Value::Bool(false) => Map::from_iter([("not".to_owned(), json!({}))]),
        _ => Map::new(),
    };
    own.remove("$ref");
    let clashes = |keyword: &String| own.contains_key(keyword) && !is_annotation(keyword);
    if definition.keys().any(clashes) {
        let all = own.entry("allOf").or_insert_with(|| Vec::<Value>::new().into());
        if let Some(all) = all.as_array_mut() {
            all.push(definition.into());
        }
        return;
    }
    for (keyword, value) in definition {
        own.entry(keyword).or_insert(value);
    }
}

/// Keywords that describe a value without constraining it.
pub(crate) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title"
            | "description"
            | "default"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "$comment"
            | super::secrets::KEYWORD
    )
}

fn rename(schema: &mut Value, names: &BTreeMap<String, String>) {
    walk::rewrite(schema, &mut |schema| {
        if let Some(new) = name_of(schema).and_then(|name| names.get(name)) {
            schema["$ref"] = reference(new).into();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_accepts_nothing_is_inlined() {
        let schema = json!({ "items": { "$ref": "#/$defs/Never" }, "$defs": { "Never": false } });
        let inlined = inline(schema, Inline::NotRecursive);
        assert_eq!(inlined, json!({ "items": { "not": {} } }));
    }
}
