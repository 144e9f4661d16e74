//! The lint for amounts: an agent that repeats a call may pay out any sum, unless a limit bounds the sum.

use serde_json::Value;

use super::{Report, UNLIMITED_AMOUNT};
use crate::limit::{Counted, Limit};
use crate::schema::exact::DECIMAL;
use crate::schema::keywords::lists_type;

/// Words in the names of inputs that say how much is paid or granted.
const AMOUNTS: [&str; 10] = [
    "amount", "cents", "credit", "credits", "fee", "pence", "points", "price", "sum", "total",
];

pub(super) fn of_endpoint(report: &mut Report<'_>) {
    let endpoint = report.described.endpoint;
    if !endpoint.effect.is_recorded() {
        return;
    }
    let limits: &[Limit] = endpoint.limits.as_ref().map_or(&[], |limits| limits.limits);
    for input in endpoint.inputs {
        let schema = &report.described.inputs["properties"][input.name];
        let is_amount = input.name.split('_').any(|word| AMOUNTS.contains(&word)) && is_number(schema);
        let is_whole = schema["type"] == "integer" && schema["minimum"].as_u64().is_some();
        let is_limited = |limit: &Limit| !is_whole || matches!(limit.counted, Counted::Sum(name) if name == input.name);
        if !is_amount || limits.iter().any(is_limited) {
            continue;
        }
        let better = if is_whole {
            format!(
                "Write a limit on the function, such as `#[operator(limit(sum = {}, max = 10_000, within = \"24h\"))]`.",
                input.name
            )
        } else {
            "Take the amount as an unsigned whole number in the smallest unit and limit its sum, or limit the calls: `#[operator(limit(calls = 20, within = \"1h\"))]`.".to_owned()
        };
        let what = "An agent that repeats the call can exceed any sum, because nothing limits this amount";
        report.input(UNLIMITED_AMOUNT, input.name, what, better);
    }
}

/// Whether the value is a number. Decimals are numbers that are written as text.
fn is_number(schema: &Value) -> bool {
    lists_type(schema, "integer") || lists_type(schema, "number") || schema["pattern"] == DECIMAL
}
