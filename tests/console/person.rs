//! What a person does in the console, with the mouse or only with the keyboard.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tests::caller::{PUBLIC_URL, SECRET, now};

use super::browser::{BACKSPACE, Browser, END, ENTER, SPACE, TAB};
use super::dev::Dev;
use super::looks::{faint_texts, picture};

/// Opens the console at a view. Waits until the request of the form is signed and shown.
pub(crate) fn open(dev: &Dev, view: &str) -> Browser {
    let browser = Browser::open();
    browser.go(&dev.url(&format!("/console#/{view}")));
    browser.until("document.querySelector('h1') && (document.querySelector('.parts') || document.querySelector('#pasted-request'))");
    browser
}

/// Checks that the page reported no error and requested nothing from other servers.
pub(crate) fn is_clean(browser: &Browser, dev: &Dev) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let requested = browser.requested();
    assert!(requested.len() > 5, "{requested:?}");
    let own = dev.url("/console");
    let elsewhere: Vec<_> = requested.iter().filter(|url| !url.starts_with(&own)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

/// Sends the form and waits for the answer.
pub(crate) fn send(browser: &Browser) {
    let before = calls(browser);
    browser.press("Send");
    browser.until(&format!(
        "document.querySelectorAll('#recent li').length > {before} && document.querySelector('.badge')"
    ));
}

fn calls(browser: &Browser) -> u64 {
    browser
        .run("return document.querySelectorAll('#recent li').length")
        .as_u64()
        .unwrap()
}

pub(crate) fn text(browser: &Browser, selector: &str) -> String {
    let script = format!("return document.querySelector({}).innerText", Value::from(selector));
    browser.run(&script).as_str().unwrap().to_owned()
}

pub(crate) fn body(browser: &Browser) -> Value {
    serde_json::from_str(&text(browser, "[aria-label=\"Answer's body\"]")).unwrap()
}

#[test]
fn a_call_is_filled_in_sent_repeated_and_replayed() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    assert_eq!(
        browser.run("return document.querySelectorAll('#endpoints a').length"),
        8,
        "six endpoints and two events"
    );
    let order = browser.labelled("order_id");
    assert_eq!(
        browser.run(&format!("return document.querySelector('{order}').value")),
        "1004",
        "the example is filled in"
    );
    browser.fill(&browser.labelled("amount_cents"), "1200");
    browser.fill(&browser.labelled("reason"), "It arrived “late”: 2 days");
    browser.until("document.querySelector('.parts').innerText.includes('1200')");
    let parts = text(&browser, ".parts");
    assert!(
        parts.contains(&format!("{PUBLIC_URL}/refunds")) && parts.contains("console-"),
        "{parts}"
    );
    send(&browser);
    assert_eq!(text(&browser, ".badge"), "200 OK");
    let first = body(&browser);
    assert_eq!(first["refunded_cents"], 1200);
    shown_request_is_signed_right(&browser);
    browser.press("Repeat with the same key");
    browser.until("document.querySelector('.badge.replayed')");
    assert_eq!(body(&browser), first, "the recorded answer");
    assert!(
        text(&browser, "#status").contains("replayed"),
        "a screen reader reads it out"
    );
    assert!(text(&browser, ".headers").contains("idempotent-replayed"));
    assert!(text(&browser, "#recent").contains("200 replayed"));
    // Sending the form again starts a new operation.
    send(&browser);
    assert_ne!(body(&browser)["refund_id"], first["refund_id"]);
    browser.click("a[href='#/order_refunds']");
    browser.until("document.querySelector('h1').innerText === 'order_refunds' && document.querySelector('.parts')");
    send(&browser);
    assert_eq!(body(&browser)["refunded_cents"], 2400, "two refunds for three requests");
    browser.press("Repeat with the same key");
    browser.until("document.querySelector('.remark')?.innerText.includes('read-only')");
    // An earlier call is shown again, with its request and answer.
    browser.click("#recent li:last-child button");
    browser.until("document.querySelector('h1').innerText === 'refund_order' && document.querySelector('.badge')");
    assert_eq!(body(&browser), first);
    let amount = browser.labelled("amount_cents");
    assert_eq!(
        browser.run(&format!("return document.querySelector('{amount}').value")),
        "1200"
    );
    is_clean(&browser, &dev);
}

/// Computes the signature of the parts that are shown, and compares it with the signature that is shown.
fn shown_request_is_signed_right(browser: &Browser) {
    let payload = browser.run("return document.querySelector('[aria-label=Payload]').textContent");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(payload.as_str().unwrap().as_bytes());
    let signature: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(text(browser, "[aria-label=Signature]"), signature);
    assert!(text(browser, "[aria-label=Request]").contains(&signature));
}

#[test]
fn the_form_shows_how_much_of_each_limit_is_used() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    let shows = |state: &str| {
        browser.until(&format!(
            "document.querySelector('.limits').innerText.includes('{state}')"
        ));
    };
    shows("The sum of amount_cents may be at most 10000 within 24 hours for each order_id: 0 used, 10000 left");
    browser.fill(&browser.labelled("amount_cents"), "1200");
    send(&browser);
    assert_eq!(text(&browser, ".badge"), "200 OK");
    shows("1200 used, 8800 left");
    // A retry counts once.
    browser.press("Repeat with the same key");
    browser.until("document.querySelector('.badge.replayed')");
    shows("1200 used, 8800 left");
    // Each order has a count of its own.
    browser.fill(&browser.labelled("order_id"), "1005");
    shows("0 used, 10000 left");
    browser.fill(&browser.labelled("order_id"), "");
    shows("Fill in order_id to see how much is used.");
    browser.click("a[href='#/order_refunds']");
    browser.until("document.querySelector('h1').innerText === 'order_refunds' && document.querySelector('.parts')");
    assert_eq!(browser.run("return document.querySelector('.limits').hidden"), true);
    is_clean(&browser, &dev);
}

