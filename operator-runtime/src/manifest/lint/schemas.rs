//! Lints for inputs and outputs: fields without a description, codes that an agent would repeat, times without a zone.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::iso;
use super::{RAW_CODE, Report, TIME_WITHOUT_ZONE, UNDESCRIBED_INPUT, UNDESCRIBED_OUTPUT};
use crate::schema::definitions::{self, Inline};
use crate::schema::keywords::lists_type;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

pub(super) fn of_endpoint(report: &mut Report<'_>) {
    let inputs = definitions::inline(report.described.inputs.clone(), Inline::NotRecursive);
    let outputs = definitions::inline(report.described.outputs.clone(), Inline::NotRecursive);
    let is_own = |report: &Report<'_>, name: &str| report.described.endpoint.inputs.iter().any(|one| one.name == name);
    let mut reader = Reader::of(Side::Input, &inputs);
    for (name, input) in inputs["properties"].as_object().into_iter().flatten() {
        // Only fields of flattened structs are checked here, because `words` checks the descriptions of arguments.
        if !is_own(report, name) && !reader.is_described(input) {
            undescribed(report, Side::Input, name);
        }
        reader.visit(report, name, input);
    }
    Reader::of(Side::Output, &outputs).visit(report, "", &outputs);
}

/// Visits a schema and every schema inside it.
struct Reader<'s> {
    side: Side,
    /// The definitions of recursive types; all other types are inlined.
    definitions: Option<&'s Map<String, Value>>,
    /// The definitions that were visited, so that a recursive type is visited once.
    seen: BTreeSet<&'s str>,
}

impl<'s> Reader<'s> {
    fn of(side: Side, root: &'s Value) -> Self {
        Self {
            side,
            definitions: root["$defs"].as_object(),
            seen: BTreeSet::new(),
        }
    }

    fn visit(&mut self, report: &mut Report<'_>, path: &str, schema: &'s Value) {
        if let Some(name) = definitions::name_of(schema)
            && let Some(definition) = self.definitions.and_then(|all| all.get(name))
            && self.seen.insert(name)
        {
            self.visit(report, path, definition);
        }
        if self.side == Side::Output {
            codes(report, path, schema);
        }
        times(report, self.side, path, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            if !self.is_described(field) {
                undescribed(report, self.side, &path);
            }
            self.visit(report, &path, field);
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(inner @ Value::Object(_)) = schema.get(keyword) {
                self.visit(report, &format!("{path}[]"), inner);
            }
        }
        for (index, item) in schema["prefixItems"].as_array().into_iter().flatten().enumerate() {
            self.visit(report, &format!("{path}[{index}]"), item);
        }
        for (_, inner) in schema["patternProperties"].as_object().into_iter().flatten() {
            self.visit(report, &format!("{path}[]"), inner);
        }
        for keyword in ["oneOf", "anyOf", "allOf"] {
            // Constants are skipped here, because `codes` checks all of them together, as one list of values.
            let is_read = |form: &&Value| keyword != "oneOf" || form.get("const").is_none();
            for form in schema[keyword].as_array().into_iter().flatten().filter(is_read) {
                self.visit(report, path, form);
            }
        }
    }

    /// Whether the field or its type has a description.
    fn is_described(&self, field: &Value) -> bool {
        let field = definitions::resolved(field.clone(), self.definitions);
        // A constant field is the tag of a variant. It needs no description, because the variant has one.
        field.get("description").is_some() || field.get("const").is_some()
    }
}

fn undescribed(report: &mut Report<'_>, side: Side, path: &str) {
    let better = "Write a doc comment on the field: what it means, and in which unit or format.";
    match side {
        Side::Input => report.input(UNDESCRIBED_INPUT, path, "The field has no description", better),
        Side::Output => report.output(UNDESCRIBED_OUTPUT, path, "The field has no description", better),
    }
}

/// Reports codes in answers, because an agent repeats an answer to a customer, who does not understand `AWAITING_PMT`.
fn codes(report: &mut Report<'_>, path: &str, schema: &Value) {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let forms = schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|form| form.get("const"));
    let codes: Vec<&str> = listed
        .chain(forms)
        // The tag of a variant, or the only value.
        .chain(schema.get("const"))
        .filter_map(Value::as_str)
        .filter(|value| is_code(value))
        .collect();
    if let Some(first) = codes.first() {
        let shown = if path.is_empty() { "(whole)" } else { path };
        report.output(
            RAW_CODE,
            shown,
            format!("The answer contains codes such as `{first}`"),
            "Answer with a full phrase that can be repeated to a customer: \"Waiting for payment\".",
        );
    }
}

/// Whether an agent cannot say the value to a customer as it is. An agent knows how to say `EUR` or `DE`.
fn is_code(value: &str) -> bool {
    if iso::is_known(value) {
        return false;
    }
    let shouts =
        value.len() > 1 && value.chars().all(|letter| !letter.is_lowercase()) && value.chars().any(char::is_alphabetic);
    let is_joined = !value.contains(' ')
        && (value.contains('_') || value.contains('-') || value.chars().skip(1).any(char::is_uppercase));
    shouts || is_joined
}

/// Reports a string that is a time, according to its name or format, but whose description names no time zone.
fn times(report: &mut Report<'_>, side: Side, path: &str, schema: &Value) {
    let format = schema["format"].as_str();
    let name = path
        .rsplit(['.', '[', ']'])
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let is_time_by_name = ["_at", "_time", "_until", "timestamp"]
        .iter()
        .any(|ending| name.ends_with(ending));
    let description = schema["description"].as_str().unwrap_or_default().to_lowercase();
    let says_zone = ["utc", "zone", "local time"]
        .iter()
        .any(|word| description.contains(word));
    let is_text = lists_type(schema, "string");
    let lacks_zone = match format {
        Some("partial-date-time" | "partial-time") => true,
        Some(_) => false,
        None => is_text && is_time_by_name,
    };
    if lacks_zone && !says_zone {
        let what = "The time has no time zone";
        let better = "Use a type with a time zone (`jiff::Timestamp`, `chrono::DateTime<Utc>`), or name the zone in the description: \"in UTC, such as 2026-11-17T20:30:00Z\".";
        match side {
            Side::Input => report.input(TIME_WITHOUT_ZONE, path, what, better),
            Side::Output => report.output(TIME_WITHOUT_ZONE, path, what, better),
        }
    }
}
