//! The operations that the page lists: those that wait for a person, and the most recent ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::app::desk::{Desk, Found, Input, Newest, OUTCOMES, SEARCHED};
use crate::store::{OperationId, StoreError};

/// The largest number of rows in each of the two lists.
const ROWS: usize = 100;

/// Which operations are listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    endpoint: Option<String>,
    outcome: Option<String>,
    /// Only operations with this input. Needs the audit.
    input: Option<Input>,
}

/// Both lists. The newest operations come first.
#[derive(Serialize)]
pub(super) struct Listing {
    store: String,
    endpoints: Vec<&'static str>,
    outcomes: &'static [&'static str],
    waiting: Rows,
    lately: Rows,
    /// How many records cannot be read.
    unreadable: usize,
    /// Whether the audit is on, which a filter by input needs.
    has_audit: bool,
    /// How many of the newest rows of the audit are searched for an input.
    searched: usize,
}

#[derive(Serialize)]
struct Rows {
    /// How many there are, of which the newest are shown.
    all: usize,
    shown: Vec<Box<RawValue>>,
}

impl Filter {
    /// # Errors
    /// A sentence, if the query has a parameter that is not known.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "endpoint" => &mut filter.endpoint,
                "outcome" => &mut filter.outcome,
                "input" if value.is_empty() => continue,
                "input" => {
                    let input =
                        Input::parse(&value).map_err(|why| format!("This is not an input and its value: {why}."))?;
                    filter.input = Some(input);
                    continue;
                }
                _ => return Err(format!("There is no filter `{name}`: load the page again.")),
            };
            *place = Some(value.into_owned()).filter(|value| !value.is_empty());
        }
        Ok(filter)
    }

    fn asks_for(&self, found: &Found, with_input: Option<&BTreeSet<OperationId>>) -> bool {
        let has_input = with_input.is_none_or(|ids| ids.contains(&found.id));
        let is = |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
        has_input && is(&self.endpoint, found.record().origin.endpoint()) && is(&self.outcome, found.outcome())
    }
}

impl Listing {
    /// # Errors
    /// If the store cannot be read.
    pub(super) async fn read(desk: &Desk, filter: &Filter) -> Result<Self, StoreError> {
        let with_input = match &filter.input {
            Some(input) => Some(desk.with_input(input).await?),
            None => None,
        };
        let (mut waiting, mut lately, mut unreadable) = (Newest::new(ROWS), Newest::new(ROWS), 0);
        let mut records = desk.operations.records(OperationId::all());
        while let Some(listed) = records.next().await? {
            let Ok(found) = Found::new(desk, listed) else {
                unreadable += 1;
                continue;
            };
            if !filter.asks_for(&found, with_input.as_ref()) {
                continue;
            }
            let (first_seen, id, found) = (found.times.first_seen, found.id, Arc::new(found));
            if found.to_settle.is_ok() {
                waiting.add(first_seen, id, Arc::clone(&found));
            }
            lately.add(first_seen, id, found);
        }
        let mut endpoints: Vec<_> = desk
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.effect.is_recorded())
            .collect();
        endpoints.sort_by_key(|endpoint| endpoint.name);
        Ok(Self {
            store: desk.store().describe(),
            endpoints: endpoints.into_iter().map(|endpoint| endpoint.name).collect(),
            outcomes: &OUTCOMES,
            waiting: Rows::of(waiting),
            lately: Rows::of(lately),
            unreadable,
            has_audit: desk.operations.has_audit(),
            searched: SEARCHED,
        })
    }
}

impl Rows {
    /// Only rows that are shown are written as JSON, because a large store has many others.
    fn of(newest: Newest<Arc<Found>>) -> Self {
        Self {
            all: newest.all(),
            shown: newest
                .in_order()
                .filter_map(|found| to_raw_value(&found.told()).ok())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_filter_has_only_known_parts_and_an_empty_part_filters_nothing() {
        let filter = Filter::parse("endpoint=refund_order&outcome=").unwrap();
        assert_eq!(filter.endpoint.as_deref(), Some("refund_order"));
        assert_eq!(filter.outcome, None);
        assert!(Filter::parse("limit=1").unwrap_err().contains("`limit`"));
    }
}
