//! Reads while the database is out of reach: a retry may help, so the answer is 503 with `Retry-After`.

use operator_runtime::testing::{Answer, Client};
use operator_runtime::{App, Error, Postgres, Reader, endpoints, operator_api};
use serde_json::json;
use tests::services::Postgres as Server;

/// Reads.
#[operator_api(GET, "/read")]
async fn read(
    reader: &Reader<Postgres>,
    /// The SQL to run.
    sql: String,
) -> Result<String, Error> {
    reader.session().await?.batch_execute(&sql).await?;
    Ok(sql)
}

/// Reads, and takes its inputs from a body.
#[operator_api(POST, "/read-by-post", read_only)]
async fn read_by_post(
    reader: &Reader<Postgres>,
    /// The SQL to run.
    sql: String,
) -> Result<String, Error> {
    read(reader, sql).await
}

/// Reads, and passes errors on in an error of its own.
#[operator_api(GET, "/read-indirectly")]
async fn read_indirectly(
    reader: &Reader<Postgres>,
    /// The SQL to run.
    sql: String,
) -> Result<String, Error> {
    #[derive(Debug)]
    struct Own(Error);
    impl std::fmt::Display for Own {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("the shop failed")
        }
    }
    impl std::error::Error for Own {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    read(reader, sql).await.map_err(|error| Error::internal(Own(error)))
}

/// May run again, so a retry is safe.
#[operator_api(POST, "/rerunnable", effect = rerunnable)]
async fn rerunnable(
    reader: &Reader<Postgres>,
    /// The SQL to run.
    sql: String,
) -> Result<String, Error> {
    read(reader, sql).await
}

/// Acts in another system, so a retry is not known to be safe.
#[operator_api(POST, "/acts")]
async fn acts(
    reader: &Reader<Postgres>,
    /// The SQL to run.
    sql: String,
) -> Result<String, Error> {
    read(reader, sql).await
}

const READS: [&str; 3] = ["read", "read_by_post", "read_indirectly"];

async fn client(url: &str) -> Client {
    let endpoints = endpoints![read, read_by_post, read_indirectly, rerunnable, acts];
    let store = super::connect(url).await;
    Client::new(App::new().only(endpoints).store(store)).await.unwrap()
}

fn is_to_be_sent_again(answer: &Answer) -> bool {
    let kind = answer.body["type"] == "urn:operator:problem:store-unavailable";
    kind && answer.status == 503 && answer.retry_after.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_of_a_database_out_of_reach_may_be_sent_again() {
    let mut server = Server::start(&[]);
    let client = client(&server.url()).await;
    let select = json!({ "sql": "SELECT 1" });
    for endpoint in READS {
        assert_eq!(client.call(endpoint, &select).await.status, 200, "{endpoint}");
        let wrong = client.call(endpoint, &json!({ "sql": "SELECT 1 / 0" })).await;
        assert_eq!((wrong.status.as_u16(), wrong.retry_after), (500, None), "{wrong:?}");
    }
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call("read", &json!({ "sql": "SELECT pg_sleep(20)" })).await }
    });
    crate::failover::until_it_sleeps(&server, 1).await;
    server.kill();
    let interrupted = waiting.await.unwrap();
    assert!(is_to_be_sent_again(&interrupted), "{interrupted:?}");
    for endpoint in READS {
        for _ in 0..2 {
            let answer = client.call(endpoint, &select).await;
            assert!(is_to_be_sent_again(&answer), "{endpoint}: {answer:?}");
        }
    }
    server.restart();
    for endpoint in READS {
        assert_eq!(client.call(endpoint, &select).await.status, 200, "{endpoint}");
    }
}

/// A session that an administrator ends is out of reach, for calls of every effect; only the call that may have acted
/// elsewhere must not be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_may_run_again_asks_for_it_when_its_reader_fails() {
    let server = Server::start(&[]);
    let client = client(&server.url()).await;
    let ends_itself = json!({ "sql": "SELECT pg_terminate_backend(pg_backend_pid())" });
    for endpoint in ["read", "read_by_post", "read_indirectly", "rerunnable"] {
        let answer = client.call(endpoint, &ends_itself).await;
        assert!(is_to_be_sent_again(&answer), "{endpoint}: {answer:?}");
    }
    let answer = client.call("acts", &ends_itself).await;
    assert_eq!((answer.status.as_u16(), answer.retry_after), (500, None), "{answer:?}");
}
