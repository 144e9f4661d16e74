//! Redis has stored a claim, but no replica has confirmed it. The call is refused and its claim is withdrawn, so that a
//! retry runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use operator_runtime::store::RedisStore;
use operator_runtime::testing::Client;
use operator_runtime::{App, Config, Settings, endpoints, operator_api};
use serde_json::json;
use tests::services::Redis;

use crate::KEPT;

/// How often the handler has run.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<AtomicU32>);

/// Acts in another system.
#[operator_api(POST, "/pay")]
pub(crate) async fn pay(runs: &Runs) -> u32 {
    runs.0.fetch_add(1, Ordering::SeqCst) + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_no_replica_confirmed_runs_when_it_is_retried() {
    let redis = Redis::start(KEPT);
    let store = RedisStore::connect(&format!("{}?wait=1", redis.url())).await.unwrap();
    // If the claim were not withdrawn, the retry would find it.
    let lease = Duration::from_secs(4);
    let settings = Settings::default().lease(lease).renew_every(Duration::from_secs(2));
    let runs = Runs::default();
    let app = App::new()
        .only(endpoints![pay])
        .state(runs.clone())
        .config(Config::default().operations(settings))
        .store(store);
    let client = Client::new(app).await.unwrap().with_idempotency_key("same");
    let refused = client.call("pay", &json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.retry_after.is_some()),
        (503, true),
        "{refused:?}"
    );
    assert_eq!(
        refused.body["type"], "urn:operator:problem:store-unavailable",
        "{refused:?}"
    );
    assert_eq!(runs.0.load(Ordering::SeqCst), 0);

    let _replica = redis.replica();
    // By the clock of this server, the lease of a claim that was not withdrawn expires in this time.
    tokio::time::sleep(lease).await;
    // On a busy machine, the replica may confirm too late, and then the call is refused again.
    let begun = Instant::now();
    let answered = async || loop {
        let answer = client.call("pay", &json!({})).await;
        if answer.status != 503 {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{answer:?}");
    };
    assert_eq!(answered().await.status, 200);
    assert_eq!(runs.0.load(Ordering::SeqCst), 1);
    assert!(answered().await.replayed);
}
