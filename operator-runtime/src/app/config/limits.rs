//! The limits on the size and time of a request, its connection and its answer, and the builder methods that set them.

use std::time::Duration;

use super::Config;
use super::setting::SettingName;
use crate::app::start_error::StartProblem;

/// The largest allowed `Config::read_timeout`.
const LONGEST_READ: Duration = Duration::from_secs(3600);
/// The largest allowed `Config::idle_timeout`.
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 3600);
/// A head is read into a buffer of at least this many bytes.
const SMALLEST_HEAD: usize = 8192;
/// The slowest allowed speed of a body after its first second, in bytes per second.
const SLOWEST_BODY: u32 = 1024;
/// The slowest speed at which a caller may read an answer after the read timeout has passed, in bytes per second.
const SLOWEST_READER: u64 = 512 * 1024;
/// The largest default number of connections, because each connection uses memory.
const MOST_CONNECTIONS: u64 = 8192;

/// The limits, each with a default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) memory_for_bodies: usize,
    pub(crate) head: usize,
    pub(crate) unfinished_heads: usize,
    /// If `None`, the number is computed from the process's limit of file descriptors.
    pub(crate) connections: Option<usize>,
    pub(crate) read_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) handler_timeout: Duration,
    pub(crate) concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            memory_for_bodies: 256 * 1024 * 1024,
            head: 64 * 1024,
            unfinished_heads: 1024,
            connections: None,
            read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            handler_timeout: Duration::from_secs(60),
            concurrency: 1024,
        }
    }
}

impl Config {
    /// The largest body, in bytes; 1 MiB unless set.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// The memory for all request bodies that are being read, in bytes; 256 MiB unless set. If a body does not fit into
    /// the memory that is left, its request is refused with 503. A body that arrives together with its headers does not
    /// count.
    #[must_use]
    pub fn memory_for_bodies(mut self, bytes: usize) -> Self {
        self.limits.memory_for_bodies = bytes;
        self
    }

    /// The largest head of a request (URL and headers together), in bytes; 64 KiB unless set, and at least 8 KiB. A
    /// request with a longer head is refused with 431. Apart from a body, a connection uses at most two buffers of this
    /// size. The limit applies only to [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn head_limit(mut self, bytes: usize) -> Self {
        self.limits.head = bytes;
        self
    }

    /// The largest number of connections with an unfinished request head; 1024 unless set. If there is one more, the
    /// request whose head has been unfinished longest is refused with 503. The limit applies only to
    /// [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn unfinished_heads(mut self, heads: usize) -> Self {
        self.limits.unfinished_heads = heads;
        self
    }

    /// The largest number of connections. Unless set, it is three quarters of the file descriptors that the process may
    /// open (`ulimit -n`), but at most 8192. If one more connection is opened, the server closes the connection that
    /// has been idle longest. If no connection is idle, it closes the connection whose caller has been slowest to send
    /// a head or a body, or to read an answer. If handlers are running on all connections, the new connection is
    /// refused with 503. The limit applies only to [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.limits.connections = Some(most);
        self
    }

    /// The time limit for receiving a head, and then for receiving a body; 10 s unless set, and at most an hour. A
    /// slower request is refused with 408. After its first second, a body must also arrive at 1 KiB per second or
    /// faster. A caller has the same time to read the answer, plus one second for each 512 KiB of the answer; then the
    /// connection is closed.
    #[must_use]
    pub fn read_timeout(mut self, limit: Duration) -> Self {
        self.limits.read_timeout = limit;
        self
    }

    /// How long a connection without a request is kept open; 75 s unless set, and at most a day. The limit applies only
    /// to [`App::serve`](crate::App::serve).
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// The time limit of a handler whose endpoint has no `timeout` of its own; 60 s unless set.
    #[must_use]
    pub fn handler_timeout(mut self, limit: Duration) -> Self {
        self.limits.handler_timeout = limit;
        self
    }

    /// The largest number of calls that run at the same time; 1024 unless set. Further calls are refused with 503
    /// before they have any effect.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.limits.concurrency = calls;
        self
    }
}

impl Limits {
    /// How long after its start a body may be unfinished if `arrived` bytes have arrived.
    pub(crate) fn for_body(&self, arrived: usize) -> Duration {
        let paced = Duration::from_secs(1) + Duration::from_secs(arrived as u64) / SLOWEST_BODY;
        paced.min(self.read_timeout)
    }

    /// How long a caller may take to read an answer of this many bytes.
    pub(crate) fn for_answer(&self, bytes: u64) -> Duration {
        self.read_timeout + Duration::from_secs(bytes / SLOWEST_READER)
    }

