//! MCP over standard input and output, for the one client that started the process.

use std::io::Read as _;
use std::sync::Arc;

use rmcp::service::{QuitReason, ServerInitializeError, serve_server};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Handle;
use tokio::task::JoinError;

use super::{Server, Tools};
use crate::app::Assembled;
use crate::protocol::bearer::Bearer;

/// Why serving an MCP client failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::app) enum StdioError {
    #[error("Standard input cannot be read: {0}.")]
    Input(#[source] std::io::Error),
    #[error("The MCP client did not initialize the connection: {0}.")]
    Begin(#[source] Box<ServerInitializeError>),
    #[error("The MCP server failed: {0}.")]
    Task(#[source] JoinError),
}

/// Answers the client until it closes standard input. Calls that are still running then go on in the pipeline.
pub(in crate::app) async fn serve(assembled: &Assembled) -> Result<(), StdioError> {
    let server = Server {
        tools: Arc::new(Tools::new(assembled)),
        bearer: Bearer::starter_of_this_process(),
    };
    let input = standard_input().map_err(StdioError::Input)?;
    let transport =
        AsyncRwTransport::new(input, tokio::io::stdout()).with_max_line_length(assembled.settings.limits.body);
    let running = serve_server(server, transport)
        .await
        .map_err(|error| StdioError::Begin(Box::new(error)))?;
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Task(error)),
        Ok(_) => Ok(()),
    }
}

/// Reads standard input on a separate thread, because a read of tokio's standard input would keep the process from
/// exiting.
fn standard_input() -> std::io::Result<DuplexStream> {
    const ROOM: usize = 64 * 1024;
    let (here, mut there) = duplex(ROOM);
    let runtime = Handle::current();
    let read = move || {
        let mut room = vec![0; ROOM];
        let mut input = std::io::stdin().lock();
        while let Ok(length @ 1..) = input.read(&mut room) {
            if runtime.block_on(there.write_all(&room[..length])).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new()
        .name("standard input".to_owned())
        .spawn(read)?;
    Ok(here)
}
