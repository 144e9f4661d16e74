//! The error messages about inputs. Each message is a sentence for people and agents.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::error::{TypeKind, ValidationErrorKind as Broken};
use jsonschema::json::Node as _;
use serde_json::Value;

use super::document::{Node, Unreadable};
use super::found::shortened;
use super::suggestion::nearest;
use crate::problem::InputProblem;
use crate::schema::exact;

/// A list of choices, such as "one of `low`, `normal` or `urgent`".
pub(crate) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [only] => only.clone(),
        [first @ .., last] => format!("one of {} or {last}", first.join(", ")),
        [] => "nothing".to_owned(),
    }
}

/// The problem of a required input that is missing.
pub(super) fn missing(input: &str) -> InputProblem {
    InputProblem {
        input: input.to_owned(),
        detail: format!("`{input}` is missing."),
    }
}

/// Whether the error is about this map key, which is a number. It cannot be about the value there, because the schema
/// has accepted that.
pub(super) fn refuses_key(key: &str, error: &serde_json::Error) -> bool {
    let words = error.to_string();
    let given = words.strip_prefix("invalid value: integer `");
    let expected = given
        .and_then(|rest| rest.strip_prefix(key))
        .and_then(|rest| rest.strip_prefix("`, expected "));
    expected.is_some_and(|expected| integer_in_words(without_position(expected)).is_some())
}

/// The problem of a map key that the map's type refuses. `map` is the path of the map.
pub(super) fn undecodable_key(map: &str, key: Option<&str>, error: &serde_json::Error) -> InputProblem {
    let words = error.to_string();
    let words = without_position(&words);
    // The message says only what is expected, because serde_json does not report the key correctly.
    let why = match words.rsplit_once(", expected ") {
        Some((_, expected)) => format!("must be {}", type_in_words(expected)),
        None => format!("is not valid: {}", shortened(words)),
    };
    let detail = match key {
        Some(key) => format!("The field name `{key}` in `{map}` {why}."),
        None => format!("A field name in `{map}` {why}."),
    };
    InputProblem {
        input: map.to_owned(),
        detail,
    }
}

/// The problem of a value that its schema accepts but its type refuses.
pub(super) fn undecodable(path: &str, error: &serde_json::Error) -> InputProblem {
    let words = error.to_string();
    let words = without_position(&words);
    let field = words
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    if let (Some(field), "") = (field, path) {
        return missing(field);
    }
    let kind = words
        .strip_prefix("invalid type: ")
        .or(words.strip_prefix("invalid value: "));
    let why = match (field, kind.and_then(|rest| rest.rsplit_once(", expected "))) {
        (Some(field), _) => format!("lacks `{field}`"),
        (None, Some((given, expected))) => {
            format!(
                "must be {}, and {} was given",
                type_in_words(expected),
                shortened(given)
            )
        }
        (None, None) => format!("is not valid: {}", shortened(words)),
    };
    InputProblem {
        input: path.to_owned(),
        detail: format!("`{path}` {why}."),
    }
}

/// Translates serde's name of a type into words that do not need knowledge of Rust.
fn type_in_words(expected: &str) -> Cow<'_, str> {
    if let Some(integer) = integer_in_words(expected) {
        return integer.into();
    }
    let words = match expected {
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "a borrowed string" => "text",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    words.into()
}

/// Like [`type_in_words`], for the integer types: the name of the type, or `a nonzero` and the name.
pub(super) fn integer_in_words(expected: &str) -> Option<String> {
    let name = expected.strip_prefix("a nonzero ").unwrap_or(expected);
    let (sign, bits) = name.split_at_checked(1)?;
    let is_nonzero = name.len() < expected.len();
    let format = match sign {
        "i" => format!("int{}", bits.trim_start_matches("size")),
        "u" => format!("uint{}", bits.trim_start_matches("size")),
        _ => return None,
    };
    let (least, most) = match exact::bounds(&format) {
        Some((least, most)) => (least.to_string(), most.to_string()),
        None if name == "i128" => (i128::MIN.to_string(), i128::MAX.to_string()),
        None if name == "u128" => ("0".to_owned(), u128::MAX.to_string()),
        None => return None,
    };
    Some(match (is_nonzero, sign) {
        (true, "u") => format!("a whole number from 1 to {most}"),
        (true, _) => format!("a whole number from {least} to {most}, except 0"),
        (false, _) => format!("a whole number from {least} to {most}"),
    })
}

/// The problem of an input that is valid by the JSON grammar but cannot be read.
pub(super) fn unreadable(input: &str, why: &Unreadable) -> InputProblem {
    let why = match why {
        Unreadable::Number => "contains a number that is too large: the largest is about 1.8e308".to_owned(),
        Unreadable::Depth => "is nested too deeply: use at most 127 levels of lists and objects".to_owned(),
        Unreadable::Surrogate => {
            "contains half of a surrogate pair: write escapes from \\ud800 to \\udfff in pairs (RFC 8259 §7)".to_owned()
        }
        Unreadable::Twice(field) => format!("contains an object with the field `{field}` twice: give each field once"),
        Unreadable::Text => "cannot be read: send less than 4 GiB of valid JSON".to_owned(),
    };
    InputProblem {
        input: input.to_owned(),
        detail: format!("`{input}` {why}."),
    }
}

/// The problem of a value whose parts serde would decode or copy too often.
pub(super) fn too_many_attempts(input: &str) -> InputProblem {
    let value = match input {
        "" => "The object with the inputs".to_owned(),
        name => format!("`{name}`"),
    };
    InputProblem {
        input: input.to_owned(),
        detail: format!(
            "{value} is nested too deeply for its size: reading it would take too much time or memory. Use fewer levels, or a shorter value."
        ),
    }
}

