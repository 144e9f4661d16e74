//! Events: what the agent tells the program, and what the program answers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod trigger;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use operator_runtime::events::{Context, ConversationEnded, ConversationSetup, Customer, Event};
use operator_runtime::rusqlite::Connection;
use operator_runtime::store::MemoryStore;
use operator_runtime::testing::Client;
use operator_runtime::{App, Call, Config, Error, endpoints, operator_api, operator_event};
use serde_json::{Value, json};
use tests::caller::{self, PUBLIC_URL, SECRET, post};
use tests::counters::Counters;
use tests::log;
use tests::process::{Server, build};
use tokio::runtime::Builder;

/// What the handlers have done.
type Done = Arc<Mutex<Vec<String>>>;

fn note(done: &Done, what: impl Into<String>) {
    done.lock().unwrap().push(what.into());
}

/// Greets the caller.
#[operator_event("conversation.setup")]
async fn greet(done: &Done, call: &Call, setup: ConversationSetup) -> Result<Context, Error> {
    note(done, call.idempotency_key());
    match setup.channel.caller_no.as_deref() {
        Some("slow") => tokio::time::sleep(Duration::from_millis(600)).await,
        Some("stuck") => std::future::pending().await,
        Some("twice") if done.lock().unwrap().len() == 1 => return Err(Error::internal("the first time")),
        _ => {}
    }
    let name = setup.channel.caller_no;
    Context::new()
        .customer(Customer {
            name,
            ..Customer::default()
        })
        .variable("direction", setup.direction.as_str())
        .value("seen", &done.lock().unwrap().len())
}

mod other {
    use operator_runtime::events::Context;
    use operator_runtime::operator_event;

    /// Greets in another way. In one module, the compiler already refuses a second handler of a type.
    #[operator_event("conversation.setup")]
    pub(super) async fn welcome() -> Greeting {
        Greeting
    }

    pub(super) struct Greeting;

    impl From<Greeting> for Context {
        fn from(_greeting: Greeting) -> Self {
            Self::new().variable("greeting", "welcome")
        }
    }
}

#[operator_event("conversation.ended")]
async fn ended(done: &Done, event: &Event, ended: ConversationEnded) {
    note(done, format!("{} {}", event.id, ended.status));
}

/// What a customer thought of a conversation.
#[derive(serde::Deserialize)]
struct Rated {
    stars: u8,
}

/// Keeps what a customer thought.
#[operator_event(custom = "conversation.rated", effect = rerunnable)]
async fn rated(#[operator(extract)] method: http::Method, done: &Done, rated: Rated) -> Result<u8, Error> {
    note(done, format!("{method} {}", rated.stars));
    Ok(rated.stars)
}

/// Notes something. Use it to see whether a key names an event.
#[operator_api(POST, "/notes")]
async fn keep(done: &Done) {
    note(done, "kept");
}

/// Lists events. Use it to see that the path is taken.
#[operator_api(GET, "/events")]
async fn listed() -> u8 {
    0
}

/// Borrows an event. Use it to see that there is none.
#[operator_api(GET, "/borrowed")]
async fn borrowed(event: &Event) -> String {
    event.id.clone()
}

fn app(done: &Done) -> App {
    let list = endpoints![greet, ended, rated, keep];
    App::new().only(list).state(Arc::clone(done))
}

async fn client(done: &Done) -> Client {
    Client::new(app(done)).await.unwrap()
}

fn setup(caller: &str) -> Value {
    let channel = json!({ "type": "phone", "caller_no": caller });
    json!({ "type": "conversation.setup", "channel": channel, "direction": "inbound" })
}

#[tokio::test]
async fn an_event_is_answered_by_the_handler_of_its_type() {
    let done = Done::default();
    let client = client(&done).await;
    let answer = client.event(&json!({ "payload": setup("Ana") })).await;
    let expected = json!({
        "context": { "$customer": { "name": "Ana" }, "$variables": { "direction": "inbound" }, "seen": 1 },
    });
    assert_eq!((answer.status.as_u16(), answer.body), (200, expected));
    let end = json!({ "type": "conversation.ended", "status": "abducted" });
    let answer = client.event(&json!({ "id": "ev_2", "payload": end })).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!({})));
    let rated = json!({ "type": "conversation.rated", "stars": 5, "more": { "to": "come" } });
    let answer = client.event(&json!({ "payload": rated })).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!(5)));
    assert_eq!(done.lock().unwrap()[1..], ["ev_2 abducted", "POST 5"]);
}

