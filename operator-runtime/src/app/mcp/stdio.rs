//! MCP over standard input and output, for the one client that started the process.

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use rmcp::model::RequestId;
use rmcp::service::{QuitReason, RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage, serve_server};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, RoleServer};
use serde::Deserialize;
use tokio::io::{AsyncWriteExt as _, DuplexStream, Stdout, duplex, stdout};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use super::arguments::as_text;
use super::parsing::Parsing;
use super::size::check_values;
use super::{Server, Tools};
use crate::app::Assembled;
use crate::protocol::bearer::Bearer;
use crate::store::BoxFuture;

/// Why serving an MCP client failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::app) enum StdioError {
    #[error(
        "No thread that reads standard input can be started: {0}. Check the limits on threads and memory of this process."
    )]
    Input(#[source] io::Error),
    #[error(
        "The MCP client did not initialize the connection: {0}. Start this command from an MCP client, not by hand."
    )]
    Begin(#[source] Box<ServerInitializeError>),
    #[error("The MCP server failed: {0}. Start this command again, and report this message if it fails again.")]
    Task(#[source] JoinError),
}

/// Answers the client until it closes standard input. Calls that are still running then go on in the pipeline.
pub(in crate::app) async fn serve(assembled: &Assembled) -> Result<(), StdioError> {
    let server = Server {
        tools: Arc::new(Tools::new(assembled)),
        bearer: Bearer::starter_of_this_process(),
        parsing: Parsing::default(),
        // The person who started the process has no rate.
        over_rate: None,
    };
    let input = Input::open(assembled.settings.limits.body).map_err(StdioError::Input)?;
    let running = serve_server(server, input)
        .await
        .map_err(|error| StdioError::Begin(Box::new(error)))?;
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Task(error)),
        Ok(_) => Ok(()),
    }
}

/// The messages of standard input, except those that are too large. Each of these is answered with an error.
struct Input {
    accepted: AsyncRwTransport<RoleServer, DuplexStream, Stdout>,
    refused: mpsc::Receiver<Refused>,
    /// The answer that is being written.
    answering: Option<BoxFuture<'static, io::Result<()>>>,
}

/// A message that is too large.
struct Refused {
    /// `None` if the message is not a request, or too long to be read.
    id: Option<RequestId>,
    why: String,
}

impl Input {
    /// Reads standard input on a separate thread, because a read of tokio's standard input would keep the process from
    /// exiting. `longest` is the limit of a message, in bytes.
    fn open(longest: usize) -> io::Result<Self> {
        const ROOM: usize = 64 * 1024;
        let (here, mut there) = duplex(ROOM);
        let (refuse, refused) = mpsc::channel(1);
        let runtime = Handle::current();
        let read = move || {
            let mut input = io::stdin().lock();
            while let Some(line) = next_line(&mut input, longest) {
                let is_taken = match line {
                    Ok(line) => runtime.block_on(there.write_all(&line)).is_ok(),
                    Err(refused) => refuse.blocking_send(refused).is_ok(),
                };
                if !is_taken {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(read)?;
        Ok(Self {
            // `next_line` limits the length.
            accepted: AsyncRwTransport::new(here, stdout()).with_max_line_length(usize::MAX),
            refused,
            answering: None,
        })
    }
}

impl Transport<RoleServer> for Input {
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.accepted.send(message)
    }

    /// The caller may drop this future at any time, so an answer that is being written is kept.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                let answered = answering.await;
                self.answering = None;
                answered.ok()?;
            }
            tokio::select! {
                // In this order, so that a refused message before the end of the input is answered.
                biased;
                Some(Refused { id, why }) = self.refused.recv() => {
                    tracing::warn!("a message of the MCP client was refused: {why}");
                    let answer = TxJsonRpcMessage::<RoleServer>::error(ErrorData::invalid_request(why, None), id);
                    self.answering = Some(Box::pin(self.accepted.send(answer)));
                }
                message = self.accepted.receive() => return message,
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.accepted.close()
    }
}

/// Reads one message, which is a line; `None` at the end. A last line without an end is incomplete, so it is not a
/// message.
fn next_line(input: &mut impl BufRead, longest: usize) -> Option<Result<Vec<u8>, Refused>> {
    let mut line = Vec::new();
    let most = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    input.take(most).read_until(b'\n', &mut line).ok()?;
    if line.ends_with(b"\n") {
        return Some(match check_values(&line) {
            Ok(()) => Ok(with_arguments_as_text(line)),
            Err(why) => Err(Refused { id: id_of(&line), why }),
        });
    }
    if line.len() <= longest {
        return None;
    }
    input.skip_until(b'\n').ok()?;
    let why = format!("The message is longer than {longest} bytes, which is this server's limit: send a shorter one.");
    Some(Err(Refused { id: None, why }))
}

fn with_arguments_as_text(line: Vec<u8>) -> Vec<u8> {
    let Some(mut message) = as_text(&line) else {
        return line;
    };
    message.push(b'\n');
    message
}

/// The id of a request, read without its other fields.
fn id_of(message: &[u8]) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Request {
        id: RequestId,
    }
    serde_json::from_slice(message).ok().map(|Request { id }| id)
}
