//! `call`: calls an endpoint as the agent does, and shows the answer.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::{Done, key_file, lines, print, refused, said, settings};
use crate::app::{App, Config, registry};
use crate::clock::{Clock, SystemClock};
use crate::endpoint::Endpoint;
use crate::input::nearest;
use crate::manifest::inputs;
use crate::protocol::envelope::is_idempotency_key;
use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::public_url::{PublicUrl, below};
use crate::protocol::signature::{Keys, generate_secret};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The endpoint's name.
    name: String,
    /// The inputs, such as `email=ana@example.com`; write a value that is not a string as JSON:
    /// `filter={"status":"…"}`.
    #[arg(value_name = "INPUT=VALUE")]
    inputs: Vec<String>,
    /// The public URL of the server [default: `OPERATOR_PUBLIC_URL`, or else the URL of `dev` on this machine].
    #[arg(long)]
    url: Option<String>,
    /// The address to send the call to, if it is not the public URL: `http://127.0.0.1:8080`.
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// The signing key [default: the first key in the environment, or else the key of `dev`].
    #[arg(long, value_name = "SECRET")]
    key: Option<String>,
    /// The operation's idempotency key [default: a new random key].
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// How many times to send the call, with the same idempotency key.
    #[arg(long, default_value_t = 1, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
}

/// The command that calls the endpoint on this machine. The call is signed for the public URL, and each required input
/// has its example as its value.
pub(super) fn example(endpoint: &Endpoint, url: &PublicUrl, listens: SocketAddr) -> String {
    let mut words = format!("call {}", endpoint.name);
    if Config::new().url_of_this_machine().ok().as_ref() != Some(url) {
        let _ = write!(words, " --url {url}");
    }
    // The public URL may belong to another server, which a person who tries an endpoint here does not want to call.
    if *url != PublicUrl::of_listener(listens) {
        let _ = write!(words, " --at http://{listens}");
    }
    let inputs = inputs::of_inputs(endpoint);
    let required = inputs["required"].as_array().cloned().unwrap_or_default();
    for name in required.iter().filter_map(Value::as_str) {
        let property = &inputs["properties"][name];
        let value = match &property["examples"][0] {
            Value::Null if property["type"] == "integer" => "1".to_owned(),
            Value::Null => "…".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let plain = value
            .chars()
            .all(|letter| letter.is_alphanumeric() || "@.-_:/…".contains(letter));
        let quoted = if plain {
            value
        } else {
            format!("'{}'", value.replace('\'', r"'\''"))
        };
        let _ = write!(words, " {name}={quoted}");
    }
    words
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Done {
    let endpoint = find(app, &arguments.name)?;
    let config = settings(app)?;
    let base = base(&config, arguments.url.as_deref())?;
    let at = arguments.at.as_deref().map(address).transpose()?;
    let idempotency_key = idempotency_key(arguments.idempotency_key)?;
    let keys = keys(&config, arguments.key.as_deref())?;
    let call = prepare(endpoint, &base, &arguments.inputs)?;
    let target = at.map_or_else(|| call.url.clone(), |at| below(at, endpoint.path));
    // The calls are sent from a thread for blocking work, because the HTTP client blocks.
    let sending =
        tokio::task::spawn_blocking(move || send_all(&call, &target, &keys, &idempotency_key, arguments.repeat));
    sending
        .await
        .map_err(|error| format!("The call was interrupted: {error}."))?
}

fn find(app: &App, name: &str) -> Result<&'static Endpoint, String> {
    let mut problems = Vec::new();
    let endpoints = registry::select(&app.only, &mut problems);
    refused(&problems)?;
    endpoints
        .iter()
        .find(|endpoint| endpoint.name == name)
        .copied()
        .ok_or_else(|| {
            let names: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name).collect();
            match nearest(name, names.iter().copied()) {
                Some(near) => format!("There is no endpoint `{name}`; did you mean `{near}`?"),
                None => format!("There is no endpoint `{name}`; the endpoints are {}.", names.join(", ")),
            }
        })
}

/// The public URL that the call is signed for.
fn base(config: &Config, given: Option<&str>) -> Result<PublicUrl, String> {
    if let Some(url) = given {
        return PublicUrl::parse(url)
            .map_err(|why| format!("The public URL `{url}` {why}: `--url` takes scheme, host and base path, such as https://api.example.com/support."));
    }
    match config.settle_public_url().map_err(said)? {
        Some(url) => Ok(url),
        None => config.url_of_this_machine().map_err(said),
    }
}

/// The address to send the call to. Unlike a public URL, the address of another machine may begin with `http`, because
/// the machine may be in an internal network.
fn address(at: &str) -> Result<&str, String> {
    let is_one = at.parse().is_ok_and(|uri: http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && !at.contains(['?', '#'])
    });
    if is_one {
        Ok(at.trim_end_matches('/'))
    } else {
        Err(format!(
            "`{at}` is not an address to send to: give `--at` a scheme and a host, such as http://127.0.0.1:8080."
        ))
    }
}

