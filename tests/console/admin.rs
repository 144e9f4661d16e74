//! The admin page of the support desk: a person signs in, sees an e-mail of which nobody knows whether it was sent, and
//! settles the operation.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::caller::{Answer, post, send};
use tests::process::{Server, build, run_in};

use super::browser::{Browser, ENTER, TAB};
use super::looks::{faint_texts, picture};
use super::person::text;

const TOKEN: &str = "0123456789abcdef-ana";

/// A support desk with an admin page. Its outbox does not confirm e-mails until `repair`.
struct Desk {
    server: Server,
    folder: TempDir,
}

impl Desk {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/full", folder.path().join("outbox")).unwrap();
        Self::start_in(folder, more)
    }

    fn start_in(folder: TempDir, more: &[(&str, &str)]) -> Self {
        let outbox = folder.path().join("outbox");
        let tokens = format!("ana={TOKEN}");
        let mut environment = vec![
            ("SUPPORT_DESK_OUTBOX", outbox.to_str().unwrap()),
            ("OPERATOR_ADMIN", "127.0.0.1:0"),
            ("OPERATOR_ADMIN_TOKENS", &tokens),
        ];
        environment.extend(more);
        let server = Server::start_with(&build("support-desk", "dev"), folder.path(), &environment);
        Self { server, folder }
    }

    fn repair(&self) {
        fs::remove_file(self.folder.path().join("outbox")).unwrap();
    }

    fn notify(&self, key: &str) -> Answer {
        let body = json!({ "email": "ana@example.com", "message": "It arrives on Thursday." });
        post(self.server.port, "/notifications", key, &body.to_string()).unwrap()
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.admin_port.unwrap())
    }

    /// Sends a request as the page does, but for these headers. An empty value leaves a header out.
    fn ask(&self, method: &str, path: &str, changed: &[(&str, &str)], body: &str) -> Answer {
        let host = self.host();
        let (origin, token) = (format!("http://{host}"), format!("Bearer {TOKEN}"));
        let own = [
            ("Host", host.as_str()),
            ("Origin", &origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Authorization", &token),
            ("Content-Type", "application/json"),
        ];
        let value = |name: &str, own| {
            changed
                .iter()
                .find(|(other, _)| *other == name)
                .map_or(own, |(_, value)| *value)
        };
        let headers: String = own
            .iter()
            .map(|(name, own)| (name, value(name, own)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
        send(self.server.admin_port.unwrap(), &request).unwrap()
    }

    fn open(&self) -> Browser {
        let browser = Browser::open();
        browser.go(&format!("http://{}/admin", self.host()));
        browser.until("document.querySelector('#token')");
        browser
    }

    fn signed_in(&self) -> Browser {
        let browser = self.open();
        browser.fill("#token", TOKEN);
        browser.fill("#name", "Ana Silva");
        browser.press("Sign in");
        browser.until("document.querySelector('section h2')");
        browser
    }
}

const WAITING: &str = "[aria-label=\"Waiting for a decision\"] tbody a";

#[test]
fn an_unknown_outcome_appears_on_the_page_and_is_settled_there_as_done() {
    let desk = Desk::start();
    let browser = desk.open();
    browser.fill("#token", "0123456789abcdef-eve");
    browser.fill("#name", "Eve");
    browser.press("Sign in");
    browser.until("document.querySelector('#trouble').innerText.includes('not a token')");
    browser.fill("#token", TOKEN);
    browser.fill("#name", "Ana Silva");
    browser.press("Sign in");
    browser.until("document.body.innerText.includes('Nothing waits for a decision.')");

    // The list is shown while the operation ends.
    assert_eq!(desk.notify("<b>notice</b>").status, 500);
    browser.until(&format!("document.querySelector('{WAITING}')"));
    assert_eq!(text(&browser, "[role=status]"), "1 operation waits for a decision.");
    assert!(text(&browser, "[aria-label=\"Waiting for a decision\"]").contains("<b>notice</b>"));
    browser.click(WAITING);
    browser.until("document.querySelector('#decision-title')");
    let facts = text(&browser, ".facts");
    assert!(facts.contains("<b>notice</b>") && facts.contains("unknown"), "{facts}");
    assert!(
        text(&browser, ".call").contains("OPERATOR_AUDIT"),
        "how to see the inputs"
    );

    assert!(
        !text(&browser, "main").contains("null"),
        "what is not known is left out"
    );
    browser.press("It was done");
    is_readable(&browser, 25);
    browser.press("Record that it was done");
    browser.press("Yes, it was done");
    browser.until("document.querySelector('form > .mistake').innerText.includes('does not fit')");
    let message = "<img src=x onerror=\"document.title='run'\"> is on its way.";
    browser.fill(&browser.labelled("message"), message);
    picture(&browser, "admin-decision", "dark", (1200, 800));
    browser.press("Record that it was done");
    assert!(text(&browser, "dialog").contains("Ana Silva"), "whose name is recorded");
    browser.press("Cancel");
    browser.press("Record that it was done");
    browser.press("Yes, it was done");
    browser.until("document.querySelector('.facts').innerText.includes('by Ana Silva')");
    assert!(text(&browser, "[role=status]").contains("retries get that answer"));
    let shown = text(&browser, "[aria-label=\"Answer's body\"]");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["message"], message);
    assert_eq!(browser.run("return document.querySelectorAll('img').length"), 0);
    assert_ne!(browser.run("return document.title"), "run");

    let retry = desk.notify("<b>notice</b>");
    assert_eq!((retry.status, retry.is_replay()), (200, true));
    assert_eq!(retry.json()["message"], message);
    is_clean(&browser, &desk);
}

#[test]
fn an_operation_that_was_not_done_runs_again_when_it_is_retried() {
    let desk = Desk::start();
    assert_eq!(desk.notify("notice").status, 500);
    desk.repair();
    let browser = desk.signed_in();
    browser.until(&format!("document.querySelector('{WAITING}')"));
    browser.click(WAITING);
    browser.until("document.querySelector('#decision-title')");
    is_readable(&browser, 25);
    // Decided with the keyboard alone.
    tab_to(&browser, "It was not done");
    browser.keys(ENTER);
    browser.until("document.querySelector('dialog[open]')");
    is_readable(&browser, 25);
    tab_to(&browser, "Yes, it was not done");
    browser.keys(ENTER);
    browser.until("document.querySelector('.outcome').innerText.includes('Nothing to decide')");
    is_readable(&browser, 20);
    browser.press("Free its part of the limits again");
    browser.until("document.querySelector('[role=status]').innerText.includes('Its part of the limits is free')");
    let retry = desk.notify("notice");
    assert_eq!((retry.status, retry.is_replay()), (200, false), "{}", retry.body);

    // Another person who still sees the old page is told what has happened.
    let operation = browser.run("return location.hash.slice(2)");
    let late = json!({ "operation": operation, "by": "Bo" }).to_string();
    let late = desk.ask("POST", "/admin/settle", &[], &late);
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(
        late.json()["detail"].as_str().unwrap().contains("cannot be settled"),
        "{}",
        late.body
    );
    is_clean(&browser, &desk);
}

#[test]
fn the_list_is_filtered_readable_and_used_with_the_keyboard() {
    let desk = Desk::start();
    for key in 0..12 {
        let body = json!({ "order_id": 1004, "amount_cents": 1 }).to_string();
        post(desk.server.port, "/refunds", &format!("refund-{key}"), &body).unwrap();
    }
    assert_eq!(desk.notify("notice").status, 500);
    let browser = desk.open();
    browser.fill("#token", TOKEN);
    browser.keys(&format!("{TAB}Ana{ENTER}"));
    browser.until(&format!("document.querySelector('{WAITING}')"));
    let rows = "document.querySelectorAll('[aria-label=\"Lately\"] tbody tr').length";
    assert_eq!(browser.run(&format!("return {rows}")), 13);
    is_readable(&browser, 60);
    browser.prefer("light");
    picture(&browser, "admin", "light", (1200, 800));

    browser.run("const outcome = document.querySelector('#outcome'); outcome.value = 'outcome_unknown'; outcome.dispatchEvent(new Event('change'))");
    browser.until(&format!("{rows} === 1"));
    // The list is asked for again and again, and the focus stays on the operation.
    browser.run(&format!("document.querySelector('{WAITING}').focus()"));
    assert_eq!(desk.notify("second").status, 500);
    browser.until(&format!("document.querySelectorAll('{WAITING}').length === 2"));
    browser.keys(ENTER);
    browser.until("document.querySelector('.facts')?.innerText.includes('notice')");
    is_clean(&browser, &desk);
}

#[test]
fn with_the_audit_inputs_are_shown_and_operations_are_found_by_them() {
    let desk = Desk::start_with(&[("OPERATOR_AUDIT", "90d")]);
    for order in [1004, 1009] {
        let body = json!({ "order_id": order, "amount_cents": 7, "reason": "<i>late</i>" }).to_string();
        assert_eq!(
            post(desk.server.port, "/refunds", &format!("refund-{order}"), &body)
                .unwrap()
                .status,
            200
        );
    }
    let browser = desk.signed_in();
    let rows = "document.querySelectorAll('[aria-label=\"Lately\"] tbody tr').length";
    browser.until(&format!("{rows} === 2"));
    browser.fill("#input", "order_id=1009");
    browser.keys(ENTER);
    browser.until(&format!("{rows} === 1"));
    browser.click("[aria-label=\"Lately\"] tbody a");
    browser.until("document.querySelector('[aria-label=\"Inputs\"]')");
    let inputs: Value = serde_json::from_str(&text(&browser, "[aria-label=\"Inputs\"]")).unwrap();
    assert_eq!(
        (&inputs["order_id"], &inputs["reason"]),
        (&json!(1009), &json!("<i>late</i>"))
    );
    assert_eq!(browser.run("return document.querySelectorAll('i').length"), 0);
    is_clean(&browser, &desk);
}

/// A refusal may quote an input that is secret. The person who looks the operation up does not see it, on the page or on
/// the command line.
#[test]
fn a_stored_answer_is_shown_without_what_it_quotes_of_a_secret_input() {
    let desk = Desk::start();
    let body = json!({ "email": "ana@example.com", "message": 20_251_234 }).to_string();
    let answer = post(desk.server.port, "/notifications", "notice", &body).unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("20251234"), "the caller gets it: {}", answer.body);
    let listed = desk.ask("GET", "/admin/operations", &[], "").json();
    let operation = listed["lately"]["shown"][0]["operation"].as_str().unwrap().to_owned();
    let page = desk.ask("GET", &format!("/admin/operations/{operation}"), &[], "");
    let show = |more: &[&str]| {
        let arguments = [&["operations", "show", &operation], more].concat();
        run_in(desk.folder.path(), &build("support-desk", "dev"), &arguments)
    };
    for shown in [page.body, show(&[]), show(&["--json"])] {
        assert!(shown.contains("(secret)") && !shown.contains("20251234"), "{shown}");
    }
}

