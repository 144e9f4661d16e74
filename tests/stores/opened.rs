//! Busy callers use the sessions that are open, and do not begin to open others again and again.

use operator_runtime::testing::Client;
use operator_runtime::{App, Error, Postgres, Tx, endpoints, operator_api};
use serde_json::json;
use tests::services::Postgres as Server;

use crate::proxy::Proxy;
use crate::{TABLES, book, connect};

/// The sessions of each pool.
const POOL: u32 = 8;

/// Books an entry.
#[operator_api(POST, "/entry")]
async fn entry(tx: &mut Tx<Postgres>) -> Result<bool, Error> {
    book(tx, "entry").await?;
    Ok(true)
}

/// Does something elsewhere.
#[operator_api(POST, "/elsewhere", effect = rerunnable)]
async fn elsewhere() -> bool {
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_callers_open_no_more_sessions_than_the_pools_have() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let store = connect(&format!("{}?pool={POOL}", proxy.url())).await;
    store.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![entry, elsewhere]).store(store);
    let client = Client::new(app).await.unwrap();
    let callers = (0..2 * POOL).map(|caller| {
        let client = client.clone();
        tokio::spawn(async move {
            for call in 0..50 {
                for name in ["entry", "elsewhere"] {
                    let client = client.with_idempotency_key(format!("{name}-{caller}-{call}"));
                    let answer = client.call(name, &json!({})).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let opened = proxy.connections();
    // Two pools, and a few sessions for the set-up, reading and watching the server.
    assert!(opened <= 3 * POOL + 8, "{opened} connections");
}
