//! The HTTP server: listening, connections and their limits, and a graceful stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use arc_swap::ArcSwap;
use axum::Router;
use futures_util::future::TryFutureExt as _;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::closing::{HANDSHAKE, ignore_new_connections};
use super::connection::{Arriving, Connection, Stream, refuse};
use super::connections::{Connections, Open};
use super::driven::Driven;
use super::probes::{self, Readiness};
use super::service::Service;
#[cfg(feature = "tls")]
use super::tls::{Encrypted, Handshake, ServerTls};
use super::watched::Watched;
use super::wrong_protocol::WrongProtocols;
use super::{Assembled, Given, Limits, StartError, StartProblem};
use crate::pipeline::Pipeline;
use crate::upkeep::counting::count_while_held;
use crate::upkeep::sweeping::sweep_while_held;

/// A listener that is bound. New connections wait in the kernel's queue until the server accepts them.
pub(crate) struct Listening {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Listens on an address. The port 0 means any free port.
pub(crate) async fn listen(address: Given<SocketAddr>) -> Result<Listening, StartError> {
    let Given { value, setting } = address;
    let cannot = |error| {
        let sentence =
            format!("The server cannot listen on {value}: {error}. Set {setting} to a free address of this machine.");
        StartProblem::of(setting, sentence).caused_by(error)
    };
    let listener = TcpListener::bind(value).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok(Listening { listener, address })
}

/// Serves the endpoints and the other routes in `beside` until SIGTERM or SIGINT. After SIGTERM, the server goes on for
/// `stop_delay`, so that load balancers see at `/readyz` that it is stopping. A second signal ends the process at once
/// with a failure: running calls are aborted, and their leases have to expire. A signal that comes within [`SAME`] of
/// the first is ignored.
pub(crate) async fn serve(
    listening: Listening,
    mut signals: Signals,
    assembled: Arc<Assembled>,
    beside: Router,
    stop_delay: Duration,
) -> Result<(), StartError> {
    let Listening { listener, .. } = listening;
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "only TLS is set"))]
    let mut server = Server::new(listener, &assembled, beside);
    #[cfg(feature = "tls")]
    {
        server.tls.clone_from(&assembled.settings.tls);
    }
    // This task runs until all connections have ended, including those that are accepted during the stop.
    let closing = tokio::spawn(Arc::clone(&server.connections).close_overdue());
    let sweeping = sweep_while_held(&assembled.pipeline);
    let counts_records = assembled.settings.counts_records;
    let counting = counts_records.then(|| count_while_held(&assembled.pipeline));
    let connections = GracefulShutdown::new();
    let signal = tokio::select! {
        never = server.accept(&connections) => match never {},
        signal = signals.next() => signal,
    };
    // The stop begins before it is logged, because a blocked log must not delay the stop.
    server.readiness.stop();
    let (delay, linger) = match signal {
        Signalled::Terminate => (stop_delay, LINGER),
        Signalled::Interrupt => (Duration::ZERO, Duration::ZERO),
    };
    let closes = match delay.as_secs_f32() {
        0.0 => "the port closes".to_owned(),
        seconds => format!("the port closes in {seconds} s"),
    };
    tracing::info!(
        "stopping: {closes}, and running calls are finished (a second signal, after half a second, stops at once)"
    );
    tokio::select! {
        () = server.stop(connections, &assembled.pipeline, delay, linger) => tracing::info!("stopped"),
        () = signals.again() => stop_at_once(),
    }
    closing.abort();
    sweeping.abort();
    counting.inspect(JoinHandle::abort);
    Ok(())
}

/// How long an idle connection may still send a call after the port was closed. A proxy may have chosen the connection
/// for a call before the proxy knew that the server stops.
const LINGER: Duration = Duration::from_secs(1);

/// A wrapper such as a shell, `npm run` or `cargo run` may pass on a signal that the kernel has already sent to the whole
/// process group. The process then gets two signals within this time.
const SAME: Duration = Duration::from_millis(500);

/// Exits the process, although handlers are running.
pub(super) fn stop_at_once() -> ! {
    tracing::warn!("stopped at once");
    exit(1)
}

/// Exits the process. Shutting the runtime down instead would wait for code that blocks.
fn exit(status: i32) -> ! {
    #[cfg(feature = "cli")]
    super::log::flush();
    std::process::exit(status)
}

/// Until the returned value is dropped, SIGTERM and SIGINT end the process at once, with exit status 0, because no call
/// is under way during start-up. The signals would do the same by themselves, but not in a process whose id is 1, as in
/// a container: the kernel drops signals for which that process does not wait, and start-up may wait for its store.
pub(super) fn stop_during_start() -> Result<AbortOnDropHandle<()>, StartError> {
    let mut signals = Signals::new()?;
    // On a task of its own, because start-up may run code of the program that blocks.
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopped by a signal during start-up: no call was under way");
        exit(0)
    })))
}

