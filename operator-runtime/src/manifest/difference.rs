//! Compares two schemas: how the values that one side sends may differ from the values that the other side expects.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::narrowing::{Narrowing, alternatives, choices, lost_choices, other_rule, tighter_rules};
use crate::schema::definitions::{self, is_annotation};
use crate::schema::keywords::requires;

/// The direction of the values. Inputs: callers send values that fit the old schema, and the server expects the new
/// schema. Outputs: the server sends values that fit the new schema, and callers expect the old schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The part of the value that differs, such as `filter.tags[]`; empty for the whole value.
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// The kind of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The receiver no longer expects some of the values that are sent.
    Narrower(Narrowing),
    /// A required field is not always sent.
    Needed {
        /// Whether the sender's schema has the field, as an optional field.
        is_known: bool,
    },
    /// A field was removed.
    Gone,
    /// A field has a new name.
    Renamed { to: String },
    /// A new optional field.
    Added,
}

/// Every difference between the schema of the sent values and the schema of the expected values, including their nested
/// parts.
pub(super) fn differences(direction: Direction, path: &str, sent: Rooted<'_>, expected: Rooted<'_>) -> Vec<Difference> {
    let mut comparison = Comparison {
        direction,
        roots: (sent.1, expected.1),
        known: HashMap::new(),
        fitting: Vec::new(),
    };
    within(path, comparison.differences(sent.0, expected.0))
}

/// A schema, and the root schema that contains its definitions.
type Rooted<'s> = (&'s Value, &'s Value);

/// The schema of the sent values and the schema of the expected values.
type Pair = (Value, Value);

struct Comparison<'s> {
    direction: Direction,
    roots: (&'s Value, &'s Value),
    /// The differences of all pairs that were compared so far. The map also makes the comparison of recursive schemas
    /// end: a pair that is already in it is not compared again.
    known: HashMap<Pair, Vec<Difference>>,
    /// The pairs in `known` that are assumed to fit, in the order in which they were compared.
    fitting: Vec<Pair>,
}

