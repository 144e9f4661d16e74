//! Billing on Postgres: an agent books charges and looks them up. The program can run on several machines at once. All
//! of them use the same database, which `OPERATOR_STORE=postgres://…` names.

mod charges;
mod ledger;

use std::process::ExitCode;

use operator_runtime::{App, info};

#[tokio::main]
async fn main() -> ExitCode {
    App::new()
        .info(info!())
        .postgres_setup(include_str!("tables.sql"))
        .run()
        .await
}
