//! Values and tasks of `App::state_with` and `App::before_serving` are made and run only where the app is served.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::io;
use std::sync::{Arc, Mutex};

use operator_runtime::testing::Client;
use operator_runtime::{App, Config, endpoints, operator_api};
use serde_json::json;

/// What an app has done.
type Log = Arc<Mutex<Vec<&'static str>>>;

/// A pool of connections to the program's own database.
struct Pool(&'static str);

/// Names the database. Use it to see which one is used.
#[operator_api(GET, "/database")]
async fn database(pool: &Pool) -> String {
    pool.0.to_owned()
}

fn app(log: &Log, pool: io::Result<Pool>) -> App {
    let note = |what: &'static str| {
        let log = Arc::clone(log);
        move || log.lock().unwrap().push(what)
    };
    let (migrate, connect) = (note("migrate"), note("connect"));
    App::new()
        .only(endpoints![database])
        .before_serving(async move || {
            migrate();
            io::Result::Ok(())
        })
        .state_with(async move || {
            connect();
            pool
        })
}

#[tokio::test]
async fn values_are_made_in_order_and_only_when_the_app_is_served() {
    let log = Log::default();
    let config = Config::new()
        .signing_key("op_sk_tests")
        .public_url("https://a.example")
        .store("memory:");
    let app = app(&log, Ok(Pool("main"))).config(config);
    app.check().unwrap();
    assert!(log.lock().unwrap().is_empty());
    let client = Client::new(app.clone()).await.unwrap();
    assert_eq!(client.call("database", &json!({})).await.body, "main");
    assert_eq!(*log.lock().unwrap(), ["migrate", "connect"]);
    let again = Client::new(app).await.unwrap_err().to_string();
    assert!(
        again.contains("`App::before_serving` has already run for a clone of this app"),
        "{again}"
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_made_ends_the_start() {
    let log = Log::default();
    let failed = app(&log, Err(io::Error::other("no route to db.example")));
    let error = Client::new(failed).await.unwrap_err().to_string();
    assert!(
        error.contains("`App::state_with` could not make the `before_serving::Pool`: no route to db.example."),
        "{error}"
    );
    // Other problems are found first, and nothing is done then.
    let log = Log::default();
    let wrong = app(&log, Ok(Pool("main"))).config(Config::new().body_limit(0));
    assert!(Client::new(wrong).await.is_err() && log.lock().unwrap().is_empty());
    let twice = app(&log, Ok(Pool("main"))).state(Pool("other"));
    let error = Client::new(twice).await.unwrap_err().to_string();
    assert!(error.contains("Two values of type `before_serving::Pool`"), "{error}");
}
