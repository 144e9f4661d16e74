//! Builds programs of this workspace and runs them as processes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::{PUBLIC_URL, SECRET};

/// Builds a program and returns its path.
///
/// # Panics
/// If the program cannot be built.
#[must_use]
pub fn build(package: &str, profile: &str) -> PathBuf {
    let mut cargo = cargo_build(package, ["--bin", package]);
    cargo.args(["--profile", profile]);
    built_once(package, profile, cargo)
}

/// Builds an example of a package and returns its path.
///
/// # Panics
/// The same as for [`build`].
#[must_use]
pub fn build_example(package: &str, example: &str) -> PathBuf {
    built_once(package, example, cargo_build(package, ["--example", example]))
}

/// Builds a program and copies it into the test's own folder.
///
/// # Panics
/// If the program does not build.
#[must_use]
pub fn build_into(folder: &Path, package: &str) -> PathBuf {
    own_build(folder, package, None)
}

/// Like [`build_into`], with the fail points of `operator-runtime`.
///
/// # Panics
/// The same as for [`build_into`].
#[must_use]
pub fn build_with_fail_points(folder: &Path, package: &str) -> PathBuf {
    let wrapper = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/with-fail-points");
    own_build(folder, package, Some(wrapper))
}

fn own_build(folder: &Path, package: &str, wrapper: Option<&str>) -> PathBuf {
    // Cargo writes every build of a program to the same path, so only one test may build and copy at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _building = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let own = folder.join(package);
    let mut cargo = cargo_build(package, ["--bin", package]);
    if let Some(wrapper) = wrapper {
        cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    }
    copy_program(&executable(package, cargo), &own);
    own
}

/// Copies a program, so that the next build does not replace it.
///
/// # Panics
/// If the program cannot be copied.
pub fn copy_program(built: &Path, own: &Path) {
    // Another process copies the file. A file that is open for writing cannot be executed, and if this process wrote
    // the file, each process that another test starts meanwhile would inherit it open for a moment.
    let copied = Command::new("cp").args([built, own]).status().expect("cp runs");
    assert!(copied.success(), "{} is not copied", built.display());
}

/// These programs must not have the features that other packages turn on: tests show what happens without them.
const ALONE: [&str; 2] = ["billing", "linked-program"];

fn cargo_build(package: &str, target: [&str; 2]) -> Command {
    let mut cargo = cargo();
    cargo
        .args(["build", "--locked", "--message-format=json"])
        .args(target)
        .stderr(Stdio::inherit());
    // The features of the whole workspace are those of the tests, so that everything but the program is already compiled.
    if ALONE.contains(&package) {
        cargo.args(["-p", package])
    } else {
        cargo.arg("--workspace")
    };
    cargo
}

/// Cargo, in the folder of the workspace, as a person would run it.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    // Cargo has set these for the test. A build script that asks to run again when they change would do so in each build
    // that a test starts, and in the build of the next test. The one of ring asks for that, and then everything above
    // ring is compiled again.
    let of_this_test =
        |name: &str| name == "OUT_DIR" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_test)) {
        cargo.env_remove(name);
    }
    cargo
}

/// Runs `cargo build` once in each process for each program, because cargo takes half a second even if there is nothing to
/// do. `variant` is its profile, or the example.
fn built_once(package: &str, variant: &str, cargo: Command) -> PathBuf {
    static BUILT: Mutex<BTreeMap<[String; 2], PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = built.entry([package, variant].map(str::to_owned));
    program.or_insert_with(|| executable(package, cargo)).clone()
}

/// Runs `cargo build` and reads the path of the program from cargo's messages.
fn executable(package: &str, mut cargo: Command) -> PathBuf {
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{package} does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo prints text");
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.expect("the package has a program")
}

/// Runs a program until it ends, and returns its output.
///
/// # Panics
/// If the program fails; the message contains its output.
pub fn run(program: &Path, arguments: &[&str]) -> String {
    output_of(Command::new(program).args(arguments))
}

/// Runs a program until it ends in the folder of a server that keeps an audit, and returns its output.
///
/// # Panics
/// If the program fails; the message contains its output.
pub fn run_in(folder: &Path, program: &Path, arguments: &[&str]) -> String {
    let settings = [("OPERATOR_STORE", "sqlite:operator.db"), ("OPERATOR_AUDIT", "1d")];
    output_of(Command::new(program).args(arguments).current_dir(folder).envs(settings))
}

fn output_of(command: &mut Command) -> String {
    let output = command
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}:\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// A program that serves. Dropping this value kills the program.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The port at which the program serves.
    pub port: u16,
    /// The port that Prometheus scrapes, if the program serves metrics.
    pub metrics_port: Option<u16>,
    /// The port of the admin page, if the program serves one.
    pub admin_port: Option<u16>,
    /// The lines of the log until the program listened.
    pub first_lines: Vec<String>,
}

