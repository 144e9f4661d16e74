//! Tests the memory for refusals in the example on Postgres. `costs` tests the other examples.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../../examples/billing/src/charges.rs"]
mod charges;
#[path = "../../examples/billing/src/ledger.rs"]
mod ledger;
#[allow(dead_code, reason = "`costs` uses the rest")]
mod measured;
#[allow(dead_code, reason = "`costs` uses the rest")]
mod values;
#[allow(dead_code, reason = "`costs` uses the rest")]
mod worst;

use measured::{Caller, endpoints};
use operator_runtime::App;
use operator_runtime::store::PostgresStore;
use tests::process;
use tests::services::Postgres;

/// The only test in this file, because the memory of all threads is counted.
#[test]
fn refusals_take_memory_in_proportion_to_the_body_only() {
    let postgres = Postgres::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(PostgresStore::connect(&postgres.url())).unwrap();
    let app = App::new()
        .store(store)
        .postgres_setup(include_str!("../../examples/billing/src/tables.sql"));
    let caller = Caller::new(app);
    let endpoints = endpoints(&process::build("billing", "dev"));
    assert_eq!(endpoints.len(), 2);
    caller.call_nearly_right(&endpoints);
}
