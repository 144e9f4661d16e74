//! Places where serde and a schema easily disagree: map keys, fields that are skipped in one direction, flattened
//! options, and wrappers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU8;

use operator_runtime::operator_api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A map key whose variants are renamed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Key {
    FirstKey,
    SecondKey,
}

/// Maps whose keys are not strings.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Keyed {
    by_choice: BTreeMap<Key, u8>,
    by_number: BTreeMap<u16, bool>,
    by_signed: BTreeMap<i8, String>,
}

/// Answers with maps. Use it to try keys that are not strings.
#[operator_api(POST, "/zoo/keyed", read_only)]
async fn keyed(
    /// The value to try.
    value: Keyed,
) -> Keyed {
    value
}

/// An enum in which one variant is never sent and one is untagged.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Skipping {
    Named {
        number: u8,
    },
    #[serde(skip)]
    #[allow(dead_code, reason = "no caller can send this variant")]
    Hidden,
    #[serde(untagged)]
    Bare(u8),
}

/// Answers with a variant. Use it to try `skip` and `untagged` of single variants.
#[operator_api(POST, "/zoo/skipping", read_only)]
async fn skipping(
    /// The value to try.
    value: Skipping,
) -> Skipping {
    value
}

/// Variants that do not allow unknown fields.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Closed {
    Fields {
        first_field: u8,
        #[serde(default)]
        second_field: Option<u8>,
    },
    Empty {},
    #[serde(rename = "another")]
    Renamed {
        #[serde(rename = "yes-no")]
        yes: bool,
    },
}

/// Answers with a closed variant. Use it to try `deny_unknown_fields` and `rename_all_fields`.
#[operator_api(POST, "/zoo/closed", read_only)]
async fn closed(
    /// The value to try.
    value: Closed,
) -> Closed {
    value
}

/// Fields that exist only in the input or only in the output.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Sided {
    id: u8,
    #[serde(flatten)]
    more: Option<More>,
    #[serde(skip_deserializing)]
    made: u8,
    #[serde(default = "seven", skip_serializing_if = "is_seven")]
    seven: u8,
    #[serde(skip_serializing)]
    #[allow(dead_code, reason = "only deserialization is tested")]
    given: Option<String>,
}

/// Fields that are all given or all missing.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct More {
    number: u8,
    text: String,
}

fn seven() -> u8 {
    7
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_seven(number: &u8) -> bool {
    *number == 7
}

/// Answers with the fields of the output. Use it to try `skip_deserializing`, `skip_serializing_if` and a flattened
/// option.
#[operator_api(POST, "/zoo/sided", read_only)]
async fn sided(
    /// The value to try.
    value: Sided,
) -> Sided {
    value
}

/// A unit struct, which has no value.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Unit;

/// A transparent struct, which is encoded as its only field.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Transparent {
    inner: Vec<u8>,
}

/// Types of the standard library that wrap other types.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Wrappers {
    unit: Unit,
    transparent: Transparent,
    text: Cow<'static, str>,
    twice: Option<Option<u8>>,
    never_zero: Option<NonZeroU8>,
    anything: serde_json::Value,
    none: [u8; 0],
}

/// Answers with wrappers. Use it to try `transparent`, options of options and any JSON.
#[operator_api(POST, "/zoo/wrappers", read_only)]
async fn wrappers(
    /// The value to try.
    value: Wrappers,
) -> Wrappers {
    value
}
