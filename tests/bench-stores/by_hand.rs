//! The same SQL, the same script or the same store behind a hand-written HTTP route, without signatures, descriptions
//! or replays. Its figures include the cost of HTTP and of the callers on this machine. The framework's figures minus
//! these are therefore the cost of the framework.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use super::bare::{InPostgres, InSqlite};
use super::by_redis::InRedis;
use super::workers::{Own, Worker as _};

pub(crate) const PATH: &str = "/by-hand";

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    server
}

async fn serve_route<F: Future<Output = ()> + Send + 'static>(
    work: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> SocketAddr {
    // hyper wakes the connection's task once more before a call is read, so the body is read in a second poll.
    let route = post(async move |_: Bytes| {
        work().await;
        "true"
    });
    serve(Router::new().route(PATH, route)).await
}

pub(crate) async fn nothing() -> SocketAddr {
    serve_route(async || {}).await
}

/// One thread carries out the work of all waiting callers in one commit.
pub(crate) async fn sqlite(sqlite: InSqlite) -> SocketAddr {
    let (asking, asked) = mpsc::channel::<oneshot::Sender<()>>();
    std::thread::spawn(move || {
        while let Ok(first) = asked.recv() {
            let mut waiting = vec![first];
            waiting.extend(asked.try_iter());
            sqlite.carry_out(waiting.len());
            for caller in waiting {
                let _ = caller.send(());
            }
        }
    });
    serve_route(move || {
        let asking = asking.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            asking.send(reply).unwrap();
            answer.await.unwrap();
        }
    })
    .await
}

/// A pool of connections. Each connection serves one caller at a time.
pub(crate) async fn postgres(connections: Vec<InPostgres>) -> SocketAddr {
    let permits = Arc::new(Semaphore::new(connections.len()));
    let idle = Arc::new(Mutex::new(connections));
    serve_route(move || {
        let (permits, idle) = (permits.clone(), idle.clone());
        async move {
            let _permit = permits.acquire().await.unwrap();
            let connection = idle.lock().unwrap().pop().unwrap();
            connection.carry_out().await;
            idle.lock().unwrap().push(connection);
        }
    })
    .await
}

/// The store's interface behind HTTP, without anything else.
pub(crate) async fn own(own: Own) -> SocketAddr {
    serve_route(move || {
        let mut own = own.clone();
        async move { own.once().await }
    })
    .await
}

pub(crate) async fn redis(connection: InRedis) -> SocketAddr {
    serve_route(move || {
        let connection = connection.clone();
        async move { connection.carry_out().await }
    })
    .await
}
