//! `audit`: prints the rows of the audit, the newest first, as a table, as JSON lines, or as CSV.

mod format;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use self::format::Format;
use super::operations::open_existing;
use super::{Done, settings};
use crate::app::App;
use crate::app::desk::{Input, ids};
use crate::clock::{Clock as _, SystemClock};
use crate::store::{AuditFilter, AuditLog, Store};

/// How many rows are read at a time. A row may be as long as a request and an answer together.
const PAGE: u32 = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print only rows that are at most this old, such as `30d` or `12h`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
    /// Print only rows of this endpoint, or of this type of event.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Print only rows with this idempotency key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print only rows of the operation with this id, or whose id begins with these digits.
    #[arg(long, value_name = "ID", value_parser = operation)]
    operation: Option<String>,
    /// Print only rows with this value of an input, such as `order_id=1004`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = Input::parse)]
    input: Vec<Input>,
    /// How to print the rows.
    #[arg(long, value_enum, default_value_t = Chosen::Table)]
    format: Chosen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Chosen {
    /// One line for each row, without the answers.
    Table,
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated values with a head (RFC 4180).
    Csv,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Done {
    let config = settings(app)?;
    let (store, setting) = open_existing(app, &config).await?;
    let store = store.ok_or_else(|| format!("The store is in memory, so it keeps no audit: set {setting} to a SQLite file or a Postgres database, such as sqlite:operator.db."))?;
    let done = print(&*store, arguments, &setting.to_string()).await;
    store.close().await;
    done
}

async fn print(store: &dyn Store, arguments: Arguments, setting: &str) -> Done {
    let log = store.audit().ok_or_else(|| {
        format!(
            "{} keeps no audit: set {setting} to the SQLite file or the Postgres database in which the server keeps it.",
            store.describe()
        )
    })?;
    let format: Box<dyn Format> = match arguments.format {
        Chosen::Table => Box::new(format::Table::default()),
        Chosen::Jsonl => Box::new(format::Jsonl),
        Chosen::Csv => Box::new(format::Csv),
    };
    match write_all(log, arguments, format).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Nobody reads the rest, as in `| head`.
        Err(Failed::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Failed::Output(error)) => Err(format!("The output cannot be written to standard output: {error}.")),
        Err(Failed::Store(error)) => Err(format!("The audit cannot be read: {error}.")),
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Writes page after page, so that the memory does not grow with the audit.
async fn write_all(log: &dyn AuditLog, arguments: Arguments, mut format: Box<dyn Format>) -> Result<(), Failed> {
    let now = UNIX_EPOCH + SystemClock::new().since_unix_epoch();
    let filter = AuditFilter {
        since: arguments.since.and_then(|since| now.checked_sub(since)),
        endpoint: arguments.endpoint,
        idempotency_key: arguments.key,
        operation: arguments.operation,
    };
    let mut after = None;
    let mut is_first = true;
    loop {
        let mut page = log.page(filter.clone(), after, PAGE).await?;
        page.rows
            .retain(|row| arguments.input.iter().all(|input| input.is_in(row)));
        let is_last = page.next.is_none();
        let text = format.page(&page.rows, is_first, is_last);
        is_first &= page.rows.is_empty();
        io::stdout().write_all(text.as_bytes())?;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(io::stdout().flush()?),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a number with a unit, such as `30d`, `12h` or `90m`".to_owned())
}

fn operation(text: &str) -> Result<String, String> {
    let digits = text.to_ascii_lowercase();
    ids(&digits)
        .map(|_| digits.clone())
        .ok_or_else(|| "write the first hexadecimal digits of an operation's id".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{duration, operation};

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(duration("30d").unwrap().as_secs(), 30 * 24 * 60 * 60);
        for wrong in ["yesterday", "", "-1d", "30", "1e9999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(operation("AB12").unwrap(), "ab12");
        for wrong in ["", "xyz", "0x12", &"a".repeat(65)] {
            assert!(operation(wrong).is_err(), "{wrong}");
        }
    }
}
