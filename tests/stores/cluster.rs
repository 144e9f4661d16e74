//! A Redis Cluster of three nodes. Each operation goes to the node that stores its key, even after the key has moved to
//! another node.

use std::collections::BTreeSet;
use std::time::Duration;

use operator_runtime::store::{OperationId, RedisStore, Store as _, Swap, contract};
use tests::cluster::Cluster;
use tests::proof::Row;

use crate::claim;

const OPERATIONS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract_on_all_its_nodes() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(&cluster.nodes[0].url()).await.unwrap();
    assert_eq!(store.warning(), None);
    store.ping().await.unwrap();
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
    Row::of_the_contract("Redis, a cluster").record();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_a_cluster_moves_are_found_on_their_new_node() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(&cluster.nodes[1].url()).await.unwrap();
    for operation in 0..OPERATIONS {
        let claimed = claim(&store, &operation.to_string()).await;
        assert!(matches!(claimed, Ok(Swap::Swapped(_))), "{claimed:?}");
    }
    let kept = || cluster.nodes.each_ref().map(|node| node.ask("DBSIZE"));
    let before = kept();
    assert!(!before.contains(&":0".to_owned()), "each node has a record: {before:?}");
    assert_eq!(cluster.nodes[1].ask("SCRIPT FLUSH"), "+OK");
    cluster.move_keys(1_500);
    assert_ne!(kept(), before, "no record has moved");
    for operation in 0..OPERATIONS {
        let again = claim(&store, &operation.to_string()).await;
        assert!(matches!(again, Ok(Swap::Held { .. })), "{operation}: {again:?}");
    }
    assert_eq!(listed(&store).await.len(), OPERATIONS);
}

/// The ids of all operations, read page by page.
async fn listed(store: &RedisStore) -> BTreeSet<OperationId> {
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.list(OperationId::all(), after, 20).await.unwrap();
        found.extend(page.records.iter().map(|listed| listed.id));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_replicas_confirms_no_write() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(&format!("{}?wait=1", cluster.nodes[0].url()))
        .await
        .unwrap();
    store.keep_for(Duration::from_secs(60));
    for operation in 0..5 {
        let error = claim(&store, &operation.to_string()).await.unwrap_err().to_string();
        assert!(error.contains("0 of 1 replicas"), "{error}");
    }
}
