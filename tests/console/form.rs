//! The console's forms. Every value of a type can be entered in a form, and a mistake is shown at the field that
//! contains it.

use serde_json::{Value, json};

use super::browser::Browser;
use super::dev::Dev;
use super::person::{is_clean, open, send, text};

/// Types as users write them. Each has a value that must pass through the form unchanged.
mod zoo {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Animal {
        pub(super) name: String,
        pub(super) legs: Option<u64>,
        pub(super) weight: f64,
        pub(super) tame: bool,
        pub(super) kind: Kind,
        pub(super) food: Vec<Meal>,
        pub(super) ages: BTreeMap<String, u32>,
        pub(super) home: Home,
        pub(super) at: (i32, i32),
        pub(super) parent: Option<Box<Animal>>,
        pub(super) note: Option<Note>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum Kind {
        /// With feathers.
        Bird,
        /// With fins.
        DeepSeaFish,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Meal {
        pub(super) what: String,
        pub(super) grams: Vec<u32>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "type")]
    pub(super) enum Home {
        Cage { metres: f64 },
        Sea { depth: u32, name: Option<String> },
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) enum Note {
        Text(String),
        Numbers(Vec<i64>),
    }
}

#[test]
fn a_form_holds_every_value_of_its_type() {
    let animal = |parent| zoo::Animal {
        name: "Ana \"the\" ünïcorn".to_owned(),
        legs: Some(u64::MAX),
        weight: 1.5e-7,
        tame: false,
        kind: zoo::Kind::DeepSeaFish,
        food: vec![
            zoo::Meal {
                what: "hay".to_owned(),
                grams: vec![1, 2],
            },
            zoo::Meal {
                what: "oats".to_owned(),
                grams: Vec::new(),
            },
        ],
        ages: [("one".to_owned(), 1), (String::new(), 2)].into(),
        home: zoo::Home::Sea { depth: 7, name: None },
        at: (1, -2),
        parent,
        note: Some(zoo::Note::Numbers(vec![-1])),
    };
    let value = animal(Some(Box::new(animal(None))));
    let schema = serde_json::to_value(schemars::schema_for!(zoo::Animal)).unwrap();
    // The form does not send inputs that are null.
    let mut value = serde_json::to_value(value).unwrap();
    value["parent"].as_object_mut().unwrap().remove("parent");
    for path in ["", "/parent"] {
        value.pointer_mut(path).unwrap()["home"]
            .as_object_mut()
            .unwrap()
            .remove("name");
    }
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    let read = browser.run_async(&format!(
        "const [{{ objectField }}, {{ parse }}] = await Promise.all([import('/console/form.js'), import('/console/page.js')]);
         const schema = {};
         const form = objectField({{ schema, root: schema, within: [], path: () => '', label: '', required: true }});
         document.querySelector('form').append(form.node);
         form.write(parse({}));
         return {{ text: form.read(), paths: form.fields().map((field) => field.path()) }};",
        schema,
        Value::from(value.to_string())
    ));
    let text = read["text"].as_str().unwrap_or_else(|| panic!("{read}"));
    assert!(
        text.contains("18446744073709551615"),
        "a double cannot represent these digits: {text}"
    );
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
    let animal: zoo::Animal = serde_json::from_str(text).unwrap();
    assert_eq!(animal.legs, Some(u64::MAX));
    for path in [
        "food[1].what",
        "food[0].grams[1]",
        "ages.one",
        "home.depth",
        "at",
        "kind",
    ] {
        assert!(
            read["paths"].as_array().unwrap().contains(&json!(path)),
            "{path}: {}",
            read["paths"]
        );
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn wrong_inputs_are_shown_at_their_fields() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    let amount = browser.labelled("amount_cents");
    browser.fill(&amount, "plenty");
    send(&browser);
    assert_eq!(text(&browser, ".badge"), "400 Bad Request");
    told_at(&browser, &amount, "amount_cents");
    browser.fill(&amount, "");
    send(&browser);
    told_at(&browser, &amount, "amount_cents");
    // After the field is corrected, the mistake is no longer shown.
    browser.fill(&amount, "100");
    send(&browser);
    assert_eq!(
        browser.run("return document.querySelectorAll('[aria-invalid]').length"),
        0
    );
    // A mistake in a field of a nested object.
    browser.click("a[href='#/find_orders']");
    browser.until("document.querySelector('h1').innerText === 'find_orders' && document.querySelector('.parts')");
    let after = browser.labelled("placed_after");
    browser.fill(&after, "last week");
    send(&browser);
    told_at(&browser, &after, "placed_after");
    browser.fill(&after, "2020-01-01T00:00:00Z");
    send(&browser);
    assert_eq!(text(&browser, ".badge"), "200 OK");
    // A list, a choice between values, and the form edited as JSON.
    browser.click("a[href='#/open_ticket']");
    browser.until("document.querySelector('h1').innerText === 'open_ticket' && document.querySelector('.parts')");
    browser.press("Add to tags");
    browser.fill(&browser.labelled("tags 1"), "teapot");
    let priority = browser.labelled("priority");
    browser.click(&format!("{priority} option:nth-child(4)"));
    browser.press("Edit as JSON");
    let json = browser.run("return document.querySelector('#json').value");
    let sent: Value = serde_json::from_str(json.as_str().unwrap()).unwrap();
    assert_eq!(
        (&sent["tags"], &sent["priority"]),
        (&json!(["teapot"]), &json!("urgent"))
    );
    // Edited JSON is sent as the body without any change.
    let odd = "{ \"email\":\"a@b.example\",\"subject\":\"s\", \"body\":\"b\", \"tags\":[9007199254740993] }";
    browser.fill("#json", odd);
    send(&browser);
    assert_eq!(text(&browser, ".badge"), "400 Bad Request");
    let request = browser.run("return document.querySelector('[aria-label=Request]').textContent");
    assert!(request.as_str().unwrap().ends_with(odd), "{request}");
    // If the JSON cannot be parsed, the form is not shown, and the mistake is shown at the JSON.
    browser.fill("#json", "{ nonsense");
    browser.press("Edit as JSON");
    assert!(text(&browser, "#json-error").contains("not valid JSON"));
    is_clean(&browser, &dev);
}

#[test]
fn a_field_without_json_is_reported_if_nothing_can_be_sent() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "recent_orders");
    // A GET with an input that may be any JSON. No example program has such a GET, so the form is built here.
    browser.run_async(
        "const { EndpointView } = await import('/console/endpoint.js');
         const endpoint = { name: 'recent_orders', method: 'GET', url: '', effect: '', description: '', source: '', order: ['any'],
           inputs: { type: 'object', properties: { any: {} } }, outputs: {}, examples: '{}', is_recorded: false };
         const view = new EndpointView(endpoint, () => {});
         document.querySelector('#view').replaceChildren(...view.nodes);",
    );
    browser.fill(&browser.labelled("any (JSON)"), "{ nonsense");
    let is_told =
        "document.querySelector('#trouble').innerText.startsWith('A field marked (JSON) does not contain valid JSON')";
    // The preview shows the same mistake. So the message is removed first, to see that the button shows it again.
    browser.until(is_told);
    for button in ["Send", "Edit as JSON"] {
        browser.run("document.querySelector('#trouble').textContent = ''");
        browser.press(button);
        browser.until(is_told);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Checks that the field is marked as wrong, that its description contains the mistake, and that the field has the
/// focus.
fn told_at(browser: &Browser, field: &str, name: &str) {
    browser.until(&format!(
        "document.querySelector('{field}').getAttribute('aria-invalid') === 'true'"
    ));
    let mistake = browser.run(&format!(
        "const field = document.querySelector('{field}');
         return field.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id).innerText).join(' ')"
    ));
    assert!(mistake.as_str().unwrap().contains(name), "{mistake}");
    assert_eq!(
        browser.run(&format!(
            "return document.activeElement === document.querySelector('{field}')"
        )),
        true
    );
}
