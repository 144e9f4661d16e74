//! A port besides the port for calls: the admin page, or the metrics. Its few connections have the time limits of the
//! port for calls. Otherwise anyone who reaches this port could use up the file descriptors of the process, and then no
//! call would be accepted.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use futures_util::future::TryFutureExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tower::Service as _;

use super::Limits;
use super::connection::{Connection, Stream, refuse};
use super::connections::{Connections, Open};
use super::driven::Driven;
use super::server::{Answering, accepted, http_settings};

/// The largest number of connections. A browser opens up to six.
const CONNECTIONS: usize = 16;

/// Answers with the router until `end` completes. Then closes the port, and finishes the answers that have begun.
pub(super) async fn serve(listener: TcpListener, router: Router, limits: Limits, end: impl Future<Output = ()>) {
    let limits = Limits {
        connections: Some(CONNECTIONS),
        ..limits
    };
    let http = http_settings(limits);
    let connections = Connections::new(limits);
    let graceful = GracefulShutdown::new();
    let mut closing = pin!(Arc::clone(&connections).close_overdue());
    tokio::select! {
        never = accept(&listener, &connections, &http, &router, &graceful) => match never {},
        never = &mut closing => match never {},
        () = end => {}
    }
    drop(listener);
    tokio::select! {
        never = closing => match never {},
        () = graceful.shutdown() => {}
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Connections>,
    http: &http1::Builder,
    router: &Router,
    graceful: &GracefulShutdown,
) -> Infallible {
    loop {
        let (stream, _) = accepted(listener, connections).await;
        match connections.admit().await {
            Some(open) => serve_one(stream, open, http, router.clone(), graceful),
            None => refuse(&stream),
        }
    }
}

fn serve_one(stream: TcpStream, open: Open, http: &http1::Builder, router: Router, graceful: &GracefulShutdown) {
    let watched = Arc::clone(&open.watched);
    let connection = Connection::new(Stream::Plain(stream), Arc::clone(&watched));
    let answer = service_fn(move |request| {
        let (answering, request) = Answering::begin(&watched, request, false);
        let answered = router.clone().call(request.map(Body::new));
        answered.map_ok(|response| answering.end(response))
    });
    let connection = http.serve_connection(TokioIo::new(connection), answer);
    let connection = Driven::new(graceful.watch(connection));
    open.woken_by(connection.waker());
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(open);
    });
}