impl Server {
    /// Whether the OAuth issuer was too slow for this server's start. The issuer has 1.5 s for each document.
    #[must_use]
    pub fn missed_its_issuer(&self) -> bool {
        let says = |line: &String| line.contains("did not answer within");
        self.first_lines.iter().any(says)
    }

    /// Starts a program's `serve` in a folder, on a free port, and waits until the server listens.
    ///
    /// # Panics
    /// If the program ends before it listens; its log is printed first.
    #[must_use]
    pub fn start(program: &Path, folder: &Path) -> Self {
        Self::start_with(program, folder, &[])
    }

    /// Like [`start`](Self::start), with a store address.
    ///
    /// # Panics
    /// The same as for [`start`](Self::start).
    #[must_use]
    pub fn start_on(program: &Path, folder: &Path, store: &str) -> Self {
        Self::start_with(program, folder, &[("OPERATOR_STORE", store)])
    }

    /// Like [`start`](Self::start), with additional environment variables.
    ///
    /// # Panics
    /// The same as for [`start`](Self::start).
    #[must_use]
    pub fn start_with(program: &Path, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.arg("serve");
        Self::start_by(command, folder, environment)
    }

    /// Like [`start_with`](Self::start_with), but starts the program by a command that executes it in the end.
    ///
    /// # Panics
    /// The same as for [`start`](Self::start).
    #[must_use]
    pub fn start_by(command: Command, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let (server, log) = Self::start_with_log(command, folder, environment);
        // The rest of the log is read, because a program whose log nobody reads blocks when the pipe is full.
        std::thread::spawn(move || log.for_each(drop));
        server
    }

    /// Like [`start_by`](Self::start_by), and also returns the rest of the log. The caller has to read it.
    ///
    /// # Panics
    /// The same as for [`start`](Self::start).
    #[must_use]
    pub fn start_with_log(
        mut command: Command,
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> (Self, Lines<BufReader<ChildStderr>>) {
        let mut child = Self::serving(&mut command, folder, environment)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(child.stderr.take().expect("the log is piped")).lines();
        let mut seen = Vec::new();
        let (mut metrics_port, mut admin_port) = (None, None);
        let port = log.by_ref().map_while(Result::ok).find_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let port_of = |field: &str| entry["fields"][field].as_str()?.rsplit(':').next()?.parse().ok();
            metrics_port = metrics_port.or_else(|| port_of("metrics"));
            admin_port = admin_port.or_else(|| port_of("admin"));
            seen.push(line);
            port_of("address")
        });
        let port = port.unwrap_or_else(|| panic!("the server ended before it listened:\n{}", seen.join("\n")));
        let server = Self {
            child,
            port,
            metrics_port,
            admin_port,
            first_lines: seen,
        };
        (server, log)
    }

    /// A server that a test has started itself. It listens on `port`.
    #[must_use]
    pub fn adopt(child: Child, port: u16) -> Self {
        Self {
            child,
            port,
            metrics_port: None,
            admin_port: None,
            first_lines: Vec::new(),
        }
    }

    /// Sets the environment of these tests for a command that executes a program's `serve`.
    pub fn serving<'c>(command: &'c mut Command, folder: &Path, environment: &[(&str, &str)]) -> &'c mut Command {
        command
            .current_dir(folder)
            .env("OPERATOR_SIGNING_KEY", SECRET)
            .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
            .env("OPERATOR_LISTEN", "127.0.0.1:0")
            .env("OPERATOR_STORE", "sqlite:operator.db")
            .env("OPERATOR_LOG", "json")
            .env("OPERATOR_STOP_DELAY", "0")
            .env("RUST_LOG", "info")
            .envs(environment.iter().copied())
    }

    /// The id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGSTOP, which stops the process without telling it.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Sends SIGCONT, which lets the process continue.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends SIGTERM: the process finishes its running calls and then ends.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Waits until the process has closed its port.
    ///
    /// # Panics
    /// If the port is still open after 20 s.
    pub fn wait_until_closed(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < deadline, "the port stays open");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the process has ended by itself. Returns the exit code, or `None` if a signal ended the process.
    ///
    /// # Panics
    /// If the process has not ended after 20 s.
    pub fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.expect("kill runs").success(), "the server is gone");
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Sends SIGKILL and waits until the process has ended.
    pub fn kill(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The path of a program or package of another project, which `tests/exports/install` installs.
///
/// # Panics
/// If the program or package is not installed.
#[must_use]
pub fn installed(path: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/exports")
        .join(path);
    assert!(
        place.exists(),
        "{path} is not installed: run tests/exports/install, as tests/all does"
    );
    place
}
