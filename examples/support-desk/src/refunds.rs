//! The endpoints that refund an order and list its refunds.

use operator_runtime::rusqlite::{self, OptionalExtension as _};
use operator_runtime::{Error, OperatorError, Reader, Sqlite, Tx, operator_api};
use schemars::JsonSchema;
use serde::Serialize;

use crate::database::in_euros;

/// The refunds of an order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refunds {
    /// Every refund, oldest first.
    refunds: Vec<Refund>,
    /// The sum of the refunds, in cents.
    refunded_cents: i64,
}

/// One refund.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refund {
    /// The refund's number.
    refund_id: i64,
    /// The amount that was paid back, in cents.
    amount_cents: i64,
    /// The reason that was given for the refund.
    reason: Option<String>,
}

/// Lists every refund of an order and the sum of the refunds.
///
/// Use it when a customer asks whether a refund has been made.
#[operator_api(GET, "/orders/refunds")]
#[operator(allow(similar_names))]
async fn order_refunds(
    reader: &Reader<Sqlite>,
    /// The order's number, as printed on the receipt.
    #[operator(example = 1004)]
    order_id: u64,
) -> Result<Refunds, Error> {
    let refunds = reader
        .read(move |connection| {
            let exists: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM orders WHERE order_id = ?1)",
                (number(order_id),),
                |row| row.get(0),
            )?;
            if !exists {
                return Ok(None);
            }
            let mut statement = connection.prepare_cached(
                "SELECT refund_id, amount_cents, reason FROM refunds WHERE order_id = ?1 ORDER BY refund_id",
            )?;
            let rows = statement.query_map((number(order_id),), |row| {
                Ok(Refund {
                    refund_id: row.get(0)?,
                    amount_cents: row.get(1)?,
                    reason: row.get(2)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>().map(Some)
        })
        .await?
        .ok_or_else(|| {
            Error::not_found(format!(
                "There is no order {order_id}. Ask for the number on the receipt."
            ))
        })?;
    let refunded_cents = refunds.iter().map(|refund| refund.amount_cents).sum();
    Ok(Refunds {
        refunds,
        refunded_cents,
    })
}

/// A refund that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refunded {
    /// The refund's number.
    refund_id: i64,
    /// The number of the refunded order.
    order_id: u64,
    /// The amount of this refund, in cents.
    refunded_cents: u32,
    /// The amount that can still be refunded, in cents.
    left_cents: i64,
    /// A sentence to tell the customer.
    message: String,
}

/// Why a refund was not made.
#[derive(Debug, OperatorError)]
pub(crate) enum RefundError {
    /// There is no order {order_id}. Ask for the number on the receipt.
    #[operator(status = 404)]
    NoSuchOrder {
        /// The number that was given.
        order_id: u64,
    },
    /// Only {left} of order {order_id} can still be refunded, which is less than the requested amount.
    TooMuch {
        /// The order's number.
        order_id: u64,
        /// The amount that can still be refunded, with the currency.
        left: String,
    },
    /// The shop's database failed.
    #[operator(internal)]
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for RefundError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Refunds part or all of an order to the customer's original payment method.
///
/// Use it once the customer has confirmed the amount. One order can be refunded in several calls, up to its total.
#[operator_api(POST, "/refunds")]
#[operator(limit(sum = amount_cents, max = 10_000, per = order_id, within = "24h"))]
async fn refund_order(
    tx: &mut Tx<Sqlite>,
    /// The order's number, as printed on the receipt.
    #[operator(example = 1004)]
    order_id: u64,
    /// The amount to pay back, in cents of the order's currency.
    #[operator(min = 1, example = 2500)]
    amount_cents: u32,
    /// Why the customer wants the money back, in one sentence.
    reason: Option<String>,
) -> Result<Refunded, RefundError> {
    let left: Option<i64> = tx
        .query_row(
            "SELECT total_cents - (SELECT coalesce(sum(amount_cents), 0) FROM refunds WHERE order_id = ?1) FROM orders WHERE order_id = ?1",
            (number(order_id),),
            |row| row.get(0),
        )
        .optional()?;
    let left = left.ok_or(RefundError::NoSuchOrder { order_id })?;
    let left_cents = left - i64::from(amount_cents);
    if left_cents < 0 {
        return Err(RefundError::TooMuch {
            order_id,
            left: in_euros(left),
        });
    }
    tx.execute(
        "INSERT INTO refunds (order_id, amount_cents, reason) VALUES (?1, ?2, ?3)",
        (number(order_id), amount_cents, reason),
    )?;
    Ok(Refunded {
        refund_id: tx.last_insert_rowid(),
        order_id,
        refunded_cents: amount_cents,
        left_cents,
        message: format!(
            "{} of order {order_id} go back to the original payment method.",
            in_euros(amount_cents.into())
        ),
    })
}

/// Converts an order's number to the signed integer that SQLite stores. No order has a number that is too large for it,
/// so such a number becomes -1, which is not found.
fn number(order_id: u64) -> i64 {
    i64::try_from(order_id).unwrap_or(-1)
}
