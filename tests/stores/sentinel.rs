//! The primary that Sentinel names, and what is said if there is none.

use std::time::{Duration, Instant};

use operator_runtime::store::{RedisStore, Store as _, Swap};
use operator_runtime::testing::Client;
use operator_runtime::{App, endpoints};
use serde_json::json;
use tests::sentinel::{NAME, Sentinels};
use tests::services::Redis;

use crate::unconfirmed::{Runs, pay};
use crate::{KEPT, claim, confirmed};

/// How soon after a promotion a claim must be made.
const SOON: Duration = Duration::from_secs(15);

async fn refused(url: &str) -> String {
    RedisStore::connect(url).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_reach_the_replica_that_sentinel_promotes() {
    let mut first = Redis::start(KEPT);
    let second = first.replica_with(KEPT);
    let sentinels = Sentinels::start(&first, "");
    assert_eq!(sentinels.wait_until_agreed(1), first.port);
    let store = RedisStore::connect(&sentinels.url(NAME)).await.unwrap();
    assert!(store.describe().contains(NAME), "{}", store.describe());
    let Ok(Swap::Swapped(revision)) = claim(&store, "before").await else {
        panic!("not claimed")
    };
    first.wait_until_copied_to(&second);
    first.kill();
    assert_eq!(sentinels.wait_until_failed_over(first.port), second.port);
    let promoted = Instant::now();
    loop {
        match claim(&store, "before").await {
            Ok(Swap::Held { revision: held, .. }) => break assert_eq!(held, revision),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(promoted.elapsed() < SOON, "{error}"),
        }
    }
    assert!(matches!(claim(&store, "after").await.unwrap(), Swap::Swapped(_)));
}

/// Claims until the promoted replica has the claim of a new key. `wait` is the end of the address.
async fn until_a_former_primary_that_lives_on_is_left(wait: &str) {
    let first = Redis::start(KEPT);
    let replicas = [(); 2].map(|()| first.replica_with(KEPT));
    let sentinels = Sentinels::start(&first, "");
    sentinels.wait_until_agreed(replicas.len());
    let store = RedisStore::connect(&format!("{}{wait}", sentinels.url(NAME)))
        .await
        .unwrap();
    let Ok(Swap::Swapped(revision)) = claim(&store, "before").await else {
        panic!("not claimed")
    };
    for replica in &replicas {
        first.wait_until_copied_to(replica);
    }
    sentinels.cut_off(&first);
    let promoted = sentinels.wait_until_failed_over(first.port);
    let promoted = replicas.iter().find(|replica| replica.port == promoted).unwrap();
    let (begun, mut last) = (Instant::now(), None);
    for number in 0.. {
        // With `wait=1`, the former primary refuses each claim. Otherwise it makes the claims, and loses them.
        last = claim(&store, &format!("after-{number}")).await.err().or(last);
        if promoted.ask("DBSIZE") != ":1" {
            break;
        }
        assert!(begun.elapsed() < SOON, "the new primary gets no claim: {last:?}");
    }
    assert!(matches!(confirmed(&store, "before").await, Swap::Held { revision: held, .. } if held == revision));
    confirmed(&store, "last").await;
    assert!(
        first
            .ask_in_one_connection(&["AUTH cut-off", "ROLE"])
            .contains("master")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_primary_that_lives_on_is_left_when_no_replica_confirms_its_writes() {
    until_a_former_primary_that_lives_on_is_left("?wait=1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_primary_that_lives_on_is_left_when_sentinel_names_another() {
    until_a_former_primary_that_lives_on_is_left("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_up_says_which_sentinel_names_no_primary_and_why() {
    let mut primary = Redis::start(KEPT);
    let sentinels = Sentinels::start(&primary, "");
    let said = refused(&sentinels.url("other")).await;
    assert!(said.contains("monitors no primary named `other`"), "{said}");

    let said = refused("redis+sentinel://:hunter2@127.0.0.1:1/orders").await;
    assert!(said.contains("the Sentinel at 127.0.0.1:1 cannot be asked"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");

    let said = refused(&format!("redis+sentinel://127.0.0.1:{}/{NAME}", primary.port)).await;
    assert!(said.contains("cannot be asked"), "{said}");

    primary.kill();
    let said = refused(&sentinels.url(NAME)).await;
    let named = format!("names 127.0.0.1:{}, which cannot be used", primary.port);
    assert!(said.contains(&named), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_refused_while_no_primary_is_there_and_answered_afterwards() {
    let mut primary = Redis::start(KEPT);
    let sentinels = Sentinels::start(&primary, "");
    let store = RedisStore::connect(&sentinels.url(NAME)).await.unwrap();
    let runs = Runs::default();
    let app = App::new().only(endpoints![pay]).state(runs.clone()).store(store);
    let client = Client::new(app).await.unwrap();
    primary.kill();
    for call in ["1", "2"] {
        let refused = client.with_idempotency_key(call).call("pay", &json!({})).await;
        assert_eq!(
            (refused.status.as_u16(), refused.retry_after.is_some()),
            (503, true),
            "{refused:?}"
        );
    }
    primary.restart();
    for call in ["1", "2"] {
        let answer = client.with_idempotency_key(call).call("pay", &json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_the_primary_have_passwords_of_their_own() {
    let primary = Redis::start(&[("requirepass", "at@primary"), ("databases", "4")]);
    let password = format!("requirepass at&sentinel\nsentinel auth-pass {NAME} at@primary");
    let sentinels = Sentinels::start(&primary, &password);
    let url = sentinels.url(&format!("{NAME}/3")).replace("//", "//:at%40primary@");
    RedisStore::connect(&format!("{url}?sentinel_password=at%26sentinel"))
        .await
        .unwrap();
    for (wrong, why) in [
        (url.clone(), "cannot be asked"),
        (format!("{url}?sentinel_password=hunter2"), "cannot be asked"),
        (
            format!(
                "{}?sentinel_password=at%26sentinel",
                url.replace("at%40primary", "hunter2")
            ),
            "cannot be used",
        ),
    ] {
        let said = refused(&wrong).await;
        assert!(said.contains(why) && !said.contains("hunter2"), "{said}");
    }
}
