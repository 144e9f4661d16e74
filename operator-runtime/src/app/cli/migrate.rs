//! `migrate`: creates or upgrades the tables of the store and of the program, or prints the SQL that does.

use std::process::ExitCode;

use clap::Args;

use super::{Done, print, refused, said, settings};
use crate::app::assemble::open_store;
use crate::app::setup::{self, Runs};
use crate::app::{App, Config, Given};
use crate::store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print the SQL instead of running it, for example for a database administrator. Does not connect to the database.
    #[arg(long)]
    print: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> Done {
    let config = settings(app)?;
    if arguments.print {
        return print_sql(app, &config);
    }
    // Opening a store upgrades its tables.
    let opened = open_store(app, &config).await.map_err(said)?;
    let mut problems = Vec::new();
    setup::run(app, &opened, app.store_setting(&config), Runs::Again, &mut problems).await;
    let done = format!("The tables of {} are up to date.\n", opened.describe());
    opened.close().await;
    refused(&problems)?;
    print(&done)?;
    Ok(ExitCode::SUCCESS)
}

fn print_sql(app: &App, config: &Config) -> Done {
    if let Some(given) = &app.store {
        return Err(format!(
            "`--print` needs the address of a Postgres store, but {} gives the program an open store: run `migrate` without `--print`.",
            given.setting
        ));
    }
    let Given { value, setting } = config.store_url().map_err(said)?;
    #[cfg(feature = "postgres")]
    let own = app.postgres_setup;
    #[cfg(not(feature = "postgres"))]
    let own = None;
    match store::migration(value, own).map_err(|error| store::not_opened(&setting.to_string(), value, &error))? {
        Some(sql) => print(&sql),
        None => Err(format!(
            "`--print` works only with a Postgres store: set {setting} to the address of one, or run `migrate` without `--print`."
        )),
    }
}
