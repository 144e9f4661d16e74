//! The program's own tables, made at start-up beside the store's.

use std::sync::Arc;

use super::App;
use crate::store::Store;

/// Runs what the app was given for the database that the store is; for another one, that is a problem.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(clippy::unused_async, reason = "only a database has tables to make")
)]
pub(super) async fn run(app: &App, store: &Arc<dyn Store>, problems: &mut Vec<String>) {
    #[cfg(feature = "sqlite")]
    if let Some(setup) = app.sqlite_setup.clone() {
        problems.extend(in_sqlite(setup, store).await.err());
    }
    #[cfg(feature = "postgres")]
    if let Some(sql) = &app.postgres_setup {
        problems.extend(in_postgres(sql, store).await.err());
    }
    let _ = (app, store, problems);
}

#[cfg(feature = "sqlite")]
async fn in_sqlite(setup: super::SqliteSetup, store: &Arc<dyn Store>) -> Result<(), String> {
    let store: Arc<dyn std::any::Any + Send + Sync> = store.clone();
    let Ok(sqlite) = store.downcast::<crate::store::SqliteStore>() else {
        return Err("`.sqlite_setup(…)` makes tables in SQLite, and the store is another database: set OPERATOR_STORE to sqlite:PATH.".to_owned());
    };
    // It waits for the disk.
    let working = tokio::task::spawn_blocking(move || sqlite.setup(move |connection| setup(connection)));
    match working.await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(format!("`.sqlite_setup(…)` was cut short: {error}.")),
    }
}

#[cfg(feature = "postgres")]
async fn in_postgres(sql: &'static str, store: &Arc<dyn Store>) -> Result<(), String> {
    let store: &dyn std::any::Any = &**store;
    match store.downcast_ref::<crate::store::PostgresStore>() {
        Some(postgres) => postgres.setup(sql).await.map_err(|error| error.to_string()),
        None => Err("`.postgres_setup(…)` makes tables in Postgres, and the store is another database: set OPERATOR_STORE to postgres://….".to_owned()),
    }
}
