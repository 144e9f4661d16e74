//! The operations of a store as a person looks them up and settles them, on the command line or on the admin page.

mod audited;
mod found;
mod newest;
mod settling;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) use self::audited::{Input, SEARCHED};
pub(super) use self::found::{Found, OUTCOMES, StoredAnswer, Told, Unreadable};
pub(super) use self::newest::Newest;
pub(super) use self::settling::{Said, mistakes};
use crate::clock::LAST_OF_9999;
use crate::endpoint::Endpoint;
use crate::idempotency::operations::Operations;
use crate::store::{Listed, OperationId, Store, StoreError};

/// The store's operations and the program's endpoints. An endpoint's effect decides whether a lost attempt may run
/// again.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) operations: Operations,
    /// The endpoints and handlers of events whose operations are in the store.
    pub(super) endpoints: Arc<[&'static Endpoint]>,
}

/// Why an operation cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFound {
    #[error(
        "`{0}` is not the id of an operation: give the first hexadecimal digits of an id, as `operations list` shows them."
    )]
    NotAnId(String),
    #[error("There is no operation `{id}` in {store}: `operations list` shows the ids.")]
    Nowhere { id: String, store: String },
    #[error("The ids of several operations begin with `{id}`, such as {one} and {other}: give more digits.")]
    Several {
        id: String,
        one: OperationId,
        other: OperationId,
    },
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("The operations cannot be read: {0}.")]
    Store(#[from] StoreError),
}

impl Desk {
    pub(super) fn store(&self) -> &dyn Store {
        &**self.operations.store()
    }

    /// Finds the only operation whose id begins with these digits.
    pub(super) async fn find(&self, id: &str) -> Result<Found, NotFound> {
        let ids = ids(id).ok_or_else(|| NotFound::NotAnId(id.to_owned()))?;
        let mut records = self.operations.records(ids);
        let mut found = None;
        while let Some(listed) = records.next().await? {
            match &found {
                // An operation that is written during the listing may be listed twice.
                Some(Listed { id: one, .. }) if *one != listed.id => {
                    return Err(NotFound::Several {
                        id: id.to_owned(),
                        one: *one,
                        other: listed.id,
                    });
                }
                _ => found = Some(listed),
            }
        }
        let found = found.ok_or_else(|| NotFound::Nowhere {
            id: id.to_owned(),
            store: self.store().describe(),
        })?;
        Ok(Found::new(self, found)?)
    }
}

/// The range of ids that begin with these hexadecimal digits. `None` if the text is not 1 to 64 hexadecimal digits.
pub(super) fn ids(digits: &str) -> Option<RangeInclusive<OperationId>> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let filled = |with: &str| {
        let whole = format!("{digits}{}", with.repeat(64 - digits.len()));
        whole.parse::<OperationId>().ok()
    };
    Some(filled("0")?..=filled("f")?)
}

/// A time to the second as RFC 3339 in UTC, such as `2023-11-14T22:13:20Z`.
pub(super) fn utc(time: SystemTime) -> String {
    // `humantime` cannot print a time before 1970 or a year of five digits, which only a damaged record has.
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_OF_9999)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{ids, utc};

    #[test]
    fn a_moment_is_printed_in_utc_to_the_second() {
        let utc = |seconds| utc(UNIX_EPOCH + Duration::from_secs_f64(seconds));
        assert_eq!(utc(0.0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_700_000_000.9), "2023-11-14T22:13:20Z");
        assert_eq!(utc(1e12), "9999-12-31T23:59:59Z");
        assert_eq!(super::utc(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn digits_stand_for_all_ids_that_begin_with_them() {
        let ids = |digits| ids(digits).map(|ids| (ids.start().to_string(), ids.end().to_string()));
        let whole = "ab".repeat(32);
        assert_eq!(ids(&whole), Some((whole.clone(), whole.clone())));
        let (first, last) = ids("A").unwrap();
        assert_eq!(
            (first, last),
            (format!("a{}", "0".repeat(63)), format!("a{}", "f".repeat(63)))
        );
        for no_digits in ["", "0x1", "g", "ab cd", &"a".repeat(65)] {
            assert_eq!(ids(no_digits), None, "{no_digits}");
        }
    }
}
