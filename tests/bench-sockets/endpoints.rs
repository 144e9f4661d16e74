//! The endpoints that are measured: an order of about 190 bytes, and a text of any length.

use operator_runtime::operator_api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Order {
    pub(crate) order_id: u64,
    pub(crate) amount_cents: u32,
    pub(crate) email: String,
    pub(crate) reason: String,
}

/// A query, and the answer to it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Search {
    pub(crate) email: String,
    pub(crate) status: String,
    pub(crate) limit: u32,
    pub(crate) after: u64,
    pub(crate) exact: bool,
}

#[derive(Deserialize)]
pub(crate) struct Text {
    pub(crate) text: String,
}

/// Echoes an order and keeps a record.
#[operator_api(POST, "/order", effect = rerunnable)]
pub(crate) async fn order(
    /// The number on the receipt.
    order_id: u64,
    /// In cents.
    amount_cents: u32,
    /// The customer's address.
    email: String,
    /// In one sentence.
    reason: String,
) -> Order {
    Order {
        order_id,
        amount_cents,
        email,
        reason,
    }
}

/// Echoes an order and keeps nothing.
#[operator_api(POST, "/read", read_only)]
pub(crate) async fn read(
    /// The number on the receipt.
    order_id: u64,
    /// In cents.
    amount_cents: u32,
    /// The customer's address.
    email: String,
    /// In one sentence.
    reason: String,
) -> Order {
    order(order_id, amount_cents, email, reason).await
}

/// Echoes five parameters.
#[operator_api(GET, "/search")]
pub(crate) async fn search(
    /// The customer's address.
    email: String,
    /// What it waits for.
    status: String,
    /// How many.
    limit: u32,
    /// From which order on.
    after: u64,
    /// Whether to match whole words.
    exact: bool,
) -> Search {
    Search {
        email,
        status,
        limit,
        after,
        exact,
    }
}

/// Returns the length of a text.
#[operator_api(POST, "/text", effect = rerunnable)]
pub(crate) async fn text(
    /// Any text.
    text: String,
) -> usize {
    text.len()
}
