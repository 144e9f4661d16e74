//! An attempt whose operation another server has taken over before its handler could start must not act.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use operator_runtime::testing::Client;
use operator_runtime::{App, Config, Settings, endpoints, operator_api, tokio_postgres};
use serde_json::json;
use tests::services::Postgres as Server;
use tokio::sync::Semaphore;

use crate::connect;
use crate::reserved::{connected, waiting};

/// Lets no slow call pass its extractor until there is a permit.
static GATE: Semaphore = Semaphore::const_new(0);
const SLOW: HeaderName = HeaderName::from_static("x-slow");

struct Gate;

impl FromRequestParts<()> for Gate {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &()) -> Result<Self, Self::Rejection> {
        if parts.headers.contains_key(SLOW) {
            GATE.acquire().await.unwrap().forget();
        }
        Ok(Self)
    }
}

/// What the handlers of both servers have noted.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

/// Notes an order elsewhere, within a limit.
#[operator_api(POST, "/note", effect = rerunnable)]
#[operator(limit(calls = 3, within = "24h"))]
async fn note(
    notes: &Notes,
    #[operator(extract)] _gate: Gate,
    /// What to note.
    order: String,
) -> bool {
    notes.0.lock().unwrap().push(order);
    true
}

/// Two servers on one database, which have a client each and note in the same place.
async fn two_servers(server: &Server, settings: Settings) -> ([Client; 2], Notes) {
    let notes = Notes::default();
    let open = async || {
        let app = App::new().only(endpoints![note]).state(notes.clone());
        let app = app.config(Config::new().operations(settings));
        let client = Client::new(app.store(connect(&server.url()).await)).await.unwrap();
        client.with_idempotency_key("a")
    };
    ([open().await, open().await], notes)
}

async fn within_20_seconds<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap()
}

/// Waits until one part of the limit is reserved, and the sum says so. What is too late is given back in the background.
async fn one_is_reserved(person: &tokio_postgres::Client) {
    let reserved =
        "SELECT (SELECT count(*) FROM operator_reservations), (SELECT sum(used)::bigint FROM operator_limits)";
    let counted = async {
        loop {
            let row = person.query_one(reserved, &[]).await.unwrap();
            if (row.get(0), row.get(1)) == (1_i64, Some(1_i64)) {
                return;
            }
        }
    };
    within_20_seconds(counted).await;
}

#[tokio::test]
async fn an_attempt_that_reserves_too_late_does_not_act() {
    let server = Server::start(&[]);
    // The lease is renewed all the time, and confirmed before the handler starts.
    let settings = Settings::default().renew_every(Duration::from_millis(1));
    let ([one, other], notes) = two_servers(&server, settings).await;
    let [person, second] = [connected(&server).await, connected(&server).await];
    person.batch_execute("BEGIN; LOCK TABLE operator_limits").await.unwrap();
    let order = json!({ "order": "a" });
    let taking_over = async {
        while waiting(&person).await < 1 {}
        // As after an hour in which the record was not renewed.
        second.batch_execute("DELETE FROM operator_operations").await.unwrap();
        let unlocking = async {
            // Both attempts wait for the table.
            while waiting(&person).await < 2 {}
            person.batch_execute("COMMIT").await.unwrap();
        };
        tokio::join!(other.call("note", &order), unlocking).0
    };
    let (one, other) = within_20_seconds(async { tokio::join!(one.call("note", &order), taking_over) }).await;
    assert_eq!(
        (one.status.as_u16(), other.status.as_u16()),
        (409, 200),
        "{one:?} {other:?}"
    );
    assert_eq!(*notes.0.lock().unwrap(), ["a"]);
    one_is_reserved(&person).await;
}

#[tokio::test]
async fn an_attempt_that_is_taken_over_before_its_handler_starts_does_not_act() {
    let server = Server::start(&[]);
    // The lease is due after a millisecond, so it is confirmed before the handler starts.
    let settings = Settings::default().renew_every(Duration::from_millis(1));
    let ([one, other], notes) = two_servers(&server, settings).await;
    let one = one.with_header(SLOW, HeaderValue::from_static("yes"));
    let person = connected(&server).await;
    let order = json!({ "order": "a" });
    let taking_over = async {
        // The first attempt has reserved its part. Then its record is gone, as after an hour in which it was not renewed.
        one_is_reserved(&person).await;
        person.batch_execute("DELETE FROM operator_operations").await.unwrap();
        let answer = other.call("note", &order).await;
        GATE.add_permits(1);
        answer
    };
    let (one, other) = within_20_seconds(async { tokio::join!(one.call("note", &order), taking_over) }).await;
    assert_eq!(
        (one.status.as_u16(), other.status.as_u16()),
        (409, 200),
        "{one:?} {other:?}"
    );
    assert_eq!(*notes.0.lock().unwrap(), ["a"]);
    one_is_reserved(&person).await;
}
