//! Compares each answer with the OpenAPI document: the body and the headers must be documented for the answer's status.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(
    clippy::unused_async,
    reason = "an endpoint must be async, even if it awaits nothing"
)]

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use operator_runtime::testing::{Answer, Client};
use operator_runtime::{App, Config, OperatorError, endpoints, operator_api};
use serde_json::{Value, json};

/// Rejects a request with the status that its header `X-Reject` names.
struct Gate;

impl FromRequestParts<()> for Gate {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &()) -> Result<Self, StatusCode> {
        let named = parts.headers.get("x-reject").and_then(|status| status.to_str().ok());
        named.map_or(Ok(Self), |status| Err(status.parse().unwrap()))
    }
}

/// Why a call failed.
#[derive(Debug, OperatorError)]
enum Failure {
    /// It is gone.
    #[operator(status = 410)]
    Gone,
    /// It is too much at once.
    #[operator(status = 429)]
    TooMuch,
    /// The provider has failed.
    #[operator(status = 502)]
    Failed,
    /// The provider is busy.
    #[operator(status = 503, retryable)]
    Busy,
    #[operator(internal)]
    Broken(std::io::Error),
    #[operator(unknown)]
    Silent(std::io::Error),
}

fn fail(way: &str) -> Result<u8, Failure> {
    match way {
        "gone" => Err(Failure::Gone),
        "too-much" => Err(Failure::TooMuch),
        "failed" => Err(Failure::Failed),
        "busy" => Err(Failure::Busy),
        "broken" => Err(Failure::Broken(std::io::Error::other("inner"))),
        "silent" => Err(Failure::Silent(std::io::Error::other("inner"))),
        _ => Ok(1),
    }
}

/// Fails in the given way. Use it to see what is recorded of an effect in another system.
#[operator_api(POST, "/once", errors(Failure))]
async fn once(
    /// The way to fail.
    #[operator(max_length = 8)]
    way: String,
    #[operator(extract)] _gate: Gate,
) -> Result<u8, Failure> {
    fail(&way)
}

/// Fails in the given way. Use it to see what is recorded of an effect that may happen twice.
#[operator_api(POST, "/often", effect = rerunnable, errors(Failure))]
async fn often(
    /// The way to fail.
    #[operator(max_length = 8)]
    way: String,
    #[operator(extract)] _gate: Gate,
) -> Result<u8, Failure> {
    fail(&way)
}

/// Fails in the given way. Use it to see that nothing is recorded.
#[operator_api(POST, "/look", read_only, errors(Failure))]
async fn look(
    /// The way to fail.
    #[operator(max_length = 8)]
    way: String,
    #[operator(extract)] _gate: Gate,
) -> Result<u8, Failure> {
    fail(&way)
}

/// What the document says about answers of an endpoint with this status.
fn response<'d>(document: &'d Value, name: &str, status: u16) -> &'d Value {
    let operations = document["paths"].as_object().unwrap().values();
    let operation = operations
        .map(|methods| &methods["post"])
        .find(|one| one["operationId"] == name);
    let responses = &operation.unwrap()["responses"];
    let range = format!("{}XX", status / 100);
    let response = responses.get(status.to_string()).or(responses.get(range));
    let response = response.unwrap_or_else(|| panic!("{name} does not document {status}: {responses}"));
    let shared = response["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    shared.map_or(response, |place| document.pointer(place).unwrap())
}

/// Checks that the document lists an answer with this status, body and headers.
fn assert_documented(document: &Value, name: &str, answer: &Answer) {
    let response = response(document, name, answer.status.as_u16());
    let media_type = if answer.status == 200 {
        "application/json"
    } else {
        "application/problem+json"
    };
    let mut schema = response["content"][media_type]["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&answer.body), "{name}: {answer:?} is not {response}");
    let headers = &response["headers"];
    assert!(
        !answer.replayed || headers.get("Idempotent-Replayed").is_some(),
        "{name}: {answer:?}, and {response}"
    );
    assert!(
        answer.retry_after.is_none() || headers.get("Retry-After").is_some(),
        "{name}: {answer:?}, and {response}"
    );
}

#[tokio::test]
async fn every_answer_is_documented_with_its_headers() {
    let app = App::new()
        .only(endpoints![once, often, look])
        .config(Config::new().serve_manifest(true));
    let client = Client::new(app).await.unwrap();
    let document = client.call("manifest", &json!({ "format": "openapi" })).await.body;
    let ways = [
        "done",
        "gone",
        "too-much",
        "failed",
        "busy",
        "broken",
        "silent",
        "far too long",
        "rejected",
    ];
    let rejections = [303_u16, 400, 401, 403, 409, 422, 429, 500, 502, 503];
    for name in ["once", "often", "look"] {
        let mut replayed = Vec::new();
        for way in ways {
            let statuses = if way == "rejected" { &rejections[..] } else { &[0] };
            for rejected in statuses {
                let mut caller = client.with_idempotency_key(format!("{name}-{way}-{rejected}"));
                if *rejected != 0 {
                    let status = HeaderValue::from_str(&rejected.to_string()).unwrap();
                    caller = caller.with_header(HeaderName::from_static("x-reject"), status);
                }
                for _ in 0..2 {
                    let answer = caller.call(name, &json!({ "way": way })).await;
                    assert_documented(&document, name, &answer);
                    if way == "silent" {
                        let due = match name {
                            "once" => (500, "outcome-unknown"),
                            "often" => (503, "try-again"),
                            _ => (500, "internal"),
                        };
                        let kind = answer.body["type"].as_str().unwrap().rsplit(':').next().unwrap();
                        assert_eq!((answer.status.as_u16(), kind), due, "{name}");
                    }
                    if answer.replayed {
                        replayed.push((way, answer.status));
                    }
                }
            }
        }
        // Answers with these statuses are replayed if and only if the document says so.
        let kept = |status: u16| {
            response(&document, name, status)["headers"]
                .get("Idempotent-Replayed")
                .is_some()
        };
        for status in [400, 401, 403, 409, 410, 422, 429, 500, 502, 503] {
            let is_kept = replayed.iter().any(|(_, other)| *other == status);
            assert_eq!(kept(status), is_kept, "{name}: {status}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_inputs_is_kept() {
    let client = Client::new(App::new().only(endpoints![once])).await.unwrap();
    let caller = client.with_idempotency_key("k");
    let inputs = json!({ "way": "far too long" });
    let first = caller.call("once", &inputs).await;
    let again = caller.call("once", &inputs).await;
    assert_eq!((first.status.as_u16(), first.replayed), (400, false));
    assert_eq!((again.status.as_u16(), again.replayed), (400, true));
    assert_eq!(first.body, again.body);
}

#[tokio::test]
async fn hints_say_what_a_client_may_do_without_asking_a_person() {
    let app = App::new()
        .only(endpoints![once, often, look])
        .config(Config::new().serve_manifest(true));
    let client = Client::new(app).await.unwrap();
    let document = client.call("manifest", &json!({ "format": "mcp" })).await.body;
    let hints = |name: &str| {
        let tool = document["tools"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tool| tool["name"] == name);
        let annotations = &tool.unwrap()["annotations"];
        ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"].map(|hint| annotations[hint].clone())
    };
    // Each call of a tool is a new operation, so a tool is idempotent only if its effect may happen twice.
    assert_eq!(hints("look"), [true, false, true, false]);
    assert_eq!(hints("often"), [false, true, true, false]);
    assert_eq!(hints("once"), [false, true, false, false]);
}
