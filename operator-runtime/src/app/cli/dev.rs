//! `dev`: serves on this machine with a generated key and the console, and prints how to try the endpoints.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use super::{Done, call, endpoints, key_file, program, said};
use crate::app::{App, Assembled, admin, announcement, assemble, console, rotation, server};
use crate::clock::{Clock, SystemClock};

pub(super) async fn run(app: App) -> Done {
    let key_file = key_file::path();
    let given = app.settings();
    let address = given.settle_listen().map_err(said)?;
    if !address.value.ip().is_loopback() {
        return Err(format!(
            "`dev` listens only on a loopback address: set {} to a loopback address, such as 127.0.0.1:8080, or run `serve`.",
            address.setting
        ));
    }
    let has_keys = given.has_keys();
    if let Some(setting) = given.tls_setting() {
        tracing::warn!("{setting} has no effect here: `dev` speaks http and asks for no client certificate");
    }
    let starting = server::stop_during_start().map_err(|error| error.to_string())?;
    // The server listens before the URL is chosen, because the URL contains the port.
    let listening = server::listen(address).await.map_err(|error| error.to_string())?;
    let config = given.or_else_development(listening.address, || key_file::read_or_make(&key_file))?;
    let config = config.audit_if_possible();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let assembling = assemble(&app, &config, Arc::clone(&clock)).await;
    let assembled = Arc::new(assembling.map_err(|error| error.to_string())?);
    announcement::announce(&assembled);
    announcement::announce_mcp(&assembled);
    let address = listening.address;
    let console = match console::clash(&assembled) {
        Some(clash) => {
            tracing::warn!("{clash}");
            None
        }
        None => Some(console::routes(&assembled, clock, address.port()).map_err(|error| error.to_string())?),
    };
    let key = if has_keys {
        "the environment".to_owned()
    } else {
        key_file.display().to_string()
    };
    rotation::fetch_keys(&assembled).await;
    rotation::rotate_while_held(&assembled);
    admin::serve_while_held(&assembled)
        .await
        .map_err(|problem| problem.to_string())?;
    let signals = server::started(starting).map_err(|error| error.to_string())?;
    super::print(&welcome(&assembled, address, console.is_some(), &key))?;
    server::serve(
        listening,
        signals,
        assembled,
        console.unwrap_or_else(Router::new),
        Duration::ZERO,
    )
    .await
    .map(|()| ExitCode::SUCCESS)
    .map_err(|error| error.to_string())
}

/// The text that is printed at start: the address, the endpoints, and how to try one.
fn welcome(assembled: &Assembled, address: SocketAddr, has_console: bool, key: &str) -> String {
    let endpoints_of_app: Vec<_> = assembled.own_endpoints().map(|endpoint| endpoint.endpoint).collect();
    let mut text = format!(
        "\nServing at http://{address}, with the public URL {}\n\n",
        assembled.settings.public_url
    );
    text += &endpoints::table(&endpoints_of_app, &assembled.handlers, assembled.events_path);
    if has_console {
        let _ = write!(text, "\nTry them in the browser:\n\n    http://{address}/console\n");
    }
    // Prefer an endpoint that changes nothing, because people paste this command without reading it.
    let harmless = endpoints_of_app.iter().find(|endpoint| !endpoint.effect.is_recorded());
    if let Some(example) = harmless.or(endpoints_of_app.first()) {
        let _ = write!(
            text,
            "\nTry one from another terminal, in this folder:\n\n    {} {}\n",
            program(),
            call::example(example, &assembled.settings.public_url, address)
        );
    }
    let _ = write!(text, "\nThe signing key is in {key}. Ctrl-C stops.\n\n");
    text
}
