//! By which rules a schema takes less than another one, and which values it does not take any more.

use std::collections::BTreeSet;

use serde_json::Value;

use super::definitions;

/// One rule that is tighter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Narrowing {
    /// The part of the value that it is about, such as `filter.tags[]`.
    pub(super) path: String,
    /// What is taken now.
    pub(super) what: String,
    /// What is not taken now, and was.
    pub(super) values: String,
}

/// How deep a recursive schema is followed.
const DEPTH: usize = 16;

/// A schema, and the one whose definitions it refers to.
type Rooted<'s> = (&'s Value, &'s Value);

/// Every rule by which the new schema takes less, in it and in all within it.
pub(super) fn narrowings(path: &str, old: Rooted<'_>, new: Rooted<'_>) -> Vec<Narrowing> {
    let mut found = Vec::new();
    deep(path, old, new, 0, &mut found);
    found
}

/// What a schema's reference stands for.
pub(super) fn resolve(schema: &Value, root: &Value) -> Value {
    definitions::resolved(schema.clone(), root["$defs"].as_object())
}

fn deep(path: &str, old: Rooted<'_>, new: Rooted<'_>, depth: usize, found: &mut Vec<Narrowing>) {
    if depth == DEPTH || old == new {
        return;
    }
    let (old_schema, new_schema) = (resolve(old.0, old.1), resolve(new.0, new.1));
    let before = found.len();
    own(path, (&old_schema, old.1), (&new_schema, new.1), found);
    if found.len() > before || alternatives(&old_schema).is_some() || alternatives(&new_schema).is_some() {
        return;
    }
    fields(path, (&old_schema, old.1), (&new_schema, new.1), depth, found);
    for (keyword, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let (Some(before), Some(after)) = (old_schema.get(keyword), new_schema.get(keyword)) {
            deep(
                &format!("{path}{suffix}"),
                (before, old.1),
                (after, new.1),
                depth + 1,
                found,
            );
        }
    }
    let (before, after) = (
        old_schema["prefixItems"].as_array(),
        new_schema["prefixItems"].as_array(),
    );
    for (index, (before, after)) in before
        .into_iter()
        .flatten()
        .zip(after.into_iter().flatten())
        .enumerate()
    {
        deep(
            &format!("{path}[{index}]"),
            (before, old.1),
            (after, new.1),
            depth + 1,
            found,
        );
    }
}

fn fields(path: &str, old: Rooted<'_>, new: Rooted<'_>, depth: usize, found: &mut Vec<Narrowing>) {
    for (name, before) in old.0["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match new.0["properties"].get(name) {
            Some(after) => deep(&path, (before, old.1), (after, new.1), depth + 1, found),
            None if new.0["additionalProperties"] == false => found.push(Narrowing {
                path,
                what: "no such field".to_owned(),
                values: "anything".to_owned(),
            }),
            None => {}
        }
    }
    let was = old.0["required"].as_array().cloned().unwrap_or_default();
    for name in new.0["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|name| !was.contains(name))
    {
        found.push(Narrowing {
            path: format!("{path}.{}", name.as_str().unwrap_or_default()),
            what: "needed now".to_owned(),
            values: "nothing".to_owned(),
        });
    }
}

/// The rules of a schema itself, not of what is in its properties and items.
pub(super) fn own(path: &str, old: Rooted<'_>, new: Rooted<'_>, found: &mut Vec<Narrowing>) {
    let mut narrower = |what: String, values: String| {
        let path = path.to_owned();
        found.push(Narrowing { path, what, values });
    };
    let (before, after) = (choices(old.0), choices(new.0));
    if let Some(after) = after {
        if let Some((what, values)) = lost_choices(before.as_deref(), &after) {
            narrower(what, values);
        }
        return;
    }
    if before.is_none() && (alternatives(old.0).is_some() || alternatives(new.0).is_some()) {
        if let Some(form) = lost_form(old, new) {
            narrower("not every form that it took".to_owned(), form);
        }
        return;
    }
    let (before, after) = (types(old.0), types(new.0));
    let gone: Vec<&str> = before
        .iter()
        .filter(|one| !takes_type(&after, one))
        .map(String::as_str)
        .collect();
    if !gone.is_empty() {
        let after: Vec<&str> = after.iter().map(String::as_str).collect();
        narrower(format!("of type {} only", after.join(" or ")), gone.join(" or "));
    }
    for (what, values) in rules(old.0, new.0) {
        narrower(what, values);
    }
}

