//! Every form of the macros. Each is used once and called as the agent calls it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(
    clippy::unused_async,
    reason = "an endpoint must be async, even if it awaits nothing"
)]

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use operator_runtime::testing::Client;
use operator_runtime::{
    App, Call, Endpoints, Error, OperatorError, SearchParam, SearchParams, SettingName, endpoints, operator_api,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A value that the app provides.
struct Greeting(&'static str);

/// How urgent it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema, SearchParam)]
#[serde(rename_all = "kebab-case")]
enum Priority {
    /// Can wait.
    VeryLow,
    #[serde(rename = "now")]
    High,
}

/// An order's number.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, SearchParam)]
#[serde(transparent)]
struct OrderId(u64);

#[allow(clippy::too_many_arguments, reason = "one argument of each kind")]
/// Takes every kind of search parameter. Use it to see that each kind is read.
#[operator_api(GET, "/kinds")]
async fn kinds(
    greeting: &Greeting,
    call: &Call,
    /// A whole number.
    #[operator(rename = "type", min = 1)]
    r#type: u8,
    /// Which order it is.
    id: OrderId,
    /// How urgent it is.
    #[operator(default = Priority::VeryLow)]
    priority: Priority,
    /// An optional note.
    note: Option<String>,
    /// A name that the macro uses itself.
    operator: char,
    /// A name that the macro uses itself.
    invocation: bool,
    /// A name that the macro uses itself.
    inputs: f64,
) -> Value {
    json!([
        greeting.0,
        call.endpoint(),
        r#type,
        id,
        priority,
        note,
        operator,
        invocation,
        inputs
    ])
}

/// The user who is signed in.
struct CurrentUser(String);

impl FromRequestParts<()> for CurrentUser {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _state: &()) -> Result<Self, Self::Rejection> {
        let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok());
        user.map(|user| Self(user.to_owned()))
            .ok_or((StatusCode::FORBIDDEN, "inner text"))
    }
}

/// Fields that become inputs beside other inputs.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Period {
    /// The first day.
    from: String,
    /// The last day.
    #[schemars(length(min = 2))]
    to: Option<String>,
}

/// Takes an extractor and flattened fields. Use it to see that both work.
#[operator_api(POST, "/extracted", read_only)]
async fn extracted(
    #[operator(extract)] user: CurrentUser,
    #[operator(flatten)] period: Period,
    /// How many to return.
    #[operator(default = 3, max = 9)]
    limit: u8,
) -> Result<Value, Error> {
    Ok(json!([user.0, period, limit]))
}

/// Flattens search parameters. Use it to see that the parameters have types.
#[operator_api(GET, "/flattened")]
async fn flattened(#[operator(flatten)] page: Page) -> Page {
    page
}

/// A page of a list.
#[derive(Serialize, Deserialize, JsonSchema, SearchParams)]
struct Page {
    number: u32,
    all: bool,
    word: Option<String>,
}

