//! A program that serves, its log, and curl as its caller.

use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::caller::{SECRET, now, sign_with};
use tests::certificates::Certificate;
use tests::process::{Server, build};

use crate::authority::Client;

/// How long a line of the log may take. A changed file is taken up within ten seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that serves in a folder of its own.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    /// The certificate of the program, if it speaks https.
    pub(crate) certificate: Certificate,
    pub(crate) server: Server,
    pub(crate) log: Log,
}

/// The lines of a log, in their order.
pub(crate) struct Log(Mutex<Lines>);

struct Lines {
    next: Receiver<String>,
    seen: Vec<String>,
}

/// An answer as curl got it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status; 0 if there was no answer.
    pub(crate) status: u16,
    pub(crate) body: String,
    /// What curl says about a failure.
    pub(crate) said: String,
}

impl Desk {
    /// The support desk over https.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), environment)
    }

    /// The support desk over https, in a folder that contains files already. In the values, `{folder}` is the folder.
    pub(crate) fn start_in(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        Self::run("support-desk", folder, environment)
    }

    /// Any program of this workspace over https.
    pub(crate) fn run(package: &str, folder: TempDir, environment: &[(&str, &str)]) -> Self {
        let certificate = Certificate::of_this_machine();
        let (shown, key) = (place(&certificate.shown()), place(&certificate.key()));
        let mut all = vec![("OPERATOR_TLS_CERT", shown), ("OPERATOR_TLS_KEY", key)];
        let given = environment.iter();
        all.extend(given.map(|(name, value)| (*name, value.replace("{folder}", &place(folder.path())))));
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut command = Command::new(build(package, "dev"));
        command.arg("serve");
        let (server, lines) = Server::start_with_log(command, folder.path(), &all);
        let (send, receive) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self {
            folder,
            certificate,
            server,
            log: Log(Mutex::new(Lines {
                next: receive,
                seen: Vec::new(),
            })),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.server.port)
    }

    /// A curl that trusts the program's certificate.
    pub(crate) fn curl(&self) -> Curl {
        Curl::trusting(&self.certificate.authority())
    }

    /// Sends a signed call with `curl`.
    pub(crate) fn call(&self, curl: Curl, path: &str, key: &str, body: &str) -> Answer {
        curl.signed(path, key, body).get(&self.url(path))
    }

    /// Sends a signal, such as `HUP`.
    pub(crate) fn signal(&self, signal: &str) {
        let arguments = [format!("-{signal}"), self.server.pid().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }
}

impl Log {
    /// Waits for a line that contains all of these words, after the line for which the last call waited.
    pub(crate) fn wait_for(&self, words: &[&str]) -> String {
        let Lines { next, seen } = &mut *self.0.lock().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = next.recv_timeout(left) else {
                panic!("no line has {words:?}; the log is:\n{}", seen.join("\n"));
            };
            seen.push(line.clone());
            if words.iter().all(|words| line.contains(words)) {
                return line;
            }
        }
    }

    /// The number of lines with this text until now.
    pub(crate) fn count(&self, text: &str) -> usize {
        let Lines { next, seen } = &mut *self.0.lock().unwrap();
        seen.extend(next.try_iter());
        seen.iter().filter(|line| line.contains(text)).count()
    }
}

/// A run of curl.
pub(crate) struct Curl(Command);

impl Curl {
    /// A curl that trusts this authority.
    pub(crate) fn trusting(authority: &Path) -> Self {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "25", "--cacert"]).arg(authority);
        Self(command)
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Shows a client certificate.
    pub(crate) fn showing(mut self, client: &Client) -> Self {
        self.0.arg("--cert").arg(&client.certificate);
        self.0.arg("--key").arg(&client.key);
        self
    }

    /// Signs a POST with this body for this path.
    pub(crate) fn signed(self, path: &str, key: &str, body: &str) -> Self {
        self.signed_with(SECRET, path, key, body)
    }

    /// Signs a POST in the same way with another secret.
    pub(crate) fn signed_with(self, secret: &str, path: &str, key: &str, body: &str) -> Self {
        let timestamp = now();
        let signature = sign_with(secret, path, key, timestamp, body);
        self.posting(key, body).with(&[
            "-H",
            &format!("x-timestamp: {timestamp}"),
            "-H",
            &format!("x-signature: {signature}"),
        ])
    }

    /// Posts this body without a signature.
    pub(crate) fn posting(self, key: &str, body: &str) -> Self {
        self.with(&[
            "-H",
            "content-type: application/json",
            "-H",
            &format!("x-idempotency-key: {key}"),
            "--data-binary",
            body,
        ])
    }

    pub(crate) fn get(self, url: &str) -> Answer {
        let Output { stdout, stderr, .. } = self.with(&["-w", "\n%{http_code}"]).output(&[url]);
        let text = String::from_utf8(stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        Answer {
            status: status.parse().unwrap(),
            body: body.to_owned(),
            said: String::from_utf8(stderr).unwrap(),
        }
    }

    pub(crate) fn output(mut self, urls: &[&str]) -> Output {
        self.0.args(urls).output().expect("`curl` must be installed")
    }
}

impl Answer {
    /// The status and the last part of the problem's type.
    pub(crate) fn problem(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let kind = body["type"].as_str().unwrap_or("none");
        format!("{} {}", self.status, kind.rsplit(':').next().unwrap_or_default())
    }
}

/// Runs `openssl s_client` against a port, and returns whether it connected and what it printed.
pub(crate) fn s_client(desk: &Desk, arguments: &[&str]) -> (bool, String) {
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
            "-connect",
        ])
        .arg(format!("127.0.0.1:{}", desk.server.port))
        .arg("-CAfile")
        .arg(desk.certificate.authority())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The client ends when the server has answered and closed the connection. If the handshake fails, it reads nothing.
    let _ = stdin.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let _ = stdin.flush();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Runs a script with CPython; it gets these arguments. Returns what it prints.
pub(crate) fn python(script: &str, arguments: &[&str]) -> String {
    let output = Command::new("python3")
        .args(["-c", script])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout.lines().map(|line| line.unwrap() + "\n").collect()
}

/// Replaces a file as editors do: a new file is renamed over the old one. Only its owner may read it.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// A folder with these files, which only their owner may read.
pub(crate) fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        replace(&folder.path().join(name), text);
    }
    folder
}

pub(crate) fn place(path: &Path) -> String {
    path.display().to_string()
}

/// The folder's file of this name.
pub(crate) fn file(desk: &Desk, name: &str) -> PathBuf {
    desk.folder.path().join(name)
}
