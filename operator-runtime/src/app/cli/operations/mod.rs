//! `operations`: a person looks operations up in the store, beside the servers that use it, and settles what is unknown.

mod found;
mod list;
mod settle;
mod show;

use std::any::Any;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;

use self::found::Found;
use super::{Done, settings};
use crate::app::{App, registry};
use crate::endpoint::Endpoint;
use crate::idempotency::operations::Operations;
use crate::store::{self, Listed, MemoryStore, OperationId, Store, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List operations, the newest first.
    List(list::Arguments),
    /// Show all that is known of an operation.
    Show(show::Arguments),
    /// Say what became of an operation whose outcome is unknown.
    Settle(settle::Arguments),
}

pub(super) async fn run(app: &App, command: Command) -> Done {
    let desk = Desk::open(app).await?;
    let done = match command {
        Command::List(arguments) => list::run(&desk, &arguments).await,
        Command::Show(arguments) => show::run(&desk, &arguments).await,
        Command::Settle(arguments) => settle::run(&desk, arguments).await,
    };
    desk.operations.store().close().await;
    done
}

/// Where the operations are, and the program's endpoints, which say what a lost attempt may do.
struct Desk {
    operations: Operations,
    endpoints: Vec<&'static Endpoint>,
}

impl Desk {
    async fn open(app: &App) -> Result<Self, String> {
        let config = settings(app)?;
        let store = match &app.store {
            Some(store) => Arc::clone(store),
            None => open(config.store_url()?).await?,
        };
        let any: &dyn Any = &*store;
        if any.is::<MemoryStore>() {
            return Err("These operations are in the memory of the process that serves, and end with it, so that there is nothing to list or to settle from here: set OPERATOR_STORE to a store that lasts, such as sqlite:operator.db.".to_owned());
        }
        Ok(Self {
            operations: Operations::new(store, config.operations),
            endpoints: registry::select(app.only.as_ref(), &mut Vec::new()),
        })
    }

    fn store(&self) -> &dyn Store {
        &**self.operations.store()
    }

    /// The one operation whose id begins with these digits.
    async fn find(&self, id: &str) -> Result<Found, String> {
        let ids = ids(id).ok_or_else(|| {
            format!("`{id}` is no operation: give the hexadecimal digits that it begins with, as `operations list` shows them.")
        })?;
        let mut records = self.operations.records(ids);
        let mut found = None;
        while let Some(listed) = records.next().await.map_err(|error| unreadable(&error))? {
            match &found {
                // One that is written meanwhile may be told twice.
                Some(Listed { id: other, .. }) if *other != listed.id => {
                    return Err(format!(
                        "`{id}` is the beginning of more than one operation, such as {} and {}: give more digits.",
                        other, listed.id
                    ));
                }
                _ => found = Some(listed),
            }
        }
        let found = found.ok_or_else(|| format!("There is no operation `{id}` in {}.", self.store().describe()))?;
        Found::new(self, found).map_err(|unreadable| unreadable.to_string())
    }
}

/// A file that is not there would be made, and then be found to be empty.
async fn open(address: &str) -> Result<Arc<dyn Store>, String> {
    if let Some(file) = address.strip_prefix("sqlite:") {
        let path = file.split('?').next().unwrap_or(file);
        if !path.is_empty() && !Path::new(path).exists() {
            return Err(format!(
                "There is no SQLite file {path}: run this in the folder that the server runs in, or set OPERATOR_STORE to sqlite:PATH."
            ));
        }
    }
    store::open(address)
        .await
        .map_err(|error| store::not_opened(address, &error))
}

fn unreadable(error: &StoreError) -> String {
    format!("The operations cannot be read: {error}.")
}

/// The ids that begin with these hexadecimal digits, of which there is at least one.
fn ids(digits: &str) -> Option<RangeInclusive<OperationId>> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let filled = |with: &str| {
        let mut bytes = [0; 32];
        let whole = format!("{digits}{}", with.repeat(64 - digits.len()));
        const_hex::decode_to_slice(whole, &mut bytes).ok()?;
        Some(OperationId::from_bytes(bytes))
    };
    Some(filled("0")?..=filled("f")?)
}

/// Seconds since 1970 as RFC 3339 in UTC, such as `2023-11-14T22:13:20Z`.
fn utc(unix_seconds: u64) -> String {
    // `humantime` cannot print a year of five digits, which only a damaged record has.
    const LAST_OF_9999: u64 = 253_402_300_799;
    let moment = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(LAST_OF_9999));
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::{ids, utc};

    #[test]
    fn a_moment_is_printed_in_utc_to_the_second() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(utc(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn an_operation_is_named_by_the_digits_that_it_begins_with() {
        let ids = |digits| ids(digits).map(|ids| (ids.start().to_string(), ids.end().to_string()));
        let whole = "ab".repeat(32);
        assert_eq!(ids(&whole), Some((whole.clone(), whole.clone())));
        let (first, last) = ids("A").unwrap();
        assert_eq!(
            (first, last),
            (format!("a{}", "0".repeat(63)), format!("a{}", "f".repeat(63)))
        );
        for no_digits in ["", "0x1", "g", "ab cd", &"a".repeat(65)] {
            assert_eq!(ids(no_digits), None, "{no_digits}");
        }
    }
}
