//! Handlers with limits: two for effects elsewhere, and one for each database.

use operator_runtime::{Call, Error, Sqlite, Tx, operator_api};

use super::charges::{Charged, Ledger, charged};

/// The handler refuses this amount.
const UNLUCKY: u32 = 3;

/// Spends something elsewhere. Use it at most once.
#[operator_api(POST, "/spend", effect = at_most_once)]
#[operator(limit(sum = cents, max = 2_000, per = account, within = "24h"))]
#[operator(limit(calls = 1_000_000, within = "24h"))]
pub(crate) async fn spend(
    ledger: &Ledger,
    call: &Call,
    /// Whose money it is.
    account: String,
    /// How much.
    cents: u32,
) -> Result<Charged, Error> {
    refuse_unlucky(&account, cents)?;
    ledger.write(&format!("{} {cents}", call.idempotency_key()))?;
    Ok(charged(call))
}

/// Lends something elsewhere. Use it as often as you like.
#[operator_api(POST, "/lend", effect = rerunnable)]
#[operator(limit(sum = cents, max = 2_000, per = account, within = "24h"))]
#[operator(limit(calls = 1_000_000, within = "24h"))]
pub(crate) async fn lend(
    ledger: &Ledger,
    call: &Call,
    /// Whose money it is.
    account: String,
    /// How much.
    cents: u32,
) -> Result<Charged, Error> {
    spend(ledger, call, account, cents).await
}

/// Grants something in the transaction of the record, in SQLite.
#[operator_api(POST, "/grant")]
#[operator(limit(sum = cents, max = 2_000, per = account, within = "24h"))]
#[operator(limit(calls = 1_000_000, within = "24h"))]
pub(crate) async fn grant_in_sqlite(
    tx: &mut Tx<Sqlite>,
    call: &Call,
    /// Whose money it is.
    account: String,
    /// How much.
    cents: u32,
) -> Result<Charged, Error> {
    tx.execute("INSERT INTO grants VALUES (?1, ?2)", (call.idempotency_key(), cents))?;
    refuse_unlucky(&account, cents)?;
    Ok(charged(call))
}

/// A module of its own, because the path is the same as that of the SQLite endpoint.
pub(crate) mod in_postgres {
    use operator_runtime::{Call, Error, Postgres, Tx, operator_api};

    use super::{Charged, charged, refuse_unlucky};

    /// Grants something in the transaction of the record, in Postgres.
    #[operator_api(POST, "/grant")]
    #[operator(limit(sum = cents, max = 2_000, per = account, within = "24h"))]
    #[operator(limit(calls = 1_000_000, within = "24h"))]
    pub(crate) async fn grant(
        tx: &mut Tx<Postgres>,
        call: &Call,
        /// Whose money it is.
        account: String,
        /// How much.
        cents: u32,
    ) -> Result<Charged, Error> {
        let insert = "INSERT INTO grants VALUES ($1, $2)";
        tx.execute(insert, &[&call.idempotency_key(), &i64::from(cents)])
            .await?;
        refuse_unlucky(&account, cents)?;
        Ok(charged(call))
    }
}

/// Refuses after the effect, so that a transaction has something to undo.
fn refuse_unlucky(account: &str, cents: u32) -> Result<(), Error> {
    if cents == UNLUCKY {
        return Err(Error::not_found(format!("{account} never spends {cents} cents.")));
    }
    Ok(())
}