/// Ends [`stop_during_start`]. Waits for the signals before that task ends, so that no signal is missed.
pub(super) fn started(starting: AbortOnDropHandle<()>) -> Result<Signals, StartError> {
    let signals = Signals::new()?;
    drop(starting);
    Ok(signals)
}

/// The signals that ask the process to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to wait for the signals. This is done before the program says that it listens.
    fn new() -> Result<Self, StartError> {
        let waiting = |kind| {
            signal(kind).map_err(|error| {
                let sentence = format!("The program cannot wait for the signals SIGTERM and SIGINT: {error}.");
                StartError::from(StartProblem::new(sentence).caused_by(error))
            })
        };
        Ok(Self {
            terminate: waiting(SignalKind::terminate())?,
            interrupt: waiting(SignalKind::interrupt())?,
        })
    }

    /// Waits for a second signal. A signal within [`SAME`] of the first may be a copy of the first, so it is ignored.
    pub(super) async fn again(&mut self) {
        let mut same = pin!(tokio::time::sleep(SAME));
        loop {
            tokio::select! {
                biased;
                _ = self.next() => tracing::info!("a second signal within half a second was ignored: it may be a copy of the first"),
                () = &mut same => break,
            }
        }
        self.next().await;
    }

    pub(super) async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.terminate.recv() => Signalled::Terminate,
            _ = self.interrupt.recv() => Signalled::Interrupt,
        }
    }
}

/// A signal that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signalled {
    Terminate,
    Interrupt,
}

/// A connection whose request had a larger head is closed after the answer, because hyper keeps the read buffer of a
/// connection at the size of its largest head.
const LARGEST_HEAD_KEPT: usize = 8 * 1024;

/// The number of bytes of a request's URL and headers, without the few bytes of the syntax around them.
fn head_size<B>(request: &Request<B>) -> usize {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    path + headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum::<usize>()
}

/// The settings of a connection's HTTP.
pub(super) fn http_settings(limits: Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    // Hyper may make the read buffer larger than `max_buf_size`, so the head also has its own limit. Hyper's timer is
    // off, because hyper would create a timer for each request; `Connections` enforces the time limit instead.
    http.max_buf_size(limits.head)
        .max_header_size(limits.head)
        .header_read_timeout(None);
    http
}

/// The pause after a connection could not be accepted, if another one is closed for it, and otherwise.
const CLOSING: Duration = Duration::from_millis(20);
const FULL: Duration = Duration::from_millis(100);

/// Waits for the next connection.
pub(super) async fn accepted(listener: &TcpListener, connections: &Connections) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and complete; with Nagle's algorithm, the kernel would delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            // Most likely, there are no free file descriptors, so a connection is closed as if there were too many. During the
            // pause, it ends.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                let pause = if connections.close_surplus() { CLOSING } else { FULL };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// A request that is being answered on a connection.
pub(super) struct Answering {
    watched: Arc<Watched>,
    is_last: bool,
}

impl Answering {
    /// Tells the connection that a request has arrived, and when its body arrives. The answer closes the connection if
    /// `is_last` is set, or if the request has a large head.
    pub(super) fn begin(
        watched: &Arc<Watched>,
        request: Request<Incoming>,
        is_last: bool,
    ) -> (Self, Request<Arriving>) {
        watched.call_begins();
        let answering = Self {
            watched: Arc::clone(watched),
            is_last: is_last || head_size(&request) > LARGEST_HEAD_KEPT,
        };
        let request = request.map(|body| Arriving::new(body, Arc::clone(watched)));
        (answering, request)
    }

