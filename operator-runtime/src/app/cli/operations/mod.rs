//! `operations`: a person looks operations up in the store, beside the servers that use it, and settles what is unknown.

mod found;
mod list;
mod settle;
mod show;
mod utc;

use std::any::Any;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use self::found::Found;
use super::{Done, said, settings};
use crate::app::{App, Given, registry};
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
            Some(store) => Arc::clone(&store.value),
            None => open(config.store_url().map_err(said)?).await?,
        };
        if store.built_in().is_some_and(<dyn Any + Send + Sync>::is::<MemoryStore>) {
            return Err(format!(
                "These operations are in the memory of the process that serves, and end with it, so that there is nothing to list or to settle from here: set {} to a store that lasts, such as sqlite:operator.db.",
                app.store_setting(&config)
            ));
        }
        Ok(Self {
            operations: Operations::new(store, config.operations),
            endpoints: registry::select(&app.only, &mut Vec::new()),
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
async fn open(given: Given<&str>) -> Result<Arc<dyn Store>, String> {
    let Given {
        value: address,
        setting,
    } = given;
    if let Some(file) = address.strip_prefix("sqlite:") {
        let path = file.split('?').next().unwrap_or(file);
        if !path.is_empty() && !Path::new(path).exists() {
            return Err(format!(
                "There is no SQLite file {path}: run this in the folder that the server runs in, or set {setting} to sqlite:PATH."
            ));
        }
    }
    store::open(address)
        .await
        .map_err(|error| store::not_opened(&setting.to_string(), address, &error))
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
        let whole = format!("{digits}{}", with.repeat(64 - digits.len()));
        whole.parse::<OperationId>().ok()
    };
    Some(filled("0")?..=filled("f")?)
}

#[cfg(test)]
mod tests {
    use super::ids;

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
