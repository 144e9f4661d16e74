//! The contract of every store, as checks that run against a store.

mod auditing;
mod limits;

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Ages, Audit, Fingerprint, FirstSeen, Listed, OperationId, Origin, Proposal, Record, Response, Revision, Settlement,
    State, Step, Store, Swap,
};

/// Runs every check against `store`, which may contain other operations. `advance` lets time pass on the store's clock,
/// for example by waiting.
///
/// # Panics
/// If the store breaks the contract; the message names the rule.
pub async fn check(store: &dyn Store, advance: impl AsyncFn(Duration)) {
    let operation = |name: &str| OperationId::new("store contract", name);
    store.keep_for(KEPT);
    a_step_that_is_dropped_changes_nothing(store, operation("dropped")).await;
    only_one_claim_of_a_new_operation_succeeds(store, operation("claims")).await;
    every_state_is_returned_as_written(store, operation("states")).await;
    a_stale_revision_changes_nothing(store, operation("fence")).await;
    a_missing_record_is_not_written_where_one_was_expected(store, operation("gone")).await;
    ages_count_from_the_right_write(store, operation("ages"), &advance).await;
    every_record_is_listed_and_counted(
        store,
        [operation("listed"), operation("unknown"), operation("settled")],
        &advance,
    )
    .await;
    revisions_are_never_used_twice(store, operation("reuse"), &advance).await;
    auditing::a_row_is_added_with_its_record_only(store, operation("audited")).await;
    a_sweep_removes_expired_records_only(
        store,
        [operation("swept"), operation("fresh"), operation("renewed")],
        &advance,
    )
    .await;
    if let Some(counted) = store.limits() {
        limits::check(counted, &advance).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long records are kept in a store whose records expire by themselves.
const KEPT: Duration = Duration::from_secs(9);

fn record(epoch: u32, state: State) -> Record {
    let fingerprint = Fingerprint::new("POST", "/contract", "application/json", b"{}");
    Record {
        epoch,
        state,
        ..Record::first(fingerprint, Origin::new("contract", "key", "store contract"))
    }
}

fn in_progress(epoch: u32) -> Record {
    record(epoch, State::InProgress)
}

async fn swap(
    store: &dyn Store,
    id: OperationId,
    expected: Option<Revision>,
    new: Record,
    first_seen: FirstSeen,
) -> Swap {
    store
        .swap(Proposal {
            id,
            expected,
            new: Arc::new(new),
            first_seen,
            audit: Audit::Nothing,
        })
        .wait()
        .await
        .expect("a working store answers")
}

async fn write(store: &dyn Store, id: OperationId, expected: Option<Revision>, new: Record) -> Revision {
    match swap(store, id, expected, new, FirstSeen::Keep).await {
        Swap::Swapped(revision) => revision,
        other => panic!("a swap that expects the revision in the store must succeed, but the answer was {other:?}"),
    }
}

/// The record in the store, read by a swap that cannot succeed.
async fn held(store: &dyn Store, id: OperationId) -> (Revision, Record, Ages) {
    match swap(store, id, None, in_progress(99), FirstSeen::Keep).await {
        Swap::Held { revision, record, ages } => (revision, Arc::unwrap_or_clone(record), ages),
        other => panic!("a claim of a known operation must answer with its record, but the answer was {other:?}"),
    }
}

/// A caller that must not wait drops the step, and asks the store again later.
async fn a_step_that_is_dropped_changes_nothing(store: &dyn Store, id: OperationId) {
    let claim = || {
        store.swap(Proposal {
            id,
            expected: None,
            new: Arc::new(in_progress(1)),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        })
    };
    if let Step::Later(step) = claim() {
        drop(step);
        let answer = claim().wait().await;
        assert!(
            matches!(answer, Ok(Swap::Swapped(_))),
            "a claim that was dropped before its first poll must not be in the store: {answer:?}"
        );
    }
}

async fn only_one_claim_of_a_new_operation_succeeds(store: &dyn Store, id: OperationId) {
    let revision = write(store, id, None, in_progress(1)).await;
    for _ in 0..3 {
        let (found, record, _) = held(store, id).await;
        assert_eq!(
            (found, record),
            (revision, in_progress(1)),
            "a refused claim must not change the owner's record"
        );
    }
}

async fn every_state_is_returned_as_written(store: &dyn Store, id: OperationId) {
    let response = |body: Vec<u8>| Response {
        status: http::StatusCode::IM_A_TEAPOT,
        content_type: "text/plain; charset=utf-8".into(),
        body: body.into(),
    };
    let states = [
        State::InProgress,
        State::Released,
        State::NotKept,
        State::Unknown,
        State::Completed(response(Vec::new())),
        State::Completed(response((0..=255).cycle().take(300_000).collect())),
    ];
    let mut expected = None;
    for state in states {
        let written = Record {
            serial: NonZeroU64::new(u64::MAX),
            gives_back: matches!(state, State::Completed(_)),
            ..record(u32::MAX, state)
        };
        let revision = write(store, id, expected, written.clone()).await;
        let (found, record, _) = held(store, id).await;
        assert!(
            found == revision && record == written,
            "a record must be read back as it was written"
        );
        expected = Some(revision);
    }
}

async fn a_stale_revision_changes_nothing(store: &dyn Store, id: OperationId) {
    let old = write(store, id, None, in_progress(1)).await;
    let new = write(store, id, Some(old), in_progress(2)).await;
    assert_ne!(old, new, "every write must have a revision of its own");
    let answer = swap(store, id, Some(old), record(1, State::Released), FirstSeen::Reset).await;
    assert!(
        matches!(answer, Swap::Held { revision, ref record, .. } if revision == new && **record == in_progress(2)),
        "a swap with a stale revision must answer with the current record, not {answer:?}"
    );
    assert_eq!(
        held(store, id).await.1,
        in_progress(2),
        "a swap with a stale revision must change nothing"
    );
}

async fn a_missing_record_is_not_written_where_one_was_expected(store: &dyn Store, id: OperationId) {
    let elsewhere = write(
        store,
        OperationId::new("store contract", "elsewhere"),
        None,
        in_progress(1),
    )
    .await;
    assert_eq!(
        swap(store, id, Some(elsewhere), in_progress(1), FirstSeen::Keep).await,
        Swap::Gone,
        "the revision of another operation must not be accepted for this operation"
    );
    write(store, id, None, in_progress(1)).await;
}

async fn ages_count_from_the_right_write(store: &dyn Store, id: OperationId, advance: &impl AsyncFn(Duration)) {
    let first = write(store, id, None, in_progress(1)).await;
    advance(SECOND * 3).await;
    let ages = held(store, id).await.2;
    assert!(
        ages.since_written >= SECOND * 3 && ages.since_first_seen >= SECOND * 3,
        "both ages must grow with time: {ages:?}"
    );

    let second = write(store, id, Some(first), in_progress(1)).await;
    let ages = held(store, id).await.2;
    assert!(
        ages.since_written < SECOND * 3,
        "a write must reset `since_written`: {ages:?}"
    );
    assert!(
        ages.since_first_seen >= SECOND * 3,
        "`Keep` must not reset `since_first_seen`: {ages:?}"
    );

    swap(store, id, Some(second), in_progress(1), FirstSeen::Reset).await;
    let ages = held(store, id).await.2;
    assert!(
        ages.since_first_seen < SECOND * 3,
        "`Reset` must reset `since_first_seen`: {ages:?}"
    );
}

async fn every_record_is_listed_and_counted(
    store: &dyn Store,
    ids: [OperationId; 3],
    advance: &impl AsyncFn(Duration),
) {
    let count = async |lease| store.count(lease).await.expect("a working store counts");
    let (before, lost_before) = (count(HOUR).await, count(Duration::ZERO).await.lost);
    let settlement = Settlement {
        by: "somebody".to_owned(),
        at: std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    };
    let records = [
        in_progress(1),
        record(2, State::Unknown),
        Record {
            settlement: Some(settlement.into()),
            ..record(3, State::Released)
        },
    ];
    let mut written = HashMap::new();
    for (id, record) in ids.into_iter().zip(records) {
        written.insert(id, (write(store, id, None, record.clone()).await, record));
    }
    advance(SECOND).await;
    let (after, lost) = (count(HOUR).await, count(Duration::ZERO).await.lost - lost_before);
    assert_eq!(
        (
            after.held - before.held,
            after.unknown - before.unknown,
            after.settled - before.settled
        ),
        (3, 1, 1),
        "the counts of held, unknown and settled records must be right"
    );
    assert_eq!(
        (after.lost, lost),
        (0, 1),
        "an attempt, and nothing else, must count as lost once its record was not written for the time of the lease"
    );
    every_record_is_listed(store, &written, advance).await;
}

async fn every_record_is_listed(
    store: &dyn Store,
    written: &HashMap<OperationId, (Revision, Record)>,
    advance: &impl AsyncFn(Duration),
) {
    let found = list(store, OperationId::all(), 2).await;
    // If a store made the times from ages, they would now be rounded in another way.
    advance(SECOND * 2 / 3).await;
    for (id, (revision, record)) in written {
        let Some(listed) = found.get(id) else {
            panic!("a list must show every record");
        };
        assert!(
            (listed.revision, listed.record.as_ref()) == (*revision, Ok(record)),
            "a list must show each record as it was written: {listed:?}"
        );
        assert!(
            listed.ages.since_written >= SECOND && listed.ages.since_first_seen >= SECOND,
            "a list must show the same ages as a swap: {:?}",
            listed.ages
        );
        let alone = list(store, *id..=*id, 2).await;
        assert!(
            alone.len() == 1 && alone.contains_key(id),
            "a list must show only records whose ids were asked for: {alone:?}"
        );
        let times = alone.get(id).map(|again| again.times);
        assert!(
            times == Some(listed.times) && listed.times.first_seen <= listed.times.written,
            "a list must show a record with the same times as the list before: {times:?}, {:?}",
            listed.times
        );
    }
}

/// Reads all pages. A record may be on two pages if the store is written at the same time.
async fn list(store: &dyn Store, ids: RangeInclusive<OperationId>, limit: u32) -> HashMap<OperationId, Listed> {
    let mut found = HashMap::new();
    let mut after = None;
    loop {
        let page = store
            .list(ids.clone(), after, limit)
            .await
            .expect("a working store lists");
        found.extend(page.records.into_iter().map(|listed| (listed.id, listed)));
        match page.next {
            None => return found,
            next => after = next,
        }
    }
}

async fn revisions_are_never_used_twice(store: &dyn Store, id: OperationId, advance: &impl AsyncFn(Duration)) {
    let old = write(store, id, None, in_progress(1)).await;
    advance(KEPT + SECOND).await;
    while store.sweep(KEPT, 100).await.expect("a working store sweeps") > 0 {}
    write(store, id, None, in_progress(1)).await;
    let answer = swap(store, id, Some(old), record(1, State::Released), FirstSeen::Keep).await;
    assert!(
        matches!(answer, Swap::Held { .. }),
        "a new record of an operation must not have the revision of a removed one: {answer:?}"
    );
}

async fn a_sweep_removes_expired_records_only(
    store: &dyn Store,
    [old, fresh, renewed]: [OperationId; 3],
    advance: &impl AsyncFn(Duration),
) {
    write(store, old, None, in_progress(1)).await;
    let revision = write(store, renewed, None, in_progress(1)).await;
    advance(SECOND * 5).await;
    write(store, renewed, Some(revision), in_progress(1)).await;
    advance(SECOND * 5).await;
    write(store, fresh, None, in_progress(1)).await;
    assert_eq!(
        store.sweep(KEPT, 0).await.expect("sweeps"),
        0,
        "a sweep must remove no more than its limit"
    );
    while store.sweep(KEPT, 2).await.expect("sweeps") > 0 {}
    held(store, fresh).await;
    held(store, renewed).await;
    write(store, old, None, in_progress(1)).await;
}