    /// Tells the connection that the answer is to be sent.
    pub(super) fn end<B: Body>(self, mut response: Response<B>) -> Response<B> {
        self.watched.call_ends(response.body().size_hint().lower());
        if self.is_last {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Adds the certificates of the client, which its handshake has shown.
#[cfg(feature = "tls")]
fn certified(mut request: Request<Arriving>, handshake: Option<&Handshake>) -> Request<Arriving> {
    if let Some(Ok(certificates)) = handshake.and_then(|handshake| handshake.get()) {
        request.extensions_mut().insert(certificates.clone());
    }
    request
}

/// A listener, and everything that serves its connections.
struct Server {
    listener: TcpListener,
    service: Service,
    http: http1::Builder,
    connections: Arc<Connections>,
    readiness: Arc<Readiness>,
    wrong_protocols: Arc<WrongProtocols>,
    /// The certificate, if the server speaks https.
    #[cfg(feature = "tls")]
    tls: Option<Arc<ArcSwap<ServerTls>>>,
    /// The longest time from the first byte of a request to the last byte of its answer.
    longest: Duration,
}

impl Server {
    fn new(listener: TcpListener, assembled: &Arc<Assembled>, beside: Router) -> Self {
        let limits = assembled.settings.limits;
        let readiness = Readiness::new(&assembled.pipeline);
        let beside = probes::route(beside, &readiness);
        let slowest = assembled.endpoints.iter().map(|endpoint| endpoint.max_execution).max();
        Self {
            listener,
            service: Service::with(assembled, beside),
            http: http_settings(limits),
            connections: Connections::new(limits),
            readiness,
            wrong_protocols: Arc::default(),
            #[cfg(feature = "tls")]
            tls: None,
            // The caller has the time limit for sending the request, and again for reading the answer.
            longest: slowest.unwrap_or_default().saturating_add(2 * limits.read_timeout),
        }
    }

    /// Accepts connections for as long as the future is polled, and serves each connection on its own task.
    async fn accept(&self, graceful: &GracefulShutdown) -> Infallible {
        loop {
            let (stream, peer) = accepted(&self.listener, &self.connections).await;
            self.take(stream, peer, graceful).await;
        }
    }

    /// Serves a connection, or refuses it if the server is full.
    async fn take(&self, stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown) {
        match self.connections.admit().await {
            Some(open) => self.serve(stream, peer, open, graceful),
            None if self.speaks_https() => {}
            None => refuse(&stream),
        }
    }

    /// Whether a client could not read an answer before the handshake.
    fn speaks_https(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, open: Open, graceful: &GracefulShutdown) {
        let watched = Arc::clone(&open.watched);
        #[cfg(feature = "tls")]
        let (stream, handshake) = self.encrypted(stream);
        #[cfg(not(feature = "tls"))]
        let stream = Stream::Plain(stream);
        let connection = Connection::new(stream, Arc::clone(&watched));
        let service = self.service.clone();
        let readiness = Arc::clone(&self.readiness);
        #[cfg(feature = "tls")]
        let presented = handshake.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let (answering, request) = Answering::begin(&watched, request, readiness.is_stopping());
            #[cfg(feature = "tls")]
            let answered = service.answer_certified(certified(request, presented.as_ref()));
            #[cfg(not(feature = "tls"))]
            let answered = service.answer(request);
            answered.map_ok(|response| answering.end(response))
        });
        let connection = self.http.serve_connection(TokioIo::new(connection), answer);
        let connection = Driven::new(graceful.watch(connection));
        open.woken_by(connection.waker());
        let wrong_protocols = Arc::clone(&self.wrong_protocols);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                if error.is_parse() && !error.is_parse_too_large() {
                    wrong_protocols.note(peer, open.watched.beginning());
                }
                tracing::debug!(%error, "a connection ended early");
            }
            #[cfg(feature = "tls")]
            if let Some(Err(error)) = handshake.as_ref().and_then(|handshake| handshake.get()) {
                wrong_protocols.note_failed_handshake(peer, error);
            }
            drop(open);
        });
    }

    /// The stream and, if the server speaks https, the place for the result of its handshake.
    #[cfg(feature = "tls")]
    fn encrypted(&self, stream: TcpStream) -> (Stream, Option<Handshake>) {
        match &self.tls {
            None => (Stream::Plain(stream), None),
            Some(tls) => {
                let handshake = Handshake::default();
                let encrypted = Encrypted::new(&tls.load(), stream, Arc::clone(&handshake));
                (Stream::Encrypted(Box::new(encrypted)), Some(handshake))
            }
        }
    }

    /// Closes the port after `delay`, waits for the calls on connections, then for detached calls, and then closes the
    /// store. The answer to a call that arrives meanwhile asks the caller to close the connection.
    async fn stop(self, connections: GracefulShutdown, pipeline: &Pipeline, delay: Duration, linger: Duration) {
        {
            // One future for both phases, because it may have taken a connection that it has not served yet.
            let mut accepting = pin!(self.accept(&connections));
            let _ = tokio::time::timeout(delay, &mut accepting).await;
            if !linger.is_zero() {
                ignore_new_connections(&self.listener);
                let _ = tokio::time::timeout(HANDSHAKE, &mut accepting).await;
            }
        }
        let Self {
            listener,
            connections: open,
            longest,
            ..
        } = self;
        drop(listener);
        let _ = tokio::time::timeout(linger, open.all_ended()).await;
        // In this order, because a connection that is lost meanwhile hands its handler over to the pipeline.
        if tokio::time::timeout(longest, connections.shutdown()).await.is_err() {
            tracing::warn!("some connections were still open after {} s", longest.as_secs());
        }
        pipeline.stop();
        pipeline.idle().await;
        pipeline.drain().await;
    }
}
