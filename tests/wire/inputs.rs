//! Which inputs a caller may send, and how wrong inputs are answered.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(
    clippy::unused_async,
    reason = "an endpoint must be async, even if it awaits nothing"
)]

use operator_runtime::testing::{Answer, Client};
use operator_runtime::{App, SearchParams, endpoints, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A sum of money.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Money {
    /// How much money.
    #[schemars(range(min = 1))]
    amount: i64,
    /// What the money is for.
    note: Option<String>,
}

/// Pays. Use it to see what is refused.
#[operator_api(POST, "/pay")]
async fn pay(
    /// How much to pay.
    thing: Money,
) -> Money {
    thing
}

/// Pays from the body itself. Use it to see what is refused.
#[operator_api(POST, "/pay_flat")]
async fn pay_flat(#[operator(flatten)] money: Money) -> Money {
    money
}

/// A part of a list.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Page {
    /// How many items to return.
    limit: u8,
    /// Where to start.
    amount: u8,
    /// The item to start after; null to start at the beginning.
    #[serde(deserialize_with = "nullable")]
    after: Option<String>,
}

/// According to the schema, a caller may leave out the field. serde requires it, because it has a custom function.
fn nullable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// Has two inputs with the same name. Use it to see that start-up refuses that.
#[operator_api(POST, "/clash_of_input")]
async fn clash_of_input(
    /// How many items to return.
    limit: u8,
    #[operator(flatten)] page: Page,
) -> u8 {
    limit + page.limit
}

/// Answers with a page. Use it to see what is refused.
#[operator_api(POST, "/page")]
async fn page(#[operator(flatten)] page: Page) -> Page {
    page
}

/// Has bounds that allow one value each. Use it to see that the bounds are checked.
#[operator_api(POST, "/ends")]
async fn ends(
    /// The largest value of the type.
    #[operator(min = 127)]
    most: i8,
    /// The smallest value of the type.
    #[operator(max = 0)]
    least: u32,
) -> (i8, u32) {
    (most, least)
}

/// Has the same bounds in a GET. Use it to see that the bounds are checked.
#[operator_api(GET, "/ends_by_get")]
async fn ends_by_get(
    /// The largest value of the type.
    #[operator(min = 127)]
    most: i8,
    /// The smallest value of the type.
    #[operator(max = 0)]
    least: u32,
) -> (i8, u32) {
    (most, least)
}

/// Takes numbers with and without a bound. Use it to see that both are read in the same way.
#[operator_api(GET, "/numbers")]
async fn numbers(
    /// A count without a bound.
    free: u8,
    /// A count with a bound.
    #[operator(max = 100)]
    bound: u8,
    /// A share without a bound.
    open: f64,
    /// A share with a bound.
    #[operator(max = 100)]
    closed: f64,
) -> (u8, u8, f64, f64) {
    (free, bound, open, closed)
}

/// Takes numbers that are fields. Use it to see that they are read in the same way.
#[operator_api(GET, "/flat_numbers")]
async fn flat_numbers(#[operator(flatten)] counts: Counts) -> Counts {
    counts
}

/// Numbers.
#[derive(Serialize, Deserialize, JsonSchema, SearchParams)]
struct Counts {
    /// A count.
    count: u8,
    /// A share.
    share: f64,
}

async fn client() -> Client {
    let endpoints = endpoints![numbers, flat_numbers, pay, pay_flat, page, ends, ends_by_get, kinds];
    Client::new(App::new().only(endpoints)).await.unwrap()
}

/// A speed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Speed {
    Slow,
    Fast,
}

/// A payment method.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
enum Way {
    /// With a card.
    Card {
        /// Its last digits.
        digits: String,
    },
    /// From an account.
    Account {
        /// Its number.
        number: u64,
    },
}

/// Takes every type of JSON value. Use it to see what is refused.
#[operator_api(POST, "/json_kinds")]
async fn kinds(
    /// A whole number.
    limit: u64,
    /// Text.
    word: Option<String>,
    /// A truth value.
    flag: bool,
    /// Numbers to add up.
    list: Vec<u8>,
    /// How fast to pay.
    speed: Speed,
    /// An optional object.
    money: Option<Money>,
    /// How to pay.
    way: Way,
) -> Value {
    json!([limit, word, flag, list, speed, money, way])
}

