//! A store as another crate would write it, with public items only. It passes the contract and stores the operations of
//! an app.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeMap;
use std::future::ready;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use operator_runtime::clock::{Clock as _, ManualClock};
use operator_runtime::store::{
    Ages, BoxFuture, Counts, Cursor, DecodeError, FirstSeen, Listed, OperationId, Page, Proposal, Record, Revision,
    State, Step, Store, StoreError, Swap, Times, contract,
};
use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints, operator_api};
use serde_json::json;

/// Stores records in a map. Each record is encoded as bytes, as in a database.
#[derive(Debug)]
struct MapStore {
    clock: Arc<ManualClock>,
    rows: Mutex<(u64, BTreeMap<OperationId, Row>)>,
}

#[derive(Debug)]
struct Row {
    revision: u64,
    bytes: Vec<u8>,
    first_seen: Duration,
    written: Duration,
}

impl Row {
    fn record(&self) -> Result<Record, DecodeError> {
        Record::decode(self.bytes.clone().into())
    }

    fn ages(&self, now: Duration) -> Ages {
        Ages {
            since_written: now - self.written,
            since_first_seen: now - self.first_seen,
        }
    }

    /// The clock of these tests is zero in 1970.
    fn times(&self) -> Times {
        Times {
            first_seen: UNIX_EPOCH + self.first_seen,
            written: UNIX_EPOCH + self.written,
        }
    }
}

impl MapStore {
    fn swap_now(&self, proposal: &Proposal) -> Result<Swap, StoreError> {
        let &Proposal {
            id,
            expected,
            ref new,
            first_seen,
            audit: _,
        } = proposal;
        let now = self.clock.monotonic();
        let (last, rows) = &mut *self.rows.lock().unwrap();
        let held = rows.get(&id);
        if held.map(|row| Revision(row.revision)) != expected {
            let Some(row) = held else { return Ok(Swap::Gone) };
            let record = row.record().map_err(|source| StoreError::Unreadable {
                store: self.describe(),
                source,
            })?;
            return Ok(Swap::Held {
                revision: Revision(row.revision),
                record: Arc::new(record),
                ages: row.ages(now),
            });
        }
        let kept = held.filter(|_| first_seen == FirstSeen::Keep);
        let first_seen = kept.map_or(now, |row| row.first_seen);
        *last += 1;
        let row = Row {
            revision: *last,
            bytes: new.encode(),
            first_seen,
            written: now,
        };
        rows.insert(id, row);
        Ok(Swap::Swapped(Revision(*last)))
    }

    fn list_now(&self, ids: RangeInclusive<OperationId>, after: Option<&Cursor>, limit: u32) -> Page {
        let now = self.clock.monotonic();
        let limit = usize::try_from(limit).unwrap();
        let (_, rows) = &*self.rows.lock().unwrap();
        let meant = rows
            .range(ids)
            .filter(|(id, _)| after.is_none_or(|after| id.as_bytes()[..] > after.0[..]));
        let listed = meant.map(|(id, row)| {
            let revision = Revision(row.revision);
            Listed::new(*id, revision, row.record(), row.ages(now), row.times())
        });
        let records: Vec<Listed> = listed.take(limit).collect();
        let last = records.last().filter(|_| records.len() == limit);
        let next = last.map(|listed| Cursor(listed.id.as_bytes().to_vec()));
        Page::new(records, next)
    }
}

impl Store for MapStore {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Later(Box::pin(async move { self.swap_now(&proposal) }))
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        let now = self.clock.monotonic();
        let mut left = limit;
        self.rows.lock().unwrap().1.retain(|_, row| {
            let is_old = now - row.written > older_than && now - row.first_seen > older_than;
            let is_kept = !is_old || left == 0;
            left -= u32::from(!is_kept);
            is_kept
        });
        Box::pin(ready(Ok(limit - left)))
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(ready(Ok(self.list_now(ids, after.as_ref(), limit))))
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        let now = self.clock.monotonic();
        let mut counts = Counts::default();
        for row in self.rows.lock().unwrap().1.values() {
            counts.held += 1;
            let Ok(record) = row.record() else { continue };
            counts.settled += u64::from(record.settlement.is_some());
            match record.state {
                State::Unknown => counts.unknown += 1,
                State::InProgress if row.ages(now).since_written >= lease => counts.lost += 1,
                _ => {}
            }
        }
        Box::pin(ready(Ok(counts)))
    }

    fn describe(&self) -> String {
        "a map".to_owned()
    }
}

/// Counts a visit. Use it when somebody comes.
#[operator_api(POST, "/visits")]
async fn visit(visits: &Mutex<u32>) -> u32 {
    let mut visits = visits.lock().unwrap();
    *visits += 1;
    *visits
}

fn store() -> (Arc<ManualClock>, MapStore) {
    let clock = Arc::new(ManualClock::at(Duration::ZERO));
    let rows = Mutex::default();
    (Arc::clone(&clock), MapStore { clock, rows })
}

#[tokio::test]
async fn a_store_of_another_crate_passes_the_contract() {
    let (clock, store) = store();
    contract::check(&store, async |by| clock.advance(by)).await;
    let (clock, store) = self::store();
    contract::check(&Arc::new(store), async |by| clock.advance(by)).await;
}

#[tokio::test]
async fn a_store_of_another_crate_keeps_answers_for_retries() {
    let (_clock, store) = store();
    let shared: Arc<dyn Store> = Arc::new(store);
    let app = App::new()
        .only(endpoints![visit])
        .state(Mutex::new(0_u32))
        .store(shared);
    let client = Client::new(app).await.unwrap().with_idempotency_key("visit-1");
    assert!(!client.call("visit", &json!({})).await.replayed);
    let again = client.call("visit", &json!({})).await;
    assert_eq!(again.status, 200);
    assert!(again.replayed && again.body == json!(1), "{again:?}");
}
