//! Redis Sentinels on free loopback ports.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::services::{Redis, end, on_a_free_port, ready, redis_command};

/// The name under which the Sentinels monitor the primary.
pub const NAME: &str = "orders";
/// How long to wait until the Sentinels agree. After a pause of the machine, a Sentinel does nothing for 30 s.
const PATIENCE: Duration = Duration::from_secs(90);

/// Three Sentinels that monitor one primary and fail over within a few seconds. Dropping this value kills them.
#[derive(Debug)]
pub struct Sentinels {
    each: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    child: Child,
    _folder: TempDir,
    port: u16,
}

impl Sentinels {
    /// Starts Sentinels with more lines for their configuration, such as `requirepass secret`. Does not wait until they
    /// know each other.
    ///
    /// # Panics
    /// If a Sentinel cannot be started; its log is printed first.
    #[must_use]
    pub fn start(primary: &Redis, settings: &str) -> Self {
        let each = (0..3).map(|_| Sentinel::start(primary, settings)).collect();
        Self { each }
    }

    /// Waits until the Sentinels know each other, and `replicas` replicas that follow the primary. Returns the port of
    /// the primary.
    ///
    /// # Panics
    /// If that takes too long, or if the Sentinels ask for a password.
    pub fn wait_until_agreed(&self, replicas: usize) -> u16 {
        let known = format!("slaves={replicas},sentinels={}", self.each.len());
        let wait_for_all = || {
            self.wait_for(&known, |sentinel| {
                let said = sentinel.ask("INFO sentinel");
                said.contains("status=ok") && said.contains(&known)
            });
        };
        wait_for_all();
        let port = self.named(|_| true);
        // A Sentinel that has ended a failover forgets the replicas for a moment.
        wait_for_all();
        port
    }

    /// Cuts a primary off from the Sentinels and from its replicas, which promote one of the replicas. The primary lives
    /// on, and keeps the connections of its other clients.
    ///
    /// # Panics
    /// If the server does not answer, or if the Sentinels are not connected to it.
    pub fn cut_off(&self, primary: &Redis) {
        let said = primary.ask_in_one_connection(&["CONFIG SET requirepass cut-off", "CLIENT LIST"]);
        let of_sentinels = said.lines().filter(|line| line.contains(" name=sentinel-"));
        let ids = of_sentinels.filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
        let mut kills: Vec<_> = ids.map(|id| format!("CLIENT KILL ID {id}")).collect();
        assert!(kills.len() >= self.each.len(), "{said}");
        kills.push("CLIENT KILL TYPE replica".to_owned());
        kills.insert(0, "AUTH cut-off".to_owned());
        let kills: Vec<_> = kills.iter().map(String::as_str).collect();
        let _ = primary.ask_in_one_connection(&kills);
    }

    /// Waits until all Sentinels name the same primary, other than the one at this port, and returns its port.
    ///
    /// # Panics
    /// If no replica is promoted.
    #[must_use]
    pub fn wait_until_failed_over(&self, old: u16) -> u16 {
        self.named(|port| port != old)
    }

    /// Waits until all Sentinels name the same primary, and returns its port.
    fn named(&self, is_so: impl Fn(u16) -> bool) -> u16 {
        let named = |sentinel: &Sentinel| {
            let answer = sentinel.ask(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}"));
            answer.lines().nth(4).and_then(|port| port.parse::<u16>().ok())
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ports: Vec<_> = self.each.iter().map(named).collect();
            match ports[0] {
                Some(port) if is_so(port) && ports.iter().all(|other| *other == ports[0]) => return port,
                _ => assert!(Instant::now() < deadline, "the Sentinels name {ports:?}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The address for `OPERATOR_STORE`, with this name of the primary.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let hosts: Vec<String> = self
            .each
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port))
            .collect();
        format!("redis+sentinel://{}/{name}", hosts.join(","))
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Sentinel) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        for sentinel in &self.each {
            while !is_so(sentinel) {
                assert!(
                    Instant::now() < deadline,
                    "no {what}: {}",
                    sentinel.ask("INFO sentinel")
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Sentinel {
    fn start(primary: &Redis, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (child, port) = on_a_free_port(|port| {
            let text = format!(
                "bind 127.0.0.1\nport {port}\ndir .\nsentinel monitor {NAME} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {NAME} 4000\nsentinel failover-timeout {NAME} 3000\n{settings}\n",
                primary.port
            );
            std::fs::write(folder.path().join("sentinel.conf"), text).expect("the settings are written");
            let mut command = redis_command(folder.path());
            command.args(["sentinel.conf", "--sentinel"]).stdout(Stdio::piped());
            let mut child = command.spawn().expect("the Sentinel starts");
            let log = child.stdout.take().expect("the log is piped");
            ready(child, log, "+monitor")
        });
        let sentinel = Self {
            child,
            _folder: folder,
            port,
        };
        // Otherwise a Sentinel would leave a former primary that is back alone for eight seconds.
        sentinel.ask("SENTINEL DEBUG publish-period 200 info-period 500");
        sentinel
    }

    /// Sends one command and returns the whole answer.
    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the Sentinel listens");
        let mut answer = String::new();
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            // The Sentinel answers what it has read, and then closes the connection too.
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("the Sentinel answers");
        answer
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        end(&mut self.child, "KILL");
    }
}
