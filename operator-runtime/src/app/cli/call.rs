//! `call`: calls an endpoint as the agent does, and shows the answer.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::caller::{self, Inputs};
use super::{Done, print, refused, settings};
use crate::app::{App, Config, registry, trusted};
use crate::clock::{Clock, SystemClock, milliseconds};
use crate::endpoint::Endpoint;
use crate::manifest::inputs;
use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::public_url::{PublicUrl, below};
use crate::protocol::signature::Keys;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The endpoint's name.
    name: String,
    /// The inputs, such as `email=ana@example.com`; write a value that is not a string as JSON:
    /// `filter={"status":"…"}`.
    #[arg(value_name = "INPUT=VALUE")]
    inputs: Vec<String>,
    #[command(flatten)]
    sending: Sending,
}

/// How often and where to send a request.
#[derive(Debug, Args)]
pub(super) struct Sending {
    #[command(flatten)]
    options: caller::Options,
    /// The operation's idempotency key [default: a new random key].
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// How many times to send the request, with the same idempotency key.
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
    let inputs = Inputs::typed(endpoint.method, &inputs::of_inputs(endpoint), &arguments.inputs)?;
    arguments.sending.send(&config, endpoint.path, &inputs).await
}

impl Sending {
    /// Sends the inputs to the path, and prints the answers.
    pub(super) async fn send(self, config: &Config, path: &str, inputs: &Inputs) -> Done {
        let base = self.options.base(config)?;
        let at = self.options.address()?;
        let idempotency_key = caller::idempotency_key(self.idempotency_key)?;
        let keys = self.options.keys(config)?;
        let call = inputs.outgoing(&base.published(path));
        let target = at.map_or_else(|| call.url.clone(), |at| below(at, path));
        // The calls are sent from a thread for blocking work, because the HTTP client blocks.
        let sending =
            tokio::task::spawn_blocking(move || send_all(&call, &target, &keys, &idempotency_key, self.repeat));
        sending
            .await
            .map_err(|error| format!("The call was interrupted: {error}."))?
    }
}

fn find(app: &App, name: &str) -> Result<&'static Endpoint, String> {
    let mut problems = Vec::new();
    let endpoints = registry::select(&app.only, &mut problems);
    refused(&problems)?;
    let found = endpoints.iter().find(|endpoint| endpoint.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name).collect();
        caller::unknown_endpoint(name, &names)
    })
}

fn send_all(call: &Outgoing, target: &str, keys: &Keys, idempotency_key: &str, repeat: u32) -> Done {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(caller::PATIENCE))
        .tls_config(trusted::by_this_system())
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

/// Sends the call once and prints the answer. Returns `true` if the status is 2xx.
fn send(
    agent: &ureq::Agent,
    call: &Outgoing,
    target: &str,
    keys: &Keys,
    idempotency_key: &str,
) -> Result<bool, String> {
    let clock = SystemClock::new();
    let (timestamp, started) = (clock.unix_seconds(), clock.monotonic());
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
    let mut answer = sent.map_err(|error| caller::unanswered(target, &error))?;
    let body = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| format!("The answer ended before it was complete: {error}."))?;
    let took = milliseconds(clock.monotonic().saturating_sub(started));
    let mut text = format!("\n{} after {took} ms\n", answer.status());
    for name in ["content-type", "idempotent-replayed", "retry-after"] {
        if let Some(value) = answer.headers().get(name).and_then(|value| value.to_str().ok()) {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    let is_json = serde_json::from_str::<Value>(&body).is_ok();
    let shown = if is_json { caller::indented(&body) } else { body };
    let _ = write!(text, "\n{shown}\n");
    print(&text)?;
    Ok(answer.status().is_success())
}
