//! The endpoint that sends an e-mail to a customer. The e-mail is an effect outside the database.

use std::io;
use std::path::PathBuf;

use operator_runtime::{Call, Error, operator_api};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

/// The file that stands in for a mail provider.
pub(crate) struct Outbox(PathBuf);

impl Outbox {
    /// Uses the file that the variable `SUPPORT_DESK_OUTBOX` names, or `outbox.jsonl` if the variable is not set.
    pub(crate) fn from_env() -> Self {
        Self(std::env::var_os("SUPPORT_DESK_OUTBOX").map_or_else(|| PathBuf::from("outbox.jsonl"), PathBuf::from))
    }
}

/// A message that was sent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Notified {
    /// A sentence to tell the customer.
    message: String,
}

/// One line of the outbox.
#[derive(Serialize)]
struct Mail<'m> {
    to: &'m str,
    message: &'m str,
    /// A mail provider can recognize a retry by this key, and not send the mail twice.
    idempotency_key: &'m str,
}

/// Sends a customer an e-mail.
///
/// Use it to confirm in writing what was agreed. If nobody knows whether an e-mail was sent, because the server failed or
/// the mail provider did not confirm it, a retry does not send it again.
#[operator_api(POST, "/notifications", effect = at_most_once)]
#[operator(limit(calls = 20, per = email, within = "1h"))]
async fn notify_customer(
    outbox: &Outbox,
    call: &Call,
    /// The e-mail address of the customer.
    #[operator(format = "email", example = "ana@example.com")]
    email: String,
    /// The text of the e-mail, without a greeting or a signature.
    #[operator(
        secret,
        min_length = 1,
        max_length = 5000,
        example = "Your order 1004 arrives on Thursday."
    )]
    message: String,
) -> Result<Notified, Error> {
    let mail = Mail {
        to: &email,
        message: &message,
        idempotency_key: call.idempotency_key(),
    };
    let mut line = serde_json::to_vec(&mail)?;
    line.push(b'\n');
    // Opening the file stands for connecting to the provider. If that fails, no e-mail was sent, so the outcome is known.
    let provider = File::options().append(true).create(true).open(&outbox.0).await?;
    // From here on, the provider may have the e-mail although it does not confirm it.
    hand_over(provider, &line).await.map_err(Error::unknown)?;
    Ok(Notified {
        message: format!("The message is on its way to {email}."),
    })
}

async fn hand_over(mut provider: File, line: &[u8]) -> io::Result<()> {
    // One write for the whole line, so that the lines of simultaneous calls do not mix.
    provider.write_all(line).await?;
    // `sync_all` alone would not report that the write has failed.
    provider.flush().await?;
    provider.sync_all().await
}
