//! `migrate`: makes or upgrades the tables of the store and of the program, or prints the SQL that does.

use std::process::ExitCode;

use clap::Args;

use super::{Done, print, refused, said, settings};
use crate::app::{App, Given, setup};
use crate::store::{self, StoreError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print the SQL instead of running it, for example for a database administrator. Does not connect to the database.
    #[arg(long)]
    print: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> Done {
    let config = settings(app)?;
    let Given { value, setting } = config.store_url().map_err(said)?;
    let not_opened = |error: StoreError| store::not_opened(&setting.to_string(), value, &error);
    if arguments.print {
        return match store::migration(value).map_err(not_opened)? {
            Some(sql) => print(&with_setup(app, sql)),
            None => Err(format!(
                "`--print` works only with a Postgres store, but {setting} names another store: run `migrate` without `--print`."
            )),
        };
    }
    // Opening a store upgrades its tables.
    let opened = store::open(value).await.map_err(not_opened)?;
    let mut problems = Vec::new();
    setup::run(app, &opened, setting, &mut problems).await;
    let done = format!("The tables of {} are up to date.\n", opened.describe());
    opened.close().await;
    refused(&problems)?;
    print(&done)?;
    Ok(ExitCode::SUCCESS)
}

/// The store's SQL, and then the program's own.
fn with_setup(app: &App, sql: String) -> String {
    #[cfg(feature = "postgres")]
    if let Some(setup) = app.postgres_setup {
        return format!("{sql}\n-- The program's own tables:\nBEGIN READ WRITE;\n{setup}\n;\nCOMMIT;\n");
    }
    let _ = app;
    sql
}
