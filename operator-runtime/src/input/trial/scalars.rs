//! Samples of numbers and texts that follow the rules of their schema.

use std::iter;
use std::ops::RangeInclusive;

use jsonschema::json::SerdeJson;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Value, json};

use crate::input::bound::compile;
use crate::schema::exact;

/// How long a text for a pattern may become, in bytes.
const LONGEST: usize = 1024;

/// A whole number, or a multiple of the schema's step.
pub(super) fn whole(schema: &Value) -> Value {
    let rules = Rules::of(schema);
    let step = rules.step.unwrap_or(1.0);
    let least = rules.least.map(|least| (least / step).ceil());
    let most = rules.most.map(|most| (most / step).floor());
    let near_least = least.into_iter().flat_map(|steps| [steps, steps + 1.0]);
    let near_most = most.into_iter().flat_map(|steps| [steps, steps - 1.0]);
    let multiples = iter::once(1.0).chain(near_least).chain(near_most).chain([0.0, -1.0]);
    let number = multiples.map(|steps| steps * step).find(|number| rules.allow(*number));
    json_of(number.unwrap_or(step))
}

/// A number that is not whole, if the schema allows one.
pub(super) fn fraction(schema: &Value) -> Option<Value> {
    let rules = Rules::of(schema);
    let after_least = rules.least.map(|least| least + 0.5);
    let before_most = rules.most.map(|most| most - 0.5);
    let between = rules
        .least
        .zip(rules.most)
        .map(|(least, most)| f64::midpoint(least, most));
    let numbers = iter::once(1.5).chain(after_least).chain(before_most).chain(between);
    let mut numbers = numbers.chain(rules.step);
    let number = numbers.find(|number| number.fract() != 0.0 && rules.allow(*number))?;
    Some(json!(number))
}

/// The rules of a schema for numbers.
struct Rules<'s> {
    schema: &'s Value,
    least: Option<f64>,
    most: Option<f64>,
    step: Option<f64>,
}

impl<'s> Rules<'s> {
    fn of(schema: &'s Value) -> Self {
        let bound = |keyword: &str| schema[keyword].as_f64();
        let higher = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
        let lower = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::min);
        Self {
            schema,
            least: higher(bound("minimum"), bound("exclusiveMinimum")),
            most: lower(bound("maximum"), bound("exclusiveMaximum")),
            step: bound("multipleOf").filter(|step| *step > 0.0),
        }
    }

    fn allow(&self, number: f64) -> bool {
        let is = |keyword: &str| self.schema[keyword].as_f64() == Some(number);
        let is_multiple = |step: f64| ((number / step).round() - number / step).abs() < 1e-9;
        self.least.is_none_or(|least| least <= number)
            && self.most.is_none_or(|most| number <= most)
            && self.step.is_none_or(is_multiple)
            && !is("exclusiveMinimum")
            && !is("exclusiveMaximum")
            && self.schema["not"]["const"].as_f64() != Some(number)
    }
}

fn json_of(number: f64) -> Value {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "samples are small, and others are refused by the schema"
    )]
    if number.fract() == 0.0 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

/// The values that the author of a schema has written as examples or default.
pub(super) fn written(schema: &Value) -> impl Iterator<Item = &Value> {
    let examples = schema["examples"].as_array().into_iter().flatten();
    examples.chain(schema.get("default").filter(|default| !default.is_null()))
}

/// A text. One that the author of the schema has written comes first, because its type is most likely to accept it.
pub(super) fn text(schema: &Value) -> String {
    let written = written(schema).filter_map(Value::as_str);
    let mut texts: Vec<String> = written.map(str::to_owned).collect();
    // Manifests do not have this format. The text that is made from its pattern has a time zone that does not exist.
    let zoned = schema["pattern"].as_str().filter(|pattern| *pattern == exact::zoned());
    let format = zoned.map(|_| "zoned-date-time").or(schema["format"].as_str());
    texts.extend(format.and_then(of_format).map(str::to_owned));
    let least = schema["minLength"]
        .as_u64()
        .and_then(|least| usize::try_from(least).ok());
    let least = least.unwrap_or(1).min(LONGEST);
    texts.extend(
        schema["pattern"]
            .as_str()
            .and_then(|pattern| of_pattern(pattern, least)),
    );
    if texts.is_empty() {
        return "a".repeat(least.max(1));
    }
    let first = if texts.len() > 1 {
        first_valid(schema, &texts)
    } else {
        0
    };
    texts.swap_remove(first)
}

