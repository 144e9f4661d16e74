//! One handler for each effect. If an input names a gate, the handler waits until the gate is open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use operator_runtime::{Call, Error, Sqlite, Tx, operator_api};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::Write as _;

/// The file in which effects outside a database are recorded, one key per line.
pub(crate) struct Ledger(PathBuf);

impl Ledger {
    pub(crate) fn from_env() -> Self {
        Self(std::env::var_os("FAULTS_LEDGER").map_or_else(|| PathBuf::from("ledger"), PathBuf::from))
    }

    /// One write, so that the lines of simultaneous processes do not mix. If the write fails, nobody knows how much of
    /// the line was written.
    pub(crate) fn write(&self, key: &str) -> Result<(), Error> {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.0)?;
        file.write_all(format!("{key}\n").as_bytes()).map_err(Error::unknown)
    }
}

/// Who has done it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Charged {
    /// The key that it was called with.
    key: String,
    /// The process that ran the handler.
    process: u32,
}

/// Charges something elsewhere. Use it at most once.
#[operator_api(POST, "/charge", effect = at_most_once)]
pub(crate) async fn charge(
    ledger: &Ledger,
    call: &Call,
    /// A file; the handler begins by making PATH.begun, and goes on when PATH.open is there.
    gate: Option<String>,
) -> Result<Charged, Error> {
    pass(gate).await?;
    ledger.write(call.idempotency_key())?;
    Ok(charged(call))
}

/// Rings a bell. Use it as often as you like.
#[operator_api(POST, "/ring", effect = rerunnable)]
pub(crate) async fn ring(
    ledger: &Ledger,
    call: &Call,
    /// A file; the handler begins by making PATH.begun, and goes on when PATH.open is there.
    gate: Option<String>,
) -> Result<Charged, Error> {
    pass(gate).await?;
    ledger.write(call.idempotency_key())?;
    Ok(charged(call))
}

/// Panics. Use it to see that a mistake in one handler costs no other call.
#[operator_api(POST, "/panic", effect = rerunnable)]
pub(crate) async fn panic(
    /// What the panic says.
    saying: String,
) -> bool {
    panic!("{saying}")
}

/// Says that somebody is there. Use it to see whether calls are taken; nothing is recorded, so no other call is waited
/// for.
#[operator_api(GET, "/presence")]
pub(crate) async fn presence() -> bool {
    true
}

/// Answers at length. Use it to see what becomes of an answer that is taken slowly.
#[operator_api(GET, "/long")]
pub(crate) async fn long(
    /// How many characters.
    length: u32,
) -> String {
    (0..length).map(|_| 'x').collect()
}

/// Blocks a thread for ever. Use it to see that the process ends in spite of it.
#[operator_api(POST, "/block", effect = rerunnable)]
pub(crate) async fn block(
    /// A file; the handler begins by making PATH.begun.
    gate: String,
) -> Result<bool, Error> {
    std::fs::write(format!("{gate}.begun"), "")?;
    let blocked = tokio::task::spawn_blocking(|| {
        loop {
            std::thread::park();
        }
    });
    blocked.await.map_err(Error::internal)
}

/// Credits something in the transaction of the record, in SQLite.
#[operator_api(POST, "/credit")]
pub(crate) async fn credit_in_sqlite(
    tx: &mut Tx<Sqlite>,
    call: &Call,
    /// A file; the handler begins by making PATH.begun, and goes on when PATH.open is there.
    gate: Option<String>,
) -> Result<Charged, Error> {
    tx.execute("INSERT INTO credits VALUES (?1)", [call.idempotency_key()])?;
    pass(gate).await?;
    Ok(charged(call))
}

/// A module of its own, because the path is the same as that of the SQLite endpoint.
pub(crate) mod in_postgres {
    use super::{Charged, charged, pass};
    use operator_runtime::{Call, Error, Postgres, Tx, operator_api};

    /// Credits something in the transaction of the record, in Postgres.
    #[operator_api(POST, "/credit")]
    pub(crate) async fn credit(
        tx: &mut Tx<Postgres>,
        call: &Call,
        /// A file; the handler begins by making PATH.begun, and goes on when PATH.open is there.
        gate: Option<String>,
    ) -> Result<Charged, Error> {
        tx.execute("INSERT INTO credits VALUES ($1)", &[&call.idempotency_key()])
            .await?;
        pass(gate).await?;
        Ok(charged(call))
    }

    /// Credits something in the transaction of the record, and may run for four seconds.
    #[operator_api(POST, "/credit-briefly", timeout = "4s")]
    pub(crate) async fn credit_briefly(
        tx: &mut Tx<Postgres>,
        call: &Call,
        /// A file; the handler begins by making PATH.begun, and goes on when PATH.open is there.
        gate: Option<String>,
    ) -> Result<Charged, Error> {
        credit(tx, call, gate).await
    }
}

pub(crate) fn charged(call: &Call) -> Charged {
    Charged {
        key: call.idempotency_key().to_owned(),
        process: std::process::id(),
    }
}

async fn pass(gate: Option<String>) -> Result<(), Error> {
    if let Some(gate) = gate {
        std::fs::write(format!("{gate}.begun"), "")?;
        let open = format!("{gate}.open");
        while !Path::new(&open).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
