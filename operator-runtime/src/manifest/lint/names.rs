//! Lints for names: whether an agent can tell the endpoints apart, and whether a name says what a person wants to have
//! done.

use strsim::damerau_levenshtein;

use super::{Finding, RESOURCE_NAME, Report, SIMILAR_NAMES, TOO_MANY_ENDPOINTS};
use crate::manifest::model::Model;

/// With more endpoints than this, models often choose the wrong one.
const MOST_ENDPOINTS: usize = 40;

pub(super) fn of_endpoint(report: &mut Report<'_>) {
    let name = report.described.endpoint.name;
    let verb = name.split('_').next().unwrap_or(name);
    let changes = report.described.endpoint.effect.is_recorded();
    if changes && ["create", "update", "delete", "patch", "put", "set", "insert", "upsert"].contains(&verb) {
        report.endpoint(
            RESOURCE_NAME,
            format!("The name `{name}` says what happens to a record, not what a person wants to have done"),
            "Name the endpoint after what a person wants to have done: `refund_order`, `change_delivery_address`, `cancel_subscription`.",
        );
    }
}

/// Lints that compare all endpoints.
pub(super) fn of_all(model: &Model, found: &mut Vec<Finding>) {
    for (index, one) in model.endpoints.iter().enumerate() {
        for other in &model.endpoints[index + 1..] {
            // An `allow` on either of the two endpoints is enough.
            let is_allowed = other.endpoint.allowed.contains(&SIMILAR_NAMES.name);
            if !is_allowed && are_alike(one.endpoint.name, other.endpoint.name) {
                let name = other.endpoint.name;
                Report { described: one, found }.endpoint(
                    SIMILAR_NAMES,
                    format!("The name is easily confused with `{name}`"),
                    "Choose names that show the difference: `recent_orders` and `search_orders`.",
                );
            }
        }
    }
    let endpoints = model.endpoints.len();
    if endpoints > MOST_ENDPOINTS {
        found.push(Finding {
            lint: TOO_MANY_ENDPOINTS,
            source: None,
            place: "the app".to_owned(),
            what: format!("There are {endpoints} endpoints, but an agent can tell apart only about {MOST_ENDPOINTS}"),
            better: "Merge endpoints that are called one after another, or serve some of them to another agent with `App::only`."
                .to_owned(),
        });
    }
}

/// Whether two names differ by one or two letters, or by the order of their words.
fn are_alike(one: &str, other: &str) -> bool {
    let sorted = |name: &str| {
        let mut words: Vec<String> = name
            .split('_')
            .map(|word| word.trim_end_matches('s').to_owned())
            .collect();
        words.sort_unstable();
        words
    };
    let most = if one.len().min(other.len()) < 6 { 1 } else { 2 };
    damerau_levenshtein(one, other) <= most || sorted(one) == sorted(other)
}
