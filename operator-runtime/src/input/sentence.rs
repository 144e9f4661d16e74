//! What is wrong with an input, as a sentence that an agent can repeat.

use std::borrow::Borrow;

use jsonschema::error::{TypeKind, ValidationErrorKind as Broken};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::found::{Found, shortened};
use super::suggestion::nearest;
use crate::problem::InputProblem;

/// "one of `low`, `normal` and `urgent`".
pub(super) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [only] => only.clone(),
        [first @ .., last] => format!("one of {} or {last}", first.join(", ")),
        [] => "nothing".to_owned(),
    }
}

/// Tells what a value breaks of what its schema promises; of several forms, what it breaks of the one that was meant.
pub(super) fn tell<'i, E: Borrow<ValidationError<'i>>>(
    input: &str,
    schema: &Value,
    errors: impl IntoIterator<Item = E>,
    found: &mut Found,
) {
    let mut errors = errors.into_iter().peekable();
    while let Some(error) = errors.next() {
        let error = error.borrow();
        // Which values there are says of which type they are.
        if errors
            .peek()
            .is_some_and(|next| lists_values_instead(error, next.borrow()))
        {
            continue;
        }
        match meant(error.kind()) {
            Some(branch) => tell(input, schema, branch, found),
            None => found.push(|| broken(input, schema, error)),
        }
    }
}

fn lists_values_instead(error: &ValidationError<'_>, next: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Broken::Type { .. })
        && matches!(next.kind(), Broken::Enum { .. } | Broken::Constant { .. })
        && error.instance_path() == next.instance_path()
}

fn broken(input: &str, schema: &Value, error: &ValidationError<'_>) -> InputProblem {
    if let Some((tag, choices)) = tag(error.kind()) {
        let path = path_of(input, tag.instance_path().as_str());
        let choices = one_of(choices.iter().map(String::as_str));
        let detail = format!("`{path}` must be {choices}, and {} was given.", shown(tag.instance()));
        return InputProblem { input: path, detail };
    }
    let path = path_of(input, error.instance_path().as_str());
    if let (Broken::Required { property }, "") = (error.kind(), path.as_str()) {
        return missing(property.as_str().unwrap_or_default());
    }
    if let (Some(field), false) = (missing_tag(error.kind()), path.is_empty()) {
        let detail = format!("`{path}` lacks `{field}`, which says which of its forms it is.");
        return InputProblem { input: path, detail };
    }
    let detail = match unexpected(error.kind()) {
        Some(names) => format!("`{path}` {}", unexpected_in_words(names, &fields_beside(schema, error))),
        None => format!("`{path}` {}.", rule(error.kind(), error.instance())),
    };
    InputProblem { input: path, detail }
}

/// The problem of an input that is not there and must be.
pub(super) fn missing(input: &str) -> InputProblem {
    InputProblem {
        input: input.to_owned(),
        detail: format!("`{input}` is missing."),
    }
}

/// The problem of a value that its schema takes and its type does not.
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
        (None, None) => format!("is wrong: {}", shortened(words)),
    };
    InputProblem {
        input: path.to_owned(),
        detail: format!("`{path}` {why}."),
    }
}

/// What serde calls a type, in words that are not Rust's.
fn type_in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "a borrowed string" => "text",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// The problem of an input that is JSON by its grammar, and no value that can be held in memory.
pub(super) fn unreadable(input: &str, error: &serde_json::Error) -> InputProblem {
    let words = error.to_string();
    let why = if words.starts_with("number out of range") {
        "holds a number that is too large to be read: the largest is about 1.8e308".to_owned()
    } else if words.starts_with("recursion limit exceeded") {
        "is nested too deeply: at most 127 lists and objects may stand in each other".to_owned()
    } else if words.contains("surrogate") || words.contains("hex escape") {
        "holds half of a character: an escape from \\ud800 to \\udfff must be one of a pair (RFC 8259 §7)".to_owned()
    } else {
        format!("cannot be read: {}", without_position(&words))
    };
    InputProblem {
        input: input.to_owned(),
        detail: format!("`{input}` {why}."),
    }
}

/// The position counts within the one input and would mislead.
pub(super) fn without_position(words: &str) -> &str {
    words.split(" at line ").next().unwrap_or(words)
}

/// "filter.tags[2]" from the input's name and a JSON pointer (RFC 6901).
fn path_of(input: &str, pointer: &str) -> String {
    let mut path = input.to_owned();
    for part in pointer.split('/').skip(1) {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push('[');
            path.push_str(part);
            path.push(']');
        } else {
            path.push('.');
            path.push_str(&shortened(&part.replace("~1", "/").replace("~0", "~")));
        }
    }
    // Fields of a flattened input have no name before them.
    shortened(path.trim_start_matches('.')).into_owned()
}

