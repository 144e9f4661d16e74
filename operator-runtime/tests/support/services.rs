//! Starts Redis and Postgres servers that are installed on this machine, each on a free loopback port and in its own
//! folder.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// How many ports are tried. A try fails if another process binds the free port first.
const PORTS: usize = 5;

/// A Redis server, or a Valkey server if Redis is not installed; dropping it kills the server.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    folder: TempDir,
    settings: Vec<(String, String)>,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl Redis {
    /// Starts a server with settings of `redis.conf`, and waits until the server answers. Without settings, it stores
    /// nothing on disk; `&[("appendonly", "yes"), ("appendfsync", "always")]` stores everything.
    ///
    /// # Panics
    /// If the server cannot be started; its log is printed first.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = owned(settings);
        let (child, port) = on_a_free_port(|port| spawn_redis(folder.path(), port, &settings));
        Self {
            child,
            folder,
            settings,
            port,
        }
    }

    /// The server's address for `OPERATOR_STORE`, with TLS if the server has a certificate.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if speaks_tls(&self.settings) { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Sends one command without TLS and returns the first line of the answer, or the second line if the first is a
    /// length.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).expect("the server answers")
    }

    /// Like [`ask`](Self::ask). Returns `None` if the server closes the connection.
    #[must_use]
    pub fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next()?;
        let line = if first.starts_with('$') {
            lines.next().unwrap_or_default()
        } else {
            first
        };
        Some(line.trim().to_owned())
    }

    /// Sends commands on one connection, and returns all answers as the server writes them.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn ask_in_one_connection(&self, commands: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        let mut answers = String::new();
        // The server answers what it has read, and then closes the connection too.
        stream
            .write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes())
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .and_then(|()| stream.read_to_string(&mut answers))
            .expect("the server answers");
        answers
    }

    /// Starts a replica of this server, and waits until the replica confirms writes.
    ///
    /// # Panics
    /// If the replica cannot be started.
    #[must_use]
    pub fn replica(&self) -> Self {
        self.replica_with(&[])
    }

    /// Like [`replica`](Self::replica), with settings of `redis.conf`.
    ///
    /// # Panics
    /// The same as for [`replica`](Self::replica).
    #[must_use]
    pub fn replica_with(&self, settings: &[(&str, &str)]) -> Self {
        let primary = format!("127.0.0.1 {}", self.port);
        let replica = Self::start(&[&[("replicaof", primary.as_str())], settings].concat());
        while !replica.ask("ROLE").contains('5') || self.ask("WAIT 1 100") != ":1" {
            std::thread::yield_now();
        }
        replica
    }

    /// Waits until a replica of this server has every write that this server has answered. `WAIT` cannot be asked for
    /// that: it waits only for writes of its own connection.
    ///
    /// # Panics
    /// If one of the servers does not answer.
    pub fn wait_until_copied_to(&self, replica: &Self) {
        let offset = |server: &Self| {
            let figure =
                r#"EVAL "return string.match(redis.call('INFO', 'replication'), 'master_repl_offset:(%d+)')" 0"#;
            server.ask(figure).parse::<u64>().expect("an offset")
        };
        let answered = offset(self);
        while offset(replica) < answered {
            std::thread::yield_now();
        }
    }

    /// Sends SIGSTOP: the server answers nothing until the returned value is dropped.
    pub fn freeze(&self) -> Frozen {
        Frozen::new([self.child.id()])
    }

    /// Sends SIGKILL and waits until the server has ended.
    pub fn kill(&mut self) {
        end(&mut self.child, "KILL");
    }

    /// Starts a killed server again as a replica of the server at another port of this machine.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn restart_as_a_replica_of(&mut self, port: u16) {
        self.settings.retain(|(name, _)| name != "replicaof");
        let setting = ("replicaof".to_owned(), format!("127.0.0.1 {port}"));
        self.settings.push(setting);
        self.restart();
    }

    /// Starts a killed server again, on the same port and in the same folder.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn restart(&mut self) {
        self.child = spawn_redis(self.folder.path(), self.port, &self.settings).unwrap_or_else(|log| panic!("{log}"));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The command that starts a Redis or Valkey server in a folder.
