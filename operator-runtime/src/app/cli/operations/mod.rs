//! `operations`: looks up operations in the store while servers use it, and settles those whose outcome is unknown.

mod found;
mod limits;
mod list;
mod settle;
mod show;

use std::any::Any;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use self::found::Found;
use super::{Done, said, settings};
use crate::app::assemble::open_store;
use crate::app::{App, Given, registry};
use crate::endpoint::Endpoint;
use crate::idempotency::operations::Operations;
use crate::store::{Listed, MemoryStore, OperationId, Store, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List operations, the newest first.
    List(list::Arguments),
    /// Show how much of an endpoint's limits is used.
    Limits(limits::Arguments),
    /// Show everything that is known about an operation.
    Show(show::Arguments),
    /// Record the outcome of an operation whose outcome is unknown.
    Settle(settle::Arguments),
}

pub(super) async fn run(app: &App, command: Command) -> Done {
    let desk = Desk::open(app).await?;
    let done = match command {
        Command::List(arguments) => list::run(&desk, &arguments).await,
        Command::Limits(arguments) => limits::run(&desk, &arguments).await,
        Command::Show(arguments) => show::run(&desk, &arguments).await,
        Command::Settle(arguments) => settle::run(&desk, arguments).await,
    };
    desk.operations.store().close().await;
    done
}

/// The store's operations and the program's endpoints. An endpoint's effect decides whether a lost attempt may run
/// again.
struct Desk {
    operations: Operations,
    endpoints: Vec<&'static Endpoint>,
}

impl Desk {
    async fn open(app: &App) -> Result<Self, String> {
        let config = settings(app)?;
        if app.store.is_none() {
            check_file(&config.store_url().map_err(said)?)?;
        }
        let store = open_store(app, &config).await.map_err(said)?;
        if store.built_in().is_some_and(<dyn Any + Send + Sync>::is::<MemoryStore>) {
            return Err(format!(
                "The store is in memory, so only the server process can see the operations, and this command cannot list or settle them: set {} to a persistent store, such as sqlite:operator.db.",
                app.store_setting(&config)
            ));
        }
        Ok(Self {
            operations: Operations::new(store, config.operations),
            endpoints: recorded(app),
        })
    }

    fn store(&self) -> &dyn Store {
        &**self.operations.store()
    }

    /// Finds the only operation whose id begins with these digits.
    async fn find(&self, id: &str) -> Result<Found, String> {
        let ids = ids(id).ok_or_else(|| {
            format!("`{id}` is not the id of an operation: give the first hexadecimal digits of an id, as `operations list` shows them.")
        })?;
        let mut records = self.operations.records(ids);
        let mut found = None;
        while let Some(listed) = records.next().await.map_err(|error| unreadable(&error))? {
            match &found {
                // An operation that is written during the listing may be listed twice.
                Some(Listed { id: other, .. }) if *other != listed.id => {
                    return Err(format!(
                        "The ids of several operations begin with `{id}`, such as {} and {}: give more digits.",
                        other, listed.id
                    ));
                }
                _ => found = Some(listed),
            }
        }
        let found = found.ok_or_else(|| {
            format!(
                "There is no operation `{id}` in {}: `operations list` shows the ids.",
                self.store().describe()
            )
        })?;
        Found::new(self, found).map_err(|unreadable| unreadable.to_string())
    }
}

/// Returns an error if the SQLite file is missing, because opening a missing file would create an empty store.
fn check_file(Given { value, setting }: &Given<&str>) -> Result<(), String> {
    if let Some(file) = value.strip_prefix("sqlite:") {
        let path = file.split('?').next().unwrap_or(file);
        if !path.is_empty() && !Path::new(path).exists() {
            return Err(format!(
                "There is no SQLite file {path}: run this command in the folder in which the server runs, or set {setting} to sqlite:PATH."
            ));
        }
    }
    Ok(())
}

fn unreadable(error: &StoreError) -> String {
    format!("The operations cannot be read: {error}.")
}

/// The range of ids that begin with these hexadecimal digits. `None` if the text is not 1 to 64 hexadecimal digits.
fn ids(digits: &str) -> Option<RangeInclusive<OperationId>> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let filled = |with: &str| {
        let whole = format!("{digits}{}", with.repeat(64 - digits.len()));
        whole.parse::<OperationId>().ok()
    };
    Some(filled("0")?..=filled("f")?)
}

/// A time to the second as RFC 3339 in UTC, such as `2023-11-14T22:13:20Z`.
fn utc(time: SystemTime) -> String {
    // `humantime` cannot print a time before 1970 or a year of five digits, which only a damaged record has.
    const LAST_OF_9999: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_OF_9999)).to_string()
}

/// The endpoints and handlers of events whose operations are in the store.
fn recorded(app: &App) -> Vec<&'static Endpoint> {
    let mut endpoints = registry::select(&app.only, &mut Vec::new());
    let handlers = registry::select_handlers(&app.only);
    endpoints.extend(handlers.into_iter().map(|handler| &handler.endpoint));
    endpoints
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{ids, utc};

    #[test]
    fn a_moment_is_printed_in_utc_to_the_second() {
        let utc = |seconds| utc(UNIX_EPOCH + Duration::from_secs_f64(seconds));
        assert_eq!(utc(0.0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_700_000_000.9), "2023-11-14T22:13:20Z");
        assert_eq!(utc(1e12), "9999-12-31T23:59:59Z");
        assert_eq!(super::utc(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn digits_stand_for_all_ids_that_begin_with_them() {
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
