//! What `call`, `trigger` and `simulate` share: where a call goes, the key that signs it, and the inputs that a person
//! types.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{key_file, lines, said};
use crate::app::{Config, trusted};
use crate::input::nearest;
use crate::protocol::envelope::is_idempotency_key;
use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::public_url::PublicUrl;
use crate::protocol::signature::{Keys, generate_secret};
use crate::schema::keywords::lists_type;

/// The longest time to wait for one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// The options that say where a call goes and which key signs it.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The public URL of the server [default: `OPERATOR_PUBLIC_URL`, or else the URL of `dev` on this machine].
    #[arg(long)]
    url: Option<String>,
    /// The address to send to, if it is not the public URL: `http://127.0.0.1:8080`.
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// The signing key [default: the first key in the environment, or else the key of `dev`].
    #[arg(long, value_name = "SECRET")]
    key: Option<String>,
}

impl Options {
    /// The public URL that calls are signed for.
    pub(super) fn base(&self, config: &Config) -> Result<PublicUrl, String> {
        if let Some(url) = &self.url {
            return PublicUrl::parse(url).map_err(|why| {
                format!("The public URL `{url}` {why}: `--url` takes a scheme, a host and an optional base path, such as https://api.example.com/support.")
            });
        }
        match config.settle_public_url().map_err(said)? {
            Some(url) => Ok(url),
            None => config.url_of_this_machine().map_err(said),
        }
    }

    /// The address to send to, if it is not the public URL. Unlike a public URL, the address of another machine may
    /// begin with `http`, because the machine may be in an internal network.
    pub(super) fn address(&self) -> Result<Option<&str>, String> {
        let Some(at) = self.at.as_deref() else {
            return Ok(None);
        };
        let is_one = at.parse().is_ok_and(|uri: http::Uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && !at.contains(['?', '#'])
        });
        if is_one {
            Ok(Some(at.trim_end_matches('/')))
        } else {
            Err(format!(
                "`{at}` is not an address to send to: give `--at` a scheme and a host, such as http://127.0.0.1:8080."
            ))
        }
    }

    /// The keys, of which the first one signs.
    pub(super) fn keys(&self, config: &Config) -> Result<Keys, String> {
        if let Some(secret) = &self.key {
            return Keys::single("`--key`", secret).map_err(|error| error.to_string());
        }
        if config.has_keys() {
            return config.keys().map_err(|problems| lines(&problems));
        }
        let path = key_file::path();
        match key_file::read(&path)? {
            Some(secret) => Keys::single(&key_file::place(&path), &secret).map_err(|error| error.to_string()),
            None => Err(format!(
                "There is no signing key: give `--key`, set OPERATOR_SIGNING_KEY, or run the command in the folder of `dev`, which contains the file {}.",
                path.display()
            )),
        }
    }
}

/// The given idempotency key, or a new one.
pub(super) fn idempotency_key(given: Option<String>) -> Result<String, String> {
    match given {
        Some(key) if !is_idempotency_key(key.as_bytes()) => Err(format!(
            "`{key}` is not an idempotency key: use 1 to 255 visible ASCII characters without a colon."
        )),
        Some(key) => Ok(key),
        None => {
            let random = generate_secret().map_err(|error| error.to_string())?;
            Ok(random.trim_start_matches("op_sk_").chars().take(32).collect())
        }
    }
}

/// The message about the name of an endpoint that does not exist.
pub(super) fn unknown_endpoint(name: &str, names: &[&str]) -> String {
    unknown(&format!("There is no endpoint `{name}`"), name, "the endpoints", names)
}

/// Completes the sentence about a name that does not exist: with the name that was probably meant, or with all `names`.
/// `all` says what they are.
pub(super) fn unknown(sentence: &str, name: &str, all: &str, names: &[&str]) -> String {
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("{sentence}; did you mean `{near}`?"),
        None if names.is_empty() => format!("{sentence}; there are none."),
        None => format!("{sentence}; {all} are {}.", names.join(", ")),
    }
}

/// The inputs of one call, in the form in which the method sends them.
#[derive(Clone, Debug)]
pub(super) enum Inputs {
    /// The search parameters of a GET.
    Parameters(Vec<(String, String)>),
    /// The JSON object of a POST.
    Object(Fields),
}

