//! What a person found out about an operation whose outcome is unknown, checked and recorded.

use std::fmt::Display;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::StatusCode;
use jsonschema::json::SerdeJson;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::{Desk, Found};
use crate::clock::{Clock as _, SystemClock};
use crate::idempotency::machine::{Finding, NothingToSettle};
use crate::idempotency::settling::{NotSettled, Settled};
use crate::input::compile;
use crate::pipeline::audited;
use crate::schema::secrets::Secrets;
use crate::store::{Response, Settlement};

/// The largest number of mistakes in a value that a message names.
const MISTAKES: usize = 20;

/// What a person says about an operation.
#[derive(Clone, Copy)]
pub(in crate::app) enum Said<'s> {
    /// It was done: retries get this answer. `place` says in messages where the answer is.
    Done { place: &'s str, answer: &'s str },
    /// It was not done: a retry runs it again.
    NotDone,
}

impl Said<'_> {
    /// What follows for retries, as the end of a sentence.
    fn consequence(self) -> &'static str {
        match self {
            Self::Done { .. } => "it was done, and retries get that answer",
            Self::NotDone => "it was not done, and a retry runs it again",
        }
    }
}

impl Desk {
    /// Records what the person `by` says about an operation. Returns a sentence that says so.
    ///
    /// # Errors
    /// A sentence, if there is nothing to settle, the answer does not fit the endpoint, or the store cannot write.
    pub(in crate::app) async fn settle(&self, found: Found, said: Said<'_>, by: &str) -> Result<String, String> {
        found.check_settleable(said)?;
        let operation = found.id.abbreviated();
        let finding = match said {
            Said::Done { place, answer } => Finding::Done(response(
                &found,
                place,
                answer,
                self.operations.settings().response_limit,
            )?),
            Said::NotDone => Finding::NotDone,
        };
        let now = UNIX_EPOCH + SystemClock::new().since_unix_epoch();
        let settlement = Arc::new(Settlement::new(by.to_owned(), now));
        let shown = match &finding {
            Finding::Done(response) => shown(&found, response),
            Finding::NotDone => None,
        };
        let effect = found.effect();
        let settling = self
            .operations
            .settle(found.into_listed(), effect, &finding, &settlement, shown);
        let consequence = said.consequence();
        match settling.await {
            Ok(Settled::Now) => Ok(format!("Operation {operation} is settled by {by}: {consequence}.")),
            Ok(Settled::Before(before)) => Ok(format!(
                "Operation {operation} was already settled by {}: {consequence}. Its part of the limits is free.",
                before.by
            )),
            Err(NotSettled::NotGivenBack(error)) => Err(format!(
                "Operation {operation} is settled: {consequence}. But its part of the limits is not free yet ({error}): settle it as not done again to free it."
            )),
            Err(error) => Err(refused(&operation, &error)),
        }
    }
}

impl Found {
    /// # Errors
    /// A sentence, if nobody has to settle the operation. What was not done can be settled as not done again, to free its
    /// part of the limits.
    fn check_settleable(&self, said: Said<'_>) -> Result<(), String> {
        match (&self.to_settle, said) {
            (Ok(()), _) | (Err(NothingToSettle::SettledAsNotDone), Said::NotDone) => Ok(()),
            (Err(reason), _) => Err(refused(&self.id.abbreviated(), reason)),
        }
    }
}

fn refused(operation: &str, reason: &dyn Display) -> String {
    format!("Operation {operation} cannot be settled: {reason}.")
}

/// The answer as the audit shows it.
fn shown(found: &Found, answer: &Response) -> Option<String> {
    let schema = found.endpoint.map(|endpoint| (endpoint.output)().to_value());
    audited::shown(&answer.body, schema.and_then(Secrets::of).as_ref())
}

/// The answer as a response. Returns an error if the answer is not JSON that fits the endpoint's output schema.
fn response(found: &Found, place: &str, answer: &str, limit: usize) -> Result<Response, String> {
    let name = found.record().origin.endpoint();
    let Some(endpoint) = found.endpoint else {
        return Err(format!(
            "The endpoint `{name}` is not in this program, so the answer cannot be checked: settle the operation with the program that has the endpoint."
        ));
    };
    let text = answer.trim();
    let value: Value = serde_json::from_str(text).map_err(|error| format!("{place} is not JSON: {error}."))?;
    let schema = (endpoint.output)().to_value();
    let validator = compile::<SerdeJson>(&schema)
        .map_err(|error| format!("The answers of `{name}` cannot be checked: {error}."))?;
    let mistakes = mistakes(&validator, &value);
    if !mistakes.is_empty() {
        return Err(format!("{place} does not fit the output schema of `{name}`:{mistakes}"));
    }
    if text.len() > limit {
        return Err(format!(
            "{place} has {} bytes, but only answers of up to {limit} bytes are stored: shorten the answer, or raise `response_limit`.",
            text.len()
        ));
    }
    Ok(Response::new(
        StatusCode::OK,
        "application/json",
        text.to_owned().into(),
    ))
}

/// The mistakes in a value by its schema, each on a new line. Empty if there are none.
pub(in crate::app) fn mistakes(validator: &Validator<SerdeJson>, value: &Value) -> String {
    let line = |error: ValidationError<'_>| match error.instance_path().as_str() {
        "" => format!("\n  - {error}"),
        place => format!("\n  - {}: {error}", place.trim_start_matches('/')),
    };
    validator.iter_errors(value).take(MISTAKES).map(line).collect()
}
