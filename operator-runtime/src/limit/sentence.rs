//! Limits in sentences: for the description of an endpoint, and for a call that is over a limit.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Counted, Limit};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A call that would exceed a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) limit: &'static Limit,
    /// How much the call asks for.
    pub(crate) amount: u64,
    /// `None` if there is never room for the call, because the call alone asks for more than the maximum.
    pub(crate) room: Option<Room>,
    /// Whether an earlier attempt at the operation may have acted. Then the sentence does not say how to call again,
    /// because a call with a new idempotency key could act a second time.
    pub(crate) may_have_acted: bool,
}

/// How full a limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// How much is reserved.
    pub(crate) used: u64,
    /// When there is room for the call, at the latest.
    pub(crate) at: SystemTime,
}

/// A length of time in words, such as "24 hours".
struct Long(Duration);

impl fmt::Display for Long {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (count, unit) = match seconds {
            _ if seconds > DAY && seconds.is_multiple_of(DAY) => (seconds / DAY, "day"),
            _ if seconds >= HOUR && seconds.is_multiple_of(HOUR) => (seconds / HOUR, "hour"),
            _ if seconds >= MINUTE && seconds.is_multiple_of(MINUTE) => (seconds / MINUTE, "minute"),
            _ => (seconds, "second"),
        };
        write!(formatter, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

/// The rule in a half sentence: "at most 20 calls are allowed within 1 hour for each `order_id`".
impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max, per, .. } = self;
        match self.counted {
            Counted::Calls if *max == 1 => write!(formatter, "at most 1 call is allowed")?,
            Counted::Calls => write!(formatter, "at most {max} calls are allowed")?,
            Counted::Sum(input) => write!(formatter, "the sum of `{input}` may be at most {max}")?,
        }
        write!(formatter, " within {}", Long(self.window))?;
        if let [first, others @ ..] = per {
            write!(formatter, " for each `{first}`")?;
            match others {
                [] => {}
                [other] => write!(formatter, " and `{other}`")?,
                [middle @ .., last] => {
                    middle.iter().try_for_each(|name| write!(formatter, ", `{name}`"))?;
                    write!(formatter, " and `{last}`")?;
                }
            }
        }
        Ok(())
    }
}

impl Limit {
    /// The sentence in the description of the endpoint.
    pub(crate) fn sentence(&self) -> String {
        let rule = self.to_string();
        let mut letters = rule.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let rule: String = first.into_iter().chain(letters).collect();
        format!("{rule}; a call over the limit is refused with 403.")
    }
}

/// What the agent is told, and may tell a customer.
impl fmt::Display for Over {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit,
            amount,
            room,
            may_have_acted,
        } = self;
        let max = limit.max;
        let refused = if *may_have_acted { "retry" } else { "call" };
        write!(
            formatter,
            "This {refused} was not carried out, because it would exceed a limit: {limit}."
        )?;
        match (limit.counted, room) {
            (_, None) => write!(formatter, " The call asks for {amount}.")?,
            (Counted::Sum(_), Some(Room { used, .. })) => {
                let left = max.saturating_sub(*used);
                write!(
                    formatter,
                    " The call asks for {amount}, {used} of {max} are used, and {left} are left."
                )?;
            }
            (Counted::Calls, Some(Room { used, .. })) => write!(formatter, " {used} of {max} are used.")?,
        }
        if *may_have_acted {
            return write!(
                formatter,
                " An earlier attempt may have been carried out: ask a person to find out before you repeat the operation."
            );
        }
        match room {
            None => write!(formatter, " Such a call is never within the limit: ask for less."),
            Some(Room { at, .. }) => {
                let time = humantime::format_rfc3339_seconds(*at);
                write!(
                    formatter,
                    " There is room for this call from {time} on, with a new idempotency key."
                )
            }
        }
    }
}