#[test]
fn of_an_operation_that_its_server_lost_the_page_says_why_it_has_no_inputs() {
    let audit = [("OPERATOR_AUDIT", "90d")];
    let desk = Desk::start_with(&audit);
    // Nobody reads the pipe, so the handler waits for ever.
    desk.repair();
    let outbox = desk.folder.path().join("outbox");
    assert!(Command::new("mkfifo").arg(&outbox).status().unwrap().success());
    let browser = desk.signed_in();
    let Desk { mut server, folder } = desk;
    let port = server.port;
    let body = json!({ "email": "bo@example.com", "message": "It arrives on Thursday." }).to_string();
    let calling = thread::spawn(move || post(port, "/notifications", "notice", &body));
    browser.until("document.querySelector('[aria-label=\"Lately\"] tbody').innerText.includes('running')");
    server.kill();
    calling.join().unwrap().unwrap_err();

    let desk = Desk::start_in(folder, &audit);
    // The operation is lost when its lease ends, which takes longer than the browser waits.
    let deadline = Instant::now() + Duration::from_secs(60);
    while desk.ask("GET", "/admin/operations", &[], "").json()["waiting"]["all"] != 1 {
        assert!(Instant::now() < deadline, "the operation is not lost");
    }
    let browser = desk.signed_in();
    browser.until(&format!("document.querySelector('{WAITING}')"));
    browser.click(WAITING);
    browser.until("document.querySelector('#decision-title')");
    let shown = text(&browser, ".call");
    assert!(shown.contains("its server stopped before it wrote them"), "{shown}");
    is_clean(&browser, &desk);
}

