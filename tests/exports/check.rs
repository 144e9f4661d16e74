//! Tests `manifest --check` with each kind of change in each format. The compared file looks as if an earlier version
//! of the support desk had written it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod earlier;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::caller::PUBLIC_URL;
use tests::process;

use self::earlier::Earlier;

const FORMATS: [&str; 4] = ["operator", "openapi", "openapi-3.0", "mcp"];

fn remove(list: &mut Value, value: &str) {
    list.as_array_mut().unwrap().retain(|one| one != value);
}

/// For each of these formats, edits the current document to be that of an earlier version, and returns what `--check`
/// reports about it.
fn said(formats: &[&'static str], edit: impl Fn(&mut Earlier)) -> Vec<String> {
    let program = process::build("support-desk", "dev");
    let folder = tempfile::tempdir().unwrap();
    let in_format = |format: &&'static str| {
        let text = process::run(&program, &["manifest", "--format", format]);
        let mut earlier = Earlier {
            format,
            document: serde_json::from_str(&text).unwrap(),
        };
        edit(&mut earlier);
        let file = folder.path().join("kept.json");
        fs::write(&file, serde_json::to_string_pretty(&earlier.document).unwrap() + "\n").unwrap();
        let (code, report) = check(&program, format, &file);
        assert_eq!(code, Some(1), "{format}: {report}");
        format!("{format}: {report}")
    };
    formats.iter().map(in_format).collect()
}

fn check(program: &Path, format: &str, file: &Path) -> (Option<i32>, String) {
    let output = Command::new(program)
        .args(["manifest", "--format", format, "--check", file.to_str().unwrap()])
        .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
    )
}