fn rule(broken: &Broken, given: &Value) -> String {
    match broken {
        Broken::Minimum { limit } => format!("must be at least {limit}, and {given} was given"),
        Broken::Maximum { limit } => format!("must be at most {limit}, and {given} was given"),
        Broken::ExclusiveMinimum { limit } => format!("must be more than {limit}, and {given} was given"),
        Broken::ExclusiveMaximum { limit } => format!("must be less than {limit}, and {given} was given"),
        Broken::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}, and {given} was given"),
        Broken::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Broken::MinLength { limit } => format!("must have at least {limit} characters, and has {}", length(given)),
        Broken::MaxLength { limit } => format!("must have at most {limit} characters, and has {}", length(given)),
        Broken::MinItems { limit: 1 } => "must have at least one item".to_owned(),
        Broken::MinItems { limit } => format!("must have at least {limit} items, and has {}", length(given)),
        Broken::MaxItems { limit } => format!("must have at most {limit} items, and has {}", length(given)),
        Broken::UniqueItems => "must not hold the same item twice".to_owned(),
        Broken::Pattern { pattern } => format!("must match the pattern `{pattern}`"),
        Broken::Format { format } => format!("must be {}, and {} was given", format_in_words(format), shown(given)),
        Broken::Type { kind } => format!("must be {}, and {} was given", types_in_words(kind), shown(given)),
        Broken::Enum { options } => format!("must be {}, and {} was given", options_in_words(options), shown(given)),
        Broken::Constant { expected_value } => format!("must be {expected_value}, and {} was given", shown(given)),
        Broken::Required { property } => format!("lacks `{}`", property.as_str().unwrap_or_default()),
        Broken::OneOfNotValid { context } | Broken::AnyOf { context } => match choices(context) {
            Some(choices) => format!(
                "must be {}, and {} was given",
                one_of(choices.iter().map(String::as_str)),
                shown(given)
            ),
            None => match types_of(context) {
                Some(types) => format!("must be {types}, and {} was given", shown(given)),
                None => format!("has none of the {} forms that its schema describes", context.len()),
            },
        },
        Broken::OneOfMultipleValid { .. } => {
            "has several of the forms that its schema describes, and must have one".to_owned()
        }
        Broken::FalseSchema => "must be left out".to_owned(),
        Broken::MinProperties { limit } => format!("must have at least {limit} fields, and has {}", length(given)),
        Broken::MaxProperties { limit } => format!("must have at most {limit} fields, and has {}", length(given)),
        _ => "is not what its schema describes".to_owned(),
    }
}

/// The types that several forms are of, where the value is of none of them.
fn types_of(forms: &[Vec<ValidationError<'_>>]) -> Option<String> {
    let mut types = Vec::new();
    for form in forms {
        // The value's own, and not that of something in it.
        let depth = form.iter().map(|error| error.instance_path().as_str().len()).min();
        let own = form
            .iter()
            .filter(|error| Some(error.instance_path().as_str().len()) == depth);
        let mut words = own.filter_map(|error| match error.kind() {
            Broken::Type { kind } => Some(types_in_words(kind)),
            _ => None,
        });
        types.push(words.next()?);
    }
    types.retain(|words| words != "null");
    types.dedup();
    (!types.is_empty()).then(|| types.join(" or "))
}

/// Of several forms the one that was meant: the only one that is not null, or the only one whose fixed values are there, or
/// the only one that lacks no field.
fn meant(broken: &Broken) -> Option<&[ValidationError<'static>]> {
    let (Broken::OneOfNotValid { context } | Broken::AnyOf { context }) = broken else {
        return None;
    };
    if choices(context).is_some() {
        return None;
    }
    let is_null = |error: &ValidationError<'_>| {
        matches!(
            error.kind(),
            Broken::Type {
                kind: TypeKind::Single(JsonType::Null)
            }
        )
    };
    let is_fixed = |error: &ValidationError<'_>| matches!(error.kind(), Broken::Constant { .. } | Broken::Enum { .. });
    let lacks = |error: &ValidationError<'_>| matches!(error.kind(), Broken::Required { .. });
    let only = |excluded: &dyn Fn(&ValidationError<'_>) -> bool| {
        let mut left = context
            .iter()
            .filter(|branch| !branch.is_empty() && !branch.iter().any(excluded));
        left.next().filter(|_| left.next().is_none())
    };
    only(&is_null)
        .or_else(|| only(&|error| is_null(error) || is_fixed(error)))
        .or_else(|| only(&|error| is_null(error) || is_fixed(error) || lacks(error)))
        .map(Vec::as_slice)
}

