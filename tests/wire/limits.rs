//! Limits, through the support desk: a hundred euros of an order may be paid back within a day, and no more.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::FromRequestParts;
use chrono::{DateTime, NaiveDate, Utc};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use operator_runtime::testing::Client;
use operator_runtime::{App, Error, endpoints, operator_api};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tests::caller::{Answer, get, post};
use tests::process::{self, Server, build, run_in};
use url::Url;
use uuid::Uuid;

fn refund(server: &Server, key: &str, order_id: u64, amount_cents: u64) -> Answer {
    let body = json!({ "order_id": order_id, "amount_cents": amount_cents });
    post(server.port, "/refunds", key, &body.to_string()).unwrap()
}

fn is_over(answer: &Answer) -> bool {
    answer.status == 403 && answer.json()["type"] == "urn:operator:problem:over-limit"
}

#[test]
fn of_fifty_refunds_in_a_row_those_within_the_limit_go_through() {
    let folder = tempfile::tempdir().unwrap();
    let program = build("support-desk", "dev");
    let start = || Server::start_with(&program, folder.path(), &[("OPERATOR_AUDIT", "1d")]);
    let mut server = start();
    let answers: Vec<Answer> = (0..50)
        .map(|number| refund(&server, &format!("r-{number}"), 1009, 900))
        .collect();
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 11, "11 refunds of 9.00 EUR are within 100.00 EUR");
    assert!(answers[11..].iter().all(is_over), "{:?}", answers[11].body);
    let detail = answers[49].json()["detail"].as_str().unwrap().to_owned();
    for part in [
        "the sum of `amount_cents` may be at most 10000 within 24 hours for each `order_id`",
        "9900 of 10000 are used, and 100 are left",
        "There is room for this call from 20",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    // A refusal is kept, and a replay is not counted.
    let again = refund(&server, "r-49", 1009, 900);
    assert!(again.is_replay() && again.body == answers[49].body, "{}", again.body);
    assert!(refund(&server, "r-0", 1009, 900).is_replay());
    // The limit survives a restart, and it is one for each order.
    server.kill();
    let server = start();
    assert!(is_over(&refund(&server, "more", 1009, 101)));
    assert_eq!(refund(&server, "rest", 1009, 100).status, 200);
    assert_eq!(refund(&server, "other", 1007, 10_000).status, 200);
    let run = |arguments: &[&str]| run_in(folder.path(), &program, arguments);
    let used = run(&["operations", "limits", "refund_order", "order_id=1009"]);
    assert!(used.ends_with(" for each `order_id`: 10000 used, 0 left\n"), "{used}");
    // The audit lists each call, with how it ended.
    let rows = run(&["audit", "--endpoint", "refund_order", "--format", "jsonl"]);
    let count = |outcome: &str| {
        rows.lines()
            .filter(|row| row.contains(&format!("\"outcome\":\"{outcome}\"")))
            .count()
    };
    assert_eq!((count("done"), count("over_limit")), (13, 40), "{rows}");
    let refunds = get(server.port, "/orders/refunds", "look", &[("order_id", "1009")]).unwrap();
    assert_eq!(refunds.json()["refunded_cents"], 10_000);
}

#[test]
fn a_refund_that_the_handler_refuses_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    // Order 1001 is of 49.90 EUR, so the handler refuses 60.00 EUR, which are within the limit.
    for number in 0..5 {
        assert_eq!(refund(&server, &format!("refused-{number}"), 1001, 6_000).status, 400);
    }
    assert_eq!(refund(&server, "fine", 1001, 4_990).status, 200);
    let alone = refund(&server, "alone", 1009, 10_001);
    assert!(is_over(&alone) && alone.body.contains("ask for less"), "{}", alone.body);
    // Nothing is said about what is left, because it is less than 100.00 EUR and does not matter.
    assert!(!alone.body.contains("left"), "{}", alone.body);
}

/// What the payment provider does with the next payment.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<&'static str>>);

/// Rejects calls with the header `closed`.
struct Open;

impl FromRequestParts<()> for Open {
    type Rejection = StatusCode;

    async fn from_request_parts(head: &mut Parts, _state: &()) -> Result<Self, StatusCode> {
        match head.headers.get(CLOSED) {
            Some(_) => Err(StatusCode::UNAUTHORIZED),
            None => Ok(Self),
        }
    }
}

const CLOSED: HeaderName = HeaderName::from_static("closed");

