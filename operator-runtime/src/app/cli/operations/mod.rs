//! `operations`: looks up operations in the store while servers use it, and settles those whose outcome is unknown.

mod limits;
mod list;
mod settle;
mod show;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use super::{Done, said, settings};
use crate::app::assemble::open_store;
use crate::app::desk::Desk;
use crate::app::{App, Config, Given, SettingName, registry};
use crate::endpoint::Endpoint;
use crate::idempotency::operations::{Operations, Retention};
use crate::store::{MemoryStore, Store};

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
    let desk = open(app).await?;
    let done = match command {
        Command::List(arguments) => list::run(&desk, &arguments).await,
        Command::Limits(arguments) => limits::run(&desk, &arguments).await,
        Command::Show(arguments) => show::run(&desk, &arguments).await,
        Command::Settle(arguments) => settle::run(&desk, arguments).await,
    };
    desk.operations.store().close().await;
    done
}

/// Opens the app's store.
async fn open(app: &App) -> Result<Desk, String> {
    let config = settings(app)?;
    let (store, setting) = open_existing(app, &config).await?;
    let store = store.ok_or_else(|| {
        format!(
            "The store is in memory, so only the server process can see the operations, and this command cannot list or settle them: set {setting} to a persistent store, such as sqlite:operator.db, or look at the admin page (OPERATOR_ADMIN) of the server."
        )
    })?;
    let audit = config.settle_audit().map_err(said)?;
    Ok(Desk {
        operations: Operations::audited(store, config.operations, audit.map(|given| Retention::For(given.value))),
        endpoints: recorded(app).into(),
    })
}

/// Opens the store that a server uses, and returns it with the name of its setting. `None` if the store is in the memory
/// of the server process.
pub(super) async fn open_existing(app: &App, config: &Config) -> Result<(Option<Arc<dyn Store>>, SettingName), String> {
    if app.store.is_none() {
        check_file(&config.store_url().map_err(said)?)?;
    }
    let store = open_store(app, config).await.map_err(said)?;
    let is_in_memory = store.built_in().is_some_and(<dyn Any + Send + Sync>::is::<MemoryStore>);
    Ok(((!is_in_memory).then_some(store), app.store_setting(config)))
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

/// The endpoints and handlers of events whose operations are in the store.
fn recorded(app: &App) -> Vec<&'static Endpoint> {
    let mut endpoints = registry::select(&app.only, &mut Vec::new());
    let handlers = registry::select_handlers(&app.only);
    endpoints.extend(handlers.into_iter().map(|handler| &handler.endpoint));
    endpoints
}
