//! The endpoint that books a charge on a customer's card.

use operator_runtime::{OperatorError, Postgres, Tx, operator_api, tokio_postgres};
use schemars::JsonSchema;
use serde::Serialize;

/// A charge that was booked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Charged {
    /// The number of the ledger entry.
    entry: i64,
    /// The amount of this charge, in cents.
    amount_cents: u32,
    /// What the customer owes after this charge, in cents.
    balance_cents: i64,
    /// A sentence to tell the customer.
    message: String,
}

/// Why a charge was not booked.
#[derive(Debug, OperatorError)]
pub(crate) enum ChargeError {
    /// There is no customer {customer}. Ask for the e-mail address that the invoices go to.
    #[operator(status = 404)]
    NoSuchCustomer {
        /// The e-mail address that was given.
        customer: String,
    },
    /// The charge would exceed the limit agreed with the customer; at most {left_cents} cents can still be charged.
    #[operator(status = 409)]
    OverLimit {
        /// The amount that can still be charged, in cents.
        left_cents: i64,
    },
    /// The database failed.
    #[operator(internal)]
    Database(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for ChargeError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

/// Charges a customer's card: books the amount, which the next settlement of the day collects.
///
/// Use it once the customer has agreed to the amount.
#[operator_api(POST, "/charges", errors(ChargeError))]
// The customer's credit bounds what is charged.
#[operator(allow(unlimited_amount))]
async fn charge_card(
    tx: &mut Tx<Postgres>,
    /// The e-mail address that the customer's invoices go to.
    #[operator(format = "email", example = "ana@example.com")]
    customer: String,
    /// The amount to charge, in cents.
    #[operator(min = 1, example = 1900)]
    amount_cents: u32,
    /// What the charge is for, in one line, as it will appear on the invoice.
    #[operator(pattern = r"^[^\x00-\x1f]+$", example = "One more seat in November")]
    purpose: String,
) -> Result<Charged, ChargeError> {
    let amount = i64::from(amount_cents);
    // The row is locked until the commit, so that two simultaneous charges cannot together exceed the limit.
    let lock = "SELECT card, limit_cents - balance_cents FROM customers WHERE customer = $1 FOR UPDATE";
    let lock = tx.prepare_cached(lock).await?;
    let Some(row) = tx.query_opt(&lock, &[&customer]).await? else {
        return Err(ChargeError::NoSuchCustomer { customer });
    };
    let (card, left_cents): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
    if amount > left_cents {
        return Err(ChargeError::OverLimit { left_cents });
    }
    let book =
        "WITH entry AS (INSERT INTO ledger (customer, amount_cents, purpose) VALUES ($1, $2, $3) RETURNING entry)
                UPDATE customers SET balance_cents = balance_cents + $2 WHERE customer = $1
                RETURNING (SELECT entry FROM entry), balance_cents";
    let book = tx.prepare_cached(book).await?;
    let row = tx.query_one(&book, &[&customer, &amount, &purpose]).await?;
    Ok(Charged {
        entry: row.try_get(0)?,
        amount_cents,
        balance_cents: row.try_get(1)?,
        message: format!(
            "{}.{:02} EUR will be charged to {card}.",
            amount_cents / 100,
            amount_cents % 100
        ),
    })
}
