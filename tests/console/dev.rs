//! Runs the support desk's `dev` as a process, and calls its console without a browser.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tests::caller::{Answer, PUBLIC_URL, SECRET, send};
use tests::process::build;

/// A program that runs `dev` in its own folder. Dropping this value kills the program.
pub(crate) struct Dev {
    child: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Dev {
    pub(crate) fn start(package: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(build(package, "dev"))
            .arg("dev")
            .current_dir(folder.path())
            .env("OPERATOR_SIGNING_KEY", SECRET)
            .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
            .env("OPERATOR_LISTEN", "127.0.0.1:0")
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.strip_prefix("Serving at ")?.split(',').next()?.rsplit_once(':')?;
            port.parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            port: port.expect("`dev` says where it serves"),
            _folder: folder,
        }
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    /// The host name and port at which the browser reaches the program.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends a request with these headers and a `Content-Length`.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
        send(self.port, &request).unwrap()
    }

    /// The token that the console's page contains.
    pub(crate) fn token(&self) -> String {
        let page = self.send("GET", "/console", &[("Host", &self.host())], "");
        let (_, rest) = page.body.split_once("name=\"console-token\" content=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a request as the page does.
    pub(crate) fn ask(&self, path: &str, body: &Value) -> Answer {
        let (host, origin, token) = (self.host(), self.url(""), format!("Bearer {}", self.token()));
        let headers = [
            ("Host", host.as_str()),
            ("Origin", &origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Authorization", &token),
            ("Content-Type", "application/json"),
        ];
        self.send("POST", path, &headers, &body.to_string())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // An error means that the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
