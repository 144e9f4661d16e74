//! In what a value that one side sends may differ from what the other side expects, by the schemas of the two.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::narrowing::{Narrowing, alternatives, choices, lost_choices, other_rule, tighter_rules};
use crate::schema::definitions::{self, is_annotation};

/// Which way the values go. Callers send inputs by the old schema and are held to the new one; they are answered by the
/// new one and expect the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The part of the value that it is about, such as `filter.tags[]`; empty for the whole.
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Some values are sent and not expected.
    Narrower(Narrowing),
    /// A field that is expected always is not always sent.
    Needed {
        /// Whether it is sent at times.
        is_known: bool,
    },
    /// A field that was there is there no longer.
    Gone,
    /// A field that was there is there by another name.
    Renamed { to: String },
    /// A field that was not there is there now, and may be passed over.
    Added,
}

/// Every difference between the schema of what is sent and that of what is expected, with what is within them.
pub(super) fn differences(direction: Direction, path: &str, sent: Rooted<'_>, expected: Rooted<'_>) -> Vec<Difference> {
    let mut comparison = Comparison {
        direction,
        roots: (sent.1, expected.1),
        known: HashMap::new(),
        fitting: Vec::new(),
    };
    within(path, comparison.differences(sent.0, expected.0))
}

/// A schema, and the one whose definitions it refers to.
type Rooted<'s> = (&'s Value, &'s Value);

/// What is sent, and what is expected.
type Pair = (Value, Value);

struct Comparison<'s> {
    direction: Direction,
    roots: (&'s Value, &'s Value),
    /// What is known of two schemas: they are met again in themselves where both are recursive.
    known: HashMap<Pair, Vec<Difference>>,
    /// Those of them that fit, as far as is known, in the order in which they were met.
    fitting: Vec<Pair>,
}

impl Comparison<'_> {
    /// With paths that begin at these schemas.
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
            // All of them are told where the two were met first; one says that they differ.
            let one = known.iter().find(|found| !found.is_harmless()).or(known.first());
            return one.cloned().into_iter().collect();
        }
        // Two that lead to themselves fit unless something else in them does not.
        let before = self.fitting.len();
        self.known.insert(pair.clone(), Vec::new());
        self.fitting.push(pair.clone());
        let found = self.compared(sent, expected);
        if !found.is_empty() {
            // What was found to fit meanwhile may have been found so because these two were taken to fit.
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

    /// Each form that is sent must fit into one that is expected.
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
                Direction::Input if !is_required(expected, name) => add(found, name, Kind::Added),
                Direction::Input => {}
            }
        }
        for name in expected["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            let before = old_name(name).map_or(name, String::as_str);
            let is_known = sent["properties"].get(before).is_some();
            if !is_required(sent, before) && (is_known || self.direction == Direction::Input) {
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
    /// Whether it is about that field of the whole, or about a part of it.
    pub(super) fn is_of(&self, field: &str) -> bool {
        let rest = self.path.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Whether it breaks nobody.
    pub(super) fn is_harmless(&self) -> bool {
        self.kind == Kind::Added
    }
}

/// One of the forms that a value may have.
struct Form {
    /// As it is listed.
    listed: Value,
    /// With what is said beside the list.
    whole: Value,
}

impl Form {
    /// A schema's forms; a list of values or of types is one form each, so that either way of writing is comparable.
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

    /// Which of the others is the same form in another version: by its tag, by its own words, or because it is the only one
    /// beside null on either side.
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
            return Narrowing::new("no null", "null");
        }
        let words = self.whole["description"].as_str().or(self.whole["type"].as_str());
        let form = words.map_or_else(
            || self.listed.to_string(),
            |words| format!("the form \"{}\"", words.trim_end_matches('.')),
        );
        Narrowing::new("not every form that it took", form)
    }
}

/// A form with what is said beside the list that it is in.
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
            // A form says more exactly what the schema around it says.
            _ => {}
        }
    }
    form.into()
}

/// What tells a form from others: fields of one value only, or the only field that there may be.
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
    is_required(form, only.0).then_some(vec![(only.0, &Value::Null)])
}

/// What a schema's reference stands for.
fn resolve(schema: &Value, root: &Value) -> Value {
    definitions::resolved(schema.clone(), root["$defs"].as_object())
}

fn narrower(narrowing: Narrowing) -> Difference {
    Difference {
        path: String::new(),
        kind: Kind::Narrower(narrowing),
    }
}

/// The same, seen from what they are in.
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

/// Fields that are described as before and have another name: the old and the new one. Without a description nobody can say
/// that they are the same.
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

fn is_required(schema: &Value, field: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|required| required.iter().any(|one| one == field))
}
