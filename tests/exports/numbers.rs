//! Numbers over the wire: each digit arrives, or the call is refused with what to send instead.

use std::collections::BTreeMap;

use operator_runtime::store::MemoryStore;
use operator_runtime::{App, Config, Endpoints, SearchParams, endpoints, operator_api};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tests::caller::{self, Answer, PUBLIC_URL, SECRET};

use crate::lenient;

/// An amount at each place that a value can have.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Amounts {
    one: Decimal,
    list: Vec<Decimal>,
    map: BTreeMap<String, Decimal>,
    maybe: Option<Decimal>,
    pair: (u8, Decimal),
    tagged: Tagged,
    untagged: Untagged,
    #[serde(flatten)]
    more: More,
}

/// An amount behind a tag.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum Tagged {
    Cash { paid: Decimal },
}

/// An amount in one of two forms.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Alone(Decimal),
    Named { due: Decimal },
}

/// A flattened amount.
#[derive(Deserialize, Serialize, JsonSchema)]
struct More {
    extra: Decimal,
}

echo!(amounts, Amounts);
echo!(amount, Decimal);

/// A struct of search parameters.
#[derive(Deserialize, Serialize, JsonSchema, SearchParams)]
struct Range {
    /// The smallest amount.
    least: Decimal,
    /// The largest amount.
    most: Option<Decimal>,
}

/// Answers with the amounts and the number. Use it to try search parameters.
#[operator_api(GET, "/searched")]
async fn searched(
    #[operator(flatten)] range: Range,
    /// An amount.
    step: Option<Decimal>,
    /// A whole number.
    whole: Option<u64>,
    /// A number of 128 bits.
    wide: Option<u128>,
) -> (Range, Option<Decimal>, Option<u64>, Option<u128>) {
    (range, step, whole, wide)
}

/// Numbers of 128 bits.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Widest {
    wide: (u128, i128),
}

echo!(widest, Widest);