/// Checks that the reports list exactly these changes as breaking, and no other changes.
fn breaks(formats: &[&'static str], edit: impl Fn(&mut Earlier), sentences: &[&str]) {
    for report in said(formats, edit) {
        let breaking: Vec<&str> = report.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
        assert_eq!(breaking, sentences, "{report}");
        assert!(
            report.contains("These changes break callers:") && !report.contains("break no caller"),
            "{report}"
        );
    }
}

fn breaks_nobody(formats: &[&'static str], edit: impl Fn(&mut Earlier), sentences: &[&str]) {
    for report in said(formats, edit) {
        let harmless: Vec<&str> = report.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
        assert_eq!(harmless, sentences, "{report}");
        assert!(
            report.contains("These changes break no caller:") && !report.contains("break callers"),
            "{report}"
        );
    }
}

#[test]
fn an_input_that_takes_less() {
    breaks(
        &FORMATS,
        |earlier| earlier.inputs("find_orders")["properties"]["limit"]["maximum"] = json!(50),
        &[
            "`find_orders` now accepts fewer values for `limit` (at most 20): this breaks callers that send more than 20 for `limit`",
        ],
    );
    breaks(
        &FORMATS,
        |earlier| earlier.parameter("recent_orders", "limit")["minimum"] = json!(0),
        &[
            "`recent_orders` now accepts fewer values for `limit` (at least 1): this breaks callers that send less than 1 for `limit`",
        ],
    );
    breaks(
        &FORMATS,
        |earlier| earlier.inputs("refund_order")["properties"]["amount_cents"]["type"] = json!("number"),
        &[
            "`refund_order` now accepts fewer values for `amount_cents` (only the type integer): this breaks callers that send a number for `amount_cents`",
        ],
    );
}

#[test]
fn an_input_becomes_required_or_is_removed_or_renamed() {
    breaks(
        &FORMATS,
        |earlier| remove(&mut earlier.inputs("open_ticket")["required"], "subject"),
        &["`open_ticket` now needs `subject`: this breaks callers that leave `subject` out"],
    );
    breaks(
        &FORMATS,
        |earlier| {
            if earlier.is_openapi() {
                earlier.endpoint("recent_orders")["parameters"][0]["required"] = json!(false);
            } else {
                remove(&mut earlier.inputs("recent_orders")["required"], "email");
            }
        },
        &["`recent_orders` now needs `email`: this breaks callers that leave `email` out"],
    );
    breaks(
        &FORMATS,
        |earlier| earlier.inputs("refund_order")["properties"]["note"] = json!({ "type": "string" }),
        &["`refund_order` no longer accepts `note`: this breaks callers that send `note`"],
    );
    breaks(
        &FORMATS,
        |earlier| {
            let inputs = earlier.inputs("refund_order");
            let properties = inputs["properties"].as_object_mut().unwrap();
            let amount = properties.remove("amount_cents").unwrap();
            properties.insert("cents".to_owned(), amount);
            let required = inputs["required"].as_array_mut().unwrap();
            *required.iter_mut().find(|one| *one == "amount_cents").unwrap() = json!("cents");
        },
        &["`refund_order` now accepts `cents` under the name `amount_cents`: this breaks callers that send `cents`"],
    );
}

#[test]
fn an_answer_lacks_a_field_or_has_another_kind_of_value() {
    let refund = "/properties/refunds/items";
    breaks(
        &FORMATS,
        |earlier| earlier.outputs("order_refunds", "Refund", refund)["properties"]["by"] = json!({ "type": "string" }),
        &["`order_refunds` no longer answers with `refunds[].by`: this breaks callers that read `refunds[].by`"],
    );
    breaks(
        &FORMATS,
        |earlier| {
            let reason = &mut earlier.outputs("order_refunds", "Refund", refund)["properties"]["reason"];
            reason["type"] = json!("string");
            reason.as_object_mut().unwrap().remove("nullable");
        },
        &[
            "`order_refunds` may now answer with null for `refunds[].reason`: this breaks callers that do not expect null there",
        ],
    );
}

#[test]
fn another_method_or_path_or_name_is_reported() {
    let with_places = ["operator", "openapi", "openapi-3.0"];
    breaks(
        &with_places,
        |earlier| {
            if earlier.is_openapi() {
                let path = &mut earlier.document["paths"]["/orders/find"];
                let operation = path["post"].take();
                *path = json!({ "put": operation });
            } else {
                earlier.endpoint("find_orders")["method"] = json!("PUT");
            }
        },
        &["`find_orders` is now a POST; it was a PUT: this breaks callers that send a PUT"],
    );
    breaks(
        &with_places,
        |earlier| {
            if earlier.is_openapi() {
                let path = earlier.document["paths"]["/refunds"].take();
                let paths = earlier.document["paths"].as_object_mut().unwrap();
                paths.remove("/refunds");
                paths.insert("/refund".to_owned(), path);
            } else {
                earlier.endpoint("refund_order")["url"] = json!(format!("{PUBLIC_URL}/refund"));
            }
        },
        &[
            "`refund_order` is now at http://127.0.0.1:8080/refunds: this breaks callers that call and sign http://127.0.0.1:8080/refund",
        ],
    );
    let rename = |earlier: &mut Earlier| {
        let key = if earlier.is_openapi() { "operationId" } else { "name" };
        earlier.endpoint("refund_order")[key] = json!("pay_back");
    };
    let renamed = "`pay_back` is now named `refund_order`: this breaks callers that know it as `pay_back`";
    breaks(&with_places, rename, &[renamed]);
    // In the MCP format, a tool has no method and no URL. So nothing shows that the renamed tool is still the same
    // endpoint.
    let [report] = &said(&["mcp"], rename)[..] else {
        unreachable!()
    };
    assert!(
        report.contains("`pay_back` was removed: this breaks callers that call `pay_back`"),
        "{report}"
    );
    assert!(report.contains("`refund_order` is new"), "{report}");
}

#[test]
fn an_endpoint_that_is_gone() {
    for report in said(&FORMATS, |earlier| {
        let mut copy = earlier.endpoint("open_ticket").clone();
        match earlier.format {
            "mcp" => {
                copy["name"] = json!("close_ticket");
                earlier.document["tools"].as_array_mut().unwrap().push(copy);
            }
            "operator" => {
                copy["name"] = json!("close_ticket");
                copy["url"] = json!(format!("{PUBLIC_URL}/tickets/close"));
                earlier.document["endpoints"].as_array_mut().unwrap().push(copy);
            }
            _ => {
                copy["operationId"] = json!("close_ticket");
                earlier.document["paths"]["/tickets/close"] = json!({ "post": copy });
            }
        }
    }) {
        assert!(
            report.contains("`close_ticket` was removed: this breaks callers that call "),
            "{report}"
        );
        assert!(
            report.contains("POST http://127.0.0.1:8080/tickets/close") || report.contains("call `close_ticket`"),
            "{report}"
        );
    }
}

#[test]
fn an_event_is_no_longer_handled_or_its_answer_lacks_a_field() {
    breaks(
        &["openapi"],
        |earlier| {
            let mut copy = earlier.document["webhooks"]["conversation.ended"].clone();
            copy["post"]["operationId"] = json!("conversation.rated");
            earlier.document["webhooks"]["conversation.rated"] = copy;
        },
        &["the event `conversation.rated` is no longer handled: this breaks callers that send `conversation.rated`"],
    );
    breaks_nobody(
        &["openapi"],
        |earlier| {
            let webhooks = earlier.document["webhooks"].as_object_mut().unwrap();
            webhooks.remove("conversation.ended").unwrap();
        },
        &["the event `conversation.ended` is now handled"],
    );
    breaks(
        &["openapi"],
        |earlier| {
            let event = &mut earlier.document["webhooks"]["conversation.setup"]["post"];
            let schema = &mut event["requestBody"]["content"]["application/json"]["schema"];
            schema["properties"]["payload"]["properties"]["channel"]["required"] = json!([]);
        },
        &[
            "`conversation.setup` now needs `payload.channel.type`: this breaks callers that leave `payload.channel.type` out",
        ],
    );
}

#[test]
fn what_only_one_format_says() {
    breaks(
        &["mcp"],
        |earlier| {
            earlier.endpoint("refund_order")["annotations"]["readOnlyHint"] = json!(true);
            earlier.endpoint("open_ticket")["annotations"]["idempotentHint"] = json!(true);
        },
        &[
            "`open_ticket` now takes effect again with each call (idempotentHint): this breaks callers that repeat a call whose answer was lost",
            "`refund_order` is no longer read-only (readOnlyHint): this breaks callers that call it without asking a person",
        ],
    );
    breaks(
        &["openapi", "openapi-3.0"],
        |earlier| {
            let types = earlier.document["components"]["schemas"].as_object_mut().unwrap();
            let ticket = types.remove("Ticket").unwrap();
            types.insert("Opened".to_owned(), ticket);
            let responses = &mut earlier.endpoint("open_ticket")["responses"];
            responses["200"]["content"]["application/json"]["schema"]["$ref"] = json!("#/components/schemas/Opened");
        },
        &["the type `Opened` was removed: this breaks callers that generate code from the document and use this type"],
    );
    breaks_nobody(
        &["openapi", "openapi-3.0"],
        |earlier| {
            let responses = earlier.endpoint("refund_order")["responses"].as_object_mut().unwrap();
            responses.remove("404").unwrap();
        },
        &["`refund_order` may now also answer with a 404"],
    );
}

#[test]
fn an_effect_becomes_weaker_or_a_problem_gets_another_status() {
    breaks(
        &FORMATS,
        |earlier| {
            *earlier.effect("notify_customer") = json!("transactional");
            *earlier.effect("refund_order") = json!("read_only");
            if earlier.format == "mcp" {
                earlier.endpoint("refund_order")["annotations"]["readOnlyHint"] = json!(true);
            }
        },
        &[
            "`notify_customer` is now at most once; it was transactional: this breaks callers that rely on one call having exactly one effect",
            "`refund_order` is now transactional; it was read only: this breaks callers that call it without asking a person, because it changed nothing",
        ],
    );
    for report in said(&FORMATS, |earlier| {
        if earlier.is_openapi() {
            let responses = earlier.endpoint("refund_order")["responses"].as_object_mut().unwrap();
            let not_found = responses.remove("404").unwrap();
            responses.insert("410".to_owned(), not_found);
        } else {
            earlier.guarantees("refund_order")["problems"]["no-such-order"] = json!([410]);
        }
    }) {
        let told = "  - `refund_order` now answers `no-such-order` with status 404 instead of 410: this breaks callers that expect 410\n";
        assert!(report.contains(told), "{report}");
    }
    breaks_nobody(
        &FORMATS,
        |earlier| *earlier.effect("notify_customer") = json!("rerunnable"),
        &["`notify_customer` is now at most once; it was rerunnable"],
    );
}

#[test]
fn what_breaks_nobody() {
    breaks_nobody(
        &FORMATS,
        |earlier| earlier.inputs("find_orders")["properties"]["limit"]["maximum"] = json!(10),
        &["`find_orders` describes `limit` differently, or accepts more values for `limit`"],
    );
    breaks_nobody(
        &FORMATS,
        |earlier| {
            earlier.inputs("open_ticket")["properties"]
                .as_object_mut()
                .unwrap()
                .remove("tags")
                .unwrap();
        },
        &["`open_ticket` now also accepts `tags`, which is optional"],
    );
    breaks_nobody(
        &FORMATS,
        |earlier| earlier.endpoint("refund_order")["description"] = json!("Refunds."),
        &["`refund_order` has a different description"],
    );
    breaks_nobody(
        &FORMATS,
        |earlier| {
            earlier.outputs("open_ticket", "Ticket", "")["properties"]
                .as_object_mut()
                .unwrap()
                .remove("message")
                .unwrap();
            remove(&mut earlier.outputs("open_ticket", "Ticket", "")["required"], "message");
        },
        &["`open_ticket` now also answers with `message`"],
    );
    breaks_nobody(
        &FORMATS,
        |earlier| match earlier.format {
            "mcp" => drop(earlier.document["tools"].as_array_mut().unwrap().pop()),
            "operator" => drop(earlier.document["endpoints"].as_array_mut().unwrap().pop()),
            _ => drop(
                earlier.document["paths"]
                    .as_object_mut()
                    .unwrap()
                    .remove("/refunds")
                    .unwrap(),
            ),
        },
        &["`refund_order` is new"],
    );
    for report in said(&["openapi", "openapi-3.0"], |earlier| {
        earlier.document["info"]["title"] = json!("Ours");
    }) {
        assert!(
            report.contains("The file describes the same endpoints in a different form"),
            "{report}"
        );
    }
}

#[test]
fn a_recursive_input_beside_another_that_changed() {
    let zoo = process::build_example("tests", "zoo");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.json");
    let mut earlier: Value = serde_json::from_str(&process::run(&zoo, &["manifest"])).unwrap();
    let mut endpoints = earlier["endpoints"].as_array_mut().unwrap().iter_mut();
    let tree = endpoints.find(|one| one["name"] == "tree").unwrap();
    tree["inputs"]["properties"]["others"]
        .as_object_mut()
        .unwrap()
        .remove("items")
        .unwrap();
    tree["inputs"]["$defs"]["Tree"]["properties"]["name"] = json!({});
    fs::write(&file, earlier.to_string()).unwrap();
    let (code, report) = check(&zoo, "operator", &file);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("`tree` now accepts fewer values for `value.name` (only the type string)"),
        "{report}"
    );
}

#[test]
fn a_file_of_another_format_is_recognised_and_layout_alone_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.json");
    let zoo = process::build_example("tests", "zoo");
    let programs = [process::build("support-desk", "dev"), zoo];
    for (program, format) in programs
        .iter()
        .flat_map(|program| FORMATS.map(|format| (program, format)))
    {
        let text = process::run(program, &["manifest", "--format", format]);
        fs::write(&file, &text).unwrap();
        for other in FORMATS {
            let (code, report) = check(program, other, &file);
            if other == format {
                assert_eq!((code, report.as_str()), (Some(0), ""), "{format}");
            } else {
                assert_eq!(code, Some(1));
                assert!(
                    report.contains("kept.json is not ") && report.contains("Write the file again"),
                    "{report}"
                );
            }
        }
        let value: Value = serde_json::from_str(&text).unwrap();
        fs::write(&file, value.to_string()).unwrap();
        let (code, report) = check(program, format, &file);
        assert_eq!(code, Some(1));
        assert!(report.contains("Only its layout differs."), "{report}");
    }
}
