//! Finds the rules of a schema that are tighter than those of another schema, and the values that they exclude. Nested
//! schemas are not compared here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::keywords::stricter;

/// One tighter rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Narrowing {
    /// The new rule, in words.
    pub(super) what: String,
    /// The values that are sent but no longer expected, in words.
    pub(super) values: String,
}

impl Narrowing {
    pub(super) fn new(what: impl Into<String>, values: impl Into<String>) -> Self {
        let (what, values) = (what.into(), values.into());
        Self { what, values }
    }
}

/// The values that are sent but missing in a list of expected values. If `sent` is `None`, any value may be sent.
pub(super) fn lost_choices(sent: Option<&[Value]>, expected: &[Value]) -> Option<Narrowing> {
    let joined = |values: &[&Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let Some(sent) = sent else {
        let named = joined(&expected.iter().collect::<Vec<_>>());
        return Some(Narrowing::new(format!("only {named}"), format!("anything but {named}")));
    };
    let gone: Vec<&Value> = sent.iter().filter(|one| !expected.contains(one)).collect();
    (!gone.is_empty()).then(|| Narrowing::new("not every value that it accepted before", joined(&gone)))
}

/// Every rule of `expected` that is tighter than in `sent`, except lists of values and variants.
pub(super) fn tighter_rules(sent: &Value, expected: &Value) -> Vec<Narrowing> {
    let mut found: Vec<Narrowing> = lost_types(sent, expected).into_iter().collect();
    found.extend(bounds(sent, expected));
    for keyword in ["pattern", "multipleOf", "format"] {
        let is_of_a_number =
            keyword == "format" && types(expected).iter().all(|one| one == "integer" || one == "number");
        if let Some(rule) = expected
            .get(keyword)
            .filter(|rule| !is_kept(keyword, &sent[keyword], rule) && !is_of_a_number)
        {
            let rule = format!("{keyword} {rule}");
            found.push(Narrowing::new(
                rule.clone(),
                format!("values that do not match the {rule}"),
            ));
        }
    }
    if expected["uniqueItems"] == true && sent["uniqueItems"] != true {
        found.push(Narrowing::new("no duplicate items", "duplicate items"));
    }
    let closes = |keyword: &str| expected[keyword] == false && sent[keyword] != false;
    if closes("additionalProperties") || closes("unevaluatedProperties") {
        found.push(Narrowing::new("only the named fields", "fields with other names"));
    }
    for keyword in ["allOf", "not", "propertyNames", "if", "contains"] {
        if expected
            .get(keyword)
            .is_some_and(|rule| sent.get(keyword) != Some(rule))
        {
            found.push(other_rule(keyword));
        }
    }
    found
}

/// Whether every value that fits the rule `sent` also fits the rule `expected`.
fn is_kept(keyword: &str, sent: &Value, expected: &Value) -> bool {
    let is_multiple = || {
        sent.as_f64()
            .zip(expected.as_f64())
            .is_some_and(|(sent, step)| sent % step == 0.0)
    };
    sent == expected || keyword == "multipleOf" && is_multiple()
}

/// A rule that has changed. It counts as tighter, because nobody can tell whether it is.
pub(super) fn other_rule(keyword: &str) -> Narrowing {
    Narrowing::new(
        format!("a different rule in `{keyword}`"),
        format!("values that the rule in `{keyword}` refuses"),
    )
}

fn lost_types(sent: &Value, expected: &Value) -> Option<Narrowing> {
    let (sent, expected) = (types(sent), types(expected));
    let gone: Vec<&str> = sent
        .iter()
        .filter(|one| !(expected.contains(*one) || *one == "integer" && expected.contains("number")))
        .map(|one| in_words(one))
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let only = || format!("only the type {}", expected.join(" or "));
    (!gone.is_empty()).then(|| Narrowing::new(only(), gone.join(" or ")))
}

/// Tighter bounds of numbers and lengths.
fn bounds(sent: &Value, expected: &Value) -> Vec<Narrowing> {
    let bounds = [
        ("minimum", "at least", "less than"),
        ("exclusiveMinimum", "more than", "at most"),
        ("maximum", "at most", "more than"),
        ("exclusiveMaximum", "less than", "at least"),
        ("minLength", "a text length of at least", "a text shorter than"),
        ("maxLength", "a text length of at most", "a text longer than"),
        ("minItems", "a list length of at least", "a list shorter than"),
        ("maxItems", "a list length of at most", "a list longer than"),
    ];
    let mut found = Vec::new();
    for (keyword, now, lost) in bounds {
        let (Some(bound), Some(stricter)) = (expected[keyword].as_f64(), stricter(keyword)) else {
            continue;
        };
        if sent[keyword].as_f64().is_none_or(|sent| stricter(&bound, &sent)) && !is_implied(sent, keyword, bound) {
            let bound = &expected[keyword];
            found.push(Narrowing::new(format!("{now} {bound}"), format!("{lost} {bound}")));
        }
    }
    found
}

/// Whether the sender's other bound (the exclusive instead of the inclusive bound, or the reverse) is at least as
/// tight.
fn is_implied(sent: &Value, keyword: &str, bound: f64) -> bool {
    let other = |keyword: &str| sent[keyword].as_f64();
    match keyword {
        "minimum" => other("exclusiveMinimum").is_some_and(|sent| bound <= sent),
        "maximum" => other("exclusiveMaximum").is_some_and(|sent| bound >= sent),
        "exclusiveMinimum" => other("minimum").is_some_and(|sent| bound < sent),
        "exclusiveMaximum" => other("maximum").is_some_and(|sent| bound > sent),
        _ => false,
    }
}

/// The variants that a schema lists.
pub(super) fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"].as_array().or(schema["anyOf"].as_array())
}

/// The values of a schema, if the schema lists its values.
pub(super) fn choices(schema: &Value) -> Option<Vec<Value>> {
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

/// The types that a schema allows.
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

/// A type in words.
fn in_words(name: &str) -> &str {
    match name {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "an object",
        "string" => "a text",
        other => other,
    }
}
