//! Workers that carry out operations: one calls over HTTP, the other calls the store's own interface.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use operator_runtime::http::StatusCode;
use operator_runtime::store::{
    Audit, BoxFuture, Fingerprint, FirstSeen, OperationId, Origin, Proposal, Record, Response, Revision, State, Step,
    Store, StoreError, Swap, Transaction, Verdict, Work,
};
use operator_runtime::{Postgres, Sqlite, Tx};
use tests::caller::{now, sign};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::BOOK;

/// The kind of endpoint that a worker calls, or whose writes it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Elsewhere,
    InSqlite,
    InPostgres,
}

pub(crate) trait Worker: Send + 'static {
    /// Carries out one new operation.
    fn once(&mut self) -> BoxFuture<'_, ()>;
}

/// A caller over HTTP. Its connection stays open, as that of real callers does.
pub(crate) struct Http {
    stream: TcpStream,
    path: &'static str,
    inputs: fn() -> String,
    answer: Vec<u8>,
}

/// The caller with a new order as the input of each call.
pub(crate) fn with_an_order(caller: Http) -> Http {
    Http {
        inputs: || format!(r#"{{"order": {}}}"#, number_unlike_any_other()),
        ..caller
    }
}

impl Http {
    pub(crate) async fn connect(server: SocketAddr, path: &'static str) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            path,
            inputs: || "{}".to_owned(),
            answer: vec![0; 4096],
        }
    }

    pub(crate) async fn callers(number: usize, server: SocketAddr, path: &'static str) -> Vec<Self> {
        let mut callers = Vec::new();
        for _ in 0..number {
            callers.push(Self::connect(server, path).await);
        }
        callers
    }
}

impl Worker for Http {
    fn once(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (path, timestamp, key) = (self.path, now(), unlike_any_other());
            let inputs = (self.inputs)();
            let signature = sign(path, &key, timestamp, &inputs);
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 X-Idempotency-Key: {key}\r\nX-Timestamp: {timestamp}\r\nX-Signature: {signature}\r\n\r\n{inputs}",
                inputs.len()
            );
            self.stream.write_all(request.as_bytes()).await.unwrap();
            let mut length = 0;
            // The answer ends with the body `true`.
            while !self.answer[..length].ends_with(b"\r\n\r\ntrue") {
                let read = self.stream.read(&mut self.answer[length..]).await.unwrap();
                let so_far = String::from_utf8_lossy(&self.answer[..length + read]);
                assert!(read > 0 && so_far.starts_with("HTTP/1.1 200"), "{so_far}");
                length += read;
            }
        })
    }
}

/// Writes to the store the same two records as the framework does for a call, but without the framework.
#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) kind: Kind,
}

impl Worker for Own {
    fn once(&mut self) -> BoxFuture<'_, ()> {
        let id = OperationId::new("own", &unlike_any_other());
        let kind = self.kind;
        if kind == Kind::Elsewhere {
            return Box::pin(claim_and_complete(&*self.store, id, completed()));
        }
        Box::pin(async move {
            let work: Work = Box::new(move |transaction| {
                Box::pin(async move {
                    in_transaction(transaction, id, kind).await;
                    Verdict::Commit
                })
            });
            let limit = std::time::Duration::from_secs(60);
            self.store.transactions().unwrap().transact(limit, work).await;
        })
    }
}

/// Carries out an operation whose effect is elsewhere.
pub(crate) async fn claim_and_complete(store: &dyn Store, id: OperationId, completed: Arc<Record>) {
    let expected = swapped(store.swap(claim(id))).await;
    swapped(store.swap(completion(id, expected, completed))).await;
}

pub(crate) fn claim(id: OperationId) -> Proposal {
    Proposal {
        id,
        expected: None,
        new: in_progress(),
        first_seen: FirstSeen::Reset,
        audit: Audit::Nothing,
    }
}

pub(crate) fn completion(id: OperationId, expected: Revision, new: Arc<Record>) -> Proposal {
    Proposal {
        id,
        expected: Some(expected),
        new,
        first_seen: FirstSeen::Keep,
        audit: Audit::Nothing,
    }
}

async fn in_transaction(transaction: &mut dyn Transaction, id: OperationId, kind: Kind) {
    let expected = swapped(transaction.swap(claim(id))).await;
    transaction.savepoint().wait().await.unwrap();
    if kind == Kind::InSqlite {
        let tx: &mut Tx<Sqlite> = transaction.handle().downcast_mut().unwrap();
        tx.prepare_cached(BOOK).unwrap().execute(()).unwrap();
    } else {
        let tx: &mut Tx<Postgres> = transaction.handle().downcast_mut().unwrap();
        let book = tx.prepare_cached(BOOK).await.unwrap();
        tx.execute(&book, &[]).await.unwrap();
    }
    transaction.release_savepoint().wait().await.unwrap();
    swapped(transaction.swap(completion(id, expected, completed()))).await;
}

pub(crate) async fn swapped(swapping: Step<'_, Result<Swap, StoreError>>) -> Revision {
    match swapping.wait().await.unwrap() {
        Swap::Swapped(revision) => revision,
        other => panic!("nobody else writes this record: {other:?}"),
    }
}

pub(crate) fn in_progress() -> Arc<Record> {
    record(State::InProgress)
}

pub(crate) fn completed() -> Arc<Record> {
    completed_with("true".into())
}

/// A completed record that takes this many bytes in a table: its id, its revision, its two times and its own bytes.
pub(crate) fn completed_of(bytes: usize) -> Arc<Record> {
    let without_answer = 32 + 8 + 8 + 8 + completed_with(Bytes::new()).encode().len();
    completed_with(vec![b'a'; bytes - without_answer].into())
}

pub(crate) fn completed_with(body: Bytes) -> Arc<Record> {
    record(State::Completed(Response::new(
        StatusCode::OK,
        "application/json",
        body,
    )))
}

fn record(state: State) -> Arc<Record> {
    let fingerprint = Fingerprint::new("POST", "/", "application/json", b"{}");
    let mut record = Record::first(fingerprint, Origin::new("book", "key", "default"));
    record.state = state;
    Arc::new(record)
}

/// A new key for each operation, so that no two operations conflict.
pub(crate) fn unlike_any_other() -> String {
    format!("key-{}", number_unlike_any_other())
}

fn number_unlike_any_other() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// A new id as the store's key. It is a hash, so successive operations are far apart in the store's index.
pub(crate) fn id_unlike_any_other() -> [u8; 32] {
    *OperationId::new("bare", &unlike_any_other()).as_bytes()
}
