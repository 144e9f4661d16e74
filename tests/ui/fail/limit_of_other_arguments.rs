use operator_runtime::operator_api;

struct Desk;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Page {
    /// The number of the page.
    page: u32,
}

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds")]
#[operator(limit(sum = page, max = 5, per = desk, within = "1h"))]
async fn refund(desk: &Desk, #[operator(flatten)] page: Page) -> u32 {
    let _ = desk;
    page.page
}

fn main() {}