/// Removes the position from a serde message, because the position counts within one input, not within the whole body.
pub(crate) fn without_position(words: &str) -> &str {
    words.split(" at line ").next().unwrap_or(words)
}

/// The message about a broken rule, without the name of the value.
pub(super) fn rule(broken: &Broken, given: Node<'_>) -> String {
    match broken {
        Broken::Minimum { limit } => format!("must be at least {limit}, and {} was given", shown(given)),
        Broken::Maximum { limit } => format!("must be at most {limit}, and {} was given", shown(given)),
        Broken::ExclusiveMinimum { limit } => format!("must be more than {limit}, and {} was given", shown(given)),
        Broken::ExclusiveMaximum { limit } => format!("must be less than {limit}, and {} was given", shown(given)),
        Broken::MultipleOf { multiple_of } => {
            format!("must be a multiple of {multiple_of}, and {} was given", shown(given))
        }
        Broken::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Broken::MinLength { limit } => format!("must have at least {limit} characters, and has {}", given.length()),
        Broken::MaxLength { limit } => at_most(*limit, "character", given),
        Broken::MinItems { limit: 1 } => "must have at least one item".to_owned(),
        Broken::MinItems { limit } => format!("must have at least {limit} items, and has {}", given.length()),
        Broken::MaxItems { limit } => at_most(*limit, "item", given),
        Broken::UniqueItems => "must not contain the same item twice".to_owned(),
        Broken::Pattern { pattern } => format!("must match the pattern `{pattern}`"),
        Broken::Format { format } => format!("must be {}, and {} was given", format_in_words(format), shown(given)),
        Broken::Type { kind } => format!(
            "must be {}, and {} was given",
            types_in_words(names_of(kind)),
            shown(given)
        ),
        Broken::Enum { options } => format!("must be {}, and {} was given", options_in_words(options), shown(given)),
        Broken::Constant { expected_value } => format!("must be {expected_value}, and {} was given", shown(given)),
        Broken::MinProperties { limit: 1 } => "must have at least one field".to_owned(),
        Broken::MinProperties { limit } => format!("must have at least {limit} fields, and has {}", given.length()),
        Broken::MaxProperties { limit } => at_most(*limit, "field", given),
        Broken::Custom { message, .. } => message.clone(),
        _ => "does not match its schema".to_owned(),
    }
}

fn at_most(limit: u64, noun: &str, given: Node<'_>) -> String {
    let plural = if limit == 1 { "" } else { "s" };
    format!("must have at most {limit} {noun}{plural}, and has {}", given.length())
}

/// The JSON Schema types that a rule names.
fn names_of(kind: &TypeKind) -> Vec<&'static str> {
    match kind {
        TypeKind::Single(only) => vec![only.as_str()],
        TypeKind::Multiple(several) => several.iter().map(JsonType::as_str).collect(),
    }
}

/// Types in words. Null is named only if it is the only type, because it usually means that the value may be left out.
pub(super) fn types_in_words<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut words = Vec::new();
    let mut only_null = "null";
    for name in names {
        let word = match name {
            "boolean" => "`true` or `false`",
            "integer" => "a whole number",
            "number" => "a number",
            "string" => "text",
            "array" => "a list",
            "object" => "an object",
            _ => continue,
        };
        only_null = "";
        if !words.contains(&word) {
            words.push(word);
        }
    }
    format!("{only_null}{}", words.join(" or "))
}

/// The message about unknown fields, with the nearest known name or all known names.
pub(super) fn unexpected_in_words<'n>(mut unexpected: impl Iterator<Item = &'n str>, known: &[&str]) -> String {
    const MOST: usize = 5;
    let names: Vec<_> = unexpected.by_ref().take(MOST).map(shortened).collect();
    let named = format!("`{}`", names.join("` or `"));
    let more = match unexpected.count() {
        0 => String::new(),
        more => format!(" (and {more} more unknown fields were given)"),
    };
    let near = match names.as_slice() {
        [only] => nearest(only, known.iter().copied()),
        _ => None,
    };
    match near {
        Some(near) => format!("has no field named {named}; did you mean `{near}`?"),
        None if known.is_empty() => format!("has no field named {named}{more}."),
        None => format!("has no field named {named}{more}; its fields are {}.", known.join(", ")),
    }
}

/// The given value, shortened for a message.
pub(super) fn shown(given: Node<'_>) -> String {
    match given.json_type() {
        JsonType::Null => "null".to_owned(),
        JsonType::Boolean => (given.as_boolean() == Some(true)).to_string(),
        JsonType::Integer | JsonType::Number => shortened(given.written().unwrap_or_default()).into_owned(),
        JsonType::String => format!("{:?}", shortened(&given.as_string().unwrap_or_default())),
        JsonType::Array => "a list".to_owned(),
        JsonType::Object => "an object".to_owned(),
    }
}

/// A fixed value, as written in a list of choices.
pub(super) fn in_words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn options_in_words(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = options.iter().map(in_words).collect();
    one_of(names.iter().map(String::as_str))
}

fn format_in_words(format: &str) -> String {
    match format {
        "email" => "an e-mail address, such as ana@example.com",
        "uri" => "a URL with its scheme, such as https://example.com/a",
        "uuid" => "a UUID, such as 0b6f5a52-1c1d-4b6e-9d0a-2f6b6c1d7e90",
        "date" => "a date, such as 2026-11-24",
        "date-time" => "a time with its zone, such as 2026-11-24T09:30:00Z",
        "regex" => "a regular expression of at most 16 KiB",
        other => return format!("in the format `{other}`"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::one_of;

    #[test]
    fn choices_are_joined_as_in_a_sentence() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "one of `a`, `b` or `c`");
    }
}