    /// The largest number of connections: the number that is set, or else what the process's limit of file descriptors
    /// allows.
    pub(crate) fn connections(&self) -> usize {
        self.connections.unwrap_or_else(|| {
            let connections = descriptors().map_or(MOST_CONNECTIONS, |most| allowed(most).clamp(1, MOST_CONNECTIONS));
            usize::try_from(connections).unwrap_or(usize::MAX)
        })
    }

    /// A warning, if more connections are set than the process's limit of file descriptors allows.
    pub(crate) fn too_many_connections(&self) -> Option<String> {
        self.too_many_for(descriptors()?)
    }

    fn too_many_for(&self, descriptors: u64) -> Option<String> {
        let set = self.connections? as u64;
        let allowed = allowed(descriptors);
        (set > allowed).then(|| {
            let needed = set.saturating_mul(4).div_ceil(3);
            format!(
                "`Config::connections` is {set}, but the process may open only {descriptors} files (`ulimit -n`), and the store, the log and the handlers need some of them: let it open {needed}, or set `Config::connections` to at most {allowed}"
            )
        })
    }

    /// A problem for each limit that would refuse every call or keep a connection open too long.
    pub(super) fn problems(&self) -> impl Iterator<Item = StartProblem> {
        let zero = [
            ("Config::body_limit", self.body == 0),
            ("Config::memory_for_bodies", self.memory_for_bodies == 0),
            ("Config::unfinished_heads", self.unfinished_heads == 0),
            ("Config::connections", self.connections == Some(0)),
            ("Config::read_timeout", self.read_timeout.is_zero()),
            ("Config::idle_timeout", self.idle_timeout.is_zero()),
            ("Config::handler_timeout", self.handler_timeout.is_zero()),
            ("Config::concurrency", self.concurrency == 0),
        ];
        let zero = zero.into_iter().filter(|(_, is_zero)| *is_zero).map(|(method, _)| {
            problem(
                method,
                "is 0, so no call could be answered: set it to more than 0, or leave it out to use the default",
            )
        });
        let too_long = [
            (self.read_timeout > LONGEST_READ).then_some(("Config::read_timeout", "an hour")),
            (self.idle_timeout > LONGEST_IDLE).then_some(("Config::idle_timeout", "a day")),
        ];
        let too_long = too_long.into_iter().flatten().map(|(method, longest)| {
            problem(
                method,
                &format!(
                    "is longer than {longest}, so anyone could keep a connection open for too long: make it {longest} or less"
                ),
            )
        });
        zero.chain(too_long)
            .chain(self.head_problem())
            .chain(self.body_problem())
    }

    fn head_problem(&self) -> Option<StartProblem> {
        (self.head < SMALLEST_HEAD).then(|| {
            problem(
                "Config::head_limit",
                &format!(
                    "is {} bytes, too few for a request's headers: make it {SMALLEST_HEAD} bytes or more",
                    self.head
                ),
            )
        })
    }

    fn body_problem(&self) -> Option<StartProblem> {
        (self.memory_for_bodies > 0 && self.memory_for_bodies < self.body).then(|| {
            problem(
                "Config::memory_for_bodies",
                &format!(
                    "is {} bytes, so a body as large as `Config::body_limit`, {} bytes, could never be read: make `Config::memory_for_bodies` at least as large",
                    self.memory_for_bodies, self.body
                ),
            )
        })
    }
}

/// How many file descriptors the process may open, if there is a limit.
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// How many connections so many file descriptors allow: three quarters. The other descriptors are left to the store, the
/// log and the handlers.
fn allowed(descriptors: u64) -> u64 {
    descriptors / 4 * 3
}

/// The problem of a limit. It names the builder method, because no environment variable sets a limit.
fn problem(method: &'static str, words: &str) -> StartProblem {
    let setting = SettingName::Method(method);
    StartProblem::of(setting, format!("{setting} {words}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_second_and_then_one_more_for_each_kibibyte() {
        let limits = Limits::default();
        assert_eq!(limits.for_body(0), Duration::from_secs(1));
        assert_eq!(limits.for_body(1536), Duration::from_millis(2500));
        assert_eq!(limits.for_body(1024 * 1024), limits.read_timeout);
        assert_eq!(limits.for_answer(100), limits.read_timeout);
        assert_eq!(
            limits.for_answer(1024 * 1024),
            limits.read_timeout + Duration::from_secs(2)
        );
    }

    #[test]
    fn more_connections_than_the_descriptors_allow_are_warned_of() {
        let warning = |connections| {
            let limits = Limits {
                connections,
                ..Limits::default()
            };
            limits.too_many_for(1024)
        };
        assert_eq!(warning(None), None);
        assert_eq!(warning(Some(768)), None);
        let warning = warning(Some(769)).unwrap();
        assert!(
            warning.contains("is 769, but")
                && warning.contains("let it open 1026,")
                && warning.ends_with("at most 768"),
            "{warning}"
        );
    }
}
