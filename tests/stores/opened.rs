//! Busy callers use the sessions that are open, do not begin to open others again and again, and leave some to others.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use operator_runtime::testing::Client;
use operator_runtime::{App, Error, Postgres, Tx, endpoints, operator_api};
use serde_json::json;
use tests::services::{Postgres as Server, free_port};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::few::with_few_sessions;
use crate::proxy::Proxy;
use crate::{TABLES, book, connect};

/// The sessions of each pool.
const POOL: u32 = 8;

/// Books an entry, and returns the number of the server's process.
#[operator_api(POST, "/entry")]
async fn entry(tx: &mut Tx<Postgres>) -> Result<i32, Error> {
    book(tx, "entry").await?;
    let backend = tx.prepare_cached("SELECT pg_backend_pid()").await?;
    Ok(tx.query_one(&backend, &[]).await?.get(0))
}

/// Does something elsewhere.
#[operator_api(POST, "/elsewhere", effect = rerunnable)]
async fn elsewhere() -> bool {
    true
}

/// How many calls of [`slow_entry`] run at this moment, and how many have at most.
#[derive(Clone, Default)]
struct Running {
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

/// Books an entry, and needs a while.
#[operator_api(POST, "/slow-entry")]
async fn slow_entry(tx: &mut Tx<Postgres>, running: &Running) -> Result<(), Error> {
    let now = running.now.fetch_add(1, Ordering::SeqCst) + 1;
    running.most.fetch_max(now, Ordering::SeqCst);
    tx.batch_execute("SELECT pg_sleep(0.05)").await?;
    running.now.fetch_sub(1, Ordering::SeqCst);
    Ok(())
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

/// Callers that call one endpoint again and again until they are dropped.
struct Busy {
    calls: JoinSet<()>,
    /// Has a permit for each answered call.
    answered: Arc<Semaphore>,
    /// The different answers.
    answers: Arc<Mutex<HashSet<String>>>,
}

impl Busy {
    fn calling(client: &Client, name: &'static str) -> Self {
        let (mut calls, answered) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        let answers = Arc::<Mutex<HashSet<String>>>::default();
        for caller in 0..2 * POOL {
            let (client, answered, answers) = (client.clone(), Arc::clone(&answered), Arc::clone(&answers));
            calls.spawn(async move {
                for call in 0.. {
                    let client = client.with_idempotency_key(format!("{name}-{caller}-{call}"));
                    let answer = client.call(name, &json!({})).await;
                    assert_eq!(answer.status, 200, "{name}: {answer:?}");
                    answers.lock().unwrap().insert(answer.body.to_string());
                    answered.add_permits(1);
                }
            });
        }
        Self {
            calls,
            answered,
            answers,
        }
    }

    /// Waits for as many answers. Fails if a call fails, or if that takes a minute.
    async fn wait_for(&mut self, calls: u32) {
        let answered = tokio::time::timeout(Duration::from_secs(60), self.answered.acquire_many(calls));
        tokio::select! {
            answered = answered => answered.unwrap().unwrap().forget(),
            failed = self.calls.join_next() => panic!("a call failed: {failed:?}"),
        }
    }

    async fn end(mut self) {
        self.calls.abort_all();
        while let Some(ended) = self.calls.join_next().await {
            assert!(ended.is_err_and(|error| error.is_cancelled()), "a call failed");
        }
    }
}

/// Through a proxy that counts connections. `more` is what follows the server in the list of hosts.
async fn behind_a_proxy(server: &Server, url: &str, more: &str) -> (Proxy, Client) {
    let proxy = Proxy::to(server.port).await;
    let hosts = format!("{}{more}", proxy.address);
    let url = url.replace(&format!("127.0.0.1:{}", server.port), &hosts);
    let store = connect(&url).await;
    store.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![entry, elsewhere]).store(store);
    (proxy, Client::new(app).await.unwrap())
}

/// All sessions of the server are those of the busy endpoint when the other one is called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_always_busy_leaves_sessions_to_others_on_a_full_server() {
    for (busy, rare) in [("elsewhere", "entry"), ("entry", "elsewhere")] {
        let (server, url) = with_few_sessions().await;
        let (proxy, client) = behind_a_proxy(&server, &url, "").await;
        let mut calls = Busy::calling(&client, busy);
        calls.wait_for(1000).await;
        let (begun, before) = (Instant::now(), proxy.connections());
        for call in 0..5 {
            let answer = client
                .with_idempotency_key(format!("rare-{call}"))
                .call(rare, &json!({}))
                .await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        calls.wait_for(1000).await;
        let (opened, took) = (proxy.connections() - before, begun.elapsed());
        assert!(
            opened <= 60 + 60 * u32::try_from(took.as_secs()).unwrap(),
            "{opened} connections in {took:?}"
        );
        calls.end().await;
    }
}

/// Calls of each endpoint wait for a session at every moment, also where another host of the address is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_are_both_busy_do_not_close_the_sessions_of_each_other_on_a_full_server() {
    for more in [String::new(), format!(",127.0.0.1:{}", free_port())] {
        let (server, url) = with_few_sessions().await;
        let (proxy, client) = behind_a_proxy(&server, &url, &more).await;
        let mut elsewhere = Busy::calling(&client, "elsewhere");
        let mut entries = Busy::calling(&client, "entry");
        for calls in [&mut elsewhere, &mut entries] {
            calls.wait_for(100).await;
        }
        let (begun, before) = (Instant::now(), proxy.connections());
        for calls in [&mut elsewhere, &mut entries] {
            calls.wait_for(2000).await;
        }
        let (opened, took) = (proxy.connections() - before, begun.elapsed());
        // Each use may ask for a session ten times a second, and a refused attempt is repeated three times.
        let seconds = u32::try_from(took.as_secs()).unwrap() + 1;
        assert!(opened <= 100 * seconds, "{opened} connections in {took:?}");
        // A connection has to be worth opening.
        assert!(opened < 400, "{opened} connections for 4000 calls");
        elsewhere.end().await;
        entries.end().await;
    }
}

/// A session of the slow calls becomes idle before any of them has waited for 0.1 s as the first of its use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_calls_that_queue_get_more_than_one_session_of_a_full_server() {
    let (_server, url) = with_few_sessions().await;
    let store = connect(&url).await;
    store.setup(TABLES).await.unwrap();
    let running = Running::default();
    let app = App::new()
        .only(endpoints![slow_entry, elsewhere])
        .state(running.clone())
        .store(store);
    let client = Client::new(app).await.unwrap();
    let mut calls = Busy::calling(&client, "elsewhere");
    calls.wait_for(1000).await;
    let mut slow = Busy::calling(&client, "slow_entry");
    let begun = Instant::now();
    while running.most.load(Ordering::SeqCst) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "one session for all of them");
        slow.wait_for(10).await;
    }
    calls.end().await;
    slow.end().await;
}

/// A connection takes longer than any call waits for an idle session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_callers_get_more_sessions_even_if_each_takes_long_to_open() {
    let server = Server::start(&[]);
    let proxy = Proxy::slowly_to(server.port, Duration::from_millis(400)).await;
    let store = connect(&format!("{}?pool={POOL}", proxy.url())).await;
    store.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![entry]).store(store);
    let client = Client::new(app).await.unwrap();
    let mut calls = Busy::calling(&client, "entry");
    let begun = Instant::now();
    while calls.answers.lock().unwrap().len() < POOL as usize {
        assert!(begun.elapsed() < Duration::from_secs(60), "the pool does not grow");
        calls.wait_for(10).await;
    }
    calls.end().await;
}
