//! The connection to Postgres is lost before a claim is answered. The handler has not run, so a retry runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints, operator_api};
use serde_json::json;
use tests::services::Postgres as Server;

use crate::connect;
use crate::proxy::{Cut, Proxy};

/// How often the handler has run.
#[derive(Clone, Default)]
struct Paid(Arc<AtomicU32>);

/// Acts in another system.
#[operator_api(POST, "/pay")]
async fn pay(paid: &Paid) -> u32 {
    paid.0.fetch_add(1, Ordering::SeqCst) + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_without_an_answer_is_withdrawn_and_the_retry_runs() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let paid = Paid::default();
    let app = App::new()
        .only(endpoints![pay])
        .state(paid.clone())
        .store(connect(&proxy.url()).await);
    let client = Client::new(app).await.unwrap().with_idempotency_key("same");
    proxy.set(Cut::BeforeARowIsAnsweredAndAllThatFollows);
    let refused = client.call("pay", &json!({})).await;
    assert!(proxy.is(Cut::AllThatFollows), "the proxy has cut the connection");
    assert_eq!(
        (refused.status.as_u16(), refused.retry_after.is_some()),
        (503, true),
        "{refused:?}"
    );
    proxy.set(Cut::Nothing);
    // The retry waits until the claim is withdrawn. That takes less time than a lease.
    let retry = tokio::time::timeout(Duration::from_secs(60), client.call("pay", &json!({}))).await;
    let retry = retry.unwrap();
    assert_eq!((retry.status.as_u16(), retry.replayed), (200, false), "{retry:?}");
    assert_eq!(paid.0.load(Ordering::SeqCst), 1);
}
