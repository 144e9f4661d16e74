//! The support desk finds orders by time. The time may be written in every form that RFC 3339 §5.6 allows.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use serde_json::{Value, json};
use tests::caller::{Answer, post};
use tests::process::{Server, build};

fn find(server: &Server, condition: &str, time: &str) -> Answer {
    let body = json!({ "filter": { condition: time }, "limit": 20 }).to_string();
    post(server.port, "/orders/find", "find", &body).unwrap()
}

#[test]
fn every_valid_time_finds_the_orders_of_its_instant() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    for (condition, time, due) in [
        ("placed_after", "2026-11-22T09:10:00Z", &[1008, 1005][..]),
        ("placed_after", "2026-11-22t09:10:00z", &[1008, 1005]),
        ("placed_after", "2026-11-22T10:10:00+01:00", &[1008, 1005]),
        ("placed_after", "2026-11-23T09:09:00+23:59", &[1008, 1005]),
        ("placed_after", "2026-11-22T09:10:00.000000001Z", &[1008]),
        ("placed_before", "2026-10-02T08:15:00Z", &[1006]),
        ("placed_before", "2026-10-02T08:15:00.5Z", &[1001, 1006]),
        ("placed_before", "2016-12-31T23:59:60Z", &[]),
        (
            "placed_after",
            "2016-12-31T23:59:60Z",
            &[1008, 1005, 1009, 1004, 1007, 1003, 1002, 1001, 1006],
        ),
        ("placed_before", "0000-01-01T00:00:00+23:59", &[]),
    ] {
        let answer = find(&server, condition, time);
        assert_eq!(answer.status, 200, "{time}: {}", answer.body);
        let orders = answer.json()["orders"].as_array().unwrap().clone();
        let found: Vec<&Value> = orders.iter().map(|order| &order["order_id"]).collect();
        assert_eq!(found, due, "{condition} {time}");
    }
}

#[test]
fn a_text_that_is_not_a_time_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    // The last text is a valid time, but it is later than any time that the types can represent.
    for time in [
        "yesterday",
        "2026-11-01",
        "2026-11-01T00:00:00",
        "2026-11-01T25:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ] {
        let answer = find(&server, "placed_after", time);
        assert_eq!(answer.status, 400, "{time}: {}", answer.body);
        let wrong = &answer.json()["errors"][0];
        assert_eq!(wrong["input"], "filter.placed_after", "{time}: {wrong}");
        let detail = wrong["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("`filter.placed_after`") && detail.ends_with('.'),
            "{time}: {detail}"
        );
    }
}