/// Pays with a provider.
#[operator_api(POST, "/pay", effect = rerunnable)]
#[operator(limit(calls = 2, within = "10m"))]
async fn pay(provider: &Provider, #[operator(extract)] _open: Open) -> Result<bool, Error> {
    let does = *provider.0.lock().unwrap();
    match does {
        "paid" => Ok(true),
        "not now" => Err(Error::retryable("The provider is busy.")),
        "refused" => Err(Error::not_found("There is no such card.")),
        "silent" => Err(Error::unknown("the connection broke")),
        "broken" => Err(Error::internal("the provider answered with nonsense")),
        _ => panic!("a defect"),
    }
}

/// A client of `pay`, and its provider.
async fn till() -> (Client, Provider) {
    let provider = Provider::default();
    let app = App::new().only(endpoints![pay]).state(provider.clone());
    (Client::new(app).await.unwrap(), provider)
}

/// Pays with this idempotency key. Returns the status of the answer.
async fn paying((client, provider): &(Client, Provider), key: &str, does: &'static str) -> u16 {
    *provider.0.lock().unwrap() = does;
    let client = client.with_idempotency_key(key);
    client.call("pay", &json!({})).await.status.as_u16()
}

#[tokio::test]
async fn an_attempt_that_may_have_acted_counts_until_a_retry_has_ended_it() {
    for doubt in ["silent", "broken", "panics"] {
        let till = till().await;
        let pay = async |key: &str, does| paying(&till, key, does).await;
        for harmless in ["not now", "refused"] {
            for number in 0..3 {
                let status = pay(&format!("{harmless} {number}").replace(' ', "-"), harmless).await;
                assert!([404, 503].contains(&status), "{harmless}: {status}");
            }
        }
        let first = pay("first", doubt).await;
        assert!(first >= 500, "{doubt}: {first}");
        // "Not now" says nothing about the first attempt.
        assert_eq!(pay("first", "not now").await, 503);
        assert_eq!(pay("second", "paid").await, 200);
        assert_eq!(pay("third", "paid").await, 403, "{doubt}");
        // The retry takes over what the first attempt has reserved.
        assert_eq!(pay("first", doubt).await, first);
        assert_eq!(pay("fourth", "paid").await, 403, "{doubt}");
        // The handler finds out that the first attempt has not acted.
        assert_eq!(pay("first", "refused").await, 404);
        assert_eq!(pay("fifth", "paid").await, 200, "{doubt}");
        assert_eq!(pay("sixth", "paid").await, 403, "{doubt}");
    }
}

#[tokio::test]
async fn a_retry_that_does_not_reach_the_handler_gives_back_nothing_of_an_earlier_attempt() {
    let till = till().await;
    assert_eq!(paying(&till, "first", "silent").await, 503);
    let (client, provider) = &till;
    let closed = client.with_header(CLOSED, HeaderValue::from_static("yes"));
    assert_eq!(paying(&(closed, provider.clone()), "first", "paid").await, 401);
    assert_eq!(paying(&till, "second", "paid").await, 200);
    assert_eq!(paying(&till, "third", "paid").await, 403);
}

#[tokio::test]
async fn a_retry_over_the_limit_does_not_invite_a_second_payment() {
    let till = till().await;
    assert_eq!(paying(&till, "first", "silent").await, 503);
    // What the first attempt has reserved ends with its window.
    till.0.clock().advance(Duration::from_secs(11 * 60));
    assert_eq!(paying(&till, "second", "paid").await, 200);
    assert_eq!(paying(&till, "third", "paid").await, 200);
    let answer = till.0.with_idempotency_key("first").call("pay", &json!({})).await;
    assert!(answer.status == 403 && !answer.replayed, "{answer:?}");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("This retry was not carried out") && detail.contains("ask a person"),
        "{detail}"
    );
    assert!(!detail.contains("new idempotency key"), "{detail}");
    // The first attempt of another operation has not acted.
    let other = till.0.with_idempotency_key("fourth").call("pay", &json!({})).await;
    assert!(
        other.body["detail"]
            .as_str()
            .unwrap()
            .ends_with("with a new idempotency key."),
        "{other:?}"
    );
}

/// What is counted.
#[derive(Deserialize, JsonSchema)]
struct Item {
    /// The id.
    #[expect(dead_code, reason = "only its schema is used")]
    id: Uuid,
}