#[test]
fn others_are_refused_and_a_token_in_an_address_is_not_used() {
    let api_key = "0123456789abcdef-agent";
    let desk = Desk::start_with(&[("OPERATOR_API_KEYS", &format!("agent={api_key}"))]);
    assert_eq!(desk.ask("GET", "/admin/operations", &[], "").status, 200);
    let bearer = |token: &str| format!("Bearer {token}");
    for (changed, status) in [
        (("Authorization", ""), 401),
        (("Authorization", bearer(api_key).as_str()), 401),
        (("Authorization", bearer(&TOKEN[1..]).as_str()), 401),
        (("Authorization", TOKEN), 401),
        (("Host", "rebound.example"), 403),
        (("Origin", "https://evil.example"), 403),
        (("Origin", "null"), 403),
        (("Sec-Fetch-Site", "cross-site"), 403),
    ] {
        let settle = json!({ "operation": "ab", "by": "Eve" }).to_string();
        for (method, path, body) in [
            ("GET", "/admin/operations", ""),
            ("POST", "/admin/settle", settle.as_str()),
        ] {
            let answer = desk.ask(method, path, &[changed], body);
            assert_eq!(answer.status, status, "{method} {path} {changed:?}: {}", answer.body);
            assert!(answer.head.contains("x-frame-options"), "{}", answer.head);
            assert!(answer.head.contains("x-request-id: "), "{}", answer.head);
        }
    }
    for path in [
        format!("/?token={TOKEN}"),
        format!("/admin?token={TOKEN}"),
        format!("/admin/operations?access_token={TOKEN}"),
    ] {
        let answer = desk.ask("GET", &path, &[("Authorization", "")], "");
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.body.contains("replace it"), "{}", answer.body);
    }
    for (method, path, body, status) in [
        ("GET", "/admin/operations?limit=1", "", 400),
        ("GET", "/admin/operations/xyz", "", 404),
        ("GET", "/admin/operations/abcdef", "", 404),
        ("PUT", "/admin/settle", "", 405),
        ("POST", "/admin/settle", "{", 400),
        ("POST", "/admin/settle", r#"{"operation":"ab","by":" "}"#, 400),
        ("GET", "/admin/nothing", "", 404),
        ("GET", "/nothing", "", 404),
        ("POST", "/", "", 405),
    ] {
        let answer = desk.ask(method, path, &[], body);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(
            answer.head.contains("x-request-id: "),
            "{method} {path}: {}",
            answer.head
        );
        assert!(
            answer.head.contains("x-frame-options"),
            "{method} {path}: {}",
            answer.head
        );
    }
    let start = desk.ask("GET", "/", &[("Authorization", ""), ("Origin", "")], "");
    assert_eq!(start.status, 303, "{}", start.head);
    for header in [
        "location: /admin",
        "x-frame-options: ",
        "x-request-id: ",
        "content-security-policy: ",
    ] {
        assert!(start.head.contains(header), "{}", start.head);
    }
    let rebound = desk.ask("GET", "/", &[("Authorization", ""), ("Host", "rebound.example")], "");
    assert_eq!(rebound.status, 403, "{}", rebound.head);
    let page = desk.ask("GET", "/admin", &[("Authorization", ""), ("Origin", "")], "");
    assert!(page.status == 200 && !page.body.contains(TOKEN), "{}", page.body);
    // The calls of the agent are answered at the other port only.
    assert_eq!(desk.ask("POST", "/refunds", &[], "{}").status, 404);
}

