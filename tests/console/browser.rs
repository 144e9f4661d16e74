//! Controls Chromium through Debian's chromedriver (W3C WebDriver). Each window has its own profile.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Keys that have no character, as WebDriver encodes them (W3C WebDriver §17.4.2).
pub(crate) const TAB: &str = "\u{E004}";
pub(crate) const ENTER: &str = "\u{E007}";
pub(crate) const SPACE: &str = " ";
pub(crate) const END: &str = "\u{E010}";
pub(crate) const BACKSPACE: &str = "\u{E003}";
const SHIFT: &str = "\u{E008}";

/// A browser window. Dropping this value closes the window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

/// Starts a chromedriver. chromedriver picks a free IPv4 port, and ends if the IPv6 port with the same number is not
/// free. Then it is started again.
fn start_driver() -> (Child, u16) {
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver drives this test's browser, and must be installed (Debian: apt-get install chromium chromium-driver)");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.rsplit_once("successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        if let Some(port) = port {
            std::thread::spawn(move || lines.for_each(drop));
            return (driver, port);
        }
        let _ = driver.wait();
    }
    panic!("chromedriver ended ten times before it listened");
}

impl Browser {
    /// Opens a browser that resolves no host names except this machine's own and `rebound.example`, which resolves to
    /// this machine.
    pub(crate) fn open() -> Self {
        let (driver, port) = start_driver();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP rebound.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            &profile,
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "timeouts": { "script": 15_000 },
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let session = browser.ask("POST", "/session", &wanted);
        session["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.size(1360, 900);
        // Discards the requests of the browser's first page, which does not belong to the console.
        browser.go("about:blank");
        browser.requested();
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.send(method, path, body);
        assert_eq!(status, 200, "{method} {path} {body}: {value}");
        value
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        exchange(self.port, &request).unwrap()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    pub(crate) fn go(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    pub(crate) fn size(&self, width: u32, height: u32) {
        self.command("/window/rect", &json!({ "width": width, "height": height }));
    }

    /// Runs a script in the page and returns its result.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script in the page that waits for something, and returns its result.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {script} }})().then(done, (error) => done(String(error)));"
        );
        self.command("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true. The expression is checked after each change of the page.
    pub(crate) fn until(&self, expression: &str) {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const holds = () => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }};
             if (holds()) return done(true);
             const observer = new MutationObserver(() => {{ if (holds()) {{ observer.disconnect(); done(true); }} }});
             observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});"
        );
        let path = format!("/session/{}/execute/async", self.session);
        let (status, _) = self.send("POST", &path, &json!({ "script": script, "args": [] }));
        let page = || self.run("return document.body.innerText");
        assert_eq!(status, 200, "never so: {expression}\n{}", page().as_str().unwrap());
    }

    fn element(&self, selector: &str) -> String {
        let found = self.command("/element", &json!({ "using": "css selector", "value": selector }));
        // The field name that WebDriver uses for element references (W3C WebDriver §12).
        found["element-6066-11e4-a52e-4f735466cecf"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.command(&format!("/element/{element}/click"), &json!({}));
    }

    /// Clicks the button with this text.
    pub(crate) fn press(&self, text: &str) {
        let selector = format!("//button[normalize-space() = '{text}' and not(@hidden)]");
        let found = self.command("/element", &json!({ "using": "xpath", "value": selector }));
        let element = found["element-6066-11e4-a52e-4f735466cecf"].as_str().unwrap();
        self.command(&format!("/element/{element}/click"), &json!({}));
    }

    /// Replaces the content of a field by typing, as a person does.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.command(&format!("/element/{element}/clear"), &json!({}));
        self.command(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// The selector of the control whose label begins with this name.
    pub(crate) fn labelled(&self, name: &str) -> String {
        let id = self.run(&format!(
            "return [...document.querySelectorAll('label')].find((label) => label.querySelector('.name')?.textContent === {})?.htmlFor",
            Value::from(name)
        ));
        format!(
            "#{}",
            id.as_str().unwrap_or_else(|| panic!("no field is labelled {name}"))
        )
    }

    /// Presses keys one after the other at the current focus.
    pub(crate) fn keys(&self, keys: &str) {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| [("keyDown", key), ("keyUp", key)])
            .map(|(kind, key)| json!({ "type": kind, "value": key.to_string() }))
            .collect();
        self.command(
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] }),
        );
    }

    /// Presses Shift+Tab, which moves the focus back to the previous control.
    pub(crate) fn shift_tab(&self) {
        let press = |kind: &str, key: &str| json!({ "type": kind, "value": key });
        let presses = [
            press("keyDown", SHIFT),
            press("keyDown", TAB),
            press("keyUp", TAB),
            press("keyUp", SHIFT),
        ];
        self.command(
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] }),
        );
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.command("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Sets the colour scheme that the person prefers: `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let path = format!("/session/{}/screenshot", self.session);
        decode_base64(self.ask("GET", &path, &Value::Null).as_str().unwrap())
    }

    /// The messages that the page has written to the browser's console since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().unwrap().iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Every URL that the browser has requested since the last call.
    pub(crate) fn requested(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({ "type": "performance" }));
        let events = log
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| -> Value { serde_json::from_str(entry["message"].as_str().unwrap()).unwrap() });
        events
            .filter(|event| event["message"]["method"] == "Network.requestWillBeSent")
            .map(|event| {
                event["message"]["params"]["request"]["url"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let request = format!(
                "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.session, self.port
            );
            // An error means that the browser has already ended.
            let _ = exchange(self.port, &request);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Sends a request and returns the status and the `value` of the answer. Reads as many bytes as the answer's length
/// says, because the browser inherits the connection from chromedriver and keeps it open.
fn exchange(port: u16, request: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (mut status, mut length, mut line) = (0, 0, String::new());
    while reader.read_line(&mut line)? > 2 {
        let lower = line.trim_end().to_lowercase();
        if let Some(rest) = lower.strip_prefix("http/1.1 ") {
            status = rest
                .split(' ')
                .next()
                .and_then(|code| code.parse().ok())
                .unwrap_or_default();
        }
        if let Some(rest) = lower.strip_prefix("content-length:") {
            length = rest.trim().parse().unwrap_or_default();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut answer: Value = serde_json::from_slice(&body)?;
    Ok((status, answer["value"].take()))
}

/// Decodes Base64 with padding (RFC 4648 §4).
fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = ALPHABET.iter().position(|other| *other == letter).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}
