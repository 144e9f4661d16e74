use operator_runtime::operator_api;

/// Raises a salary. Use it once the manager has agreed.
#[operator_api(POST, "/raises")]
#[operator(limit(sum = cents, max = 10_000, within = "24h"))]
async fn raise(
    /// The number of the employee.
    employee: u64,
    /// By how much, in cents.
    #[operator(secret)]
    cents: u32,
) -> u64 {
    let _ = cents;
    employee
}

fn main() {}
