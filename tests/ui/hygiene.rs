//! Names of the user cannot change what an expansion means. `tests/build.rs` puts a use of each macro beside types,
//! values, macros, constants and methods with every name in the expansions. `given` is what the sample needs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(
    dead_code,
    deprecated,
    unreachable_pub,
    unused,
    clippy::all,
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    reason = "the names are generated"
)]

use operator_runtime::testing::Client;
use operator_runtime::{App, Error, endpoints, store};
use serde_json::json;

include!(concat!(env!("OUT_DIR"), "/shadowed.rs"));

mod given {
    use operator_runtime::{SearchParams, Sqlite, Tx};

    pub(super) struct Desk;

    pub(super) type Head = http::Method;
    pub(super) type Cents = u16;
    pub(super) type Text = String;
    pub(super) type Truth = bool;
    pub(super) type Perhaps<T> = Option<T>;
    pub(super) type List<T> = Vec<T>;
    pub(super) type Answer<T, E> = Result<T, E>;
    pub(super) type Transaction = Tx<Sqlite>;
    pub(super) type Cause = std::fmt::Error;
    pub(super) type Event = operator_runtime::events::Event;
    pub(super) type Context = operator_runtime::events::Context;

    pub(super) const MOST: u16 = 20;

    #[derive(SearchParams, serde::Deserialize, schemars::JsonSchema)]
    pub(super) struct Rest {
        pub(super) first: Option<u16>,
    }

    pub(super) fn list() -> Vec<u16> {
        vec![1]
    }

    pub(super) fn answer<E>(cents: Cents) -> Result<Cents, E> {
        Ok(cents)
    }

    pub(super) fn context() -> Context {
        Context::new().variable("tier", "gold")
    }

    pub(super) fn kept(numbers: Vec<u16>, which: u16, _keeper: String, first: Option<u16>) -> Vec<u16> {
        numbers.into_iter().chain([which]).chain(first).collect()
    }

    pub(super) fn found<E, W>(
        number: u16,
        _word: Option<String>,
        _other: String,
        first: Option<u16>,
        _truth: bool,
        _which: W,
        _counted: u16,
        _named: String,
    ) -> Result<u16, E> {
        Ok(number + first.unwrap_or_default())
    }
}

/// Calls the sample in one of the modules.
macro_rules! call {
    ($module:ident) => {{
        let listed = endpoints![$module::found, $module::kept, $module::nothing, $module::again, $module::happened, $module::begun, $module::ended];
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(&format!("sqlite:{}", folder.path().join("operator.db").display())).await.unwrap();
        let client = Client::new(App::new().state(given::Desk).store(store).only(listed)).await.unwrap();
        let inputs = json!({ "which": "First", "truth": true, "first": 3, "counted": 9, "called": "a" });
        assert_eq!(client.call("found", &inputs).await.body, json!(23));
        let inputs = json!({ "which": 2, "keeper": "ana", "first": 3 });
        assert_eq!(client.call("kept", &inputs).await.body, json!([1, 2, 3]));
        let beyond = json!({ "which": 999, "keeper": "ana" });
        assert_eq!(client.call("kept", &beyond).await.status, 403, "the sum is over the limit");
        assert_eq!(client.call("nothing", &json!({})).await.status, 200);
        assert_eq!(client.call("nothing_again", &json!({})).await.status, 200);
        let begun = client.event(&json!({ "payload": { "type": "conversation.setup" } })).await;
        assert_eq!(begun.body["context"]["$variables"]["tier"], "gold");
        let happened = client.event(&json!({ "payload": { "type": "sample.happened" } })).await;
        assert_eq!(happened.status, 400, "the payload is not a number");
        let ended = client.event(&json!({ "payload": { "type": "conversation.ended" } })).await;
        assert_eq!(ended.status, 200, "{}", ended.body);
        let missing = Error::from($module::Missing::Amount(7));
        assert_eq!(missing.detail(), "There is no 7.");
    }};
}

#[tokio::test]
async fn no_name_of_the_user_changes_an_expansion() {
    call!(methods_by_value);
    call!(methods_by_reference);
    call!(methods_by_mutable_reference);
    call!(constants);
}
