//! Inputs and outputs: parts without a description, codes that an agent would repeat, times without a zone.

use serde_json::Value;

use super::{RAW_CODE, Report, TIME_WITHOUT_ZONE, UNDESCRIBED_INPUT, UNDESCRIBED_OUTPUT};
use crate::manifest::definitions::{self, Inline};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

pub(super) fn of_endpoint(report: &mut Report<'_>) {
    let inputs = definitions::inline(report.described.inputs.clone(), Inline::NotRecursive);
    let outputs = definitions::inline(report.described.outputs.clone(), Inline::NotRecursive);
    for (name, input) in inputs["properties"].as_object().into_iter().flatten() {
        visit(report, Side::Input, name, input);
    }
    visit(report, Side::Output, "", &outputs);
}

fn visit(report: &mut Report<'_>, side: Side, path: &str, schema: &Value) {
    if side == Side::Output {
        codes(report, path, schema);
    }
    times(report, side, path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        // A tag says which form it is, and is described by the forms.
        if field.get("description").is_none() && field.get("const").is_none() {
            undescribed(report, side, &path);
        }
        visit(report, side, &path, field);
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner @ Value::Object(_)) = schema.get(keyword) {
            visit(report, side, &format!("{path}[]"), inner);
        }
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        for form in schema[keyword].as_array().into_iter().flatten() {
            visit(report, side, path, form);
        }
    }
}

fn undescribed(report: &mut Report<'_>, side: Side, path: &str) {
    let better = "Write a doc comment on the field: what it is, in which unit or form.";
    match side {
        Side::Input => report.input(UNDESCRIBED_INPUT, path, "The field has no description", better),
        Side::Output => report.output(UNDESCRIBED_OUTPUT, path, "The field has no description", better),
    }
}

/// An agent repeats what it reads to a customer: `AWAITING_PMT` is no phrase.
fn codes(report: &mut Report<'_>, path: &str, schema: &Value) {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let forms = schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|form| form.get("const"));
    let codes: Vec<&str> = listed
        .chain(forms)
        .filter_map(Value::as_str)
        .filter(|value| is_code(value))
        .collect();
    if let Some(first) = codes.first() {
        let shown = if path.is_empty() { "(whole)" } else { path };
        report.output(
            RAW_CODE,
            shown,
            format!("The answer holds codes such as `{first}`"),
            "Answer with a full phrase that can be repeated to a customer: \"Waiting for payment\".",
        );
    }
}

fn is_code(value: &str) -> bool {
    let shouts =
        value.len() > 1 && value.chars().all(|letter| !letter.is_lowercase()) && value.chars().any(char::is_alphabetic);
    let is_joined = !value.contains(' ')
        && (value.contains('_') || value.contains('-') || value.chars().skip(1).any(char::is_uppercase));
    shouts || is_joined
}

/// A text that is a time by its name or format, and does not say in which zone.
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
    let is_text = schema["type"] == "string"
        || schema["type"]
            .as_array()
            .is_some_and(|types| types.iter().any(|one| one == "string"));
    let lacks_zone = match format {
        Some("partial-date-time") => true,
        Some(_) => false,
        None => is_text && is_time_by_name,
    };
    if lacks_zone && !says_zone {
        let what = "The time does not say in which zone it is";
        let better = "Use a type with a zone (`jiff::Timestamp`, `chrono::DateTime<Utc>`), or say in the description: \"in UTC, such as 2026-11-17T20:30:00Z\".";
        match side {
            Side::Input => report.input(TIME_WITHOUT_ZONE, path, what, better),
            Side::Output => report.output(TIME_WITHOUT_ZONE, path, what, better),
        }
    }
}