/// The fields of a JSON object. Their values are texts, because a [`Value`] would round the numbers that a person types.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

impl Inputs {
    /// Reads inputs that a person typed as `name=value`. `schema` is the schema of all inputs as one object.
    pub(super) fn typed(method: Method, schema: &Value, typed: &[String]) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for input in typed {
            let (name, value) = input
                .split_once('=')
                .ok_or_else(|| format!("`{input}` is not an input: write `name=value`."))?;
            pairs.push((name.to_owned(), value.to_owned()));
        }
        match method {
            Method::Get => {
                for (index, (name, _)) in pairs.iter().enumerate() {
                    if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                        return Err(given_twice(name));
                    }
                }
                Ok(Self::Parameters(pairs))
            }
            Method::Post => object(schema, pairs).map(Self::Object),
        }
    }

    /// The call with these inputs.
    pub(super) fn outgoing(&self, url: &str) -> Outgoing {
        match self {
            Self::Parameters(pairs) => Outgoing::get(url.to_owned(), pairs),
            Self::Object(fields) => Outgoing::post(url.to_owned(), as_json(fields).to_string()),
        }
    }
}

/// The JSON body. Each value gets the JSON type that its schema names. An input that is a list may be given several
/// times, once for each item.
fn object(schema: &Value, pairs: Vec<(String, String)>) -> Result<Fields, String> {
    let mut fields = Fields::new();
    let mut lists: BTreeMap<String, Vec<Box<RawValue>>> = BTreeMap::new();
    for (name, value) in pairs {
        let property = &schema["properties"][&name];
        if lists_type(property, "array") {
            let items = serde_json::from_str(&value);
            let items = items.unwrap_or_else(|_| vec![json_of(&property["items"], &value)]);
            lists.entry(name).or_default().extend(items);
        } else if fields.insert(name.clone(), json_of(property, &value)).is_some() {
            return Err(given_twice(&name));
        }
    }
    fields.extend(lists.into_iter().map(|(name, items)| (name, as_json(&items))));
    Ok(fields)
}

/// The value as JSON text. JSON can express every value that comes here.
pub(super) fn as_json(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn given_twice(name: &str) -> String {
    format!("`{name}` is given twice, but it takes only one value: give `{name}` once.")
}

/// A string if the schema allows strings; otherwise the value, if it is JSON.
pub(super) fn json_of(schema: &Value, value: &str) -> Box<RawValue> {
    let is_choice = schema["type"].is_null() && schema.get("oneOf").or(schema.get("enum")).is_some();
    let is_text = is_choice || lists_type(schema, "string");
    let json = (!is_text).then(|| serde_json::from_str(value).ok()).flatten();
    json.unwrap_or_else(|| as_json(&value))
}

/// JSON with each field and each item in a line of its own. Numbers and the order of fields stay as they are.
pub(super) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(2 * json.len());
    let (mut depth, mut last) = (0_usize, ' ');
    let (mut is_string, mut is_escaped) = (false, false);
    for letter in json.chars() {
        if is_string {
            text.push(letter);
            is_string = letter != '"' || is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        let (opens, closes) = (matches!(letter, '{' | '['), matches!(letter, '}' | ']'));
        let is_after_opening = matches!(last, '{' | '[');
        depth = depth.saturating_sub(closes.into());
        if closes != is_after_opening || last == ',' {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        }
        text.push(letter);
        if letter == ':' {
            text.push(' ');
        }
        depth += usize::from(opens);
        is_string = letter == '"';
        last = letter;
    }
    text
}

/// Says why there is no answer. If no connection was made, the message asks whether a server is running.
pub(super) fn unanswered(target: &str, error: &ureq::Error) -> String {
    let unreached = match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::TimedOut
        ),
        _ => false,
    };
    let hint = if unreached { " Is the server running there?" } else { "" };
    format!("{target} did not answer: {}.{hint}", trusted::why(error))
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn indented_json_keeps_its_numbers_and_the_order_of_its_fields() {
        let json = r#"{"b": [1.10,{},[ ]],"a":"x\"{,: y\\"}"#;
        let lines = [
            "{",
            "  \"b\": [",
            "    1.10,",
            "    {},",
            "    []",
            "  ],",
            r#"  "a": "x\"{,: y\\""#,
            "}",
        ];
        assert_eq!(indented(json), lines.join("\n"));
    }
}
