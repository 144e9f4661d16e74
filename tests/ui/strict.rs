//! An endpoint in a crate that denies all lints of rustc and clippy. The expansion must not trigger any of them.

#![deny(warnings, missing_docs, unused, unreachable_pub, unsafe_code, non_ascii_idents)]
#![deny(
    single_use_lifetimes,
    trivial_casts,
    unused_qualifications,
    unused_results,
    elided_lifetimes_in_paths
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(clippy::absolute_paths, clippy::unwrap_used, clippy::missing_docs_in_private_items)]

use std::error::Error as StdError;

use operator_runtime::testing::Client;
use operator_runtime::{App, Error, OperatorError, SearchParam, operator_api};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// How a list is ordered.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, SearchParam)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

/// An order's number.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, SearchParam)]
#[serde(transparent)]
struct OrderId(u64);

/// Why a search finds nothing.
#[derive(Clone, Copy, Debug, OperatorError)]
enum NotFound {
    /// There is no order {0}.
    #[operator(status = 404)]
    Order(u64),
}

/// App state.
#[derive(Debug)]
struct Desk;

/// Finds orders. Use it when a customer asks for one.
///
/// # Errors
/// If there is no such order.
#[operator_api(GET, "/orders", errors(NotFound), timeout = "2s")]
async fn orders(
    _desk: &Desk,
    /// The number of the order.
    #[operator(min = 1, example = 7)]
    id: OrderId,
    /// How to sort the orders.
    #[operator(default = Order::Newest)]
    order: Order,
    /// A word in the order.
    #[operator(min_length = 2)]
    word: Option<String>,
) -> Result<Option<String>, NotFound> {
    match order {
        Order::Newest => Ok(word),
        Order::Oldest => Err(NotFound::Order(id.0)),
    }
}

/// How many items are shown at most.
const MOST: u8 = 20;

/// Counts items. Use it when a customer asks how many there are.
#[operator_api(GET, "/items")]
pub async fn items(
    /// How many are shown.
    #[operator(default = MOST, min = 0, max = 255, example = 7)]
    most: u8,
) -> u8 {
    most
}

/// Settles an order. Use it once it is paid.
///
/// # Errors
/// Never.
#[operator_api(POST, "/settlements", effect = rerunnable)]
async fn settle(
    /// The number of the order.
    #[operator(max = 100)]
    id: u64,
) -> Result<u64, Error> {
    Ok(id)
}

#[tokio::test]
async fn endpoints_of_a_strict_crate_can_be_called() -> Result<(), Box<dyn StdError>> {
    let client = Client::new(App::new().state(Desk)).await?;
    let answer = client.call("orders", &json!({ "id": 7, "order": "oldest" })).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["detail"]),
        (404, &json!("There is no order 7."))
    );
    let answer = client.call("settle", &json!({ "id": 7 })).await;
    assert_eq!(answer.body, json!(7));
    let answer = client.call("items", &json!({})).await;
    assert_eq!(answer.body, json!(20));
    Ok(())
}
