//! `operations show`: shows everything that is known about one operation, and how to settle it.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::app::cli::{Done, print, program};
use crate::app::desk::{Desk, Found, utc};

#[derive(Debug, Args)]
pub(in crate::app::cli) struct Arguments {
    /// The operation's id, or its first digits if no other id begins with them.
    operation: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments) -> Done {
    let found = desk
        .find(&arguments.operation)
        .await
        .map_err(|error| error.to_string())?;
    if !arguments.json {
        return print(&text(&found, desk.operations.settings().ttl));
    }
    let unwritable = |error| format!("The operation cannot be written as JSON: {error}.");
    let mut told = serde_json::to_value(found.told()).map_err(unwritable)?;
    if let Some(answer) = found.answer() {
        // The body as JSON, or as a string if it is not JSON.
        let body = serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body));
        told["answer"] = json!({ "status": answer.status, "content_type": answer.content_type, "body": body });
    }
    print(&format!(
        "{}\n",
        serde_json::to_string_pretty(&told).map_err(unwritable)?
    ))
}

fn text(found: &Found, ttl: Duration) -> String {
    let record = found.record();
    let (times, origin) = (found.times, &record.origin);
    let endpoint = match found.endpoint {
        Some(endpoint) => format!("{} ({})", endpoint.name, endpoint.effect.in_words()),
        None if origin.endpoint().is_empty() => "not recorded".to_owned(),
        None => format!("{}, which this program does not have", origin.endpoint()),
    };
    let mut rows = vec![
        ("operation", found.id.to_string()),
        ("endpoint", endpoint),
        ("tenant", origin.tenant().to_owned()),
        ("idempotency key", origin.idempotency_key().to_owned()),
        ("outcome", outcome(found)),
        ("attempt", record.epoch.to_string()),
        ("first seen", utc(times.first_seen)),
        ("last written", utc(times.written)),
        (
            "kept until",
            utc(times.first_seen.checked_add(ttl).unwrap_or(times.first_seen)),
        ),
    ];
    if let Some(settlement) = &record.settlement {
        rows.push(("settled", format!("by {} at {}", settlement.by, utc(settlement.at))));
    }
    let answer = found.answer();
    if let Some(answer) = &answer {
        rows.push(("answer", format!("{} {}", answer.status, answer.content_type)));
    }
    let mut text = rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:15}  {value}");
        text
    });
    if let Some(answer) = answer {
        let _ = writeln!(text, "\n{}", answer.body);
    }
    if found.to_settle.is_ok() {
        text += &what_to_do(found);
    }
    text
}

fn outcome(found: &Found) -> String {
    let word = found.outcome();
    match found.to_settle {
        Ok(()) => format!("{word}: the operation may have taken effect, and only a person can find out"),
        Err(reason) => format!("{word}: {reason}"),
    }
}

fn what_to_do(found: &Found) -> String {
    let (program, operation) = (program(), found.id.abbreviated());
    format!(
        "\nCheck in the system that the endpoint changes whether the operation was done; that system may know the idempotency key. Then settle the operation:\n\n    \
         {program} operations settle {operation} --done ANSWER.json\n        the operation was done: retries get the answer in that file\n    \
         {program} operations settle {operation} --not-done\n        the operation was not done: a retry runs it again\n"
    )
}
