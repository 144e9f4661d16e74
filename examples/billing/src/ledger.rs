//! The endpoint that shows what a customer owes.

use operator_runtime::{Error, Postgres, Reader, operator_api};
use schemars::JsonSchema;
use serde::Serialize;

/// What a customer owes, and the charges behind it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Account {
    /// What the customer owes, in cents.
    balance_cents: i64,
    /// The newest 50 entries of the ledger, newest first.
    entries: Vec<Entry>,
}

/// One entry of the ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// The number of the entry.
    entry: i64,
    /// The amount that was charged, in cents.
    amount_cents: i64,
    /// What the charge was for.
    purpose: String,
}

/// Shows what a customer owes and the newest entries of the ledger.
///
/// Use it when a customer asks what a charge was for.
#[operator_api(GET, "/account")]
async fn account(
    reader: &Reader<Postgres>,
    /// The e-mail address that the customer's invoices go to.
    #[operator(format = "email", example = "ana@example.com")]
    customer: String,
) -> Result<Account, Error> {
    let session = reader.session().await?;
    let balance = session
        .prepare_cached("SELECT balance_cents FROM customers WHERE customer = $1")
        .await?;
    let Some(balance) = session.query_opt(&balance, &[&customer]).await? else {
        return Err(Error::not_found(format!(
            "There is no customer {customer}. Ask for the e-mail address that the invoices go to."
        )));
    };
    let newest = "SELECT entry, amount_cents, purpose FROM ledger WHERE customer = $1 ORDER BY entry DESC LIMIT 50";
    let newest = session.prepare_cached(newest).await?;
    let entries = session.query(&newest, &[&customer]).await?;
    Ok(Account {
        balance_cents: balance.try_get(0)?,
        entries: entries
            .iter()
            .map(|row| {
                Ok(Entry {
                    entry: row.try_get(0)?,
                    amount_cents: row.try_get(1)?,
                    purpose: row.try_get(2)?,
                })
            })
            .collect::<Result<_, operator_runtime::tokio_postgres::Error>>()?,
    })
}