/// What a list of values leaves out of another list, or of everything.
fn lost_choices(before: Option<&[Value]>, after: &[Value]) -> Option<(String, String)> {
    let joined = |values: &[&Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let Some(before) = before else {
        let named = joined(&after.iter().collect::<Vec<_>>());
        return Some((format!("{named} only"), format!("anything but {named}")));
    };
    let gone: Vec<&Value> = before.iter().filter(|one| !after.contains(one)).collect();
    (!gone.is_empty()).then(|| ("not every value that it took".to_owned(), joined(&gone)))
}

/// Bounds, patterns and the like that are tighter or new.
fn rules(old: &Value, new: &Value) -> Vec<(String, String)> {
    let mut found = bounds(old, new);
    for keyword in ["pattern", "multipleOf", "format"] {
        let is_of_a_number = keyword == "format" && types(new).iter().all(|one| one == "integer" || one == "number");
        if let Some(rule) = new
            .get(keyword)
            .filter(|rule| old.get(keyword) != Some(*rule) && !is_of_a_number)
        {
            found.push((format!("{keyword} {rule}"), format!("what breaks the {keyword} {rule}")));
        }
    }
    if new["uniqueItems"] == true && old["uniqueItems"] != true {
        found.push(("no item twice".to_owned(), "an item twice".to_owned()));
    }
    let closes = |keyword: &str| new[keyword] == false && old[keyword] != false;
    if closes("additionalProperties") || closes("unevaluatedProperties") {
        found.push(("named fields only".to_owned(), "fields of other names".to_owned()));
    }
    for keyword in ["allOf", "not", "patternProperties", "propertyNames", "if", "contains"] {
        if new.get(keyword).is_some_and(|rule| old.get(keyword) != Some(rule)) {
            found.push((
                format!("another rule in `{keyword}`"),
                "what that rule refuses".to_owned(),
            ));
        }
    }
    found
}

/// Numbers and lengths that are bounded more tightly.
fn bounds(old: &Value, new: &Value) -> Vec<(String, String)> {
    let bounds = [
        ("minimum", true, "at least", "less than"),
        ("exclusiveMinimum", true, "more than", "at most"),
        ("maximum", false, "at most", "more than"),
        ("exclusiveMaximum", false, "less than", "at least"),
        ("minLength", true, "text at least as long as", "a text shorter than"),
        ("maxLength", false, "text at most as long as", "a text longer than"),
        ("minItems", true, "at least as many items as", "fewer items than"),
        ("maxItems", false, "at most as many items as", "more items than"),
    ];
    let mut found = Vec::new();
    for (keyword, is_least, now, lost) in bounds {
        let (before, after) = (old[keyword].as_f64(), new[keyword].as_f64());
        let Some(bound) = after else { continue };
        if before.is_none_or(|before| if is_least { bound > before } else { bound < before })
            && !is_implied(old, keyword, bound)
        {
            let bound = &new[keyword];
            found.push((format!("{now} {bound}"), format!("{lost} {bound}")));
        }
    }
    found
}

/// Whether an exclusive bound says what an inclusive one said already, or the other way round.
fn is_implied(old: &Value, keyword: &str, bound: f64) -> bool {
    let other = |keyword: &str| old[keyword].as_f64();
    match keyword {
        "minimum" => other("exclusiveMinimum").is_some_and(|old| bound <= old),
        "maximum" => other("exclusiveMaximum").is_some_and(|old| bound >= old),
        "exclusiveMinimum" => other("minimum").is_some_and(|old| bound < old),
        "exclusiveMaximum" => other("maximum").is_some_and(|old| bound > old),
        _ => false,
    }
}

/// A form that was taken and fits into none that is.
fn lost_form(old: Rooted<'_>, new: Rooted<'_>) -> Option<String> {
    let (only_old, only_new) = (vec![old.0.clone()], vec![new.0.clone()]);
    let before = alternatives(old.0).unwrap_or(&only_old);
    let after = alternatives(new.0).unwrap_or(&only_new);
    let fits = |form: &Value| {
        after
            .iter()
            .any(|one| narrowings("", (form, old.1), (one, new.1)).is_empty())
    };
    before.iter().find(|form| !fits(form)).map(|form| {
        let words = form["description"].as_str().or(form["type"].as_str());
        words.map_or_else(
            || form.to_string(),
            |words| format!("the form \"{}\"", words.trim_end_matches('.')),
        )
    })
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"].as_array().or(schema["anyOf"].as_array())
}

/// The only values of a schema, where it lists them.
fn choices(schema: &Value) -> Option<Vec<Value>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only.clone()]);
    }
    if let Some(several) = schema["enum"].as_array() {
        return Some(several.clone());
    }
    if schema["type"] == "null" {
        return Some(vec![Value::Null]);
    }
    let branches = alternatives(schema)?.iter().map(choices).collect::<Option<Vec<_>>>()?;
    Some(branches.concat())
}

/// The types that a schema takes.
fn types(schema: &Value) -> BTreeSet<String> {
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(choices) = choices(schema) {
        return choices.iter().map(type_of).map(str::to_owned).collect();
    }
    match &schema["type"] {
        Value::Array(several) => several.iter().map(name).collect(),
        only @ Value::String(_) => BTreeSet::from([name(only)]),
        _ => ["array", "boolean", "null", "number", "object", "string"]
            .map(str::to_owned)
            .into(),
    }
}

fn takes_type(types: &BTreeSet<String>, one: &str) -> bool {
    types.contains(one) || one == "integer" && types.contains("number")
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