/// The index of the first text that the schema accepts, or 0.
fn first_valid(schema: &Value, texts: &[String]) -> usize {
    // The keywords about texts, none of which refers to another schema.
    let mut rules = json!({});
    for keyword in ["format", "maxLength", "minLength", "pattern"] {
        if let Some(rule) = schema.get(keyword) {
            rules[keyword] = rule.clone();
        }
    }
    let valid = compile::<SerdeJson>(&rules).ok();
    let valid = valid.and_then(|rules| {
        texts
            .iter()
            .position(|text| rules.is_valid(&Value::from(text.as_str())))
    });
    valid.unwrap_or(0)
}

fn of_format(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "2026-01-02",
        "date-time" => "2026-01-02T03:04:05Z",
        // The offset in brackets, because a program without a database of time zones knows no names of zones.
        "zoned-date-time" => "2026-01-02T03:04:05+00:00[+00:00]",
        "partial-date-time" => "2026-01-02T03:04:05",
        "time" => "03:04:05Z",
        "partial-time" => "03:04:05",
        "duration" => "PT1M",
        "email" => "ana@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" => "https://example.com/",
        "uuid" => "67e55044-10b1-426f-9247-bb680e5fe0c8",
        _ => return None,
    })
}

/// A text with at least that many characters that matches the pattern. `None` if there is none that is easily found.
pub(super) fn of_pattern(pattern: &str, least: usize) -> Option<String> {
    let pattern = regex_syntax::parse(pattern).ok()?;
    // How often each part is repeated beyond what the pattern requires.
    (0..=least.min(LONGEST)).find_map(|more| {
        let mut text = String::new();
        write(&pattern, u32::try_from(more).ok()?, &mut text)?;
        (text.chars().count() >= least).then_some(text)
    })
}

fn write(pattern: &Hir, more: u32, text: &mut String) -> Option<()> {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            text.push(letter(class.iter().map(|range| range.start()..=range.end()))?);
        }
        HirKind::Class(Class::Bytes(class)) => {
            text.push(letter(
                class.iter().map(|range| range.start().into()..=range.end().into()),
            )?);
        }
        HirKind::Repetition(repetition) => {
            let count = repetition.min.saturating_add(more);
            for _ in 0..count.min(repetition.max.unwrap_or(u32::MAX)) {
                write(&repetition.sub, more, text)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, more, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, more, text))?,
        HirKind::Alternation(forms) => write(forms.first()?, more, text)?,
    }
    (text.len() <= LONGEST).then_some(())
}

/// A letter in one of the ranges: a usual one, if there is one.
fn letter(ranges: impl Iterator<Item = RangeInclusive<char>>) -> Option<char> {
    let ranges: Vec<_> = ranges.collect();
    let is_in = |letter: &char| ranges.iter().any(|range| range.contains(letter));
    let usual = "a1A".chars().chain('!'..='~').find(is_in);
    usual.or_else(|| ranges.first().map(|range| *range.start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_within_the_bounds() {
        for (schema, wholes, fractions) in [
            (json!({}), json!(1), Some(json!(1.5))),
            (json!({ "minimum": 0, "maximum": 1 }), json!(1), Some(json!(0.5))),
            (
                json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
                json!(1),
                Some(json!(0.5)),
            ),
            (json!({ "minimum": 7, "multipleOf": 5 }), json!(10), None),
            (json!({ "maximum": -3 }), json!(-3), Some(json!(-3.5))),
            (json!({ "exclusiveMinimum": 7 }), json!(8), Some(json!(7.5))),
            (
                json!({ "multipleOf": 0.25, "maximum": 0.5 }),
                json!(0.25),
                Some(json!(0.25)),
            ),
            (
                json!({ "maximum": 1, "not": { "const": 1 } }),
                json!(0),
                Some(json!(0.5)),
            ),
        ] {
            assert_eq!((whole(&schema), fraction(&schema)), (wholes, fractions), "{schema}");
        }
    }

    #[test]
    fn a_text_follows_the_rules_of_its_schema() {
        for (schema, expected) in [
            (json!({ "minLength": 3 }), "aaa"),
            (json!({ "format": "ipv4" }), "192.0.2.1"),
            (json!({ "pattern": "^[A-Z]{2}-\\d{3}$" }), "AA-111"),
            (json!({ "pattern": "^(x|y)[^a]+é*$", "minLength": 4 }), "x11é"),
            (
                json!({ "pattern": r"@shop\.example$", "format": "email", "examples": ["a@b.c", "eva@shop.example"] }),
                "eva@shop.example",
            ),
            (json!({ "pattern": "^\\d$", "default": "7" }), "7"),
            (
                json!({ "pattern": exact::zoned() }),
                "2026-01-02T03:04:05+00:00[+00:00]",
            ),
            (json!({ "pattern": "^(?=a)" }), "a"),
            (json!({ "pattern": "^a{5000}$" }), "a"),
        ] {
            assert_eq!(text(&schema), expected, "{schema}");
        }
    }
}
