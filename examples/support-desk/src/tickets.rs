//! Handing a customer's problem to a person.

use operator_runtime::{Error, SearchParam, Sqlite, Tx, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How soon a person should look at it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, SearchParam)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    /// Within a week.
    Low,
    /// Within two working days.
    Normal,
    /// Today.
    Urgent,
}

/// A ticket that was opened.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ticket {
    /// The ticket's number, to give to the customer.
    ticket_id: i64,
    /// What to tell the customer.
    message: String,
}

/// Opens a ticket for a person of the support team.
///
/// Use it when the customer needs something that no other endpoint does.
#[operator_api(POST, "/tickets")]
async fn open_ticket(
    tx: &mut Tx<Sqlite>,
    /// The e-mail address that the answer goes to.
    #[operator(format = "email", example = "ana@example.com")]
    email: String,
    /// What it is about, in a few words.
    #[operator(min_length = 1, max_length = 120, example = "Wrong colour delivered")]
    subject: String,
    /// What the customer said, whole.
    #[operator(example = "The teapot is green, and I ordered a blue one.")]
    body: String,
    /// How soon a person should look at it.
    #[operator(default = Priority::Normal)]
    priority: Priority,
    /// Words to find it by.
    #[operator(default, max_items = 5)]
    tags: Vec<String>,
) -> Result<Ticket, Error> {
    let when = match priority {
        Priority::Low => "within a week",
        Priority::Normal => "within two working days",
        Priority::Urgent => "today",
    };
    let (priority, tags) = (serde_json::to_string(&priority)?, serde_json::to_string(&tags)?);
    tx.execute(
        "INSERT INTO tickets (email, subject, body, priority, tags) VALUES (?1, ?2, ?3, ?4, ?5)",
        (&email, &subject, &body, priority.trim_matches('"'), tags),
    )?;
    let ticket_id = tx.last_insert_rowid();
    Ok(Ticket {
        ticket_id,
        message: format!("Ticket {ticket_id} is open; a person answers to {email} {when}."),
    })
}
