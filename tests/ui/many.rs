//! An endpoint may have hundreds of inputs, and clippy does not ask for fewer arguments. `tests/build.rs` writes the
//! endpoints.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints, operator_api};
use serde_json::{Value, json};

include!(concat!(env!("OUT_DIR"), "/many.rs"));

/// As many inputs as the endpoint takes. The value of each is its index.
fn inputs(count: u32) -> Value {
    (0..count)
        .map(|index| (format!("input_{index}"), json!(index)))
        .collect()
}

#[tokio::test]
async fn every_one_of_many_inputs_arrives_at_its_argument() {
    let client = Client::new(App::new().only(endpoints![many_searched, many_posted, nine]))
        .await
        .unwrap();
    for (name, count) in [("many_searched", 256), ("many_posted", 256), ("nine", 9)] {
        let answer = client.call(name, &inputs(count)).await;
        assert_eq!(answer.body, (0..count).collect::<Value>(), "{name}");
        let refused = client.call(name, &json!({})).await;
        assert_eq!(refused.status, 400, "{name}");
    }
}
