//! Two endpoints in one file: one reads data, and the other changes data.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Mutex;

use operator_runtime::{App, Error, operator_api};
use schemars::JsonSchema;
use serde::Serialize;

/// The number of pieces of each product on the shelf.
struct Shelf(Mutex<HashMap<String, u32>>);

/// The stock of a product.
#[derive(Serialize, JsonSchema)]
struct Stock {
    /// The product's name.
    product: String,
    /// How many pieces are left.
    left: u32,
}

/// Says how many pieces of a product are left.
///
/// Use it when a customer asks whether something is in stock.
#[operator_api(GET, "/stock")]
async fn stock(
    shelf: &Shelf,
    /// The product's name, as the shop writes it.
    #[operator(example = "teapot")]
    product: String,
) -> Result<Stock, Error> {
    let left = shelf
        .0
        .lock()
        .map_err(|_| Error::internal("the shelf's lock is poisoned"))?
        .get(&product)
        .copied();
    match left {
        Some(left) => Ok(Stock { product, left }),
        None => Err(Error::not_found(format!("The shop has no product called {product}."))),
    }
}

/// Sets pieces of a product aside for a customer to collect.
///
/// Use it once the customer has said how many pieces to reserve.
#[operator_api(POST, "/reservations")]
async fn reserve(
    shelf: &Shelf,
    /// The product's name, as the shop writes it.
    #[operator(example = "teapot")]
    product: String,
    /// How many pieces to set aside.
    #[operator(default = 1, min = 1, max = 5)]
    pieces: u32,
) -> Result<Stock, Error> {
    let mut shelf = shelf
        .0
        .lock()
        .map_err(|_| Error::internal("the shelf's lock is poisoned"))?;
    let left = shelf
        .get_mut(&product)
        .ok_or_else(|| Error::not_found(format!("The shop has no product called {product}.")))?;
    *left = left
        .checked_sub(pieces)
        .ok_or_else(|| Error::conflict(format!("Only {left} are left, so {pieces} cannot be set aside.")))?;
    Ok(Stock { product, left: *left })
}

#[tokio::main]
async fn main() -> ExitCode {
    let shelf = HashMap::from([("teapot".to_owned(), 7), ("cup".to_owned(), 40)]);
    App::new().state(Shelf(Mutex::new(shelf))).run().await
}
