//! Common signing mistakes: for each part of a payload, the texts that callers are known to sign instead. No I/O.

use serde_json::Value;

use crate::protocol::method::Method;

/// The parts of a payload; the payload is these parts joined by colons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) url: String,
    pub(super) idempotency_key: String,
    pub(super) timestamp: String,
    pub(super) content: String,
}

/// The name of a part, in the order in which the parts are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Url,
    IdempotencyKey,
    Timestamp,
    Content,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Url, Self::IdempotencyKey, Self::Timestamp, Self::Content];

    pub(super) fn of(self, parts: &Parts) -> &str {
        match self {
            Self::Url => &parts.url,
            Self::IdempotencyKey => &parts.idempotency_key,
            Self::Timestamp => &parts.timestamp,
            Self::Content => &parts.content,
        }
    }

    fn replace(self, parts: &mut Parts, text: &str) {
        let part = match self {
            Self::Url => &mut parts.url,
            Self::IdempotencyKey => &mut parts.idempotency_key,
            Self::Timestamp => &mut parts.timestamp,
            Self::Content => &mut parts.content,
        };
        text.clone_into(part);
    }
}

impl Parts {
    pub(super) fn joined(&self, joint: &str) -> String {
        Part::ALL.map(|part| part.of(self)).join(joint)
    }

    /// A copy with each mistake's text in place of the right part.
    pub(super) fn with(&self, mistakes: &[&Mistake]) -> Self {
        let mut parts = self.clone();
        for mistake in mistakes {
            mistake.part.replace(&mut parts, &mistake.text);
        }
        parts
    }
}

/// A wrong text that a caller may sign in place of a part, and the mistake that leads to it.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) part: Part,
    pub(super) text: String,
    /// Completes "The request was signed …".
    pub(super) how: &'static str,
}

/// The pasted request's method and URL, as they were pasted.
pub(super) struct Seen<'s> {
    pub(super) method: Method,
    /// Scheme and host, if the pasted URL has them.
    pub(super) origin: Option<&'s str>,
    pub(super) path: &'s str,
    pub(super) query: &'s str,
    /// The decoded parameters of a GET.
    pub(super) parameters: &'s [(String, String)],
}

/// Every mistake whose text differs from the right part, without duplicates.
pub(super) fn mistakes(right: &Parts, seen: &Seen<'_>) -> Vec<Mistake> {
    let mut found: Vec<Mistake> = Vec::new();
    let mut add = |part: Part, text: String, how: &'static str| {
        let known = |mistake: &Mistake| mistake.part == part && mistake.text == text;
        if text != part.of(right) && !found.iter().any(known) {
            found.push(Mistake { part, text, how });
        }
    };
    let content = match seen.method {
        Method::Get => contents_of_get(seen),
        Method::Post => contents_of_post(&right.content),
    };
    for (part, texts) in [
        (Part::Url, urls(&right.url, seen)),
        (Part::IdempotencyKey, idempotency_keys(&right.idempotency_key)),
        (Part::Timestamp, timestamps(&right.timestamp)),
        (Part::Content, content),
    ] {
        for (text, how) in texts {
            add(part, text, how);
        }
    }
    found
}

fn idempotency_keys(right: &str) -> Vec<(String, &'static str)> {
    vec![
        (String::new(), "without the idempotency key"),
        (right.to_lowercase(), "with the idempotency key in lower case"),
        (right.to_uppercase(), "with the idempotency key in upper case"),
    ]
}

fn timestamps(right: &str) -> Vec<(String, &'static str)> {
    vec![
        (format!("{right}000"), "with a timestamp in milliseconds"),
        (format!("{right}.0"), "with a timestamp that has decimals"),
        (String::new(), "without the timestamp"),
    ]
}

fn urls(right: &str, seen: &Seen<'_>) -> Vec<(String, &'static str)> {
    let (scheme, rest) = right.split_once("://").unwrap_or(("", right));
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let mut urls = vec![
        (format!("{right}?{}", seen.query), "over the URL with its query"),
        (format!("{right}/"), "over the URL with a trailing slash"),
        (path.to_owned(), "over the path alone, without scheme and host"),
        (seen.path.to_owned(), "over the path alone, without scheme and host"),
        (
            format!("{path}?{}", seen.query),
            "over path and query, without scheme and host",
        ),
        (rest.to_owned(), "over the URL without its scheme"),
        (format!("https://{rest}"), "over an https URL"),
        (format!("http://{rest}"), "over an http URL"),
        (
            format!("{scheme}://{}", host.to_uppercase() + path),
            "over the URL with the host in upper case",
        ),
        (String::new(), "without the URL"),
    ];
    if let Some(origin) = seen.origin {
        let sent = "over the URL that the request was sent to, which is not the public URL";
        urls.push((format!("{origin}{}", seen.path), sent));
        urls.push((format!("{origin}{}?{}", seen.path, seen.query), sent));
    }
    urls.extend(hosts(scheme, host, path));
    urls
}