/// The field that says which of several forms it is, where it has none of their values.
fn tag(broken: &Broken) -> Option<(&ValidationError<'static>, Vec<String>)> {
    let (Broken::OneOfNotValid { context } | Broken::AnyOf { context }) = broken else {
        return None;
    };
    let mut tags = Vec::new();
    for branch in context {
        tags.push(branch.iter().find_map(|error| match error.kind() {
            Broken::Constant { expected_value } => Some((error, in_words(expected_value))),
            _ => None,
        })?);
    }
    let (first, _) = tags.first()?;
    let first = *first;
    let of_one_field = tags
        .iter()
        .all(|(error, _)| error.instance_path() == first.instance_path());
    of_one_field.then(|| (first, tags.into_iter().map(|(_, value)| value).collect()))
}

/// The field that every one of several forms must have, and that is not there.
fn missing_tag(broken: &Broken) -> Option<&str> {
    let (Broken::OneOfNotValid { context } | Broken::AnyOf { context }) = broken else {
        return None;
    };
    fn lacking<'b>(branch: &'b [ValidationError<'static>]) -> impl Iterator<Item = &'b str> {
        branch.iter().filter_map(|error| match error.kind() {
            Broken::Required { property } => property.as_str(),
            _ => None,
        })
    }
    let (first, rest) = context.split_first()?;
    lacking(first).find(|field| rest.iter().all(|branch| lacking(branch).any(|other| other == *field)))
}

/// Null only stands for leaving it out, so that nobody is told of it beside another type.
fn types_in_words(kind: &TypeKind) -> String {
    let types: Vec<JsonType> = match kind {
        TypeKind::Single(only) => vec![*only],
        TypeKind::Multiple(several) => several.iter().filter(|one| *one != JsonType::Null).collect(),
    };
    let words = types.into_iter().map(|one| match one {
        JsonType::Null => "null",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::String => "text",
        JsonType::Array => "a list",
        JsonType::Object => "an object",
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// The fields that are given and are none of the value's.
fn unexpected(broken: &Broken) -> Option<&[String]> {
    match broken {
        Broken::AdditionalProperties { unexpected } | Broken::UnevaluatedProperties { unexpected } => Some(unexpected),
        _ => None,
    }
}

/// The fields that the schema names beside the rule that there are no others.
fn fields_beside<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Vec<&'s str> {
    let rule = error.schema_path().as_str().rsplit_once('/');
    let fields = rule.and_then(|(object, _)| schema.pointer(object)?.get("properties")?.as_object());
    fields.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// Ends the sentence, as that of an unknown input does.
fn unexpected_in_words(unexpected: &[String], known: &[&str]) -> String {
    const MOST: usize = 5;
    let names: Vec<_> = unexpected.iter().take(MOST).map(|name| shortened(name)).collect();
    let named = format!("`{}`", names.join("` or `"));
    let more = match unexpected.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(", and none of {more} more that were given"),
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

/// What was given, short enough for a sentence.
fn shown(given: &Value) -> String {
    match given {
        Value::String(text) => format!("{:?}", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// What each branch would have taken, where every one is a fixed value; null only stands for leaving it out.
fn choices(branches: &[Vec<ValidationError<'_>>]) -> Option<Vec<String>> {
    let mut choices = Vec::new();
    for branch in branches {
        // Which values there are says of which type they are.
        let error = match branch.as_slice() {
            [error] => error,
            [ty, error] if lists_values_instead(ty, error) => error,
            _ => return None,
        };
        match error.kind() {
            Broken::Constant { expected_value } => choices.push(in_words(expected_value)),
            Broken::Enum { options } => choices.extend(options.as_array().into_iter().flatten().map(in_words)),
            Broken::OneOfNotValid { context } | Broken::AnyOf { context } => choices.extend(self::choices(context)?),
            Broken::Type {
                kind: TypeKind::Single(JsonType::Null),
            } => {}
            _ => return None,
        }
    }
    Some(choices)
}

fn in_words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn length(given: &Value) -> usize {
    match given {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
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
        other => return format!("in the format `{other}`"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{one_of, path_of};

    #[test]
    fn paths_read_as_code_does() {
        assert_eq!(path_of("filter", ""), "filter");
        assert_eq!(path_of("filter", "/tags/2/a~1b"), "filter.tags[2].a/b");
    }

    #[test]
    fn choices_read_as_a_sentence_does() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "one of `a`, `b` or `c`");
    }
}
