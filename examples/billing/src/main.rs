//! Billing on Postgres: an agent books charges and looks them up. The program may run on several machines at once, all
//! with the same database in `OPERATOR_STORE=postgres://…`.

mod charges;
mod ledger;

use std::process::ExitCode;

use operator_runtime::App;

#[tokio::main]
async fn main() -> ExitCode {
    App::new().postgres_setup(include_str!("tables.sql")).run().await
}