/// The URL with another host name, or without its port.
fn hosts(scheme: &str, host: &str, path: &str) -> Vec<(String, &'static str)> {
    let (name, port) = host.find(':').map_or((host, ""), |at| host.split_at(at));
    let mut urls = vec![(format!("{scheme}://{name}{path}"), "over the URL without its port")];
    for name in ["localhost", "127.0.0.1"] {
        urls.push((
            format!("{scheme}://{name}{port}{path}"),
            "over the URL with another host name of this machine",
        ));
    }
    urls
}

fn contents_of_get(seen: &Seen<'_>) -> Vec<(String, &'static str)> {
    let texts = object(seen.parameters, |value| Value::from(value).to_string());
    let typed = object(seen.parameters, |value| match serde_json::from_str::<Value>(value) {
        Ok(other @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => other.to_string(),
        _ => Value::from(value).to_string(),
    });
    let mut contents = vec![
        (String::new(), "without the parameters"),
        ("{}".to_owned(), "with {} in place of the parameters"),
        (seen.query.to_owned(), "over the query string of the URL, not over JSON"),
        (
            format!("?{}", seen.query),
            "over the query string of the URL, not over JSON",
        ),
    ];
    contents.extend(rewritten(&texts));
    contents.extend(rewritten(&typed).into_iter().map(|(text, _)| {
        (
            text,
            "with numbers, true, false or null where the parameters' JSON must have strings (and perhaps other spaces)",
        )
    }));
    contents
}

fn object(parameters: &[(String, String)], json: impl Fn(&str) -> String) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), json(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn contents_of_post(body: &str) -> Vec<(String, &'static str)> {
    let mut contents = vec![
        (String::new(), "without the body"),
        (
            body.trim_end_matches(['\r', '\n']).to_owned(),
            "over the body without the line break at its end",
        ),
        (format!("{body}\n"), "over the body with a line break at its end"),
        (body.replace('\n', "\r\n"), "over the body with CRLF line breaks"),
    ];
    contents.extend(rewritten(body));
    contents
}

/// The JSON as other serializers write it: the same value as different bytes.
fn rewritten(json: &str) -> Vec<(String, &'static str)> {
    let Ok(value) = serde_json::from_str::<Value>(json) else {
        return Vec::new();
    };
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
    let mut texts = Vec::new();
    // serde_json keeps objects sorted by name.
    for (text, compact_how, spaced_how) in [
        (
            json.to_owned(),
            "over the JSON serialized again without spaces",
            "over the JSON serialized again with a space after each comma and colon",
        ),
        (
            value.to_string(),
            "over the JSON serialized again with sorted names and without spaces",
            "over the JSON serialized again with sorted names and a space after each comma and colon",
        ),
    ] {
        for (separators, how) in [([",", ":"], compact_how), ([", ", ": "], spaced_how)] {
            let spaced = respaced(&text, separators);
            let escaped = ascii(&spaced);
            texts.push((spaced, how));
            texts.push((
                escaped,
                "over the JSON serialized again with non-ASCII characters escaped",
            ));
        }
    }
    texts.push((
        pretty,
        "over pretty-printed JSON (several lines) instead of the JSON that was sent",
    ));
    texts
}

/// The JSON with other separators. The order of names, the numbers and the strings do not change.
fn respaced(json: &str, [item, name]: [&str; 2]) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for letter in json.chars() {
        if in_text {
            in_text = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            text.push(letter);
            continue;
        }
        match letter {
            ',' => text.push_str(item),
            ':' => text.push_str(name),
            ' ' | '\t' | '\r' | '\n' => {}
            other => {
                in_text = other == '"';
                text.push(other);
            }
        }
    }
    text
}

/// The JSON with every non-ASCII character written as `\uXXXX`.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            text.extend(
                letter
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ascii, respaced};

    #[test]
    fn respacing_json_changes_only_the_spaces() {
        let json = "{\"b\": [1.50,\n 2], \"a\" : \"x: \\\"y, z\"}";
        assert_eq!(respaced(json, [",", ":"]), "{\"b\":[1.50,2],\"a\":\"x: \\\"y, z\"}");
        assert_eq!(
            respaced(json, [", ", ": "]),
            "{\"b\": [1.50, 2], \"a\": \"x: \\\"y, z\"}"
        );
        assert_eq!(ascii("é😀"), "\\u00e9\\ud83d\\ude00");
    }
}