/// A server in this process with these endpoints.
async fn serve(endpoints: Endpoints) -> u16 {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = App::new().only(endpoints).config(config).store(MemoryStore::new());
    let router = app.router().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn post(port: u16, path: &'static str, body: String) -> Answer {
    let sending = move || caller::post(port, path, "k", &body).unwrap();
    tokio::task::spawn_blocking(sending).await.unwrap()
}

async fn get(port: u16, pairs: Vec<(&'static str, String)>) -> Answer {
    let sending = move || {
        let pairs: Vec<_> = pairs.iter().map(|(name, text)| (*name, text.as_str())).collect();
        caller::get(port, "/searched", "k", &pairs).unwrap()
    };
    tokio::task::spawn_blocking(sending).await.unwrap()
}

/// The places of [`Amounts`] as they are written in a body, where the amount is `1`, and their paths.
const PLACES: [(&str, &str); 8] = [
    (r#""one":1"#, "one"),
    (r#""list":[1]"#, "list[0]"),
    (r#""map":{"a":1}"#, "map.a"),
    (r#""maybe":1"#, "maybe"),
    (r#""pair":[0,1]"#, "pair[1]"),
    (r#""tagged":{"kind":"Cash","paid":1}"#, "tagged.paid"),
    (r#""untagged":1"#, "untagged"),
    (r#""extra":1"#, "extra"),
];

/// A body with the amount at one of the places.
fn with(place: &str, amount: &str) -> String {
    let fields: Vec<String> = PLACES
        .iter()
        .map(|(written, _)| match written.rsplit_once('1') {
            Some((before, after)) if *written == place => format!("{before}{amount}{after}"),
            _ => (*written).to_owned(),
        })
        .collect();
    format!(r#"{{"value":{{{}}}}}"#, fields.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decimal_number_keeps_its_digits_at_every_place_or_is_refused() {
    let port = serve(endpoints![amounts]).await;
    for (place, path) in PLACES {
        let answer = post(port, "/amounts", with(place, "1234567890123456.78")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(
            told,
            format!(
                "`value.{path}` must be sent as text, \"1234567890123456.78\", because the last digits of this JSON number would be lost."
            )
        );
        let answer = post(port, "/amounts", with(place, "\"1234567890123456.78\"")).await;
        assert!(
            answer.status == 200 && answer.body.contains("\"1234567890123456.78\""),
            "{path}: {}",
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_number_is_a_decimal_number_if_no_digit_is_lost() {
    let port = serve(endpoints![amount]).await;
    let sent = async |amount: &str| {
        let answer = post(port, "/amount", format!(r#"{{"value":{amount}}}"#)).await;
        (answer.status, answer.json())
    };
    for (amount, stored) in [
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0.1", "0.1"),
        ("12.50", "12.5"),
        ("1e3", "1000"),
        ("2251799813685248.5", "2251799813685248.5"),
        ("1e-28", "0.0000000000000000000000000001"),
        ("\"18446744073709551617\"", "18446744073709551617"),
        ("\"0.1000000000000000055\"", "0.1000000000000000055"),
        ("\"7922816251426433759354395033.5\"", "7922816251426433759354395033.5"),
    ] {
        let (status, body) = sent(amount).await;
        assert_eq!((status, body.as_str()), (200, Some(stored)), "{amount}");
    }
    for lost in [
        "18446744073709551617",
        "-9223372036854775809",
        "9007199254740993.0",
        "9007199254740993.5",
        "12345678901234567890.55",
        "0.1000000000000000055",
    ] {
        let (status, body) = sent(lost).await;
        let told = body["detail"].as_str().unwrap_or_default();
        assert!(
            status == 400 && told.contains(&format!("must be sent as text, \"{lost}\"")),
            "{lost}: {body}"
        );
    }
    // Without its feature `float_roundtrip`, serde_json reads the last digit of these numbers differently.
    for risky in ["11454019933.558765", "946087147.3337171", "10.283064049720561"] {
        let (status, body) = sent(risky).await;
        let told = body["detail"].as_str().unwrap_or_default();
        let is_kept = status == 200 && body == risky;
        assert!(is_kept || told.contains("must be sent as text"), "{risky}: {body}");
    }
    for long in [
        "1e-29",
        "\"7922816251426433759354395033.6\"",
        "\"9999999999999999999999999999.5\"",
    ] {
        let (status, body) = sent(long).await;
        let told = body["detail"].as_str().unwrap_or_default();
        assert!(
            status == 400 && told.contains("a decimal number of at most 28 digits"),
            "{long}: {body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn search_parameters_keep_all_digits() {
    let port = serve(endpoints![searched]).await;
    let pairs = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    let given = [
        ("least", "18446744073709551617"),
        ("most", "1234567890123456.78"),
        ("step", "0.1000000000000000055"),
        ("whole", "9007199254740993e0"),
        ("wide", "340282366920938463463374607431768211455"),
    ];
    let answer = get(port, pairs(&given)).await;
    assert_eq!(
        answer.body,
        r#"[{"least":"18446744073709551617","most":"1234567890123456.78"},"0.1000000000000000055",9007199254740993,340282366920938463463374607431768211455]"#
    );
    for (wrong, told) in [
        (("least", "9999999999999999999999999999.5"), "at most 28 digits"),
        (
            ("wide", "340282366920938463463374607431768211456"),
            "from 0 to 340282366920938463463374607431768211455,",
        ),
    ] {
        let mut given = given;
        *given.iter_mut().find(|(name, _)| *name == wrong.0).unwrap() = wrong;
        let answer = get(port, pairs(&given)).await;
        assert!(
            answer.status == 400 && answer.body.contains(told),
            "{wrong:?}: {}",
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_128_bits_are_accepted_and_the_next_numbers_refused() {
    let port = serve(endpoints![widest]).await;
    let sent = async |unsigned: &str, signed: &str| {
        let body = format!(r#"{{"value":{{"wide":[{unsigned},{signed}]}}}}"#);
        post(port, "/widest", body).await
    };
    let (most, least) = (u128::MAX.to_string(), i128::MIN.to_string());
    let answer = sent(&most, &least).await;
    assert_eq!(
        (answer.status, answer.body),
        (200, format!(r#"{{"wide":[{most},{least}]}}"#))
    );
    let beyond = "340282366920938463463374607431768211456";
    for (unsigned, signed, told) in [
        (
            beyond,
            "0",
            format!("`value.wide[0]` must be a whole number from 0 to {most}, and {beyond} was given."),
        ),
        (
            "1e39",
            "0",
            format!("`value.wide[0]` must be a whole number from 0 to {most}, and 1e39 was given."),
        ),
        (
            "0",
            "-170141183460469231731687303715884105729",
            format!(
                "`value.wide[1]` must be a whole number from {least} to {}, and -170141183460469231731687303715884105729 was given.",
                i128::MAX
            ),
        ),
        (
            "1.5e0",
            "0",
            "`value.wide[0]` must be a whole number, and 1.5e0 was given.".to_owned(),
        ),
        (
            "-1",
            "0",
            "`value.wide[0]` must be at least 0, and -1 was given.".to_owned(),
        ),
    ] {
        let answer = sent(unsigned, signed).await;
        assert_eq!(
            (answer.status, answer.json()["detail"].as_str()),
            (400, Some(told.as_str()))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lenient_input_takes_an_alias_over_the_wire() {
    let port = serve(endpoints![lenient]).await;
    let answer = post(port, "/lenient", r#"{"aliased":{"old":1},"choice":"zzz"}"#.to_owned()).await;
    assert_eq!(answer.body, r#"[{"new":1},"Rest",null]"#);
    let strict = post(port, "/lenient", r#"{"aliased":{"old":1},"strict":[1]}"#.to_owned())
        .await
        .json();
    assert_eq!(strict["errors"][0]["input"], "strict[0]", "{strict}");
}
