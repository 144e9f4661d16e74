//! Billing on Postgres: what an agent charges and looks up. Start it on as many machines as you like, all with
//! `OPERATOR_STORE=postgres://…` of one database.

mod charges;
mod ledger;

use std::process::ExitCode;

use operator_runtime::App;

#[tokio::main]
async fn main() -> ExitCode {
    App::new().postgres_setup(include_str!("tables.sql")).run().await
}
