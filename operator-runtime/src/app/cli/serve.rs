//! `serve`: serves the agent until a signal stops the program.

use std::process::ExitCode;

use super::Done;
use crate::app::App;

pub(super) async fn run(app: App) -> Done {
    let served = app.serve().await;
    served.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
}
