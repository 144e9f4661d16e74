//! How often each credential may call, as a setting.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use governor::Quota;

/// The largest number of calls in a rate. It is more than one process can answer, so a larger number is a mistake.
const MOST: u32 = 1_000_000;

/// How often each credential may call, in each process: a number of calls per second, minute or hour.
///
/// As many calls may come at once, and then the room for one more comes back in equal steps: with `100/s`, a credential may
/// send 100 calls at once, and then one every 10 ms.
///
/// ```
/// use operator_runtime::{Config, Rate};
///
/// let config = Config::new().rate(Rate::per_second(100));
/// assert_eq!("100/s".parse(), Ok(Rate::per_second(100)));
/// assert_eq!("off".parse(), Ok(Rate::UNLIMITED));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate(Option<(u32, Period)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Second,
    Minute,
    Hour,
}

/// A text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a number of calls from 1 to {MOST} and their period, such as `100/s`, `600/m` or `5000/h`, or `off` for no limit"
)]
pub struct NotARate;

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(None);

    /// The rate of `/mcp` if no rate is set. It is enough for a thousand conversations at once that each need a tool every
    /// 20 s, and a client that calls in a loop leaves the server free for others.
    #[cfg(feature = "mcp")]
    pub(super) const OF_MCP: Self = Self::per_second(50);

    /// At most this many calls per second: 1 to 1,000,000, which start-up checks.
    #[must_use]
    pub const fn per_second(calls: u32) -> Self {
        Self(Some((calls, Period::Second)))
    }

    /// At most this many calls per minute: 1 to 1,000,000, which start-up checks.
    #[must_use]
    pub const fn per_minute(calls: u32) -> Self {
        Self(Some((calls, Period::Minute)))
    }

    /// At most this many calls per hour: 1 to 1,000,000, which start-up checks.
    #[must_use]
    pub const fn per_hour(calls: u32) -> Self {
        Self(Some((calls, Period::Hour)))
    }

    /// Whether the number of calls is possible.
    pub(crate) fn check(self) -> Result<Self, NotARate> {
        let is_possible = self.0.is_none_or(|(calls, _)| (1..=MOST).contains(&calls));
        is_possible.then_some(self).ok_or(NotARate)
    }

    /// The quota that enforces the rate; `None` if there is no limit.
    pub(super) fn quota(self) -> Option<Quota> {
        let (calls, period) = self.0?;
        let calls = NonZeroU32::new(calls)?;
        Some(match period {
            Period::Second => Quota::per_second(calls),
            Period::Minute => Quota::per_minute(calls),
            Period::Hour => Quota::per_hour(calls),
        })
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    /// Parses a setting such as `100/s`, `600/m`, `5000/h` or `off`.
    fn from_str(text: &str) -> Result<Self, NotARate> {
        if text == "off" {
            return Ok(Self::UNLIMITED);
        }
        let (calls, period) = text.split_once('/').ok_or(NotARate)?;
        let period = match period {
            "s" => Period::Second,
            "m" => Period::Minute,
            "h" => Period::Hour,
            _ => return Err(NotARate),
        };
        // `parse` would also accept a plus sign.
        let is_number = calls.bytes().all(|digit| digit.is_ascii_digit());
        let calls = calls.parse().ok().filter(|_| is_number).ok_or(NotARate)?;
        Self(Some((calls, period))).check()
    }
}

/// The rate in words, such as `100 calls per second`.
impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((calls, period)) = self.0 else {
            return formatter.write_str("any number of calls");
        };
        let noun = if calls == 1 { "call" } else { "calls" };
        let period = match period {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
        };
        write!(formatter, "{calls} {noun} per {period}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NotARate, Rate};

    #[test]
    fn rates_are_numbers_of_calls_in_a_second_a_minute_or_an_hour() {
        for (text, rate, words, step) in [
            (
                "100/s",
                Rate::per_second(100),
                "100 calls per second",
                Duration::from_millis(10),
            ),
            ("1/m", Rate::per_minute(1), "1 call per minute", Duration::from_mins(1)),
            (
                "1000000/h",
                Rate::per_hour(1_000_000),
                "1000000 calls per hour",
                Duration::from_micros(3600),
            ),
        ] {
            assert_eq!(text.parse(), Ok(rate));
            assert_eq!((rate.check(), rate.to_string().as_str()), (Ok(rate), words));
            assert_eq!(rate.quota().unwrap().replenish_interval(), step);
        }
        assert!("off".parse::<Rate>().unwrap().quota().is_none());
    }

    #[test]
    fn a_text_that_is_not_a_rate_is_refused() {
        for wrong in [
            "",
            "100",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            " 1/s",
            "1 /s",
            "1/s ",
            "1/d",
            "1/S",
            "1/sec",
            "1/",
            "1.5/s",
            "1/s/s",
            "1000001/s",
            "4294967296/s",
            "99999999999999999999/h",
            "OFF",
            "unlimited",
            "٣/s",
        ] {
            assert_eq!(wrong.parse::<Rate>(), Err(NotARate), "{wrong:?}");
        }
        for wrong in [Rate::per_second(0), Rate::per_hour(u32::MAX)] {
            assert_eq!(wrong.check(), Err(NotARate));
        }
    }
}