pub(super) fn redis_command(folder: &Path) -> Command {
    let program = ["redis-server", "valkey-server"]
        .into_iter()
        .find_map(on_path)
        .unwrap_or_else(|| panic!("there is no redis-server and no valkey-server: `tests/all` installs one"));
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

fn spawn_redis(folder: &Path, port: u16, settings: &[(String, String)]) -> Result<Child, String> {
    let mut command = redis_command(folder);
    command.args(["--bind", "127.0.0.1", "--save", "", "--dir", "."]);
    if speaks_tls(settings) {
        command.args(["--port", "0", "--tls-port", &port.to_string()]);
    } else {
        command.args(["--port", &port.to_string()]);
    }
    for (name, value) in settings {
        command.arg(format!("--{name}")).arg(value);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the server starts");
    let log = child.stdout.take().expect("the log is piped");
    ready(child, log, "Ready to accept connections")
}

fn speaks_tls(settings: &[(String, String)]) -> bool {
    settings.iter().any(|(name, _)| name == "tls-cert-file")
}

/// A Postgres server; dropping it kills the server.
#[derive(Debug)]
pub struct Postgres {
    pub(super) child: Child,
    pub(super) folder: TempDir,
    pub(super) settings: Vec<(String, String)>,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl Postgres {
    /// Starts a server with settings of `postgresql.conf`, and waits until the server answers. Without settings,
    /// commits are durable, as is Postgres's default; with `&[("synchronous_commit", "off")]`, they are not.
    ///
    /// # Panics
    /// If the server cannot be started; its log is printed first.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        make_cluster(folder.path());
        Self::start_in(folder, owned(settings))
    }

    /// Starts a server in a folder that has the data of a cluster.
    pub(super) fn start_in(folder: TempDir, settings: Vec<(String, String)>) -> Self {
        let (child, port) = on_a_free_port(|port| spawn_postgres(folder.path(), port, &settings));
        Self {
            child,
            folder,
            settings,
            port,
        }
    }

    /// The address of the server's first database for `OPERATOR_STORE`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Creates another database and returns its address, so that tests which share the server do not interfere.
    ///
    /// # Panics
    /// If there already is a database with this name.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let made = Command::new(postgres_programs().join("createdb"))
            .args(["--host", "127.0.0.1", "--username", "operator", "--port"])
            .arg(self.port.to_string())
            .arg(name)
            .status()
            .expect("createdb runs");
        assert!(made.success(), "the database {name} could not be created");
        self.url_of(name)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://operator@127.0.0.1:{}/{database}", self.port)
    }

    /// Sends SIGSTOP to each process of the server: the kernel still accepts connections, but nothing is answered until
    /// the returned value is dropped.
    ///
    /// # Panics
    /// If the processes cannot be found.
    pub fn freeze(&self) -> Frozen {
        let first = self.child.id();
        // The first process is frozen before the others, so that it starts no more processes.
        let mut frozen = Frozen::new([first]);
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.expect("the child processes are listed");
        frozen.extend(children.split_whitespace().filter_map(|id| id.parse().ok()));
        frozen
    }

    /// Sends SIGKILL to each process of the server, as if its machine had failed. The server cannot be started again.
    ///
    /// # Panics
    /// If the processes cannot be found.
    pub fn destroy(&mut self) {
        // Frozen first, so that no process acts on the end of another.
        let frozen = self.freeze();
        for process in &frozen.0 {
            signal(*process, "KILL");
        }
        drop(frozen);
        let _ = self.child.wait();
    }

    /// Stops the server at once, so that it needs recovery as after a crash, and waits until the server has ended.
    pub fn kill(&mut self) {
        end(&mut self.child, "QUIT");
    }

    /// Starts a killed server again, on the same port and with the same data.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn restart(&mut self) {
        self.child =
            spawn_postgres(self.folder.path(), self.port, &self.settings).unwrap_or_else(|log| panic!("{log}"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Processes that are frozen. They continue when this value is dropped. Until then, only SIGKILL ends them.
#[derive(Debug)]
#[must_use = "a dropped `Frozen` lets the processes continue at once"]
pub struct Frozen(Vec<u32>);

impl Frozen {
    fn new(processes: impl IntoIterator<Item = u32>) -> Self {
        let mut frozen = Self(Vec::new());
        frozen.extend(processes);
        frozen
    }

    fn extend(&mut self, processes: impl IntoIterator<Item = u32>) {
        for process in processes {
            signal(process, "STOP");
            self.0.push(process);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.0 {
            signal(*process, "CONT");
        }
    }
}

fn make_cluster(folder: &Path) {
    hand_over(folder);
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).expect("the folder is private");
    let output = postgres_command("initdb", folder)
        .args(["--username", "operator", "--auth", "trust", "--encoding", "UTF8"])
        .args(["--locale", "C.UTF-8", "--no-sync", "--pgdata", "data"])
        .output()
        .expect("initdb runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn spawn_postgres(folder: &Path, port: u16, settings: &[(String, String)]) -> Result<Child, String> {
    let mut command = postgres_command("postgres", folder);
    command.args([
        "-D",
        "data",
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
    ]);
    command.arg("-p").arg(port.to_string());
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
    let log = child.stderr.take().expect("the log is piped");
    // Also a standby, which is "ready to accept read-only connections".
    ready(child, log, "database system is ready to accept")
}

/// A command of Postgres, run as another user, because Postgres refuses to run as root.
pub(super) fn postgres_command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(postgres_programs().join(program));
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

/// Gives a file or folder to the user that runs Postgres.
pub(crate) fn hand_over(path: &Path) {
    if let Some((user, group)) = unprivileged() {
        chown(path, Some(user), Some(group)).expect("the owner is changed");
    }
}

/// The user that Debian's package creates, if the tests run as root.
pub(super) fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let me = std::fs::metadata("/proc/self").expect("a process knows itself").uid();
    (me == 0).then(|| {
        let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
        let postgres = users.lines().find_map(|line| {
            let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        postgres.expect("Postgres does not run as root, and there is no user `postgres`: `tests/all` installs both")
    })
}

/// Debian installs the server's programs outside the path, in a folder for each version.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    newest
        .map(|entry| entry.path().join("bin"))
        .or_else(|| on_path("initdb")?.parent().map(Path::to_owned))
        .unwrap_or_else(|| panic!("there is no Postgres server: `tests/all` installs one"))
}

pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let both = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    settings.iter().map(both).collect()
}

/// A free port outside the range from which the kernel takes the ports of outgoing connections, so that a server finds
/// its port free again after a restart.
///
/// # Panics
/// If all of these ports are in use.
#[must_use]
pub fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() % 20_000;
    let ports = std::iter::repeat_with(|| TRIED.fetch_add(1, Ordering::Relaxed)).take(20_000);
    let ports = ports.filter_map(|tried| u16::try_from(10_000 + (first + tried * 13) % 20_000).ok());
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}

/// Starts a server on a free port. Another process may bind the port first, so a server that ends at once is started
/// again on another port.
pub(super) fn on_a_free_port(mut start: impl FnMut(u16) -> Result<Child, String>) -> (Child, u16) {
    let mut log = String::new();
    for _ in 0..PORTS {
        let port = free_port();
        match start(port) {
            Ok(child) => return (child, port),
            Err(failed) => log = failed,
        }
    }
    panic!("the server ended before it was ready:\n{log}")
}

/// Waits for the log line that says that the server is ready. Returns the log as the error if the server ends before.
pub(super) fn ready(mut child: Child, log: impl Read + Send + 'static, sign: &str) -> Result<Child, String> {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    let is_ready = lines.by_ref().any(|line| {
        let found = line.contains(sign);
        seen.push(line);
        found
    });
    if is_ready {
        // The thread keeps reading the log, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(child)
    } else {
        let _ = child.wait();
        Err(seen.join("\n"))
    }
}

/// Sends a signal to a process that this test started, unless it has ended, and waits until it has ended.
pub(super) fn end(child: &mut Child, signal: &str) {
    if let Ok(None) = child.try_wait() {
        self::signal(child.id(), signal);
    }
    let _ = child.wait();
}

/// Sends a signal. An error is ignored, because the process may have ended meanwhile.
fn signal(process: u32, signal: &str) {
    let _ = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(process.to_string())
        .status();
}
