//! Types with each of serde's attributes.

use std::collections::BTreeMap;

use operator_runtime::operator_api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A struct whose fields are renamed.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renamed {
    /// Renamed to camel case.
    first_name: String,
    /// Renamed to another name.
    #[serde(rename = "last-name")]
    last_name: Option<String>,
    years: u8,
    #[deprecated]
    old_number: Option<i32>,
}

/// Answers with renamed fields. Use it to try `rename` and `rename_all`.
#[operator_api(POST, "/zoo/renamed", read_only)]
async fn renamed(
    /// The value to try.
    value: Renamed,
) -> Renamed {
    value
}

/// An enum in serde's internally tagged form.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Tagged {
    /// Only the tag.
    Nothing,
    /// Fields beside the tag.
    SomeFields {
        /// A number.
        number: i16,
    },
    /// A struct's fields beside the tag.
    Inner(Renamed),
}

/// Answers with an internally tagged value. Use it to try `tag`.
#[operator_api(POST, "/zoo/tagged", read_only)]
async fn tagged(
    /// The value to try.
    value: Tagged,
) -> Tagged {
    value
}

/// An enum in serde's adjacently tagged form.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "content")]
pub(crate) enum Adjacent {
    Nothing,
    Text(String),
    Pair(u8, bool),
    Fields { number: u32 },
}

/// Answers with an adjacently tagged value. Use it to try `content`.
#[operator_api(POST, "/zoo/adjacent", read_only)]
async fn adjacent(
    /// The value to try.
    value: Adjacent,
) -> Adjacent {
    value
}

/// An untagged enum: serde chooses the first variant that fits.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Untagged {
    Number(i64),
    Text(String),
    Fields { number: u32 },
    List(Vec<bool>),
}

/// Answers with an untagged value. Use it to try `untagged`.
#[operator_api(POST, "/zoo/untagged", read_only)]
async fn untagged(
    /// The value to try.
    value: Untagged,
) -> Untagged {
    value
}

/// An enum in serde's default form, externally tagged.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum External {
    NothingAtAll,
    OneText(String),
    OnePair(u8, char),
    SomeFields { number: u32 },
}

/// Answers with an externally tagged value. Use it to try serde's default form of enums.
#[operator_api(POST, "/zoo/external", read_only)]
async fn external(
    /// The value to try.
    value: External,
    /// A second value, which is optional.
    perhaps: Option<External>,
) -> (External, Option<External>) {
    (value, perhaps)
}

/// A struct with flattened fields.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Flattened {
    id: u16,
    #[serde(flatten)]
    inner: Renamed,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

/// Answers with flattened fields. Use it to try `flatten`.
#[operator_api(POST, "/zoo/flattened", read_only)]
async fn flattened(
    /// The value to try.
    value: Flattened,
) -> Flattened {
    value
}

/// A struct with a flattened enum.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct FlattenedEnum {
    id: u16,
    #[serde(flatten)]
    inner: Tagged,
}

/// Answers with a variant's fields beside other fields. Use it to try `flatten` of an enum.
#[operator_api(POST, "/zoo/flattened_enum", read_only)]
async fn flattened_enum(
    /// The value to try.
    value: FlattenedEnum,
) -> FlattenedEnum {
    value
}

/// Fields that may be left out.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Defaulted {
    number: u64,
    #[serde(default = "five")]
    five: u8,
    #[serde(skip)]
    hidden: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    perhaps: Option<String>,
    #[serde(skip_serializing)]
    given: bool,
}

fn five() -> u8 {
    5
}

/// Answers with the defaults of missing fields. Use it to try `default` and `skip`.
#[operator_api(POST, "/zoo/defaulted", read_only)]
async fn defaulted(
    /// The value to try.
    #[operator(default)]
    value: Defaulted,
) -> Defaulted {
    value
}

/// A number in hexadecimal notation.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Written {
    #[serde(with = "hexadecimal")]
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{1,8}$"))]
    hexadecimal: u32,
}

mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        u32::from_str_radix(&String::deserialize(deserializer)?, 16).map_err(D::Error::custom)
    }
}

/// Answers with a number in hexadecimal notation. Use it to try `with`.
#[operator_api(POST, "/zoo/written", read_only)]
async fn written(
    /// The value to try.
    value: Written,
) -> Written {
    value
}
