//! Enums inside other types: serde decodes those in tagged and untagged enums and in flattened structs from a buffer.

use std::collections::BTreeMap;

use operator_runtime::{endpoints, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AliasedVariant, Kind, Other, OtherTag, refusal};

/// A variant for any other tag, with an error text of its own.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", expecting = "a kind that is known")]
enum OtherExpecting {
    A {
        n: u8,
    },
    #[serde(other)]
    Rest,
}

/// An enum with a variant for any other name, inside a tagged enum.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum OtherInTagged {
    A { choice: Option<Other> },
}

/// The same inside an untagged enum.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum OtherInUntagged {
    A { choices: Vec<Other> },
    B(u8),
}

/// The same inside a flattened struct.
#[derive(Deserialize, Serialize, JsonSchema)]
struct OtherInFlattened {
    id: u8,
    #[serde(flatten)]
    inner: OtherInside,
}

/// The flattened struct.
#[derive(Deserialize, Serialize, JsonSchema)]
struct OtherInside {
    tag: OtherTag,
}

echo!(other_expecting, OtherExpecting);
echo!(other_in_tagged, OtherInTagged);
echo!(other_in_untagged, OtherInUntagged);
echo!(other_in_flattened, OtherInFlattened);

/// A variant with an old name, as the value of a tag.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum AliasedTag {
    A {
        n: u8,
    },
    #[serde(alias = "beta")]
    B {
        n: u8,
    },
}

/// A variant with an old name, as the value of a tag beside a content.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "of")]
enum AliasedAdjacentTag {
    A(u8),
    #[serde(alias = "beta")]
    B(u8),
}

/// A variant with an old name and a content.
#[derive(Deserialize, Serialize, JsonSchema)]
enum AliasedContent {
    A(u8),
    #[serde(alias = "beta")]
    B(u8),
}

/// Enums with old names inside a tagged enum.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum AliasedInTagged {
    A { choice: AliasedVariant },
}

/// An enum with an old name and a content inside a tagged enum.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum AliasedContentInTagged {
    A { list: Vec<AliasedContent> },
}

/// A key with an old name.
#[derive(Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
enum AliasedKey {
    A,
    #[serde(alias = "beta")]
    B,
}

echo!(aliased_tag, AliasedTag);
echo!(aliased_adjacent_tag, AliasedAdjacentTag);
echo!(aliased_content, AliasedContent);
echo!(aliased_in_tagged, AliasedInTagged);
echo!(aliased_content_in_tagged, AliasedContentInTagged);
echo!(aliased_key, BTreeMap<AliasedKey, u8>);

/// Declares an enum with these variants and a last one, which has a field with an old name.
macro_rules! many {
    ($($variant:ident)*) => {
        /// Many variants.
        #[derive(Deserialize, Serialize, JsonSchema)]
        enum Many {
            $($variant { x: u8 },)*
            Last {
                #[serde(alias = "old")]
                new: u8,
            },
        }

        /// As many.
        #[derive(Deserialize, Serialize, JsonSchema)]
        enum AsMany {
            $($variant { x: u8 },)*
        }
    };
}

many! {
    A B C D E F G H I J K L M N O P Q R S T U V W X Y Z
    A1 B1 C1 D1 E1 F1 G1 H1 I1 J1 K1 L1 M1
}

/// Two enums with many variants beside other fields.
#[derive(Deserialize, Serialize, JsonSchema)]
struct BesideMany {
    number: f64,
    others: Option<BTreeMap<String, Vec<Kind>>>,
    as_many: Vec<AsMany>,
    many: Option<Vec<Many>>,
}

echo!(many, Many);
echo!(beside_many, BTreeMap<String, BesideMany>);

#[test]
fn a_variant_that_only_serde_accepts_stops_the_start_wherever_the_enum_is() {
    for (endpoints, what) in [
        (endpoints![other_expecting], "accepts any text as a variant"),
        (endpoints![other_in_tagged], "accepts any text as a variant"),
        (endpoints![other_in_untagged], "accepts any text as a variant"),
        (endpoints![other_in_flattened], "accepts any text as a variant"),
        (endpoints![aliased_tag], "accepts the variant `beta`"),
        (endpoints![aliased_adjacent_tag], "accepts the variant `beta`"),
        (endpoints![aliased_content], "accepts the variant `beta`"),
        (endpoints![aliased_in_tagged], "accepts the variant `beta`"),
        (endpoints![aliased_content_in_tagged], "accepts the variant `beta`"),
        (endpoints![aliased_key], "accepts the variant `beta`"),
        (endpoints![many], "accepts the field `old`"),
        (endpoints![beside_many], "accepts the field `old`"),
    ] {
        let said = refusal(endpoints);
        assert!(said.contains(what), "{what}: {said}");
    }
}