/// Why a call failed.
#[derive(Debug, OperatorError)]
enum Failure {
    /// There is no order {id}.
    #[operator(status = 404)]
    Missing { id: u64 },
    #[operator(detail = "The provider {0} is busy.", status = 503, retryable)]
    Busy(&'static str),
    #[operator(internal)]
    Broken(std::io::Error),
}

/// An alias of a result type. The macro does not need to know that.
type Answered<T> = Result<T, Failure>;

/// Fails in the given way. Use it to see how failures are answered.
#[operator_api(POST, "/failures", effect = rerunnable, timeout = "2s", errors(Failure))]
async fn fails(
    /// The way to fail.
    #[operator(pattern = "^[a-z]+$")]
    way: String,
) -> Answered<u8> {
    match way.as_str() {
        "missing" => Err(Failure::Missing { id: 7 }),
        "busy" => Err(Failure::Busy("Bank")),
        "broken" => Err(Failure::Broken(std::io::Error::other("secret path"))),
        "panic" => panic!("secret panic"),
        "slow" => std::future::pending().await,
        _ => Ok(1),
    }
}

/// Fails while it acts in another system. Use it to see that the outcome is not guessed.
#[operator_api(POST)]
async fn elsewhere(
    /// The way to fail.
    way: String,
) -> Result<(), Error> {
    assert!(way != "panic", "secret panic");
    Err(Error::retryable("Nothing has happened yet."))
}

async fn client() -> Client {
    Client::new(App::new().state(Greeting("hello"))).await.unwrap()
}

#[tokio::test]
async fn each_kind_of_search_parameter_is_read() {
    let answer = client()
        .await
        .call(
            "kinds",
            &json!({ "type": 3, "id": 1001, "operator": "x", "invocation": true, "inputs": 1.5 }),
        )
        .await;
    assert_eq!(
        answer.body,
        json!(["hello", "kinds", 3, 1001, "very-low", null, "x", true, 1.5])
    );
    let inputs = json!({ "type": 3, "id": 1, "operator": "é", "invocation": "false", "inputs": "1e3", "priority": "now", "note": "" });
    let answer = client().await.call("kinds", &inputs).await;
    assert_eq!(
        answer.body,
        json!(["hello", "kinds", 3, 1, "now", "", "é", false, 1000.0])
    );
}

#[tokio::test]
async fn each_wrong_search_parameter_is_explained() {
    let inputs = json!({ "type": 0, "id": -1, "operator": "xy", "invocation": "yes", "inputs": "NaN", "priority": "low", "notes": 1 });
    let answer = client().await.call("kinds", &inputs).await;
    let details: Vec<String> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["detail"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "`type` must be at least 1, and 0 was given.",
        "`id` must be a whole number from 0 to 18446744073709551615, and \"-1\" was given.",
        "`priority` must be one of `very-low` or `now`, and \"low\" was given.",
        "`operator` must be exactly one character, and \"xy\" was given.",
        "`invocation` must be `true` or `false`, and \"yes\" was given.",
        "`inputs` must be a number, and \"NaN\" was given.",
        "There is no input `notes`; did you mean `note`?",
    ];
    assert_eq!(details, expected);
}

#[tokio::test]
async fn extractors_and_flattened_fields_stand_beside_inputs() {
    let anonymous = client().await;
    let ana = anonymous.with_header(HeaderName::from_static("x-user"), HeaderValue::from_static("ana"));
    let answer = ana.call("extracted", &json!({ "from": "2026-11-01" })).await;
    assert_eq!(answer.body, json!(["ana", { "from": "2026-11-01", "to": null }, 3]));
    let wrong = ana.call("extracted", &json!({ "to": "x", "limit": 10 })).await;
    assert_eq!(wrong.status, 400);
    let refused = anonymous.call("extracted", &json!({ "from": "2026-11-01" })).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.body.to_string().contains("inner"), "{}", refused.body);
    let page = anonymous
        .call("flattened", &json!({ "number": 2, "all": true, "word": "7" }))
        .await;
    assert_eq!(page.body, json!({ "number": 2, "all": true, "word": "7" }));
}

/// Fails at its first extraction and succeeds at its second.
struct Lazy;

static TRIED: AtomicBool = AtomicBool::new(false);

impl FromRequestParts<()> for Lazy {
    type Rejection = StatusCode;

    async fn from_request_parts(_parts: &mut Parts, _state: &()) -> Result<Self, StatusCode> {
        if TRIED.swap(true, Ordering::Relaxed) {
            Ok(Self)
        } else {
            Err(StatusCode::BAD_GATEWAY)
        }
    }
}

/// Has an extractor that may fail. Use it to see what happens to a call whose handler has not begun.
#[operator_api(POST, "/lazy")]
async fn lazy(#[operator(extract)] _lazy: Lazy) -> u8 {
    1
}

#[tokio::test]
async fn a_failed_extraction_is_tried_again() {
    let client = client().await.with_idempotency_key("lazy");
    let first = client.call("lazy", &json!({})).await;
    assert_eq!(
        (first.status.as_u16(), first.retry_after),
        (502, Some(std::time::Duration::from_secs(1))),
        "{first:?}"
    );
    let again = client.call("lazy", &json!({})).await;
    assert_eq!((again.status.as_u16(), again.replayed), (200, false), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn each_failure_has_its_answer_without_internal_text() {
    let client = client().await;
    for (way, status, detail) in [
        ("missing", 404, "There is no order 7."),
        ("busy", 503, "The provider Bank is busy."),
        ("broken", 500, "The server failed"),
        ("panic", 500, "The server failed"),
        ("slow", 503, "The server took too long"),
        ("UPPER", 400, "`way` must match the pattern"),
    ] {
        let answer = client.call("fails", &json!({ "way": way })).await;
        assert_eq!(answer.status, status, "{way}: {}", answer.body);
        assert!(
            answer.body["detail"].as_str().unwrap().starts_with(detail),
            "{way}: {}",
            answer.body
        );
        assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
        assert_eq!(answer.retry_after.is_some(), status == 503, "{way}");
    }
}

#[tokio::test]
async fn an_operation_that_may_have_happened_is_never_run_again() {
    let client = client().await.with_idempotency_key("k");
    for _ in 0..2 {
        let answer = client.call("elsewhere", &json!({ "way": "panic" })).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["type"]),
            (500, &json!("urn:operator:problem:outcome-unknown"))
        );
    }
    let other = client.call("elsewhere", &json!({ "way": "retryable" })).await;
    assert_eq!(other.status, 422);
    let released = client.with_idempotency_key("r");
    for _ in 0..2 {
        let answer = released.call("elsewhere", &json!({ "way": "retryable" })).await;
        assert_eq!((answer.status.as_u16(), answer.replayed), (503, false));
    }
}

