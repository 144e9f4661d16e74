//! Tests of claims, waiting duplicates, lost leases and crashes, on a store in memory.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::time::Instant;

use super::*;
use crate::clock::ManualClock;
use crate::idempotency::lease::LeaseError;
use crate::idempotency::machine::Settings;
use crate::idempotency::outcome::{Answer, HandlerOutcome};
use crate::record::Response;
use crate::record::operation::{Fingerprint, Origin};
use crate::store::MemoryStore;

const MINUTE: Duration = Duration::from_secs(60);

struct Fixture {
    clock: Arc<ManualClock>,
    operations: Operations,
}

fn fixture() -> Fixture {
    let clock = Arc::new(ManualClock::at(MINUTE));
    let store = MemoryStore::with(usize::MAX, clock.clone());
    Fixture {
        clock,
        operations: Operations::new(Arc::new(store), Settings::default()),
    }
}

fn first(body: &str) -> Record {
    Record::first(
        Fingerprint::new("POST", "/refunds", "application/json", body.as_bytes()),
        Origin::new("refund_order", "key", "tenant"),
    )
}

fn finished(body: &'static str) -> HandlerOutcome {
    HandlerOutcome::Finished {
        response: Response {
            status: http::StatusCode::OK,
            content_type: "application/json".into(),
            body: body.into(),
        },
        kind: None,
    }
}

async fn admit(operations: &Operations, body: &str, effect: Effect) -> Result<Claim, NotAdmitted> {
    admit_within(Duration::MAX, operations, body, effect).await
}

async fn admit_within(
    longest_wait: Duration,
    operations: &Operations,
    body: &str,
    effect: Effect,
) -> Result<Claim, NotAdmitted> {
    let asked = Asked {
        id: OperationId::new("tenant", "key"),
        first: &Arc::new(first(body)),
        effect,
        max_execution: MINUTE,
        longest_wait,
        meter: &CallMeter::of("refund_order"),
        draft: &None,
    };
    operations.admit(&asked).await
}

impl Fixture {
    async fn admit(&self, effect: Effect) -> Claim {
        admit(&self.operations, "{}", effect).await.expect("memory answers")
    }

    async fn run(&self, effect: Effect) -> Lease {
        match self.admit(effect).await {
            Claim::Run(mut lease) => {
                lease.handler_began = true;
                lease
            }
            told @ Claim::Told(_) => panic!("expected to run, was told {told:?}"),
        }
    }
}

