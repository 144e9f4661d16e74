//! Handlers that end in the way that the call asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use operator_runtime::{Error, OperatorError, Postgres, Sqlite, Tx, operator_api};
use schemars::JsonSchema;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use tokio::sync::Semaphore;

/// The table of the effects.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS effect (what text NOT NULL)";
const EFFECT: &str = "INSERT INTO effect VALUES ('one')";

/// The state that handlers and test share.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) runs: Arc<AtomicU32>,
    pub(crate) started: Arc<Semaphore>,
    pub(crate) go: Arc<Semaphore>,
}

/// The output of a handler. For some values, it cannot be serialized.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Told(String);

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_str() {
            "unwritable" => Err(S::Error::custom("inner text")),
            text => serializer.serialize_str(text),
        }
    }
}

/// The errors of the handlers.
#[derive(Debug, OperatorError)]
pub(crate) enum Failure {
    /// The thing does not exist.
    #[operator(status = 404)]
    Missing,
    /// The request took too long.
    #[operator(status = 408)]
    Slow,
    /// The request came too early.
    #[operator(status = 425)]
    Early,
    /// There are too many requests.
    #[operator(status = 429)]
    Often,
    /// A retry may succeed later.
    #[operator(status = 503, retryable)]
    Later,
    /// The handler failed.
    #[operator(internal)]
    Failed(Error),
    #[operator(unknown)]
    Silent(std::io::Error),
}

impl From<operator_runtime::rusqlite::Error> for Failure {
    fn from(error: operator_runtime::rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<operator_runtime::tokio_postgres::Error> for Failure {
    fn from(error: operator_runtime::tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Stage {
    /// No handler has run, and a handler that waits for `go` waits.
    pub(crate) fn new() -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        Self {
            runs: Arc::default(),
            started: semaphore(),
            go: semaphore(),
        }
    }

    /// Ends in the way that `ends` names. The output says which run it was.
    async fn act(&self, ends: &str) -> Result<Told, Failure> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        match ends {
            "404" => Err(Failure::Missing),
            "408" => Err(Failure::Slow),
            "425" => Err(Failure::Early),
            "429" => Err(Failure::Often),
            "retryable" => Err(Failure::Later),
            "500" => Err(Failure::Failed(Error::internal("inner text"))),
            "unknown" => Err(Failure::Silent(std::io::Error::other("inner text"))),
            "panic" => panic!("inner text"),
            "hang" => std::future::pending().await,
            "unwritable" => Ok(Told("unwritable".to_owned())),
            "long" => Ok(Told("a".repeat(300 * 1024))),
            "gated" => {
                self.started.add_permits(1);
                self.go
                    .acquire()
                    .await
                    .map_err(|error| Failure::Failed(Error::internal(error)))?
                    .forget();
                Ok(Told(format!("run {run}")))
            }
            _ => Ok(Told(format!("run {run}"))),
        }
    }
}

/// Acts elsewhere.
#[operator_api(POST, "/once", timeout = "5s")]
pub(crate) async fn once(
    stage: &Stage,
    /// How it is to end.
    ends: String,
) -> Result<Told, Failure> {
    stage.act(&ends).await
}

/// Acts elsewhere, and may do so twice.
#[operator_api(POST, "/again", effect = rerunnable, timeout = "5s")]
pub(crate) async fn again(
    stage: &Stage,
    /// How it is to end.
    ends: String,
) -> Result<Told, Failure> {
    stage.act(&ends).await
}

/// Acts in SQLite.
#[operator_api(POST, "/sqlite", timeout = "5s")]
pub(crate) async fn in_sqlite(
    tx: &mut Tx<Sqlite>,
    stage: &Stage,
    /// How it is to end.
    ends: String,
) -> Result<Told, Failure> {
    tx.execute(EFFECT, ())?;
    stage.act(&ends).await
}

/// Acts in Postgres.
#[operator_api(POST, "/postgres", timeout = "5s")]
pub(crate) async fn in_postgres(
    tx: &mut Tx<Postgres>,
    stage: &Stage,
    /// How it is to end.
    ends: String,
) -> Result<Told, Failure> {
    tx.execute(EFFECT, &[]).await?;
    stage.act(&ends).await
}
