//! A Redis Cluster of three nodes on free loopback ports, created by `redis-cli`.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::services::{Redis, free_port};

/// How long to wait until the nodes agree.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster. Dropping this value kills the nodes.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes. Each node stores a third of the keys.
    pub nodes: [Redis; 3],
}

impl Cluster {
    /// Starts a cluster and waits until its nodes agree on who stores which keys.
    ///
    /// # Panics
    /// If the nodes do not agree within 30 s.
    #[must_use]
    pub fn start() -> Self {
        let nodes = [(); 3].map(|()| {
            // The port of the cluster bus. By default it would be the node's port plus 10,000, which may not be free.
            let bus = free_port().to_string();
            let settings = [
                ("cluster-enabled", "yes"),
                ("cluster-port", &bus),
                ("appendonly", "yes"),
                ("appendfsync", "always"),
            ];
            Redis::start(&settings)
        });
        let cluster = Self { nodes };
        let addresses = cluster.nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port));
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.push("--cluster-yes");
        redis_cli(&create);
        cluster.wait_until_agreed();
        cluster
    }

    /// Moves `slots` hash slots of the first node to the second node, together with the records in them.
    ///
    /// # Panics
    /// If the hash slots cannot be moved.
    pub fn move_keys(&self, slots: u32) {
        let [from, to, _] = self.nodes.each_ref().map(|node| node.ask("CLUSTER MYID"));
        let address = format!("127.0.0.1:{}", self.nodes[0].port);
        let slots = slots.to_string();
        redis_cli(&[
            "--cluster",
            "reshard",
            &address,
            "--cluster-from",
            &from,
            "--cluster-to",
            &to,
            "--cluster-slots",
            &slots,
            "--cluster-yes",
        ]);
        self.wait_until_agreed();
    }

    fn wait_until_agreed(&self) {
        let deadline = Instant::now() + PATIENCE;
        for node in &self.nodes {
            while node.ask("CLUSTER INFO") != "cluster_state:ok" {
                assert!(Instant::now() < deadline, "the nodes do not agree");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn redis_cli(arguments: &[&str]) {
    let output = Command::new("redis-cli").args(arguments).output();
    let output = output.expect("`redis-cli` must be installed: it comes with the Redis server");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("ERR"), "{said}");
}
