//! Endpoints that clash are refused at start-up. All clashes are reported at once, each with its place in the source.
//! Clashes within one module are refused by the compiler: see `ui/fail/two_endpoints_of_one_*.rs`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::time::Duration;

use operator_runtime::{App, Config, Settings, endpoints, operator_api};

mod one {
    use super::operator_api;

    /// Reads one. Use it for one.
    #[operator_api(GET, "/same", name = "one")]
    async fn one() -> u8 {
        1
    }
}

mod other {
    use super::operator_api;

    /// Reads another. Use it for the other.
    #[operator_api(GET, "/same", name = "other")]
    async fn other() -> u8 {
        2
    }
}

/// Reads a third. Use it for a third.
#[operator_api(POST, "/third", name = "one", timeout = "1000m")]
async fn third() -> u8 {
    3
}

fn most() -> u8 {
    50
}

const SEVEN: &str = "7";

/// Reads a fourth. Use it for a fourth.
#[operator_api(GET, "/fourth")]
async fn fourth(
    /// How many to read.
    #[operator(default = most(), max = 20)]
    limit: u8,
    /// What to read.
    #[operator(pattern = "^[a-z]+$", example = SEVEN)]
    word: String,
) -> String {
    format!("{limit} {word}")
}

/// Reads a refund. Use it for a refund.
#[operator_api(GET, "/refunds", name = "refunds")]
async fn refunds() -> u8 {
    4
}

/// Reads the refund of an order. Use it for an order.
#[operator_api(GET, "/orders/refunds", name = "refunds_of_orders")]
async fn refunds_of_orders() -> u8 {
    5
}

#[derive(serde::Deserialize, schemars::JsonSchema, operator_runtime::SearchParams)]
struct Filter {
    #[serde(deserialize_with = "separated")]
    tags: Vec<String>,
}

fn separated<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let tags = <String as serde::Deserialize>::deserialize(deserializer)?;
    Ok(tags.split(' ').map(str::to_owned).collect())
}

/// Counts the given tags. Use it for tags.
#[operator_api(GET, "/tagged")]
async fn tagged(#[operator(flatten)] filter: Filter) -> usize {
    filter.tags.len()
}

#[test]
fn a_base_path_that_makes_two_endpoints_clash_is_refused_with_both_places() {
    let app = App::new().only(endpoints![refunds, refunds_of_orders]);
    let config = Config::new().store("memory:").signing_key("op_sk_tests");
    let below = |url: &str| app.clone().config(config.clone().public_url(url)).check();
    below("http://127.0.0.1:1/other").unwrap();
    let error = below("http://127.0.0.1:1/orders").unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    for part in [
        "`refunds` (tests/wire/clash.rs:",
        "`refunds_of_orders` (tests/wire/clash.rs:",
        "`/orders/refunds`",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

/// Counts all orders. Use it for the year's report.
#[operator_api(GET, "/counts", timeout = "3600s")]
async fn counts_slowly() -> u8 {
    6
}

/// Writes a report. Use it at the end of the year.
#[operator_api(POST, "/reports", timeout = "3600s")]
async fn write_slowly() -> u8 {
    7
}

#[test]
fn only_recorded_endpoints_are_bounded_by_how_long_records_are_kept() {
    let config = Config::new()
        .store("memory:")
        .signing_key("op_sk_tests")
        .public_url("http://127.0.0.1:1");
    let check = |list| App::new().config(config.clone()).only(list).check();
    check(endpoints![counts_slowly]).unwrap();
    let error = check(endpoints![counts_slowly, write_slowly]).unwrap_err();
    let problem = error.problems().next().unwrap().to_string();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert!(problem.starts_with("`write_slowly` (tests/wire/clash.rs:"), "{problem}");
    assert!(
        problem.contains("set `ttl` in `Config::operations` to more than 3960 s"),
        "{problem}"
    );
}

#[test]
fn impossible_numbers_are_refused_all_at_once() {
    let config = Config::new()
        .store("memory:")
        .signing_key("op_sk_tests")
        .public_url("http://127.0.0.1:1")
        .body_limit(0)
        .memory_for_bodies(0)
        .head_limit(4096)
        .unfinished_heads(0)
        .connections(0)
        .idle_timeout(Duration::ZERO)
        .read_timeout(Duration::ZERO)
        .handler_timeout(Duration::ZERO)
        .concurrency(0)
        .operations(
            Settings::default()
                .lease(Duration::from_secs(4))
                .renew_every(Duration::from_secs(5))
                .ttl(Duration::from_secs(24 * 60 * 60)),
        );
    let app = App::new().only(endpoints![refunds]);
    let error = app.config(config).check().unwrap_err();
    let expected = [
        "body_limit",
        "memory_for_bodies",
        "`Config::head_limit` is 4096 bytes",
        "unfinished_heads",
        "connections",
        "idle_timeout",
        "read_timeout",
        "handler_timeout",
        "concurrency",
        "`lease` is 4s",
        "`ttl` is 86400s",
    ];
    for part in expected {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(error.problems().len(), expected.len(), "{error}");
}

#[test]
fn an_unusable_secret_and_an_unlimited_time_are_refused() {
    let config = || Config::new().store("memory:").public_url("http://127.0.0.1:1");
    let refusal = |config: Config| App::new().only(endpoints![refunds]).config(config).check().unwrap_err();
    for padding in ["=", "  ", "==", "\n"] {
        let error = refusal(config().signing_key(padding)).to_string();
        assert!(error.contains("is empty"), "{padding:?}: {error}");
    }
    // A base64 text whose end could be read as the secret of an id, because it contains `=`.
    let error = refusal(config().signing_keys("c2VjcmV0IGtleSBvZiB0aGUgc2hvcA==")).to_string();
    assert!(
        error.contains("[tenant/]id=secret") && !error.contains("c2Vj"),
        "{error}"
    );
    let error = refusal(config().signing_key("op_sk_tests").read_timeout(Duration::MAX)).to_string();
    assert!(error.contains("read_timeout"), "{error}");
    let error = refusal(config().signing_key("op_sk_tests").idle_timeout(Duration::MAX)).to_string();
    assert!(error.contains("idle_timeout"), "{error}");
    let error = refusal(config().signing_key("op_sk_tests").memory_for_bodies(1024)).to_string();
    assert!(
        error.contains("a body as large as `Config::body_limit`, 1048576 bytes, could never be read"),
        "{error}"
    );
}

#[test]
fn each_clash_is_named_with_both_places() {
    let config = Config::new().store("memory:").public_url("http://example.com");
    let error = App::new().config(config).check().unwrap_err();
    let expected = [
        "Two endpoints are named `one`",
        "Two endpoints answer at `/same`",
        "`one` (tests/wire/clash.rs:31): records are kept for 3600 s, which is too short",
        "`write_slowly` (tests/wire/clash.rs:",
        "the default of the input `limit` is not a valid value of this input",
        "the example of the input `word` is not a valid value of this input",
        "the field `tags` of a `flatten` input cannot be a search parameter, because its value may be a list or an object: use POST",
        "There is no signing key",
        "The public URL `http://example.com` is not https",
    ];
    for part in expected {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(error.problems().len(), expected.len(), "{error}");
    let mut problems = error.problems().map(ToString::to_string);
    let clash = problems.find(|problem| problem.contains("are named")).unwrap();
    assert_eq!(clash.matches("tests/wire/clash.rs:").count(), 2, "{error}");
}
