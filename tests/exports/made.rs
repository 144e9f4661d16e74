//! Types beside values that are hard to make: texts with a pattern, numbers with narrow bounds, maps with keys of other
//! types, and untagged enums, whose errors do not say what is wrong.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;

use jiff::Zoned;
use operator_runtime::{App, Config, endpoints, operator_api};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tests::caller::{PUBLIC_URL, SECRET};
use uuid::Uuid;

use crate::{Aliased, AliasedVariant, Closed, Kind, Level, refusal};

/// Declares a struct with these fields before one with an old name, and an endpoint that answers with it.
macro_rules! beside {
    ($name:ident, $type:ident, $($field:ident: $(#[$attribute:meta])* $of:ty),*) => {
        /// Fields, and one with an old name.
        #[derive(Deserialize, Serialize, JsonSchema)]
        struct $type {
            $($(#[$attribute])* $field: $of,)*
            #[serde(alias = "old")]
            new: u8,
        }

        echo!($name, $type);
    };
}

beside!(beside_pattern, BesidePattern, code: #[schemars(regex(pattern = "^[A-Z]{4}-[0-9]{3}$"))] String);
beside!(beside_hard_pattern, BesideHardPattern, code: #[schemars(regex(pattern = "^a{5000}$"))] String);
beside!(beside_ip, BesideIp, ip: IpAddr);
beside!(beside_decimals, BesideDecimals, one: Decimal, other: Decimal);
beside!(beside_shares, BesideShares, one: #[schemars(range(min = 0.0, max = 1.0))] f64, other: #[schemars(range(min = 0.0, max = 1.0))] f64);
beside!(beside_zoned, BesideZoned, at: Zoned);
beside!(beside_version, BesideVersion, version: #[schemars(regex(pattern = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9a-z]+)?$"))] String);
beside!(beside_example, BesideExample, code: #[schemars(extend("examples" = ["a!b"]), regex(pattern = "^.!.$"))] String);

/// A flattened enum beside `deny_unknown_fields` and an address.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClosedWithIp {
    ip: IpAddr,
    #[serde(flatten)]
    kind: Kind,
}

echo!(closed_with_ip, ClosedWithIp);

echo!(closed_by_number, BTreeMap<u64, Closed>);
echo!(aliased_by_number, BTreeMap<i16, Aliased>);
echo!(aliased_by_uuid, BTreeMap<Uuid, Aliased>);
echo!(aliased_by_bool, BTreeMap<bool, Aliased>);
echo!(numbers_by_number, BTreeMap<u64, BTreeMap<i8, bool>>);

/// A map with keys that serde cannot decode behind a tag.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum TaggedKeys {
    A { map: BTreeMap<u64, u8> },
}

echo!(tagged_keys, TaggedKeys);

/// A form that is never decoded, and another one.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum UntaggedClosed {
    A(Closed),
    B(u8),
}

echo!(untagged_closed, UntaggedClosed);

/// The same around another untagged enum.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum UntaggedTwice {
    A(Vec<UntaggedClosed>),
    B { text: String },
}

echo!(untagged_twice, UntaggedTwice);

/// A form with a number that serde cannot decode from a buffer.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum UntaggedWide {
    A { wide: u128 },
    B { text: String },
}

echo!(untagged_wide, UntaggedWide);

/// An enum with an old name in one of the forms.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum UntaggedAlias {
    A { choice: AliasedVariant },
    B(u8),
}

echo!(untagged_alias, UntaggedAlias);

#[test]
fn values_that_are_hard_to_make_do_not_hide_a_disagreement() {
    let tried = [
        (endpoints![beside_pattern], "accepts the field `old`"),
        (endpoints![beside_hard_pattern], "accepts the field `old`"),
        (endpoints![beside_ip], "accepts the field `old`"),
        (endpoints![beside_decimals], "accepts the field `old`"),
        (endpoints![beside_shares], "accepts the field `old`"),
        (endpoints![beside_zoned], "accepts the field `old`"),
        (endpoints![beside_version], "accepts the field `old`"),
        (endpoints![beside_example], "accepts the field `old`"),
        (endpoints![closed_with_ip], "unknown field `kind`"),
        (endpoints![closed_by_number], "unknown field `kind`"),
        (endpoints![aliased_by_number], "accepts the field `old`"),
        (endpoints![aliased_by_uuid], "accepts the field `old`"),
        (endpoints![aliased_by_bool], "accepts the field `old`"),
        (endpoints![tagged_keys], "expected u64"),
        (
            endpoints![untagged_closed],
            "did not match any variant of untagged enum",
        ),
        (endpoints![untagged_twice], "did not match any variant of untagged enum"),
        (endpoints![untagged_wide], "did not match any variant of untagged enum"),
        (endpoints![untagged_alias], "accepts the variant `beta`"),
    ];
    let silent = tried.into_iter().filter_map(|(endpoints, what)| {
        let name = format!("{endpoints:?}");
        let said = refusal(endpoints);
        (!said.contains(what)).then(|| format!("{name}: {said}"))
    });
    let silent: Vec<String> = silent.collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

/// An even number.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number.is_multiple_of(2) {
            Ok(Self(number))
        } else {
            Err("it is odd")
        }
    }
}

/// Forms that accept only some of the values.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum UntaggedPicky {
    Even(Even),
    Named {
        even: Even,
        more: Vec<Even>,
    },
    Level {
        #[schemars(with = "String")]
        level: Level,
    },
    Ip {
        ip: IpAddr,
    },
    Many(Vec<NonZeroU8>),
    Two(Even, Even),
    Keys {
        #[schemars(with = "BTreeMap<String, bool>")]
        keys: BTreeMap<u8, bool>,
    },
}

/// Types that refuse the made-up texts and numbers.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Picky {
    even: Even,
    untagged: UntaggedPicky,
    #[schemars(with = "String", regex(pattern = "^[A-Z][a-z]+$"))]
    level: Level,
    #[schemars(with = "BTreeMap<String, u8>")]
    by_even: BTreeMap<u8, u8>,
    #[schemars(regex(pattern = "^a{5000}$"))]
    long: String,
}

echo!(picky, Picky);

#[test]
fn types_that_refuse_only_the_made_up_values_start() {
    let config = Config::new().signing_key(SECRET).public_url(PUBLIC_URL);
    let app = App::new().only(endpoints![picky, numbers_by_number]).config(config);
    app.check().unwrap();
}
