//! A call as the audit describes it. Nothing here is done unless the audit is on.

use std::sync::Arc;

use serde_json::Value;

use super::operation::Operation;
use super::prepared::PreparedEndpoint;
use crate::endpoint::Endpoint;
use crate::idempotency::auditing::{AuditDraft, Ending};
use crate::input::audited::{self, InputSecrets, left_out};
use crate::problem::Outcome;
use crate::protocol::caller::Caller;
use crate::protocol::request::Content;
use crate::protocol::trace_parent::TraceParent;
use crate::record::AuditRow;
use crate::record::operation::{OperationId, Origin};
use crate::schema::secrets::{HIDDEN, Secrets};

/// How many bytes the inputs of a call may take in the audit. Longer inputs are left out: they would be read again while a
/// transaction is open, and anybody who may call could fill the disk with refused calls.
const LONGEST: usize = 64 * 1024;

/// What is secret in the calls of an endpoint.
#[derive(Debug)]
pub(crate) struct AuditedEndpoint {
    /// `None` if the calls are events, which have no inputs. The audit then shows the whole event.
    inputs: Option<InputSecrets>,
    output: Option<Secrets>,
}

impl AuditedEndpoint {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self {
            inputs: Some(InputSecrets::of(endpoint.inputs)),
            output: Secrets::of((endpoint.output)().to_value()),
        }
    }

    pub(crate) fn of_events(handler: &Endpoint) -> Self {
        Self {
            inputs: None,
            output: Secrets::of((handler.output)().to_value()),
        }
    }

    /// The answer without its secret parts.
    pub(crate) fn answer(&self, outcome: Outcome, body: &[u8]) -> Option<String> {
        match outcome {
            Outcome::Done => shown(body, self.output.as_ref()),
            // This sentence quotes no secret input: the macro refuses a sum of one.
            Outcome::OverLimit => shown(body, None),
            _ => match &self.inputs {
                Some(secrets) if !secrets.is_empty() => Some(without_values(body, secrets).unwrap_or_else(hidden)),
                _ => shown(body, None),
            },
        }
    }
}

/// An answer without its secret parts. An answer that cannot be read is hidden.
pub(crate) fn shown(body: &[u8], secrets: Option<&Secrets>) -> Option<String> {
    let text = str::from_utf8(body).ok();
    match secrets {
        None => text.map(str::to_owned),
        Some(secrets) => {
            let text = text.and_then(|text| audited::value(text, Some(secrets)));
            Some(text.unwrap_or_else(hidden))
        }
    }
}

/// What stands in the place of a whole value.
pub(crate) fn hidden() -> String {
    Value::from(HIDDEN).to_string()
}

/// A problem without its sentences, because they may quote a secret input.
fn without_values(problem: &[u8], secrets: &InputSecrets) -> Option<String> {
    let mut problem: Value = serde_json::from_slice(problem).ok()?;
    let errors = problem.get_mut("errors").and_then(Value::as_array_mut);
    for error in errors.into_iter().flatten() {
        error.get_mut("detail").map(hide);
        if let Some(place) = error.get_mut("input") {
            let shown = place.as_str().map(|place| secrets.shown_place(place).to_owned());
            *place = shown.into();
        }
    }
    problem.get_mut("detail").map(hide);
    Some(problem.to_string())
}

fn hide(detail: &mut Value) {
    *detail = HIDDEN.into();
}

/// A claimed call, from which the rows of its operation are made.
#[derive(Debug)]
pub(super) struct AuditedCall {
    endpoint: Arc<PreparedEndpoint>,
    operation: OperationId,
    origin: Origin,
    caller: Caller,
    content: Content,
    /// The caller's trace, if the caller sent one.
    trace: Option<TraceParent>,
}

impl AuditedCall {
    pub(super) fn new(
        endpoint: &Arc<PreparedEndpoint>,
        operation: &Operation,
        caller: &Caller,
        content: &Content,
        trace: Option<TraceParent>,
    ) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            operation: operation.id,
            origin: operation.first.origin.clone(),
            caller: caller.clone(),
            content: content.clone(),
            trace,
        }
    }

    fn inputs(&self, secrets: &AuditedEndpoint) -> Option<String> {
        match (&secrets.inputs, &self.content) {
            (Some(secrets), content) => audited::inputs(&self.endpoint.arguments.inputs, secrets, content, LONGEST),
            (None, Content::Body(event)) => {
                let event = str::from_utf8(event).ok()?.trim();
                let is_long = |text: &str| text.len() > LONGEST;
                if is_long(event) {
                    return Some(left_out(event.len()));
                }
                let text = audited::value(event, None)?;
                Some(if is_long(&text) { left_out(text.len()) } else { text })
            }
            (None, Content::Parameters(_)) => None,
        }
    }
}

impl AuditDraft for AuditedCall {
    fn row(&self, ending: &Ending<'_>, attempts: u32) -> AuditRow {
        let mut row = AuditRow::new(self.operation, self.origin.clone(), ending.outcome.word());
        row.key_id = Some(self.caller.name().id().to_owned());
        row.scheme = Some(self.caller.scheme().word().into());
        row.trace_id = self.trace.map(|trace| trace.trace_id_digits().to_string());
        row.status = Some(ending.status);
        row.attempts = attempts;
        if let Some(secrets) = &self.endpoint.audited {
            row.inputs = self.inputs(secrets);
            row.answer = ending.answer.and_then(|body| secrets.answer(ending.outcome, body));
        }
        row
    }
}
