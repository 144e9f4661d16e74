//! Types whose names collide, or have characters that a reference must escape.

use operator_runtime::operator_api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{invoices::Item as InvoiceItem, orders::Item as OrderItem};

mod orders {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    /// An item of an order.
    #[derive(Debug, Deserialize, Serialize, JsonSchema)]
    pub(crate) struct Item {
        /// How many pieces.
        pieces: u8,
    }
}

mod invoices {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    /// An item of an invoice.
    #[derive(Debug, Deserialize, Serialize, JsonSchema)]
    pub(crate) struct Item {
        /// The price in cents.
        cents: u8,
    }
}

/// A size in centimetres. The type's name is not ASCII, and the type refers to itself.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Größe {
    /// How wide.
    width: u8,
    /// The sizes of its parts.
    parts: Vec<Größe>,
}

/// One page of anything. The name contains the characters of a template.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "Page<{T}>")]
pub(crate) struct Renamed<T> {
    /// The items.
    items: Vec<T>,
    /// The next page.
    next: Option<Box<Renamed<T>>>,
}

/// A problem of an order. OpenAPI documents have a schema of this name already.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// What is wrong.
    words: String,
}

/// Answers with items of orders. Use it to try a name that two modules have.
#[operator_api(POST, "/zoo/order_items", read_only)]
async fn order_items(
    /// Pages of items.
    pages: Renamed<OrderItem>,
    /// Two problems.
    problems: [Problem; 2],
) -> (Renamed<OrderItem>, [Problem; 2]) {
    (pages, problems)
}

/// Answers with items of orders and invoices. Use it to try two types of one name in one endpoint.
#[operator_api(POST, "/zoo/items", read_only)]
async fn items(
    /// Pages of invoice items.
    invoices: Renamed<InvoiceItem>,
    /// Items of orders.
    orders: [OrderItem; 2],
    /// How large each part is.
    size: Größe,
) -> (Renamed<InvoiceItem>, [OrderItem; 2], Größe) {
    (invoices, orders, size)
}

/// Any JSON, in each place where a type can have it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Untyped {
    any: serde_json::Value,
    maybe: Option<serde_json::Value>,
    list: Vec<serde_json::Value>,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, serde_json::Value>,
}

/// Answers with any JSON. Use it to try untyped values.
#[operator_api(POST, "/zoo/untyped", read_only)]
async fn untyped(
    /// The value to try.
    value: Untyped,
    /// Another value.
    other: serde_json::Value,
    /// A third value.
    third: Option<serde_json::Value>,
) -> (Untyped, serde_json::Value, Option<serde_json::Value>) {
    (value, other, third)
}
