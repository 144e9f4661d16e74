//! Endpoints that `macro_rules!` macros make: fragments of every kind, and descriptions that rustc expands.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::needless_lifetimes, reason = "a lifetime is a fragment as well")]

use std::sync::Mutex;

use operator_runtime::testing::Client;
use operator_runtime::{
    App, Config, Endpoints, Error, OperatorError, SearchParam, SearchParams, endpoints, operator_api,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

struct Desk(Mutex<u8>);

const MOST: u8 = 20;

/// Each part of an endpoint is a fragment of the kind that fits.
macro_rules! whole {
    (
        $(#[$meta:meta])*
        $visibility:vis $name:ident<$lifetime:lifetime>($method:ident $path:literal $wire:expr, $timeout:literal)
        $state:ident: $lent:ty;
        $($(#[$option:meta])* $input:ident: $kind:ty),*;
        $output:ty; $body:block
    ) => {
        $(#[$meta])*
        #[operator_api($method, $path, name = $wire, timeout = $timeout)]
        $visibility async fn $name<$lifetime>(
            $state: &$lifetime $lent,
            $($(#[$option])* $input: $kind),*
        ) -> $output $body
    };
}

whole! {
    /// Counts with fragments. Use it to count.
    #[allow(dead_code)]
    pub(crate) counted<'a>(POST "/counted" "counted_there", "2s")
    desk: Desk;
    /// How many.
    #[operator(default = MOST, min = 1, max = 20)]
    many: u8,
    /// What to count.
    #[operator(min_length = 2)]
    what: Option<String>;
    Result<(u8, Option<String>), Error>; {
        *desk.0.lock().unwrap() += 1;
        Ok((many, what))
    }
}

whole! {
    /// Says how often the other endpoint was called. Use it to know.
    alone<'a>(GET "/alone" "alone", "2s")
    desk: Desk;
    ;
    u8; { *desk.0.lock().unwrap() }
}

/// Why a call fails.
#[derive(OperatorError)]
enum Refused {
    /// There is none.
    #[operator(status = 404)]
    Missing,
}

/// The values of options, and options themselves, are fragments.
macro_rules! bounded {
    (
        $name:ident, $argument:pat_param => $body:block, $error:path, $default:expr, $least:literal, $most:expr,
        $above:literal, $pattern:literal, $rename:expr, $option:meta, $list:tt
    ) => {
        /// Has options that are fragments. Use it to see them.
        #[operator_api(POST, "/bounded", read_only, errors($error))]
        async fn $name(
            /// A number with bounds.
            #[operator(default = $default, min = $least, max = $most)]
            number: i8,
            /// A number above a negative number.
            #[operator(exclusive_min = -$above, example = $most)]
            above: i16,
            /// A word with a pattern.
            #[operator(pattern = $pattern, rename = $rename, $option)]
            $argument: String,
            /// A list of numbers.
            #[operator $list]
            list: Vec<u8>,
        ) -> Result<u8, Refused> {
            let _ = (number, above, list);
            $body
        }
    };
}

bounded!(
    bounded, _word => { Err(Refused::Missing) }, Refused, -3, -5, 5, 1, "^[a-z]+$", "word", max_length = 9, (max_items = 2)
);

/// What the derives read is a fragment.
macro_rules! derived {
    (
        $(#[$meta:meta])* $name:ident { $variant:ident = $wire:literal }
        $error:ident { $status:expr, $detail:literal, $text:expr } $number:ident($ty:ty) $function:path
    ) => {
        #[derive(Serialize, JsonSchema, SearchParam)]
        $(#[$meta])*
        enum $name {
            #[serde(rename = $wire)]
            $variant,
        }

        /// A number.
        #[derive(Serialize, Deserialize, JsonSchema, SearchParam)]
        #[serde(transparent)]
        struct $number($ty);

        #[derive(OperatorError)]
        enum $error {
            #[operator(status = $status, detail = $detail)]
            #[allow(dead_code)]
            Told,
            #[doc = $text]
            Commented { field: u8 },
        }

        fn derived_endpoints() -> Endpoints {
            endpoints![$function]
        }
    };
}

derived! {
    /// A choice.
    #[serde(rename_all = "lowercase")]
    Choice { One = "the one" }
    Failure { 409, "Told.", "There is {field}." }
    Counter(u8)
    fails
}

/// Fails each time. Use it to see how.
#[operator_api(GET, "/fails")]
async fn fails(
    /// The only choice there is.
    choice: Choice,
    /// A number to be shown.
    #[operator(min = 1)]
    counter: Counter,
) -> Result<Choice, Failure> {
    let Choice::One = choice;
    Err(Failure::Commented { field: counter.0 })
}

/// The whole function is a fragment.
macro_rules! item {
    ($function:item) => {
        #[operator_api(GET, "/item")]
        $function
    };
}

item! {
    /// Is one fragment. Use it to see that.
    pub(crate) async fn item(
        /// A number of at most 3.
        #[operator(max = 3)]
        number: u8
    ) -> u8 {
        number
    }
}

/// Descriptions that rustc expands.
macro_rules! described {
    ($name:ident, $path:literal, $of:literal, $how:expr) => {
        #[doc = concat!("Counts ", $of, " as `", stringify!($name), "`.")]
        ///
        /// Use it when a customer asks how many there are.
        #[doc = $how]
        #[operator_api(GET, $path)]
        async fn $name(
            #[doc = concat!("The number of ", $of, ".")] number: u8,
            #[doc = include_str!("about_teapots.md")] page: Page,
            #[operator(flatten)]
            #[doc = concat!("")]
            rest: Rest,
        ) -> u8 {
            let _ = (page, rest.last);
            number
        }
    };
}

described!(teapots, "/teapots", "teapots", "And also then.");
described!(cups, "/cups", "cups", concat!("And ", "also then."));

#[doc = include_str!("about_teapots.md")]
#[operator_api(GET, "/included")]
async fn included() -> Result<u8, Error> {
    Ok(1)
}

#[doc = concat!("Which page", " it is.")]
#[derive(Serialize, Deserialize, JsonSchema, SearchParam)]
enum Page {
    #[doc = concat!("The ", "first.")]
    First,
    #[doc = include_str!("about_teapots.md")]
    Last,
}

/// The rest.
#[derive(Deserialize, JsonSchema, SearchParams)]
struct Rest {
    /// The last one.
    last: Option<u8>,
}

fn description<'d>(manifest: &'d Value, name: &str, input: Option<&str>) -> &'d str {
    let endpoints = manifest["endpoints"].as_array().unwrap();
    let endpoint = endpoints.iter().find(|endpoint| endpoint["name"] == name).unwrap();
    match input {
        Some(input) => endpoint["inputs"]["properties"][input]["description"].as_str().unwrap(),
        None => endpoint["description"].as_str().unwrap(),
    }
}

#[tokio::test]
async fn each_fragment_is_a_part_of_an_endpoint() {
    let app = App::new().state(Desk(Mutex::new(1)));
    let client = Client::new(app.only(endpoints![counted, alone, bounded, item]))
        .await
        .unwrap();
    let answer = client.call("counted_there", &json!({ "what": "cups" })).await;
    assert_eq!(answer.body, json!([20, "cups"]));
    assert_eq!(client.call("alone", &json!({})).await.body, json!(2));
    let inputs = json!({ "above": 1, "word": "cups", "list": [1] });
    assert_eq!(client.call("bounded", &inputs).await.status, 404);
    let inputs = json!({ "above": -2, "word": "Cups", "list": [1, 2, 3], "number": 6 });
    let refused = client.call("bounded", &inputs).await;
    assert_eq!(
        refused.body["errors"].as_array().map(Vec::len),
        Some(4),
        "{}",
        refused.body
    );
    assert_eq!(client.call("item", &json!({ "number": 3 })).await.body, json!(3));
    assert_eq!(client.call("item", &json!({ "number": 4 })).await.status, 400);
}

#[tokio::test]
async fn each_fragment_is_a_part_of_a_derived_type() {
    let client = Client::new(App::new().only(derived_endpoints())).await.unwrap();
    let answer = client
        .call("fails", &json!({ "choice": "the one", "counter": 7 }))
        .await;
    assert_eq!(answer.body["detail"], "There is 7.");
}

#[tokio::test]
async fn macros_make_descriptions() {
    let app = App::new().only(endpoints![teapots, cups, included]);
    let client = Client::new(app.config(Config::new().serve_manifest(true)))
        .await
        .unwrap();
    let manifest = client.call("manifest", &json!({ "format": "operator" })).await.body;
    let text = "Counts teapots as `teapots`.\n\nUse it when a customer asks how many there are.\nAnd also then.";
    assert_eq!(description(&manifest, "teapots", None), text);
    assert_eq!(description(&manifest, "cups", None), text.replace("teapots", "cups"));
    assert_eq!(description(&manifest, "cups", Some("number")), "The number of cups.");
    let about = include_str!("about_teapots.md").trim_end();
    assert_eq!(description(&manifest, "included", None), about);
    let one_line = about.split_whitespace().collect::<Vec<_>>().join(" ");
    let pages = format!("{about}\n\n- `First`: The first.\n- `Last`: {one_line}");
    assert_eq!(description(&manifest, "cups", Some("page")), pages);
    let schema = <Page as SearchParam>::schema().to_value();
    assert_eq!(schema["description"], "Which page it is.");
}