impl Comparison<'_> {
    /// Compares two schemas. The paths of the differences are relative to these schemas.
    fn differences(&mut self, sent: &Value, expected: &Value) -> Vec<Difference> {
        if sent == expected && self.roots.0 == self.roots.1 {
            return Vec::new();
        }
        let may_recur = |schema: &Value| schema.get("$ref").is_some() || alternatives(schema).is_some();
        if !may_recur(sent) && !may_recur(expected) {
            return self.compared(sent, expected);
        }
        let pair = (sent.clone(), expected.clone());
        if let Some(known) = self.known.get(&pair) {
            // All differences are reported where the pair occurs first, so one difference is enough here.
            let one = known.iter().find(|found| !found.is_harmless()).or(known.first());
            return one.cloned().into_iter().collect();
        }
        // A recursive pair is assumed to fit until another part of the pair is found to differ.
        let before = self.fitting.len();
        self.known.insert(pair.clone(), Vec::new());
        self.fitting.push(pair.clone());
        let found = self.compared(sent, expected);
        if !found.is_empty() {
            // The assumption was wrong. Pairs that were found to fit since then may have relied on it, so they are
            // forgotten and compared again.
            for pair in self.fitting.drain(before..) {
                self.known.remove(&pair);
            }
            self.known.insert(pair, found.clone());
        }
        found
    }

    fn compared(&mut self, sent: &Value, expected: &Value) -> Vec<Difference> {
        let sent = &resolve(sent, self.roots.0);
        let expected = &resolve(expected, self.roots.1);
        if let Some(values) = choices(expected) {
            let lost = lost_choices(choices(sent).as_deref(), &values);
            return lost.into_iter().map(narrower).collect();
        }
        if alternatives(sent).is_some() || alternatives(expected).is_some() {
            return self.forms(sent, expected);
        }
        let rules = tighter_rules(sent, expected).into_iter().map(narrower);
        let mut found: Vec<Difference> = rules.collect();
        self.fields(sent, expected, &mut found);
        self.items(sent, expected, &mut found);
        found
    }

    /// Compares variants: each variant that is sent must fit a variant that is expected.
    fn forms(&mut self, sent: &Value, expected: &Value) -> Vec<Difference> {
        let (sent, expected) = (Form::all_of(sent, self.roots.0), Form::all_of(expected, self.roots.1));
        let mut found: Vec<Difference> = Vec::new();
        for form in &sent {
            let compared: Vec<_> = expected
                .iter()
                .map(|other| self.differences(&form.whole, &other.whole))
                .collect();
            let least = compared.iter().find(|found| found.is_empty());
            let least = least.or_else(|| compared.iter().find(|found| found.iter().all(Difference::is_harmless)));
            let least = least.or_else(|| compared.get(form.twin(&sent, &expected)?));
            let lost = || vec![narrower(form.lost())];
            for difference in least.cloned().unwrap_or_else(lost) {
                if !found.contains(&difference) {
                    found.push(difference);
                }
            }
        }
        found
    }

    fn fields(&mut self, sent: &Value, expected: &Value, found: &mut Vec<Difference>) {
        let add = |found: &mut Vec<Difference>, name: &str, kind| {
            let path = format!(".{name}");
            found.push(Difference { path, kind });
        };
        let renamed = match self.direction {
            Direction::Input => renamed(sent, expected),
            Direction::Output => Vec::new(),
        };
        let old_name = |name: &str| renamed.iter().find(|(_, to)| to == name).map(|(from, _)| from);
        for (name, before) in entries(&sent["properties"]) {
            if let Some((_, to)) = renamed.iter().find(|(from, _)| from == name) {
                add(found, name, Kind::Renamed { to: to.clone() });
                continue;
            }
            let rest = expected.get("additionalProperties").filter(|rest| rest.is_object());
            match expected["properties"].get(name).or(rest) {
                Some(after) => found.extend(within(&format!(".{name}"), self.differences(before, after))),
                None if self.direction == Direction::Output => add(found, name, Kind::Added),
                None if expected["additionalProperties"] == false => add(found, name, Kind::Gone),
                None => {}
            }
        }
        for (name, _) in entries(&expected["properties"]) {
            if sent["properties"].get(name).is_some() || old_name(name).is_some() {
                continue;
            }
            match self.direction {
                Direction::Output => add(found, name, Kind::Gone),
                Direction::Input if !requires(expected, name) => add(found, name, Kind::Added),
                Direction::Input => {}
            }
        }
        for name in expected["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            let before = old_name(name).map_or(name, String::as_str);
            let is_known = sent["properties"].get(before).is_some();
            if !requires(sent, before) && (is_known || self.direction == Direction::Input) {
                add(found, name, Kind::Needed { is_known });
            }
        }
        if let (Some(before), Some(after)) = (sent.get("additionalProperties"), expected.get("additionalProperties")) {
            found.extend(within(".*", self.differences(before, after)));
        }
        for (pattern, after) in entries(&expected["patternProperties"]) {
            match sent["patternProperties"].get(pattern) {
                Some(before) => found.extend(within(".*", self.differences(before, after))),
                None => found.push(narrower(other_rule("patternProperties"))),
            }
        }
    }

    fn items(&mut self, sent: &Value, expected: &Value, found: &mut Vec<Difference>) {
        let length = |schema: &Value| schema["prefixItems"].as_array().map_or(0, Vec::len);
        for index in 0..length(sent).max(length(expected)) {
            let item = |schema: &Value| {
                let own = schema["prefixItems"].get(index).or(schema.get("items"));
                own.filter(|item| item.is_object()).cloned()
            };
            if let (Some(before), Some(after)) = (item(sent), item(expected)) {
                found.extend(within(&format!("[{index}]"), self.differences(&before, &after)));
            }
        }
        if let (Some(before), Some(after)) = (sent.get("items"), expected.get("items")) {
            found.extend(within("[]", self.differences(before, after)));
        }
    }
}

impl Difference {
    /// Whether the difference concerns this top-level field or a part of it.
    pub(super) fn is_of(&self, field: &str) -> bool {
        let rest = self.path.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Whether the difference breaks no caller.
    pub(super) fn is_harmless(&self) -> bool {
        self.kind == Kind::Added
    }
}

/// One variant of a value: an entry of `oneOf` or `anyOf`.
struct Form {
    /// The entry as it is listed.
    listed: Value,
    /// The entry joined with the keywords beside the list.
    whole: Value,
}

impl Form {
    /// A schema's variants. Each value of an `enum` and each type in a list of types counts as a variant too, so that
    /// schemas that are written in different ways can be compared.
    fn all_of(schema: &Value, root: &Value) -> Vec<Self> {
        let Some(object) = schema.as_object() else {
            return vec![Self::same(schema.clone())];
        };
        if let Some(listed) = alternatives(schema) {
            let is_beside =
                |keyword: &String| !matches!(keyword.as_str(), "oneOf" | "anyOf") && !is_annotation(keyword);
            let beside: Map<String, Value> = object
                .iter()
                .filter(|(keyword, _)| is_beside(keyword))
                .map(|(keyword, value)| (keyword.clone(), value.clone()))
                .collect();
            let form = |listed: &Value| Self {
                listed: listed.clone(),
                whole: joined(listed, &beside, root),
            };
            return listed.iter().map(form).collect();
        }
        if let Some(values) = choices(schema) {
            let form = |value| Self::same(serde_json::json!({ "const": value }));
            return values.into_iter().map(form).collect();
        }
        if let Some(types) = schema["type"].as_array() {
            let form = |one: &Value| {
                let mut object = object.clone();
                object.insert("type".into(), one.clone());
                Self::same(object.into())
            };
            return types.iter().map(form).collect();
        }
        vec![Self::same(schema.clone())]
    }

