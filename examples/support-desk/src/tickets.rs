//! The endpoint that hands a customer's problem over to a person.

use operator_runtime::{Error, SearchParam, Sqlite, Tx, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How soon a person should look at the ticket.
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
    /// A sentence to tell the customer.
    message: String,
}

/// Opens a ticket, which a person of the support team will answer.
///
/// Use it when the customer needs something that no other endpoint can do.
#[operator_api(POST, "/tickets")]
async fn open_ticket(
    tx: &mut Tx<Sqlite>,
    /// The e-mail address that the answer goes to.
    #[operator(format = "email", example = "ana@example.com")]
    email: String,
    /// What the ticket is about, in a few words.
    #[operator(min_length = 1, max_length = 120, example = "Wrong colour delivered")]
    subject: String,
    /// Everything that the customer said about the problem.
    #[operator(example = "The teapot is green, and I ordered a blue one.")]
    body: String,
    /// How soon a person should look at the ticket.
    #[operator(default = Priority::Normal)]
    priority: Priority,
    /// Words by which the ticket can be found later.
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
        message: format!("Ticket {ticket_id} is open; a person will write to {email} {when}."),
    })
}
