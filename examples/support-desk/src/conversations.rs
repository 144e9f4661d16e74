//! The handlers of the agent's events: what the agent knows when a conversation begins, and the note when it has ended.

use operator_runtime::events::{Context, ConversationEnded, ConversationSetup, Customer, Event};
use operator_runtime::rusqlite::OptionalExtension as _;
use operator_runtime::{Error, Reader, Sqlite, Tx, operator_event};

use crate::orders::{Order, open_orders};

/// Greets a known caller by name, and tells the agent which orders of the caller are open.
#[operator_event("conversation.setup")]
async fn greet(reader: &Reader<Sqlite>, setup: ConversationSetup) -> Result<Context, Error> {
    let Some(phone) = setup.channel.caller_no else {
        return Ok(Context::new());
    };
    let number = phone.clone();
    let found = reader
        .read(move |connection| {
            let customer: Option<(String, String)> = connection
                .query_row("SELECT email, name FROM contacts WHERE phone = ?1", (&number,), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            customer
                .map(|(email, name)| Ok((open_orders(connection, &email)?, email, name)))
                .transpose()
        })
        .await?;
    match found {
        None => Ok(Context::new()),
        Some((orders, email, name)) => context(&orders, email, name, phone),
    }
}

fn context(orders: &[Order], email: String, name: String, phone: String) -> Result<Context, Error> {
    let customer = Customer {
        name: Some(name),
        phone_no: Some(phone),
        email: Some(email),
        ..Customer::default()
    };
    Context::new().customer(customer).value("open_orders", orders)
}

/// Files a note about how the conversation ended.
#[operator_event("conversation.ended")]
async fn file_note(tx: &mut Tx<Sqlite>, event: &Event, ended: ConversationEnded) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO notes (conversation_id, status) VALUES (?1, ?2)",
        (&event.conversation_id, ended.status.as_str()),
    )?;
    Ok(())
}
