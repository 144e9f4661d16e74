//! A program whose inputs are the ones that serde_json's features change. `features try` calls the endpoint and prints
//! its answer.

use std::process::ExitCode;

use operator_runtime::testing::Client;
use operator_runtime::{App, operator_api};
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

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("try") {
        return App::new().run().await;
    }
    let client = match Client::new(App::new()).await {
        Ok(client) => client,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let body = r#"{"value":{"zulu":1.25,"untagged":[1.5,2,"x"],"tagged":{"kind":"Price","amount":1.5,"count":3.0},
        "whole":5.0,"large":18446744073709551615,"any":{"b":1.50,"a":2},"decimal":"1.10"},"price":12.5,"whole":5.0}"#;
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let answer = client.call("numbers", &body).await;
    println!("{} {}", answer.status, answer.body);
    ExitCode::SUCCESS
}