#[tokio::test]
async fn a_chosen_list_serves_no_other_endpoint() {
    let client = Client::new(App::new().only(endpoints![flattened, fails]))
        .await
        .unwrap();
    assert_eq!(client.call("fails", &json!({ "way": "x" })).await.body, json!(1));
    let missing = App::new().only(endpoints![client_is_no_endpoint]).check().unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("`client_is_no_endpoint` in `App::only` is not an endpoint"),
        "{missing}"
    );
}

async fn client_is_no_endpoint() {}

#[tokio::test]
async fn lists_are_joined_and_a_second_one_is_refused() {
    let joined: Endpoints = [endpoints![fails], endpoints![flattened]].into_iter().collect();
    let mut extended = endpoints![fails];
    extended.extend([endpoints![flattened]]);
    for list in [joined, extended] {
        let client = Client::new(App::new().only(list)).await.unwrap();
        assert_eq!(client.call("fails", &json!({ "way": "x" })).await.body, json!(1));
        assert_eq!(
            client
                .call("flattened", &json!({ "number": 1, "all": true }))
                .await
                .status,
            200
        );
    }
    let twice = App::new().only(endpoints![fails]).only(endpoints![flattened]);
    let error = Client::new(twice).await.unwrap_err();
    let problem = error.problems().next().unwrap();
    assert_eq!(problem.setting(), Some(SettingName::Method("App::only")));
    assert!(
        problem.to_string().starts_with("`App::only` was called 2 times"),
        "{error}"
    );
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn wrong_information_about_the_program_is_reported_at_start_up() {
    let config = operator_runtime::Config::new()
        .signing_key("op_sk_tests")
        .public_url("https://a.example")
        .store("memory:");
    let app = || App::new().config(config.clone()).only(endpoints![fails]);
    assert!(app().info(operator_runtime::info!()).check().is_ok());
    let wrong = operator_runtime::info!()
        .version("")
        .server("http://api.shop.example", "");
    let error = app().info(wrong).info(operator_runtime::info!()).check().unwrap_err();
    let problems: Vec<String> = error.problems().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "`App::info` was called 2 times: call it once, with one `Info`.",
            "The information in `App::info` has an empty version: write one like `1.0.0`.",
            "The information in `App::info` has the server `http://api.shop.example`, which is not https (only a loopback host may use http): write one like `https://api.shop.example`.",
        ]
    );
    let is_of_info =
        |problem: &operator_runtime::StartProblem| problem.setting() == Some(SettingName::Method("App::info"));
    assert!(error.problems().all(is_of_info));
}

#[test]
fn an_empty_list_or_a_repeated_function_is_the_only_problem_reported() {
    let problems = |list| {
        let config = operator_runtime::Config::new()
            .signing_key("op_sk_tests")
            .public_url("https://a.example")
            .store("memory:");
        let error = App::new().config(config).only(list).check().unwrap_err();
        error.problems().map(ToString::to_string).collect::<Vec<_>>()
    };
    let twice = problems(endpoints![fails, flattened, fails]);
    assert_eq!(twice, ["`fails` is listed twice in `App::only`: list it once."]);
    let [empty] = &problems(endpoints![])[..] else {
        panic!("one problem")
    };
    assert!(empty.starts_with("The list of `App::only` is empty"), "{empty}");
    let [no_endpoint] = &problems(endpoints![client_is_no_endpoint])[..] else {
        panic!("one problem")
    };
    assert!(no_endpoint.contains("is not an endpoint"), "{no_endpoint}");
}

#[tokio::test]
async fn start_up_names_everything_that_is_missing() {
    let error = Client::new(App::new()).await.unwrap_err().to_string();
    assert!(error.contains("`kinds` borrows `greeting: &Greeting`"), "{error}");
}

#[tokio::test]
async fn the_function_stays_an_ordinary_function() {
    assert_eq!(
        flattened(Page {
            number: 1,
            all: false,
            word: None
        })
        .await
        .number,
        1
    );
}

#[tokio::test]
async fn the_client_sets_key_clock_and_config() {
    let config = operator_runtime::Config::new()
        .signing_keys("old=op_sk_old,new=op_sk_new")
        .body_limit(64);
    let app = App::new().only(endpoints![fails]).config(config);
    let client = Client::new(app).await.unwrap();
    let call = async |client: &Client| {
        client
            .with_idempotency_key("k")
            .call("fails", &json!({ "way": "well" }))
            .await
    };
    let first = call(&client).await;
    assert_eq!((first.status.as_u16(), first.replayed), (200, false), "{first:?}");
    let rotated = call(&client.with_signing_key("op_sk_new")).await;
    assert!(rotated.replayed, "both keys belong to one tenant: {rotated:?}");
    assert_eq!(call(&client.with_signing_key("op_sk_forged")).await.status, 401);
    let long = client.call("fails", &json!({ "way": "x".repeat(64) })).await;
    assert_eq!(long.status, 413, "{long:?}");
    client.clock().advance(std::time::Duration::from_secs(2 * 60 * 60));
    assert!(!call(&client).await.replayed, "the store uses the client's clock");
}
