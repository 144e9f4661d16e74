//! A program whose inputs are the ones that serde_json's features change. It has one endpoint: `numbers`, or the one in the
//! variable `ENDPOINT`, such as `wholes`. `features try` calls the endpoint and prints its answer.

use std::process::ExitCode;

use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints, operator_api};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number or a text.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A tagged number.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum Tagged {
    /// A price.
    Price {
        /// The price.
        amount: f64,
        /// How many pieces.
        count: u32,
    },
}

/// Numbers in every form.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Numbers {
    /// Zulu is first in this struct and last in the alphabet.
    zulu: f64,
    /// Untagged numbers.
    untagged: Vec<Untagged>,
    /// Tagged numbers.
    tagged: Tagged,
    /// A whole number.
    whole: u8,
    /// A large number.
    large: u64,
    /// Anything.
    any: serde_json::Value,
    /// A number in decimal notation.
    decimal: Decimal,
}

/// Answers with the numbers. Use it to try them.
#[operator_api(POST, "/numbers", read_only)]
async fn numbers(
    /// The numbers.
    value: Numbers,
    /// A decimal number.
    price: Decimal,
    /// A whole number.
    whole: i64,
) -> (Numbers, Decimal, i64) {
    (value, price, whole)
}

/// Whole numbers only.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Wholes {
    /// A wide number.
    wide: u128,
    /// A number behind a tag.
    tagged: TaggedWhole,
    /// Anything.
    any: serde_json::Value,
}

/// A tagged whole number.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum TaggedWhole {
    /// A count.
    Count {
        /// How many.
        count: u64,
    },
}

/// Answers with the whole numbers. Use it to try them.
#[operator_api(POST, "/wholes", read_only)]
async fn wholes(
    /// The numbers.
    value: Wholes,
    /// A whole number.
    alone: i64,
) -> (Wholes, i64) {
    (value, alone)
}

const NUMBERS: &str = r#"{"value":{"zulu":1.25,"untagged":[1.5,2,"x"],"tagged":{"kind":"Price","amount":1.5,"count":3.0},
    "whole":5.0,"large":18446744073709551615,"any":{"b":1.50,"a":2},"decimal":"1.10"},"price":12.5,"whole":5.0}"#;
const WHOLES: &str = r#"{"value":{"wide":18446744073709551615,"tagged":{"kind":"Count","count":7},"any":{"b":1,"a":[2]}},
    "alone":5.0}"#;

#[tokio::main]
async fn main() -> ExitCode {
    let (name, app, body) = match std::env::var("ENDPOINT").as_deref() {
        Ok("wholes") => ("wholes", App::new().only(endpoints![wholes]), WHOLES),
        _ => ("numbers", App::new().only(endpoints![numbers]), NUMBERS),
    };
    if std::env::args().nth(1).as_deref() != Some("try") {
        return app.run().await;
    }
    let client = match Client::new(app).await {
        Ok(client) => client,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let answer = client.call(name, &body).await;
    println!("{} {}", answer.status, answer.body);
    ExitCode::SUCCESS
}