/// The given idempotency key, or a new one.
fn idempotency_key(given: Option<String>) -> Result<String, String> {
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

fn keys(config: &Config, given: Option<&str>) -> Result<Keys, String> {
    if let Some(secret) = given {
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

fn prepare(endpoint: &Endpoint, base: &PublicUrl, inputs: &[String]) -> Result<Outgoing, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for input in inputs {
        let (name, value) = input
            .split_once('=')
            .ok_or_else(|| format!("`{input}` is not an input: write `name=value`."))?;
        pairs.push((name.to_owned(), value.to_owned()));
    }
    let url = base.published(endpoint.path);
    match endpoint.method {
        Method::Get => {
            for (index, (name, _)) in pairs.iter().enumerate() {
                if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                    return Err(given_twice(name));
                }
            }
            Ok(Outgoing::get(url, &pairs))
        }
        Method::Post => Ok(Outgoing::post(url, object(endpoint, pairs)?.to_string())),
    }
}

/// The JSON body. Each value gets the JSON type that its schema names. An input that is a list may be given several
/// times, once for each item.
fn object(endpoint: &Endpoint, pairs: Vec<(String, String)>) -> Result<Value, String> {
    let schema = inputs::of_inputs(endpoint);
    let mut object = Map::new();
    for (name, value) in pairs {
        let property = &schema["properties"][&name];
        if takes(property, "array") {
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            let items = match serde_json::from_str(&value) {
                Ok(Value::Array(items)) => items,
                _ => vec![json_of(&property["items"], value)],
            };
            if let Value::Array(list) = list {
                list.extend(items);
            }
        } else if object.contains_key(&name) {
            return Err(given_twice(&name));
        } else {
            object.insert(name, json_of(property, value));
        }
    }
    Ok(Value::Object(object))
}

fn given_twice(name: &str) -> String {
    format!("`{name}` is given twice, but it takes only one value: give `{name}` once.")
}

/// A string if the schema allows strings; otherwise the value is parsed as JSON.
fn json_of(schema: &Value, value: String) -> Value {
    let is_choice = schema["type"].is_null() && schema.get("oneOf").or(schema.get("enum")).is_some();
    if is_choice || takes(schema, "string") {
        return Value::String(value);
    }
    serde_json::from_str(&value).unwrap_or(Value::String(value))
}

/// Whether a schema lists this JSON type.
fn takes(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

fn send_all(call: &Outgoing, target: &str, keys: &Keys, idempotency_key: &str, repeat: u32) -> Done {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(90)))
        .build()
        .into();
    let mut done = true;
    print(&format!(
        "{} {target}\nX-Idempotency-Key: {idempotency_key}\n",
        call.method
    ))?;
    for _ in 0..repeat {
        done &= send(&agent, call, target, keys, idempotency_key)?;
    }
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says why there is no answer; if no connection was made, the message asks whether a server is running.
fn unanswered(target: &str, error: &ureq::Error) -> String {
    use std::io::ErrorKind;

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
    let question = if unreached { " Is the server running there?" } else { "" };
    format!("{target} did not answer: {error}.{question}")
}

/// Sends the call once and prints the answer. Returns `true` if the status is 2xx.
fn send(
    agent: &ureq::Agent,
    call: &Outgoing,
    target: &str,
    keys: &Keys,
    idempotency_key: &str,
) -> Result<bool, String> {
    let timestamp = SystemClock::new().unix_seconds();
    let signature = call.sign(keys, idempotency_key, timestamp);
    let sent = match call.method {
        Method::Get => {
            let request = agent.get(call.target(target));
            request
                .header("X-Idempotency-Key", idempotency_key)
                .header("X-Timestamp", timestamp.to_string())
                .header("X-Signature", &signature)
                .call()
        }
        Method::Post => {
            let request = agent.post(target).header("Content-Type", "application/json");
            request
                .header("X-Idempotency-Key", idempotency_key)
                .header("X-Timestamp", timestamp.to_string())
                .header("X-Signature", &signature)
                .send(&call.body)
        }
    };
    let mut answer = sent.map_err(|error| unanswered(target, &error))?;
    let mut text = format!("\n{}\n", answer.status());
    for name in ["content-type", "idempotent-replayed", "retry-after"] {
        if let Some(value) = answer.headers().get(name).and_then(|value| value.to_str().ok()) {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    let body = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| format!("The answer ended before it was complete: {error}."))?;
    let pretty = serde_json::from_str::<Value>(&body)
        .and_then(|json| serde_json::to_string_pretty(&json))
        .unwrap_or(body);
    let _ = write!(text, "\n{pretty}\n");
    print(&text)?;
    Ok(answer.status().is_success())
}
