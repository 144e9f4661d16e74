//! A person settles an operation on the page while the store fails, or closes the page too early.

use std::convert::Infallible;
use std::future::ready;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::{Request, State};
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Admin, names_a_token, settle};
use crate::app::desk::Desk;
use crate::app::room::BodyRoom;
use crate::console::guard::Site;
use crate::idempotency::machine::Settings;
use crate::idempotency::operations::Operations;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::protocol::api_keys::ApiKeys;
use crate::record::operation::{Fingerprint, Origin};
use crate::record::{FirstSeen, Record, State as RecordState};
use crate::store::{
    Audit, BoxFuture, Cursor, Limits, Listed, MemoryStore, OperationId, Page, Proposal, Step, Store, StoreError, Swap,
};

/// A store that gives back only with a permit, and that fails to give back a number of times.
#[derive(Debug)]
struct Reluctant {
    inner: MemoryStore,
    permits: Semaphore,
    failures: AtomicU32,
}

impl Reluctant {
    fn limits_of_inner(&self) -> &dyn Limits {
        self.inner.limits().unwrap()
    }
}

impl Store for Reluctant {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        self.inner.swap(proposal)
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.inner.sweep(older_than, limit)
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.list(ids, after, limit)
    }

    fn describe(&self) -> String {
        "a reluctant store".to_owned()
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
    }
}

impl Limits for Reluctant {
    fn reserve(&self, asked: Reservation) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        self.limits_of_inner().reserve(asked)
    }

    fn give_back(&self, holder: Holder, value: Option<LimitedValue>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.permits.acquire().await.unwrap().forget();
            let fails = |left: u32| left.checked_sub(1);
            if self
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
                .is_ok()
            {
                return Err(StoreError::Closed { store: self.describe() });
            }
            self.limits_of_inner().give_back(holder, value).await
        })
    }

    fn used(&self, value: LimitedValue) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.limits_of_inner().used(value)
    }

    fn remove_ended(&self, _limit: u32) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(ready(Ok(false)))
    }
}

/// A page with one operation, whose outcome is unknown and which has reserved 7 of a limit.
struct Settling {
    admin: Arc<Admin>,
    store: Arc<Reluctant>,
    id: OperationId,
    value: LimitedValue,
}

impl Settling {
    async fn of_store(permits: usize, failures: u32) -> Self {
        let store = Arc::new(Reluctant {
            inner: MemoryStore::default(),
            permits: Semaphore::new(permits),
            failures: failures.into(),
        });
        let id = OperationId::new("shop", "key");
        let first = Record::first(
            Fingerprint::new("POST", "/", "", b""),
            Origin::new("refund_order", "key", "shop"),
        );
        let serial = 7.try_into().unwrap();
        let unknown = Record {
            state: RecordState::Unknown,
            serial: Some(serial),
            ..first
        };
        let value = LimitedValue::from_bytes([7; 32]);
        let reserved = store.reserve(Reservation {
            value,
            holder: Holder {
                serial,
                epoch: unknown.epoch,
            },
            amount: 7,
            max: 10,
            window: Duration::from_secs(3_600),
        });
        assert!(matches!(reserved.await, Ok(Reserved::Granted { .. })));
        let written = store.swap(Proposal {
            id,
            expected: None,
            new: Arc::new(unknown),
            first_seen: FirstSeen::Reset,
            audit: Audit::Nothing,
        });
        assert!(matches!(written.wait().await, Ok(Swap::Swapped(_))));
        let shared: Arc<dyn Store> = store.clone();
        let admin = Arc::new(Admin {
            desk: Desk {
                operations: Operations::new(shared, Settings::default()),
                endpoints: Arc::new([]),
            },
            site: Site { port: 0 },
            tokens: Arc::new(ArcSwap::from_pointee(ApiKeys::default())),
            limits: crate::app::Limits::default(),
            room: BodyRoom::new(1024 * 1024),
            listing: Arc::default(),
        });
        Self {
            admin,
            store,
            id,
            value,
        }
    }