#[tokio::test]
async fn a_retry_gets_the_first_answer() {
    let fixture = fixture();
    let lease = fixture.run(Effect::AtMostOnce).await;
    lease.complete(finished("first")).await.expect("recorded");
    let Claim::Told(Recorded::Replayed(response)) = fixture.admit(Effect::AtMostOnce).await else {
        panic!("not replayed")
    };
    assert_eq!(response.body, "first");
    let mistaken = admit(&fixture.operations, "other", Effect::AtMostOnce).await;
    assert!(matches!(mistaken, Ok(Claim::Told(Recorded::KeyReused))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_24_identical_calls_at_once_one_runs_and_all_get_its_answer() {
    let fixture = Arc::new(fixture());
    let runs = Arc::new(AtomicU32::new(0));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let (fixture, runs) = (fixture.clone(), runs.clone());
        calls.spawn(async move {
            match fixture.admit(Effect::AtMostOnce).await {
                Claim::Run(lease) => {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    lease.complete(finished("one")).await.expect("recorded")
                }
                Claim::Told(Recorded::Replayed(response)) => Answer::Response { response, kind: None },
                told @ Claim::Told(_) => panic!("neither ran nor replayed: {told:?}"),
            }
        });
    }
    while let Some(answer) = calls.join_next().await {
        assert!(matches!(answer.expect("no panic"), Answer::Response { response, .. } if response.body == "one"));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_that_waits_in_vain_is_told_to_retry_and_writes_nothing() {
    let fixture = fixture();
    let lease = fixture.run(Effect::AtMostOnce).await;
    let before = Instant::now();
    assert!(matches!(
        fixture.admit(Effect::AtMostOnce).await,
        Claim::Told(Recorded::StillRunning)
    ));
    assert_eq!(before.elapsed().as_secs(), 10);
    lease
        .complete(finished("late"))
        .await
        .expect("the attempt still holds the operation");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_whose_caller_cannot_wait_is_told_earlier() {
    let fixture = fixture();
    let _running = fixture.run(Effect::Rerunnable).await;
    let started = Instant::now();
    let limit = Duration::from_secs(3);
    let told = admit_within(limit, &fixture.operations, "{}", Effect::Rerunnable).await;
    assert!(matches!(told, Ok(Claim::Told(Recorded::StillRunning))), "{told:?}");
    assert_eq!(started.elapsed(), limit);
}

#[tokio::test]
async fn an_attempt_that_was_taken_over_cannot_complete_or_renew() {
    let fixture = fixture();
    let mut stalled = fixture.run(Effect::Rerunnable).await;
    fixture.clock.advance(Duration::from_secs(15));
    let owner = fixture.run(Effect::Rerunnable).await;
    assert_eq!((stalled.epoch(), owner.epoch()), (1, 2));
    assert!(matches!(stalled.renew().await, Err(LeaseError::Lost)));
    assert!(matches!(
        stalled.complete(finished("stalled")).await,
        Err(LeaseError::Lost)
    ));
    owner
        .complete(finished("owner"))
        .await
        .expect("the owner's write is not disturbed");
    assert!(
        matches!(fixture.admit(Effect::Rerunnable).await, Claim::Told(Recorded::Replayed(response)) if response.body == "owner")
    );
}

#[tokio::test]
async fn a_renewed_lease_stays_valid_and_a_dropped_lease_runs_out() {
    let fixture = fixture();
    let mut lease = fixture.run(Effect::AtMostOnce).await;
    for _ in 0..12 {
        fixture.clock.advance(lease.renew_every());
        lease.renew().await.expect("still the owner");
    }
    assert!(matches!(lease.renew().await, Err(LeaseError::Overdue)));
    drop(lease);
    fixture.clock.advance(Duration::from_secs(15));
    assert!(matches!(
        fixture.admit(Effect::AtMostOnce).await,
        Claim::Told(Recorded::OutcomeUnknown)
    ));
    assert!(matches!(
        fixture.admit(Effect::AtMostOnce).await,
        Claim::Told(Recorded::OutcomeUnknown)
    ));
    fixture.clock.advance(MINUTE * 60);
    assert_eq!(fixture.run(Effect::AtMostOnce).await.epoch(), 1);
}

/// If a handler ends during a lease renewal, the attempt never gets the answer to the renewal.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn an_attempt_keeps_its_answer_although_its_last_renewal_was_not_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("operator.db");
    let store = crate::store::SqliteStore::open(&path).expect("opens");
    let fixture = Fixture {
        clock: Arc::new(ManualClock::at(MINUTE)),
        operations: Operations::new(Arc::new(store), Settings::default()),
    };
    let mut lease = fixture.run(Effect::AtMostOnce).await;
    // A second connection with an open write transaction makes the store wait.
    let other = rusqlite::Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    tokio::select! {
        biased;
        renewed = lease.renew() => panic!("written before anybody could wait: {renewed:?}"),
        () = std::future::ready(()) => {}
    }
    other.execute_batch("ROLLBACK").expect("lets go");
    lease.complete(finished("once")).await.expect("nobody else has written");
    assert!(
        matches!(fixture.admit(Effect::AtMostOnce).await, Claim::Told(Recorded::Replayed(response)) if response.body == "once")
    );
}

#[tokio::test]
async fn a_panic_is_answered_without_its_text_and_releases_a_rerunnable_operation() {
    let fixture = fixture();
    let answer = fixture
        .run(Effect::Rerunnable)
        .await
        .complete(HandlerOutcome::Panicked)
        .await;
    assert!(matches!(answer, Ok(Answer::Failed)));
    assert_eq!(fixture.run(Effect::Rerunnable).await.epoch(), 2);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_given_once() {
    let fixture = fixture();
    let long = HandlerOutcome::Finished {
        response: Response {
            status: http::StatusCode::OK,
            content_type: "text/plain".into(),
            body: vec![b'a'; 256 * 1024 + 1].into(),
        },
        kind: None,
    };
    let answer = fixture.run(Effect::Rerunnable).await.complete(long).await;
    assert!(matches!(answer, Ok(Answer::Response { .. })));
    assert!(matches!(
        fixture.admit(Effect::Rerunnable).await,
        Claim::Told(Recorded::ResponseNotKept)
    ));
}

#[tokio::test]
async fn a_full_store_starts_no_call() {
    let store = MemoryStore::with(0, Arc::new(ManualClock::at(MINUTE)));
    let operations = Operations::new(Arc::new(store), Settings::default());
    let refused = admit(&operations, "{}", Effect::AtMostOnce).await;
    assert!(
        matches!(refused, Err(refused) if matches!(refused.error, StoreError::Full { .. }) && refused.claim.is_none())
    );
}

mod unconfirmed {
    use super::*;
    use crate::store::{BoxFuture, Cursor, Page, Proposal, Store};

    /// A store that writes the first record but reports the write as unconfirmed. It then refuses several writes that
    /// would replace this record.
    #[derive(Debug)]
    struct Silent {
        inner: MemoryStore,
        has_written: AtomicBool,
        refusals: AtomicU32,
    }

    impl Store for Silent {
        fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
            let away = StoreError::Closed { store: self.describe() };
            let refuse = |left: u32| left.checked_sub(1);
            if proposal.expected.is_some()
                && self
                    .refusals
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse)
                    .is_ok()
            {
                return Step::Now(Err(away));
            }
            let is_first = !self.has_written.swap(true, Ordering::SeqCst);
            match self.inner.swap(proposal) {
                Step::Now(Ok(Swap::Swapped(revision))) if is_first => Step::Now(Err(StoreError::Unconfirmed {
                    store: self.describe(),
                    revision,
                    source: Arc::new(away),
                })),
                step => step,
            }
        }

        fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
            self.inner.sweep(older_than, limit)
        }

        fn list(
            &self,
            ids: std::ops::RangeInclusive<OperationId>,
            after: Option<Cursor>,
            limit: u32,
        ) -> BoxFuture<'_, Result<Page, StoreError>> {
            self.inner.list(ids, after, limit)
        }

        fn describe(&self) -> String {
            "a store that does not confirm its write".to_owned()
        }
    }

    fn silent(refusals: u32) -> Operations {
        let clock = Arc::new(ManualClock::at(MINUTE));
        let store = Silent {
            inner: MemoryStore::with(usize::MAX, clock),
            has_written: AtomicBool::new(false),
            refusals: AtomicU32::new(refusals),
        };
        Operations::new(Arc::new(store), Settings::default())
    }

    #[tokio::test(start_paused = true)]
    async fn an_unconfirmed_claim_is_released_and_the_retry_runs() {
        for refusals in [0, 1, 3] {
            let operations = silent(refusals);
            let refused = admit(&operations, "{}", Effect::AtMostOnce).await.unwrap_err();
            assert!(matches!(refused.take_back(), StoreError::Unconfirmed { .. }));
            operations.settle_doubts().await;
            let retry = admit(&operations, "{}", Effect::AtMostOnce).await;
            assert!(matches!(retry, Ok(Claim::Run(_))), "{refusals} refusals: {retry:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_duplicate_that_waits_for_an_unconfirmed_claim_runs() {
        let operations = silent(2);
        let refused = admit(&operations, "{}", Effect::AtMostOnce).await.unwrap_err();
        refused.take_back();
        let duplicate = admit(&operations, "{}", Effect::AtMostOnce).await;
        assert!(matches!(duplicate, Ok(Claim::Run(_))), "{duplicate:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_release_of_a_claim_is_retried_until_the_lease_runs_out() {
        let operations = silent(u32::MAX);
        let refused = admit(&operations, "{}", Effect::AtMostOnce).await.unwrap_err();
        let before = timer_now();
        refused.take_back();
        operations.settle_doubts().await;
        let took = timer_now() - before;
        assert!(
            took > Duration::from_secs(5) && took <= Duration::from_secs(15),
            "{took:?}"
        );
    }
}
