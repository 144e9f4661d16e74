//! `mcp`: serves the endpoints as tools to the MCP client that starts this program.

use super::Done;
use crate::app::App;

#[cfg(feature = "mcp")]
pub(super) async fn run(app: App) -> Done {
    use std::process::ExitCode;
    use std::sync::Arc;

    use crate::app::server::{started, stop_at_once, stop_during_start};
    use crate::app::{announcement, assemble, mcp};
    use crate::clock::SystemClock;
    use crate::upkeep::sweeping::sweep_while_held;

    let starting = stop_during_start().map_err(|error| error.to_string())?;
    let config = app.settings().or_else_for_stdio();
    let config = config.map_err(|error| error.to_string())?;
    let assembled = assemble(&app, &config, Arc::new(SystemClock::new()))
        .await
        .map_err(|error| error.to_string())?;
    announcement::announce(&assembled);
    let mut signals = started(starting).map_err(|error| error.to_string())?;
    let sweeping = sweep_while_held(&assembled.pipeline);
    let (served, told_to_stop) = tokio::select! {
        served = mcp::stdio::serve(&assembled) => (served, false),
        _ = signals.next() => (Ok(()), true),
    };
    assembled.pipeline.stop();
    // After the end of standard input, the first signal only repeats the request to stop; so two signals are needed.
    let told_twice = async {
        if !told_to_stop {
            signals.next().await;
        }
        signals.again().await;
    };
    tokio::select! {
        () = assembled.pipeline.drain() => {}
        () = told_twice => stop_at_once(),
    }
    sweeping.abort();
    served.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
}

#[cfg(not(feature = "mcp"))]
pub(super) fn run(_app: App) -> Done {
    Err(format!("This program has no MCP server: {}", crate::app::WITHOUT_MCP))
}
