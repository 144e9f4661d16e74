//! Types of other crates, which operator-runtime supports behind features.

use bytes::Bytes;
use operator_runtime::formats::DateTime;
use operator_runtime::operator_api;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

/// Identifiers, amounts and bytes.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Foreign {
    id: Uuid,
    amount: Decimal,
    link: Url,
    raw: Bytes,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "DateTime")]
    at: OffsetDateTime,
}

/// Answers with types of other crates. Use it to try `uuid`, `rust_decimal`, `url`, `bytes` and `time`.
#[operator_api(POST, "/zoo/foreign", read_only)]
async fn foreign(
    /// The value to try.
    value: Foreign,
) -> Foreign {
    value
}

/// Dates of jiff.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct OfJiff {
    timestamp: jiff::Timestamp,
    date: jiff::civil::Date,
    time: jiff::civil::Time,
    date_time: jiff::civil::DateTime,
    duration: jiff::SignedDuration,
    span: jiff::Span,
}

/// Dates of chrono.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct OfChrono {
    utc: chrono::DateTime<chrono::Utc>,
    fixed: chrono::DateTime<chrono::FixedOffset>,
    date: chrono::NaiveDate,
    time: chrono::NaiveTime,
    date_time: chrono::NaiveDateTime,
    weekday: Option<chrono::Weekday>,
}

/// Answers with dates. Use it to try `jiff` and `chrono`.
#[operator_api(POST, "/zoo/dates", read_only)]
async fn dates(
    /// Dates of jiff.
    of_jiff: OfJiff,
    /// Dates of chrono.
    of_chrono: OfChrono,
) -> (OfJiff, OfChrono) {
    (of_jiff, of_chrono)
}

/// Answers with a time in its zone. Use it to try `jiff::Zoned`, which is only an output, because no schema can list
/// the names of all zones.
#[operator_api(POST, "/zoo/zoned", read_only)]
async fn zoned(
    /// When it is.
    at: jiff::Timestamp,
    /// How far the zone is from UTC, in seconds.
    #[operator(min = -90_000, max = 90_000)]
    offset: i32,
) -> jiff::Zoned {
    let offset = jiff::tz::Offset::from_seconds(offset).unwrap_or(jiff::tz::Offset::UTC);
    at.to_zoned(jiff::tz::TimeZone::fixed(offset))
}

/// Answers with positive and negative durations and with fractions. Use it to try what jiff prints.
#[operator_api(POST, "/zoo/durations", read_only)]
async fn durations(
    /// How long, in milliseconds.
    milliseconds: i32,
    /// How many days.
    #[operator(min = -9_999, max = 9_999)]
    days: i32,
) -> (jiff::SignedDuration, jiff::Span) {
    let weeks = days.signum();
    (
        jiff::SignedDuration::from_millis(milliseconds.into()),
        jiff::Span::new().weeks(weeks).days(days).months(weeks),
    )
}

/// Answers with dates that were search parameters. Use it to try how each is written as one string.
#[operator_api(GET, "/zoo/texts")]
#[allow(clippy::too_many_arguments, reason = "one argument for each type")]
async fn texts(
    /// An identifier.
    id: Uuid,
    /// What is to be paid.
    amount: Decimal,
    /// Where to look.
    link: Option<Url>,
    /// A time of `time`.
    at: OffsetDateTime,
    /// A time of jiff.
    timestamp: jiff::Timestamp,
    /// A date of jiff.
    date: Option<jiff::civil::Date>,
    /// A time of chrono.
    utc: chrono::DateTime<chrono::Utc>,
    /// A date of chrono.
    naive_date: chrono::NaiveDate,
) -> Vec<String> {
    let link = link.map(|link| link.to_string());
    let texts = [
        id.to_string(),
        amount.to_string(),
        at.to_string(),
        timestamp.to_string(),
        utc.to_string(),
        naive_date.to_string(),
    ];
    texts
        .into_iter()
        .chain(link)
        .chain(date.map(|date| date.to_string()))
        .collect()
}

/// Answers with moments that were search parameters. Use it to try dates and times without a zone, each written as one
/// string.
#[operator_api(GET, "/zoo/moments")]
async fn moments(
    /// A date of `time`.
    date: time::Date,
    /// A date and time of jiff.
    date_time: jiff::civil::DateTime,
    /// A time of day of jiff.
    time: Option<jiff::civil::Time>,
    /// A time of chrono, in its own zone.
    fixed: chrono::DateTime<chrono::FixedOffset>,
    /// A date and time of chrono.
    naive: Option<chrono::NaiveDateTime>,
    /// A time of day of chrono.
    naive_time: chrono::NaiveTime,
) -> Vec<String> {
    let naive = naive.map(|naive| naive.to_string());
    let time = time.map(|time| time.to_string());
    let texts = [
        date.to_string(),
        date_time.to_string(),
        fixed.to_string(),
        naive_time.to_string(),
    ];
    texts.into_iter().chain(naive).chain(time).collect()
}
