//! GET inputs whose types come from other crates. Each of these crates has a feature.

use schemars::Schema;

use super::search_param::{Expected, SearchParam};

/// Types whose `FromStr` accepts what their schema describes.
#[allow(unused_macros, reason = "not every feature needs the macro")]
macro_rules! parsed {
    ($($type:ty: $expected:literal;)*) => {$(
        impl SearchParam for $type {
            fn from_text(text: &str) -> Result<Self, Expected> {
                text.parse().map_err(|_| Expected::new($expected))
            }

            fn schema() -> Schema {
                crate::schema::of_input::<Self>()
            }
        }
    )*};
}

#[cfg(feature = "uuid")]
parsed! {
    uuid::Uuid: "a UUID, such as 0b6f5a52-1c1d-4b6e-9d0a-2f6b6c1d7e90";
}

#[cfg(feature = "url")]
parsed! {
    url::Url: "a URL with its scheme, such as https://example.com/a";
}

#[cfg(feature = "jiff")]
parsed! {
    jiff::Timestamp: "a time with its zone, such as 2026-11-24T09:30:00Z";
    jiff::Zoned: "a time with its zone's name, such as 2026-11-24T09:30:00+01:00[Europe/Madrid]";
    jiff::civil::Date: "a date, such as 2026-11-24";
    jiff::civil::DateTime: "a date and a time of day, such as 2026-11-24T09:30:00";
    jiff::civil::Time: "a time of day, such as 09:30:00";
}

#[cfg(feature = "chrono")]
parsed! {
    chrono::DateTime<chrono::Utc>: "a time with its zone, such as 2026-11-24T09:30:00Z";
    chrono::DateTime<chrono::FixedOffset>: "a time with its zone, such as 2026-11-24T09:30:00Z";
    chrono::NaiveDate: "a date, such as 2026-11-24";
    chrono::NaiveDateTime: "a date and a time of day, such as 2026-11-24T09:30:00";
    chrono::NaiveTime: "a time of day, such as 09:30:00";
}

#[cfg(feature = "rust_decimal")]
impl SearchParam for rust_decimal::Decimal {
    fn from_text(text: &str) -> Result<Self, Expected> {
        text.parse()
            .map_err(|_| Expected::new("a decimal number, such as 12.50"))
    }

    /// The schema allows only a text, because a search parameter is a text. The type's own schema also allows a number.
    fn schema() -> Schema {
        use crate::schema::exact::{DECIMAL, DIGITS};
        schemars::json_schema!({ "type": "string", "pattern": DECIMAL, DIGITS: "decimal" })
    }
}

#[cfg(feature = "time")]
impl SearchParam for time::OffsetDateTime {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let format = &time::format_description::well_known::Rfc3339;
        Self::parse(text, format).map_err(|_| Expected::new("a time with its zone, such as 2026-11-24T09:30:00Z"))
    }

    fn schema() -> Schema {
        crate::schema::of_input::<crate::formats::DateTime>()
    }
}

#[cfg(feature = "time")]
impl SearchParam for time::Date {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let format = &time::format_description::well_known::Iso8601::DATE;
        Self::parse(text, format).map_err(|_| Expected::new("a date, such as 2026-11-24"))
    }

    fn schema() -> Schema {
        crate::schema::of_input::<crate::formats::Date>()
    }
}
