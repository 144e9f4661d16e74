//! Creates the program's own tables at start-up, in the store's database.

use std::sync::Arc;

use super::{App, SettingName, StartProblem};
#[cfg(feature = "postgres")]
use crate::store::PostgresStore;
#[cfg(feature = "sqlite")]
use crate::store::SqliteStore;
use crate::store::Store;

/// When a Postgres setup runs. A SQLite setup is a function, so it runs at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// If the database has not run this SQL yet.
    IfChanged,
    /// Even if the database has run it already: a table may have been dropped since.
    #[cfg(feature = "cli")]
    Again,
}

/// Runs the app's SQLite or Postgres setup. Reports a problem if the store is a different database. `store_setting` is
/// the name by which the store was given.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(clippy::unused_async, reason = "only SQLite and Postgres need `await`")
)]
pub(super) async fn run(
    app: &App,
    store: &Arc<dyn Store>,
    store_setting: SettingName,
    runs: Runs,
    problems: &mut Vec<StartProblem>,
) {
    #[cfg(feature = "sqlite")]
    if let Some(setup) = app.sqlite_setup.clone() {
        problems.extend(in_sqlite(setup, store, store_setting).await.err());
    }
    #[cfg(feature = "postgres")]
    if let Some(sql) = &app.postgres_setup {
        problems.extend(in_postgres(sql, store, store_setting, runs).await.err());
    }
    let _ = (app, store, store_setting, runs, problems);
}

#[cfg(feature = "sqlite")]
async fn in_sqlite(
    setup: super::SqliteSetup,
    store: &Arc<dyn Store>,
    store_setting: SettingName,
) -> Result<(), StartProblem> {
    const SETTING: SettingName = SettingName::Method("App::sqlite_setup");
    fn sqlite(store: &dyn Store) -> Option<&SqliteStore> {
        store.built_in()?.downcast_ref()
    }

    if sqlite(store).is_none() {
        return Err(StartProblem::of(
            SETTING,
            format!(
                "{SETTING} creates tables in SQLite, but the store is a different database: set {store_setting} to a SQLite file, such as sqlite:PATH."
            ),
        ));
    };
    // The setup runs on a thread for blocking work, because it waits for the disk.
    let store = Arc::clone(store);
    let working = move || sqlite(&store).map_or(Ok(()), |sqlite| sqlite.setup(move |connection| setup(connection)));
    match tokio::task::spawn_blocking(working).await {
        Ok(result) => result.map_err(|error| StartProblem::of(SETTING, error.to_string()).caused_by(error)),
        Err(error) => Err(StartProblem::of(SETTING, format!("{SETTING} did not finish: {error}.")).caused_by(error)),
    }
}

#[cfg(feature = "postgres")]
async fn in_postgres(
    sql: &'static str,
    store: &Arc<dyn Store>,
    store_setting: SettingName,
    runs: Runs,
) -> Result<(), StartProblem> {
    const SETTING: SettingName = SettingName::Method("App::postgres_setup");
    match store.built_in().and_then(|store| store.downcast_ref::<PostgresStore>()) {
        Some(postgres) => {
            let made = postgres.set_up(sql, runs != Runs::IfChanged).await;
            made.map_err(|error| StartProblem::of(SETTING, error.to_string()).caused_by(error))
        }
        None => Err(StartProblem::of(
            SETTING,
            format!(
                "{SETTING} creates tables in Postgres, but the store is a different database: set {store_setting} to a Postgres database, such as postgres://…."
            ),
        )),
    }
}