#[test]
fn events_are_filled_in_and_each_is_a_new_one() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "conversation.setup");
    send(&browser);
    assert_eq!(text(&browser, ".badge"), "200 OK");
    let greeted = |name: &str| {
        let context = &body(&browser)["context"];
        assert_eq!(context["$customer"]["name"], name, "{context}");
        assert!(!context["open_orders"].as_array().unwrap().is_empty(), "{context}");
    };
    greeted("Ana");
    browser.fill(&browser.labelled("caller_no"), "+493012345679");
    send(&browser);
    greeted("Ben");
    // The same event is answered, but does not act again.
    browser.press("Repeat with the same key");
    browser.until("document.querySelector('.badge.replayed')");
    greeted("Ben");
    browser.click("a[href='#/conversation.ended']");
    browser
        .until("document.querySelector('h1').innerText === 'conversation.ended' && document.querySelector('.parts')");
    send(&browser);
    assert_eq!(
        (text(&browser, ".badge").as_str(), body(&browser)),
        ("200 OK", json!({}))
    );
    is_clean(&browser, &dev);
}

#[test]
fn the_keyboard_is_enough() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    let focused =
        || browser.run("const at = document.activeElement; return at === document.body ? '' : at.id || at.innerText");
    let tab_to = |wanted: &str| {
        for _ in 0..40 {
            browser.keys(TAB);
            if focused().as_str().unwrap().contains(wanted) {
                return;
            }
        }
        panic!("{wanted} cannot be reached by Tab");
    };
    browser.keys(TAB);
    assert_eq!(focused(), "Skip to the call");
    browser.keys(ENTER);
    assert_eq!(focused(), "main", "past the list of endpoints");
    browser.keys(TAB);
    browser.keys(TAB);
    assert_eq!(
        browser.run("return document.activeElement.labels[0].querySelector('.name').innerText"),
        "amount_cents"
    );
    browser.keys(END);
    browser.keys(BACKSPACE);
    tab_to("Send");
    browser.keys(ENTER);
    browser.until("document.querySelector('.badge')");
    assert_eq!(body(&browser)["refunded_cents"], 250);
    tab_to("Repeat with the same key");
    browser.keys(SPACE);
    browser.until("document.querySelector('.badge.replayed')");
    assert_eq!(body(&browser)["refunded_cents"], 250);
    // Moves on to another endpoint, whose heading gets the focus, and then into its fields.
    browser.shift_tab();
    assert_eq!(focused(), "Send");
    browser.run("document.activeElement.blur(); document.body.focus(); scrollTo(0, 0)");
    tab_to("order_refunds");
    browser.keys(ENTER);
    browser.until("document.activeElement.tagName === 'H1' && document.activeElement.innerText === 'order_refunds'");
    // The Enter key in a field sends the form.
    browser.keys(TAB);
    browser.keys(ENTER);
    browser.until("document.querySelector('.badge')");
    assert_eq!(text(&browser, ".badge"), "200 OK");
    is_clean(&browser, &dev);
}

#[test]
fn a_person_checks_a_wrong_signature() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    // Pastes the text that the console copied to the clipboard back into the console.
    browser.run("window.copied = ''; Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { window.copied = text; } } })");
    browser.fill(&browser.labelled("reason"), "it's late");
    browser.until("document.querySelector('.parts').innerText.includes('late')");
    browser.press("Copy as curl");
    browser.until("document.querySelector('#status').innerText === 'Copied.'");
    let copied = browser.run("return window.copied").as_str().unwrap().to_owned();
    browser.click("#check-link");
    browser.until("document.querySelector('#pasted-request')");
    let check = |request: &str, payload: &str, verdict: &str| {
        browser.fill("#pasted-request", request);
        browser.fill("#pasted-payload", payload);
        browser.press("Check");
        browser.until(&format!(
            "document.querySelector('.verdict')?.innerText === {}",
            Value::from(verdict)
        ));
        text(&browser, ".outcome")
    };
    let holds = check(&copied, "", "Valid");
    assert!(holds.contains("accepts the request"), "{holds}");
    let unknown = check(&copied.replace("1004", "1005"), "", "Unknown");
    assert!(unknown.contains("a signature does not reveal"), "{unknown}");
    let (url, key, at) = (format!("{PUBLIC_URL}/refunds/"), "k", now());
    let payload = format!("{url}:{key}:{at}:{{}}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    let signature: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = format!(
        "POST /refunds HTTP/1.1\nX-Idempotency-Key: {key}\nX-Timestamp: {at}\nX-Signature: {signature}\n\n{{}}"
    );
    let differs = check(&request, "", "Differs");
    assert!(
        differs.contains("What differs: URL") && differs.contains("trailing slash"),
        "{differs}"
    );
    let same = browser.run("return [...document.querySelectorAll('.row-same th')].map((one) => one.innerText).join()");
    assert_eq!(same, "X-Idempotency-Key,X-Timestamp,content,signing key");
    picture(&browser, "console-check", "dark", (1280, 960));
    assert_eq!(browser.run(&faint_texts(20)), json!([]));
    is_clean(&browser, &dev);
}
