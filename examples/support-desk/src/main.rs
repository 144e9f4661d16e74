//! A shop's support desk: what an agent looks up and does for a customer.

mod database;
mod notifications;
mod orders;
mod refunds;
mod tickets;

use std::process::ExitCode;

use operator_runtime::App;

#[tokio::main]
async fn main() -> ExitCode {
    App::new()
        .state(notifications::Outbox::from_env())
        .sqlite_setup(database::set_up)
        .run()
        .await
}
