//! `operations settle`: records what a person found out about an operation whose outcome is unknown.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use clap::Args;
use http::StatusCode;
use jsonschema::json::SerdeJson;
use serde_json::Value;

use super::Desk;
use super::found::Found;
use crate::app::cli::{Done, mistakes, print};
use crate::clock::{Clock as _, SystemClock};
use crate::idempotency::machine::Finding;
use crate::input::compile;
use crate::store::{Response, Settlement};

#[derive(Debug, Args)]
pub(in crate::app::cli) struct Arguments {
    /// The operation's id, or its first digits if no other id begins with them.
    operation: String,
    #[command(flatten)]
    finding: Said,
    /// Your name, which is stored with the operation [default: your login name].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Said {
    /// The operation was done: retries get the answer in this file, which contains the endpoint's answer as JSON.
    #[arg(long, value_name = "FILE")]
    done: Option<PathBuf>,
    /// The operation was not done: a retry runs it again.
    #[arg(long)]
    not_done: bool,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Done {
    let by = arguments
        .by
        .or_else(logged_in)
        .ok_or("Your login name is unknown (USER and LOGNAME are not set): give your name with `--by NAME`; it is stored with the operation.")?;
    let found = desk.find(&arguments.operation).await?;
    let operation = found.id.abbreviated();
    let refused = |reason: &dyn std::fmt::Display| format!("Operation {operation} cannot be settled: {reason}.");
    found.to_settle.as_ref().map_err(|reason| refused(reason))?;
    let (finding, consequence) = match &arguments.finding.done {
        Some(path) => {
            let response = answer(&found, path, desk.operations.settings().response_limit)?;
            (Finding::Done(response), "it was done, and retries get that answer")
        }
        None => (Finding::NotDone, "it was not done, and a retry runs it again"),
    };
    let now = UNIX_EPOCH + SystemClock::new().since_unix_epoch();
    let settlement = Arc::new(Settlement::new(by.clone(), now));
    let effect = found.effect();
    let settling = desk
        .operations
        .settle(found.into_listed(), effect, &finding, &settlement);
    settling.await.map_err(|error| refused(&error))?;
    print(&format!("Operation {operation} is settled by {by}: {consequence}.\n"))
}

fn logged_in() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    variable("USER").or_else(|| variable("LOGNAME"))
}

/// The file's JSON as a response. Returns an error if the JSON does not fit the endpoint's output schema.
fn answer(found: &Found, path: &Path, limit: usize) -> Result<Response, String> {
    let shown = path.display();
    let name = found.record().origin.endpoint();
    let Some(endpoint) = found.endpoint else {
        return Err(format!(
            "The endpoint `{name}` is not in this program, so the answer cannot be checked: settle the operation with the program that has the endpoint."
        ));
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}."))?;
    let text = text.trim();
    let value: Value = serde_json::from_str(text).map_err(|error| format!("{shown} is not JSON: {error}."))?;
    let schema = (endpoint.output)().to_value();
    let validator = compile::<SerdeJson>(&schema)
        .map_err(|error| format!("The answers of `{name}` cannot be checked: {error}."))?;
    let mistakes = mistakes(&validator, &value);
    if !mistakes.is_empty() {
        return Err(format!("{shown} does not fit the output schema of `{name}`:{mistakes}"));
    }
    if text.len() > limit {
        return Err(format!(
            "{shown} has {} bytes, but only answers of up to {limit} bytes are stored: shorten the answer, or raise `response_limit`.",
            text.len()
        ));
    }
    Ok(Response::new(
        StatusCode::OK,
        "application/json",
        text.to_owned().into(),
    ))
}