    fn same(schema: Value) -> Self {
        Self {
            listed: schema.clone(),
            whole: schema,
        }
    }

    fn is_null(&self) -> bool {
        choices(&self.whole).is_some_and(|values| values == [Value::Null])
    }

    /// Finds the same variant in the other schema: the variant with the same tag, or an equal variant, or the only
    /// variant if each schema has only one besides null.
    fn twin(&self, own: &[Self], others: &[Self]) -> Option<usize> {
        if self.is_null() {
            return None;
        }
        let tag = tag(&self.whole);
        let by_tag = || {
            others
                .iter()
                .position(|other| tag.is_some() && self::tag(&other.whole) == tag)
        };
        let by_words = || others.iter().position(|other| other.listed == self.listed);
        let only = |forms: &[Self]| forms.iter().filter(|form| !form.is_null()).count() == 1;
        let by_being_alone = || {
            let is_alone = only(own) && only(others);
            others.iter().position(|other| is_alone && !other.is_null())
        };
        by_tag().or_else(by_words).or_else(by_being_alone)
    }

    fn lost(&self) -> Narrowing {
        if self.is_null() {
            return Narrowing::new("not null", "null");
        }
        let words = self.whole["description"].as_str().or(self.whole["type"].as_str());
        let form = words.map_or_else(
            || self.listed.to_string(),
            |words| format!("the variant \"{}\"", words.trim_end_matches('.')),
        );
        Narrowing::new("not every variant that it accepted before", form)
    }
}

/// Joins a variant with the keywords beside the list of variants.
fn joined(form: &Value, beside: &Map<String, Value>, root: &Value) -> Value {
    if beside.is_empty() {
        return form.clone();
    }
    let Value::Object(mut form) = resolve(form, root) else {
        return form.clone();
    };
    for (keyword, value) in beside {
        match (keyword.as_str(), form.get_mut(keyword), value) {
            ("properties", Some(Value::Object(own)), Value::Object(more)) => {
                for (name, field) in more {
                    own.entry(name).or_insert_with(|| field.clone());
                }
            }
            ("required", Some(Value::Array(own)), Value::Array(more)) => own.extend(more.iter().cloned()),
            (_, None, _) => {
                form.insert(keyword.clone(), value.clone());
            }
            // The variant's own keyword is kept, because it is more exact than the keyword beside the list.
            _ => {}
        }
    }
    form.into()
}

/// The tag of a variant, which identifies it: its fields with a constant value, or the name of its only field if that
/// field is required.
fn tag(form: &Value) -> Option<Vec<(&String, &Value)>> {
    let properties = form["properties"].as_object()?;
    let constants: Vec<_> = properties
        .iter()
        .filter(|(_, field)| field.get("const").is_some())
        .collect();
    if !constants.is_empty() {
        return Some(
            constants
                .into_iter()
                .map(|(name, field)| (name, &field["const"]))
                .collect(),
        );
    }
    let only = properties.iter().next().filter(|_| properties.len() == 1)?;
    requires(form, only.0).then_some(vec![(only.0, &Value::Null)])
}

/// Follows a schema's reference.
fn resolve(schema: &Value, root: &Value) -> Value {
    definitions::resolved(schema.clone(), root["$defs"].as_object())
}

fn narrower(narrowing: Narrowing) -> Difference {
    Difference {
        path: String::new(),
        kind: Kind::Narrower(narrowing),
    }
}

/// Prefixes the paths of differences with the path of the part in which they were found.
fn within(path: &str, mut found: Vec<Difference>) -> Vec<Difference> {
    for difference in &mut found {
        let inner = &difference.path;
        difference.path = if path.is_empty() {
            inner.trim_start_matches('.').to_owned()
        } else {
            format!("{path}{inner}")
        };
    }
    found
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

/// The renamed fields, each as its old and new name. A field counts as renamed if its schema is equal under the new
/// name and has a description. Without a description, equal schemas do not show that the fields have the same meaning.
fn renamed(sent: &Value, expected: &Value) -> Vec<(String, String)> {
    let only_in = |one: &Value, other: &Value| -> Vec<(String, Value)> {
        entries(&one["properties"])
            .filter(|(name, _)| other["properties"].get(*name).is_none())
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect()
    };
    let mut new = only_in(expected, sent);
    let mut pairs = Vec::new();
    for (name, field) in only_in(sent, expected) {
        let is_same = |(_, other): &(String, Value)| field.get("description").is_some() && *other == field;
        if let Some(index) = new.iter().position(is_same) {
            pairs.push((name, new.remove(index).0));
        }
    }
    pairs
}