/// The sentences in the body of a 400, in order.
fn details(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 400, "{}", answer.body);
    let errors = answer.body["errors"].as_array().unwrap();
    errors.iter().map(|error| error["detail"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_unreadable_part_does_not_switch_checks_off() {
    let client = client().await;
    let deep = (0..130).fold(json!(1), |inner, _| json!([inner]));
    let expected = ["`thing` is nested too deeply: use at most 127 levels of lists and objects."];
    for amount in [-5, 5] {
        let answer = client
            .call("pay", &json!({ "thing": { "amount": amount, "x": deep } }))
            .await;
        assert_eq!(details(&answer), expected);
    }
    let answer = client.call("pay_flat", &json!({ "amount": 5, "note": deep })).await;
    assert_eq!(
        details(&answer),
        ["`note` is nested too deeply: use at most 127 levels of lists and objects."]
    );
}

#[tokio::test]
async fn two_inputs_with_one_name_are_refused_at_start_up() {
    let refused = App::new()
        .only(endpoints![clash_of_input])
        .check()
        .unwrap_err()
        .to_string();
    let both = "the input `limit` and the field `limit` of the flattened `Page` have the same name";
    assert!(refused.contains(both), "{refused}");
}

#[tokio::test]
async fn every_wrong_field_of_a_flattened_input_is_named() {
    let client = client().await;
    let answer = client.call("page", &json!({ "limit": "x", "amount": true })).await;
    let wrong = [
        "`amount` must be a whole number, and true was given.",
        "`limit` must be a whole number, and \"x\" was given.",
    ];
    assert_eq!(details(&answer), wrong);
    let answer = client.call("page", &json!({ "limit": 1 })).await;
    assert_eq!(details(&answer), ["`amount` is missing."]);
    let answer = client.call("page", &json!({ "limit": 1, "amount": 2 })).await;
    assert_eq!(details(&answer), ["`after` is missing."]);
    assert_eq!(answer.body["errors"][0]["input"], "after");
}

#[tokio::test]
async fn a_bound_at_the_other_end_of_its_type_holds() {
    let client = client().await;
    for endpoint in ["ends", "ends_by_get"] {
        let answer = client.call(endpoint, &json!({ "most": 5, "least": 5 })).await;
        let wrong = [
            "`most` must be at least 127, and 5 was given.",
            "`least` must be at most 0, and 5 was given.",
        ];
        assert_eq!(details(&answer), wrong);
        let answer = client.call(endpoint, &json!({ "most": 127, "least": 0 })).await;
        assert_eq!(answer.body, json!([127, 0]));
    }
}

#[tokio::test]
async fn each_wrong_input_of_a_post_is_explained_in_plain_words() {
    let client = client().await;
    let inputs = json!({
        "limit": "abc", "word": 5, "flag": "yes", "list": [1, 300, "x"], "speed": "fsat",
        "money": { "amount": "1" }, "way": { "by": "card", "digits": 7 },
    });
    let expected = [
        "`limit` must be a whole number, and \"abc\" was given.",
        "`word` must be text, and 5 was given.",
        "`flag` must be `true` or `false`, and \"yes\" was given.",
        "`list[1]` must be at most 255, and 300 was given.",
        "`list[2]` must be a whole number, and \"x\" was given.",
        "`speed` must be one of `slow` or `fast`, and \"fsat\" was given.",
        "`money.amount` must be a whole number, and \"1\" was given.",
        "`way.digits` must be text, and 7 was given.",
    ];
    assert_eq!(details(&client.call("kinds", &inputs).await), expected);
    let inputs = json!({
        "limit": 1.5, "word": [], "flag": null, "list": {}, "speed": {}, "money": 1, "way": { "by": "cheque" },
    });
    let expected = [
        "`limit` must be a whole number, and 1.5 was given.",
        "`word` must be text, and a list was given.",
        "`flag` must be `true` or `false`, and null was given.",
        "`list` must be a list, and an object was given.",
        "`speed` must be one of `slow` or `fast`, and an object was given.",
        "`money` must be an object, and 1 was given.",
        "`way.by` must be one of `card` or `account`, and \"cheque\" was given.",
    ];
    assert_eq!(details(&client.call("kinds", &inputs).await), expected);
    for way in [json!({}), json!({ "digits": "4711" })] {
        let inputs = json!({
            "limit": 1, "word": "a", "flag": true, "list": [], "speed": "fast", "money": { "amount": 1 }, "way": way,
        });
        let lacks = ["`way` lacks `by`, which selects the form of the object."];
        assert_eq!(details(&client.call("kinds", &inputs).await), lacks, "{way}");
    }
}

#[tokio::test]
async fn no_answer_grows_with_the_request() {
    let client = client().await;
    let crowd: Vec<String> = (0..30_000).map(|_| "x".repeat(10)).collect();
    let inputs = json!({
        "limit": "x".repeat(100_000), "flag": true, "list": crowd, "speed": "x".repeat(100_000),
        "money": { "amount": 1 }, "way": { "by": "x".repeat(100_000) }, "x".repeat(100_000): 1,
    });
    let answer = client.call("kinds", &inputs).await;
    assert_eq!(details(&answer).len(), 20);
    assert!(
        answer.body["detail"].as_str().unwrap().ends_with(" And 29984 more."),
        "{}",
        answer.body
    );
    assert!(answer.body.to_string().len() < 10_000, "{}", answer.body);
}

#[tokio::test]
async fn a_search_parameter_writes_numbers_as_json_does() {
    let client = client().await;
    for text in ["3", "3.0", "3e0", "30e-1"] {
        let inputs = json!({ "free": text, "bound": text, "open": text, "closed": text });
        let answer = client.call("numbers", &inputs).await;
        assert_eq!(answer.body, json!([3, 3, 3.0, 3.0]), "{text}");
        let answer = client
            .call("flat_numbers", &json!({ "count": text, "share": text }))
            .await;
        assert_eq!(answer.body, json!({ "count": 3, "share": 3.0 }), "{text}");
    }
    for text in ["+3", ".5", "3.", "007", " 3", "0x3", "1e999", "NaN", ""] {
        let inputs = json!({ "free": text, "bound": text, "open": text, "closed": text });
        let whole = "must be a whole number from 0 to 255";
        let expected = [
            format!("`free` {whole}, and {text:?} was given."),
            format!("`bound` {whole}, and {text:?} was given."),
            format!("`open` must be a number, and {text:?} was given."),
            format!("`closed` must be a number, and {text:?} was given."),
        ];
        assert_eq!(details(&client.call("numbers", &inputs).await), expected);
        let answer = client
            .call("flat_numbers", &json!({ "count": text, "share": text }))
            .await;
        let expected = [
            format!("`count` must be a whole number, and {text:?} was given."),
            format!("`share` must be a number, and {text:?} was given."),
        ];
        assert_eq!(details(&answer), expected);
    }
}