#[test]
fn a_program_whose_admin_page_could_be_misused_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let program = build("support-desk", "dev");
    let api_keys = ("OPERATOR_API_KEYS", "agent=0123456789abcdef-agent");
    for (environment, said) in [
        (vec![("OPERATOR_ADMIN", "127.0.0.1:0")], "set OPERATOR_ADMIN_TOKENS"),
        (
            vec![("OPERATOR_ADMIN_TOKENS", "a=0123456789abcdef")],
            "set OPERATOR_ADMIN",
        ),
        (
            vec![
                ("OPERATOR_ADMIN", "0.0.0.0:0"),
                ("OPERATOR_ADMIN_TOKENS", "a=0123456789abcdef"),
            ],
            "only on a loopback address",
        ),
        (
            vec![
                ("OPERATOR_ADMIN", "127.0.0.1:0"),
                ("OPERATOR_ADMIN_TOKENS", "a=0123456789abcde"),
            ],
            "fewer than 16 characters",
        ),
        (
            vec![
                ("OPERATOR_ADMIN", "127.0.0.1:0"),
                ("OPERATOR_ADMIN_TOKENS", "a=0123456789abcdef-agent"),
                api_keys,
            ],
            "equals the API key default/agent",
        ),
        (
            vec![
                ("OPERATOR_ADMIN", "localhost"),
                ("OPERATOR_ADMIN_TOKENS", "a=0123456789abcdef"),
            ],
            "OPERATOR_ADMIN is `localhost`",
        ),
    ] {
        let mut command = Command::new(&program);
        let output = Server::serving(command.arg("serve"), folder.path(), &environment)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && printed.contains(said),
            "{environment:?}: {printed}"
        );
    }
}

/// Checks the contrast of all texts in light and dark, of which there are at least `texts`, and that nothing is wider than
/// a window of 400 pixels.
fn is_readable(browser: &Browser, texts: u32) {
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(browser.run(&faint_texts(texts)), json!([]), "in {scheme}");
    }
    let metrics = json!({ "width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    let width = browser.run("return [innerWidth, document.documentElement.scrollWidth]");
    assert_eq!(width, json!([400, 400]));
    browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
}

/// Presses the Tab key until the element with this text has the focus.
fn tab_to(browser: &Browser, wanted: &str) {
    for _ in 0..40 {
        if browser.run("return document.activeElement.innerText") == wanted {
            return;
        }
        browser.keys(TAB);
    }
    panic!("{wanted} cannot be reached by Tab");
}

/// Checks that the page reported no error and requested nothing from other servers.
fn is_clean(browser: &Browser, desk: &Desk) {
    let complaints = browser.complaints();
    // The browser itself reports an answer of 401 or 409.
    let own = complaints
        .iter()
        .filter(|line| !line.contains("Failed to load resource"));
    assert_eq!(own.collect::<Vec<_>>(), Vec::<&String>::new());
    let page = format!("http://{}/admin", desk.host());
    let requested = browser.requested();
    let elsewhere: Vec<_> = requested.iter().filter(|url| !url.starts_with(&page)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}
