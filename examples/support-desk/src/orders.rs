//! The endpoints that look up orders.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use operator_runtime::rusqlite::{Connection, Result as SqlResult, Row, params};
use operator_runtime::{Error, Reader, Sqlite, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::database::in_euros;

/// Orders, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Orders {
    /// The orders, newest first.
    orders: Vec<Order>,
}

/// One order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Order {
    /// The order's number, as printed on the receipt.
    order_id: i64,
    /// When the order was placed, in UTC, such as 2026-11-17T20:30:00Z.
    placed_at: String,
    /// The state of the order, as a phrase that can be repeated to the customer.
    status: String,
    /// The total of the order with the currency, such as 89.00 EUR.
    total: String,
}

/// Lists a customer's latest orders, newest first, with the state of each order.
///
/// Use it when a customer asks where an order is.
#[operator_api(GET, "/orders/recent")]
async fn recent_orders(
    reader: &Reader<Sqlite>,
    /// The e-mail address with which the customer orders.
    #[operator(format = "email", example = "ana@example.com")]
    email: String,
    /// How many orders to return.
    #[operator(default = 5, min = 1, max = 20)]
    limit: u8,
) -> Result<Orders, Error> {
    let customer = email.clone();
    let orders = reader
        .read(move |connection| {
            let known: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM customers WHERE email = ?1)",
                (&customer,),
                |row| row.get(0),
            )?;
            if !known {
                return Ok(None);
            }
            let found = Filter::default().orders(connection, Some(&customer), limit)?;
            Ok(Some(found))
        })
        .await?;
    match orders {
        Some(orders) => Ok(Orders { orders }),
        None => Err(Error::not_found(format!(
            "There is no customer with the e-mail address {email}. Ask for the address on the receipt."
        ))),
    }
}

/// The customer's orders that are neither delivered nor returned, newest first.
pub(crate) fn open_orders(connection: &Connection, email: &str) -> SqlResult<Vec<Order>> {
    let mut statement = connection.prepare_cached(
        "SELECT order_id, placed_at, status, total_cents FROM orders
         WHERE email = ?1 AND status NOT LIKE 'Delivered%' AND status NOT LIKE 'Returned%'
         ORDER BY placed_at DESC, order_id DESC LIMIT 20",
    )?;
    let rows = statement.query_map((email,), Order::from_row)?;
    rows.collect()
}

/// Which orders to find: every condition that is given must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Words that the order's status contains, such as "Waiting for payment".
    #[schemars(length(min = 1, max = 120))]
    status: Option<String>,
    /// Only orders placed at this time or later; a time with a time zone, such as 2026-11-01T00:00:00Z.
    placed_after: Option<Timestamp>,
    /// Only orders placed before this time; a time with a time zone, such as 2026-12-01T00:00:00Z.
    placed_before: Option<Timestamp>,
    /// Only orders of at least this total, in cents.
    min_total_cents: Option<u32>,
}

/// Finds orders of any customer by status, time and total, newest first.
///
/// Use it when nobody knows the customer's e-mail address, or to find the orders that a delay affects.
#[operator_api(POST, "/orders/find", read_only)]
async fn find_orders(
    reader: &Reader<Sqlite>,
    /// Which orders to find; leave out the conditions that do not matter.
    #[operator(example = serde_json::json!({ "status": "Waiting for payment" }))]
    filter: Filter,
    /// How many orders to return.
    #[operator(default = 5, min = 1, max = 20)]
    limit: u8,
) -> Result<Orders, Error> {
    let orders = reader
        .read(move |connection| filter.orders(connection, None, limit))
        .await?;
    Ok(Orders { orders })
}

impl Filter {
    fn orders(&self, connection: &Connection, email: Option<&str>, limit: u8) -> SqlResult<Vec<Order>> {
        let mut statement = connection.prepare_cached(
            "SELECT order_id, placed_at, status, total_cents FROM orders
             WHERE (?1 IS NULL OR email = ?1)
               AND (?2 IS NULL OR instr(lower(status), lower(?2)) > 0)
               AND (?3 IS NULL OR placed_at >= ?3)
               AND (?4 IS NULL OR placed_at < ?4)
               AND (?5 IS NULL OR total_cents >= ?5)
             ORDER BY placed_at DESC, order_id DESC LIMIT ?6",
        )?;
        let rows = statement.query_map(
            params![
                email,
                self.status,
                self.placed_after.map(as_stored),
                self.placed_before.map(as_stored),
                self.min_total_cents,
                limit
            ],
            Order::from_row,
        )?;
        rows.collect()
    }
}

/// Formats a time like the column `placed_at`: in UTC and in whole seconds. Comparing two such texts then compares the
/// times. Rounding up does not change the result of a search: orders are placed at whole seconds, so an order is before
/// a time between two seconds exactly if it is before the later second.
fn as_stored(time: Timestamp) -> String {
    let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    // Rounding up fails only for times in the last second of the year 9999.
    time.round(up).unwrap_or(Timestamp::MAX).to_string()
}

impl Order {
    fn from_row(row: &Row<'_>) -> SqlResult<Self> {
        Ok(Self {
            order_id: row.get(0)?,
            placed_at: row.get(1)?,
            status: row.get(2)?,
            total: in_euros(row.get(3)?),
        })
    }
}