    /// The answer to a person who says that the operation was not done.
    fn not_done(&self, by: &str) -> impl Future<Output = (StatusCode, String)> + use<> {
        let body = json!({ "operation": self.id.to_string(), "by": by }).to_string();
        self.settle(Body::from(body))
    }

    fn settle(&self, body: Body) -> impl Future<Output = (StatusCode, String)> + use<> {
        let request = Request::post("/admin/settle").header("content-type", "application/json");
        let answering = settle(State(Arc::clone(&self.admin)), request.body(body).unwrap());
        async {
            let answer = answering.await;
            let status = answer.status();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let sentence = body.get("sentence").or(body.get("detail")).unwrap();
            (status, sentence.as_str().unwrap().to_owned())
        }
    }

    /// Polls a settlement until its record is written, and it waits for the store to give back.
    async fn first_write(&self, mut settling: Pin<&mut impl Future>) {
        while self.record().await.state == RecordState::Unknown {
            let polled = settling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
    }

    async fn used(&self) -> u64 {
        self.store.used(self.value).await.unwrap()
    }

    async fn record(&self) -> Record {
        let page = self.store.list(self.id..=self.id, None, 1).await.unwrap();
        let [Listed { record, .. }] = <[Listed; 1]>::try_from(page.records).unwrap();
        record.unwrap()
    }
}

#[tokio::test]
async fn what_could_not_be_given_back_is_free_after_it_is_settled_again() {
    let page = Settling::of_store(9, 1).await;
    let operation = page.id.abbreviated();
    let (status, sentence) = page.not_done("Ana").await;
    let expected = format!(
        "Operation {operation} is settled: it was not done, and a retry runs it again. But its part of the limits is not free yet (a reluctant store is closed; the program is shutting down): settle it as not done again to free it."
    );
    assert_eq!((status, sentence), (StatusCode::CONFLICT, expected));
    assert_eq!(
        (page.record().await.state, page.used().await),
        (RecordState::Released, 7)
    );
    for _ in 0..2 {
        let (status, sentence) = page.not_done("Bo").await;
        let expected = format!(
            "Operation {operation} was already settled by Ana: it was not done, and a retry runs it again. Its part of the limits is free."
        );
        assert_eq!((status, sentence), (StatusCode::OK, expected));
        assert_eq!(page.used().await, 0);
    }
    assert_eq!(page.record().await.settlement.unwrap().by, "Ana");
}

#[tokio::test]
async fn a_person_who_closes_the_page_does_not_stop_the_settlement() {
    let page = Settling::of_store(0, 0).await;
    {
        let mut settling = pin!(page.not_done("Ana"));
        page.first_write(settling.as_mut()).await;
    }
    page.store.permits.add_permits(1);
    page.admin.desk.operations.settle_doubts().await;
    assert_eq!(
        (page.record().await.state, page.used().await),
        (RecordState::Released, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_a_settlement_whose_page_is_open() {
    let page = Settling::of_store(0, 0).await;
    let mut settling = pin!(page.not_done("Ana"));
    page.first_write(settling.as_mut()).await;
    let mut ending = pin!(page.admin.desk.operations.settle_doubts());
    assert!(timeout(Duration::from_secs(60), ending.as_mut()).await.is_err());
    page.store.permits.add_permits(1);
    let (settled, ()) = tokio::join!(settling, ending);
    assert_eq!((settled.0, page.used().await), (StatusCode::OK, 0));
}

#[test]
fn a_token_in_an_address_is_noticed_whatever_it_is_called() {
    for query in ["token=a", "a=1&access_token=a", "TOKEN", "%74oken=a", "api-key=a"] {
        assert!(names_a_token(query), "{query}");
    }
    for query in ["", "endpoint=refund_order", "outcome=done&input=token"] {
        assert!(!names_a_token(query), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_arrives_too_slowly_is_refused() {
    let page = Settling::of_store(9, 0).await;
    let bytes = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Some((Ok::<_, Infallible>(" "), ()))
    });
    let (status, sentence) = page.settle(Body::from_stream(bytes)).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT, "{sentence}");
    assert_eq!(page.record().await.state, RecordState::Unknown);
}
