//! Booking a charge on a customer's card.

use operator_runtime::{OperatorError, Postgres, Tx, operator_api, tokio_postgres};
use schemars::JsonSchema;
use serde::Serialize;

/// A charge that was booked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Charged {
    /// The number of the ledger's entry.
    entry: i64,
    /// What was charged by this entry, in cents.
    amount_cents: u32,
    /// What the customer owes with it, in cents.
    balance_cents: i64,
    /// What to tell the customer.
    message: String,
}

/// Why a charge was not booked.
#[derive(Debug, OperatorError)]
pub(crate) enum ChargeError {
    /// There is no customer {customer}. Ask for the address that the invoices go to.
    #[operator(status = 404)]
    NoSuchCustomer {
        /// The address that was given.
        customer: String,
    },
    /// The charge would bring the balance above the limit agreed with the customer; {left_cents} cents are left of it.
    #[operator(status = 409)]
    OverLimit {
        /// What may still be charged.
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
async fn charge_card(
    tx: &mut Tx<Postgres>,
    /// The address that the customer's invoices go to.
    #[operator(format = "email", example = "ana@example.com")]
    customer: String,
    /// What to charge, in cents.
    #[operator(min = 1, example = 1900)]
    amount_cents: u32,
    /// What it is for, as the invoice is to say, in one line.
    #[operator(pattern = r"^[^\x00-\x1f]+$", example = "One more seat in November")]
    purpose: String,
) -> Result<Charged, ChargeError> {
    let amount = i64::from(amount_cents);
    // The row is locked until the commit, so that two charges at once cannot both have the last of the limit.
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