/// Counts calls for each value of inputs that can be written in several ways.
#[operator_api(POST, "/evaded")]
#[operator(limit(calls = 1, per(item, time, price, weight, link, name), within = "1h"))]
#[operator(limit(calls = 2, per(item, ids), within = "1h"))]
async fn evaded(
    /// What is bought.
    item: Item,
    /// When it is bought.
    time: Option<DateTime<Utc>>,
    /// What it costs.
    price: Decimal,
    /// How heavy it is.
    weight: f64,
    /// Where it is described.
    link: Url,
    /// How it is called.
    #[operator(lenient)]
    name: String,
    /// What it is sold with.
    ids: Vec<u64>,
) -> bool {
    let _ = (item, time, price, weight, link, name, ids);
    true
}

#[tokio::test]
async fn a_value_that_can_be_written_in_several_ways_has_no_limit_of_its_own() {
    let refused = Client::new(App::new().only(endpoints![evaded])).await.unwrap_err();
    let refused = refused.to_string();
    for name in ["item", "time", "price", "weight", "link", "name", "ids"] {
        let sentence = format!("`evaded` has a limit for each `{name}`, but a value of this input can be written");
        assert_eq!(refused.matches(&sentence).count(), 1, "{name}: {refused}");
    }
}

/// The id of an account.
#[derive(Deserialize, JsonSchema)]
struct AccountId(Uuid);

/// A currency.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Currency {
    Euro,
    Yen,
}

/// Counts calls for each value of inputs that can be written in one way, or whose ways are known.
#[operator_api(POST, "/counted")]
#[operator(limit(calls = 1, per(order, account, currency, day, mail, urgent), within = "1h"))]
async fn counted(
    /// What is paid.
    order: i64,
    /// Who pays.
    account: Option<AccountId>,
    /// How it is paid.
    currency: Option<Currency>,
    /// When it is paid.
    day: NaiveDate,
    /// Where the receipt is sent.
    #[operator(format = "email")]
    mail: String,
    /// Whether it is urgent.
    urgent: Option<bool>,
) -> bool {
    let _ = (order, account.map(|account| account.0), currency, day, mail, urgent);
    true
}

#[tokio::test]
async fn a_value_is_counted_however_it_is_written() {
    let client = Client::new(App::new().only(endpoints![counted])).await.unwrap();
    let status = async |account: &str, order: Value| {
        let body = json!({
            "order": order, "account": account, "currency": "yen", "day": "2026-11-24", "mail": "ana@example.com"
        });
        client.call("counted", &body).await.status.as_u16()
    };
    assert_eq!(status("67e55044-10b1-426f-9247-bb680e5fe0c8", json!(7)).await, 200);
    assert_eq!(status("67e55044-10b1-426f-9247-bb680e5fe0c8", json!(7)).await, 403);
    assert_eq!(status("67E55044-10B1-426F-9247-BB680E5FE0C8", json!(7)).await, 403);
    assert_eq!(status("67e55044-10b1-426f-9247-bb680e5fe0c8", json!(8)).await, 200);
}

#[test]
fn a_customer_gets_twenty_mails_within_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let mail = |key: &str, email: &str| {
        let body = json!({ "email": email, "message": "Your order is on its way." });
        post(server.port, "/notifications", key, &body.to_string()).unwrap()
    };
    for number in 0..20 {
        assert_eq!(mail(&format!("m-{number}"), "ana@example.com").status, 200);
        assert!(mail(&format!("m-{number}"), "ana@example.com").is_replay());
    }
    assert!(is_over(&mail("m-20", "ana@example.com")));
    assert_eq!(mail("m-21", "ben@example.com").status, 200);
    let mails = std::fs::read_to_string(folder.path().join("outbox.jsonl")).unwrap();
    assert_eq!(mails.lines().count(), 21, "{mails}");
}

#[test]
fn the_documents_say_what_the_limits_are() {
    let program = build("support-desk", "dev");
    let document = |format: &str| -> Value {
        serde_json::from_str(&process::run(&program, &["manifest", "--format", format])).unwrap()
    };
    let sentence =
        "At most 20 calls are allowed within 1 hour for each `email`; a call over the limit is refused with 403.";
    let openapi = document("openapi");
    let post = &openapi["paths"]["/notifications"]["post"];
    assert!(post["description"].as_str().unwrap().contains(sentence), "{post}");
    let refused = post["responses"]["403"]["$ref"].as_str().unwrap();
    let refused = openapi.pointer(refused.trim_start_matches('#')).unwrap();
    assert!(
        refused.to_string().contains("urn:operator:problem:over-limit"),
        "{refused}"
    );
    for format in ["operator", "mcp"] {
        assert!(document(format).to_string().contains(sentence), "{format}");
    }
}
