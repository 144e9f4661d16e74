//! The shop's tables and their first rows. They are in the SQLite file in which the runtime also records each call.

use operator_runtime::rusqlite::{Connection, Result};

/// Creates the tables and inserts the first rows, if they are missing.
pub(crate) fn set_up(connection: &Connection) -> Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS customers (email TEXT PRIMARY KEY) STRICT;
         CREATE TABLE IF NOT EXISTS contacts (
             phone TEXT PRIMARY KEY,
             email TEXT NOT NULL REFERENCES customers (email),
             name TEXT NOT NULL
         ) STRICT;
         CREATE TABLE IF NOT EXISTS orders (
             order_id INTEGER PRIMARY KEY,
             email TEXT NOT NULL REFERENCES customers (email),
             placed_at TEXT NOT NULL,
             status TEXT NOT NULL,
             total_cents INTEGER NOT NULL
         ) STRICT;
         CREATE INDEX IF NOT EXISTS orders_by_customer ON orders (email, placed_at);
         CREATE TABLE IF NOT EXISTS refunds (
             refund_id INTEGER PRIMARY KEY,
             order_id INTEGER NOT NULL REFERENCES orders (order_id),
             amount_cents INTEGER NOT NULL,
             reason TEXT
         ) STRICT;
         CREATE INDEX IF NOT EXISTS refunds_by_order ON refunds (order_id);
         CREATE TABLE IF NOT EXISTS tickets (
             ticket_id INTEGER PRIMARY KEY,
             email TEXT NOT NULL,
             subject TEXT NOT NULL,
             body TEXT NOT NULL,
             priority TEXT NOT NULL,
             tags TEXT NOT NULL
         ) STRICT;
         CREATE TABLE IF NOT EXISTS notes (
             note_id INTEGER PRIMARY KEY,
             conversation_id TEXT,
             status TEXT NOT NULL
         ) STRICT;",
    )?;
    seed(connection)
}

fn seed(connection: &Connection) -> Result<()> {
    let orders = [
        (
            1001,
            "ana@example.com",
            "2026-10-02T08:15:00Z",
            "Delivered on 6 October",
            4_990,
        ),
        (
            1002,
            "ana@example.com",
            "2026-10-19T17:40:00Z",
            "Delivered on 23 October",
            12_900,
        ),
        (
            1003,
            "ana@example.com",
            "2026-11-05T11:05:00Z",
            "Returned, and refunded on arrival",
            2_450,
        ),
        (
            1004,
            "ana@example.com",
            "2026-11-17T20:30:00Z",
            "Left the warehouse, arriving on Thursday",
            10_400,
        ),
        (
            1005,
            "ana@example.com",
            "2026-11-22T09:10:00Z",
            "Paid, being packed",
            3_195,
        ),
        (
            1006,
            "ben@example.com",
            "2026-09-28T13:00:00Z",
            "Delivered on 2 October",
            15_000,
        ),
        (
            1007,
            "ben@example.com",
            "2026-11-12T07:55:00Z",
            "Waiting for the supplier, expected on 30 November",
            64_900,
        ),
        (
            1008,
            "ben@example.com",
            "2026-11-23T18:25:00Z",
            "Waiting for payment",
            1_999,
        ),
        (
            1009,
            "josé@example.com",
            "2026-11-20T10:00:00Z",
            "Being built to order, ready in January",
            10_000_000,
        ),
    ];
    for (order_id, email, placed_at, status, total_cents) in orders {
        connection.execute("INSERT OR IGNORE INTO customers (email) VALUES (?1)", (email,))?;
        connection.execute(
            "INSERT OR IGNORE INTO orders (order_id, email, placed_at, status, total_cents) VALUES (?1, ?2, ?3, ?4, ?5)",
            (order_id, email, placed_at, status, total_cents),
        )?;
    }
    let contacts = [
        ("+493012345678", "ana@example.com", "Ana"),
        ("+493012345679", "ben@example.com", "Ben"),
        ("+34910123456", "josé@example.com", "José"),
    ];
    for contact in contacts {
        connection.execute(
            "INSERT OR IGNORE INTO contacts (phone, email, name) VALUES (?1, ?2, ?3)",
            contact,
        )?;
    }
    Ok(())
}

/// Formats an amount in cents as text for a customer.
pub(crate) fn in_euros(cents: i64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}