#[tokio::test]
async fn an_event_acts_once_under_two_keys_and_with_other_bytes() {
    let done = Done::default();
    let client = client(&done).await;
    let event = |agent: &str| json!({ "id": "ev_1", "agent_id": agent, "payload": setup("Ana") });
    let first = client.with_idempotency_key("one").event(&event("a")).await;
    let again = client.with_idempotency_key("two").event(&event("b")).await;
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.body, again.body);
    assert_eq!(
        *done.lock().unwrap(),
        ["ev_1"],
        "the event's id is the key that a handler sees"
    );
    // A key in a header never names the operation of an event.
    let kept = client.with_idempotency_key("ev_1").call("keep", &json!({})).await;
    assert!(kept.status == 200 && !kept.replayed, "{kept:?}");
}

#[tokio::test]
async fn a_setup_that_failed_runs_again() {
    let done = Done::default();
    let client = client(&done).await;
    let event = json!({ "id": "ev_1", "payload": setup("twice") });
    let failed = client.event(&event).await;
    assert_eq!(failed.status, 500, "{failed:?}");
    let answer = client.event(&event).await;
    assert_eq!(answer.body["context"]["$customer"]["name"], "twice", "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_person_waits_three_seconds_for_a_setup_and_not_longer() {
    let client = client(&Done::default()).await;
    let started = tokio::time::Instant::now();
    let answer = client.event(&json!({ "payload": setup("stuck") })).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(started.elapsed().as_secs(), 3);
}

/// The other server is a runtime that nobody drives any more, so its attempt neither ends nor gives up its lease.
#[test]
fn a_duplicate_waits_for_another_server_no_longer_than_a_setup_may_take() {
    let (store, done) = (Arc::new(MemoryStore::new()), Done::default());
    let event = json!({ "id": "ev_1", "payload": setup("stuck") });
    let runtime = |paused| Builder::new_current_thread().enable_all().start_paused(paused).build();
    let client = async || Client::new(app(&done).store(Arc::clone(&store))).await.unwrap();
    let other = runtime(false).unwrap();
    other.block_on(async {
        let client = client().await;
        let begun = async {
            while done.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = client.event(&event) => panic!("{answer:?}"),
            () = begun => {}
        }
    });
    runtime(true).unwrap().block_on(async {
        let client = client().await;
        let started = tokio::time::Instant::now();
        let answer = client.event(&event).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(started.elapsed().as_secs(), 3);
    });
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_refused_and_not_recorded() {
    let done = Done::default();
    let client = client(&done).await;
    for (event, said) in [
        (json!({ "id": null, "payload": setup("Ana") }), "The event has no `id`"),
        (json!({ "id": 5, "payload": setup("Ana") }), "`id` cannot be read"),
        (
            json!({ "id": "a".repeat(10_000), "payload": setup("Ana") }),
            "has 10000 bytes",
        ),
        (json!({ "id": "ev_1" }), "`payload` cannot be read"),
        (
            json!({ "id": "ev_1", "payload": {} }),
            "The event has no `payload.type`",
        ),
        (
            json!({ "id": "ev_1", "livemode": "yes", "payload": setup("Ana") }),
            "`livemode` cannot be read",
        ),
        (
            json!({ "id": "ev_1", "payload": { "type": "conversation.setup", "channel": { "type": "phone" } } }),
            "`payload` of the event `conversation.setup` cannot be read (missing field `direction`",
        ),
        (
            json!({ "id": "ev_1", "payload": { "type": "conversation.rated", "stars": 256 } }),
            "`payload.stars` of the event `conversation.rated` cannot be read",
        ),
    ] {
        let answer = client.event(&event).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(answer.status == 400 && detail.contains(said), "{answer:?}");
    }
    assert_eq!(*done.lock().unwrap(), [""; 0]);
    let answer = client.event(&json!({ "id": "ev_1", "payload": setup("Ana") })).await;
    assert!(answer.status == 200 && !answer.replayed, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_may_be_many_and_deep() {
    let done = Done::default();
    let client = client(&done).await;
    let many: serde_json::Map<String, Value> = (0..60_000).map(|number| (format!("n{number}"), json!(1))).collect();
    let mut event = json!({ "payload": setup("Ana") });
    event["payload"].as_object_mut().unwrap().extend(many);
    assert!(event.to_string().len() > 600_000);
    assert_eq!(client.event(&event).await.status, 200);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let port = serve(app(&done)).await;
    let text = |payload: &str| format!(r#"{{"id":"ev_deep","new":{deep},"payload":{payload}}}"#);
    let known = setup("Ana")
        .to_string()
        .replacen('{', &format!(r#"{{"new":{deep},"#), 1);
    for (payload, status) in [
        (known.as_str(), 200),
        (&format!(r#"{{"type":"conversation.new","new":{deep}}}"#), 200),
        (&deep, 400),
    ] {
        let body = text(payload);
        let answer = tokio::task::spawn_blocking(move || post(port, "/events", "k", &body).unwrap());
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

/// Serves the app in this process, and returns the port.
async fn serve(app: App) -> u16 {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let router = app.config(config).store(MemoryStore::new()).router().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

#[tokio::test(start_paused = true)]
async fn a_type_without_a_handler_is_answered_and_named_once_and_a_slow_setup_is_logged_and_counted() {
    let (log, _capturing) = log::captured();
    let counters = Counters::default();
    let _counting = metrics::set_default_local_recorder(&counters);
    let slow = || counters.of(r#"operator_slow_setups_total{endpoint="conversation.setup"}"#);
    let lines = |words: &str| log.text().lines().filter(|line| line.contains(words)).count();
    let client = client(&Done::default()).await;
    for _ in 0..3 {
        let answer = client
            .event(&json!({ "payload": { "type": "conversation.new" } }))
            .await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, json!({})));
    }
    assert_eq!(lines("conversation.new"), 1);
    for number in 0..100 {
        client
            .event(&json!({ "payload": { "type": format!("conversation.{number}") } }))
            .await;
    }
    assert_eq!(lines("an event has no handler"), 64);
    client.event(&json!({ "payload": setup("fast") })).await;
    assert_eq!((lines("a person had to wait"), slow()), (0, 0));
    client.event(&json!({ "payload": setup("slow") })).await;
    assert_eq!((lines("a person had to wait"), slow()), (1, 1));
}

fn refusal(app: App) -> String {
    let config = Config::new()
        .signing_key(SECRET)
        .public_url("http://127.0.0.1:8080/base");
    app.config(config)
        .store(MemoryStore::new())
        .check()
        .unwrap_err()
        .to_string()
}

#[test]
fn start_up_refuses_two_handlers_of_one_type_and_a_path_that_is_taken() {
    let only = |list| App::new().only(list).state(Done::default());
    let twice = refusal(only(endpoints![greet, other::welcome]));
    for said in [
        "Two handlers are for the event `conversation.setup`, `",
        "`greet` (",
        "`welcome` (",
    ] {
        assert!(twice.contains(said), "{twice}");
    }
    let taken = "answers at `/events`, which is the path of the events";
    let at_the_path = refusal(only(endpoints![greet, listed]));
    assert!(at_the_path.contains(taken), "{at_the_path}");
    let below_the_base_path = refusal(only(endpoints![greet, listed]).events_path("/base/events"));
    assert!(
        below_the_base_path.contains("`/events`, which is the path of the events"),
        "{below_the_base_path}"
    );
    for wrong in ["events", "", "/", "/a/", "/{a}", "/a//b", "/a?b", "/../a", "/é"] {
        let said = refusal(only(endpoints![greet]).events_path(wrong));
        assert!(said.contains("is not a path"), "{wrong}: {said}");
    }
    for probe in ["/livez", "/readyz", "/mcp", "/base/mcp"] {
        let said = refusal(only(endpoints![greet]).events_path(probe));
        assert!(said.contains("of a probe or of the MCP server"), "{said}");
    }
    let said = refusal(only(endpoints![greet]).events_path("/a").events_path("/b"));
    assert!(said.contains("was called 2 times"), "{said}");
    let said = refusal(only(endpoints![borrowed]));
    assert!(said.contains("which only a handler of events has"), "{said}");
    let said = refusal(App::new().only(endpoints![greet]));
    assert!(
        said.contains("`conversation.setup` borrows `done: &Arc<Mutex<Vec<String>>>`"),
        "{said}"
    );
}

#[tokio::test]
async fn without_handlers_the_path_is_free_and_with_them_it_can_be_another() {
    let client = Client::new(App::new().only(endpoints![listed])).await.unwrap();
    assert_eq!(client.call("listed", &json!({})).await.body, json!(0));
    let app = App::new()
        .only(endpoints![other::welcome, listed])
        .events_path("/agent/events");
    let client = Client::new(app).await.unwrap();
    let answer = client.event(&json!({ "payload": setup("Ana") })).await;
    assert_eq!(answer.body["context"]["$variables"]["greeting"], "welcome");
    assert_eq!(client.call("listed", &json!({})).await.body, json!(0));
}

#[tokio::test]
async fn events_are_in_openapi_3_1_and_in_no_other_document() {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let client = Client::new(app(&Done::default()).config(config.serve_manifest(true))).await;
    let client = client.unwrap();
    let openapi = client.call("manifest", &json!({ "format": "openapi" })).await.body;
    let webhooks = openapi["webhooks"].as_object().unwrap();
    let types: Vec<&String> = webhooks.keys().collect();
    assert_eq!(
        types,
        ["conversation.ended", "conversation.rated", "conversation.setup"]
    );
    let setup = &openapi["webhooks"]["conversation.setup"]["post"];
    let body = &setup["requestBody"]["content"]["application/json"]["schema"];
    let payload = &body["properties"]["payload"]["properties"];
    assert_eq!(payload["type"]["const"], "conversation.setup", "{body}");
    assert_eq!(
        payload["channel"]["properties"]["caller_no"]["examples"][0], "+493012345678",
        "{body}"
    );
    assert_eq!(body.get("additionalProperties"), None);
    let answer = &setup["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(
        answer["properties"]["context"].to_string().contains("$customer"),
        "{answer}"
    );
    for format in ["operator", "mcp", "openapi-3.0"] {
        let document = client
            .call("manifest", &json!({ "format": format }))
            .await
            .body
            .to_string();
        assert!(
            document.contains("keep") && !document.contains("conversation."),
            "{format}"
        );
    }
}

fn event(id: &str, payload: &Value) -> String {
    json!({ "id": id, "livemode": true, "conversation_id": "conv_1", "payload": payload }).to_string()
}

fn notes(folder: &Path) -> i64 {
    let tables = Connection::open(folder.join("operator.db")).unwrap();
    tables
        .query_row("SELECT count(*) FROM notes", (), |row| row.get(0))
        .unwrap()
}

#[test]
fn the_support_desk_greets_by_name_and_files_one_note_for_an_event_that_comes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let send = |key: &str, body: &str| post(server.port, "/events", key, body).unwrap();
    let answer = send("k1", &event("ev_1", &setup("+493012345678")));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let context = &answer.json()["context"];
    assert_eq!(context["$customer"]["name"], "Ana", "{context}");
    let open = context["open_orders"].as_array().unwrap();
    let numbers: Vec<&Value> = open.iter().map(|order| &order["order_id"]).collect();
    assert_eq!(numbers, [1005, 1004]);
    // The answer has only what was set.
    let chat = json!({ "type": "conversation.setup", "channel": { "type": "chat_async" }, "direction": "outbound" });
    for (key, id, unknown) in [("k2", "ev_2", setup("+1555")), ("k6", "ev_4", chat)] {
        let answer = send(key, &event(id, &unknown));
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"context":{}}"#));
    }
    let ended = json!({ "type": "conversation.ended", "status": "completed" });
    let body = event("ev_3", &ended);
    let first = send("k3", &body);
    let again = send("k4", &body.replace(':', ": "));
    assert_eq!(
        (first.status, first.body.as_str(), first.is_replay()),
        (200, "{}", false)
    );
    assert_eq!(
        (again.status, again.body.as_str(), again.is_replay()),
        (200, "{}", true)
    );
    assert_eq!(notes(folder.path()), 1);
    let unsigned = "POST /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(caller::send(server.port, unsigned).unwrap().status, 401);
    assert_eq!(caller::get(server.port, "/events", "k5", &[]).unwrap().status, 405);
}
