//! A shop's support desk: the endpoints with which an agent helps the shop's customers, and the handlers of the agent's
//! events.

mod conversations;
mod database;
mod notifications;
mod orders;
mod refunds;
mod tickets;

use std::process::ExitCode;

use operator_runtime::{App, info};

#[tokio::main]
async fn main() -> ExitCode {
    App::new()
        .info(info!())
        .state(notifications::Outbox::from_env())
        .sqlite_setup(database::set_up)
        .run()
        .await
}
