//! `serve`: answers the agent.

use std::process::ExitCode;

use super::Done;
use crate::app::App;

pub(super) async fn run(app: App) -> Done {
    let served = app.serve().await;
    served.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
}
