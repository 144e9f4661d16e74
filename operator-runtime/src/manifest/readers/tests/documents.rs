//! What documents for one reader leave out, and what the lint says about it.

use super::*;
use crate::endpoint::InputKey;

#[test]
fn a_long_name_is_never_shortened_because_the_server_would_not_know_it() {
    let long = |last: char| -> &'static str { format!("{}{last}", "a".repeat(63)).leak() };
    let endpoints = || {
        vec![
            endpoint(long('b'), GOOD),
            endpoint(long('c'), GOOD),
            endpoint("find_order", GOOD),
        ]
    };
    let (document, misfits) = written(endpoints(), "gemini");
    assert_eq!(document["tools"].as_array().unwrap().len(), 1);
    assert_eq!(misfits.len(), 2);
    assert!(
        misfits[0]
            .to_string()
            .contains("The name has 64 characters, but Gemini accepts at most 63")
    );
    assert!(
        misfits[0]
            .to_string()
            .ends_with("the document does not have the endpoint.")
    );
    let (document, misfits) = written(endpoints(), "openai");
    assert_eq!((document["tools"].as_array().unwrap().len(), misfits.len()), (3, 0));
}

#[test]
fn inputs_whose_names_are_refused_are_left_out_if_they_are_optional() {
    let of = |name: &'static str, optional: bool| {
        let input = <String as JsonInput>::INPUT.named(name, "What the customer says.");
        let input = if optional { input.default(|| "".into()) } else { input };
        Endpoint {
            inputs: Vec::leak(vec![input]),
            ..endpoint("find_order", GOOD)
        }
    };
    let long: &'static str = "a".repeat(65).leak();
    for (name, reader, is_accepted) in [
        ("last-name", "anthropic", true),
        ("last-name", "gemini", false),
        ("2nd", "anthropic", true),
        ("2nd", "gemini", false),
        ("größe", "anthropic", false),
        ("filter[id]", "anthropic", false),
        (long, "anthropic", false),
        (long, "gemini", false),
        ("größe", "openai", true),
    ] {
        let (document, misfits) = written(vec![of(name, true)], reader);
        let properties = document["tools"][0]["inputSchema"]["properties"].as_object().unwrap();
        assert_eq!(properties.contains_key(name), is_accepted, "{name} {reader}");
        assert_eq!(misfits.is_empty(), is_accepted, "{name} {reader}");
        let (document, _) = written(vec![of(name, false)], reader);
        assert_eq!(
            document["tools"].as_array().unwrap().len() == 1,
            is_accepted,
            "{name} {reader}"
        );
    }
}

#[test]
fn of_two_hundred_tools_the_first_are_kept_and_the_others_named() {
    let endpoints = || {
        (0..200)
            .map(|number| endpoint(format!("find_{number:03}").leak(), GOOD))
            .collect()
    };
    for name in ["openai", "gemini", "copilot"] {
        let (document, misfits) = written(endpoints(), name);
        assert_eq!(document["tools"].as_array().unwrap().len(), 128);
        assert_eq!(misfits.len(), 1);
        assert_eq!(misfits[0].place, Place::App);
        let said = misfits[0].to_string();
        assert!(
            said.starts_with("There are 200 tools, but ") && said.contains(" find_128, find_129,"),
            "{said}"
        );
        assert!(said.ends_with("find_199.") && !said.contains("find_127"), "{said}");
    }
    let (document, misfits) = written(endpoints(), "anthropic");
    assert_eq!((document["tools"].as_array().unwrap().len(), misfits.len()), (200, 0));
}

#[test]
fn long_descriptions_are_cut_between_characters() {
    let long: &'static str = format!("Finds an order. {}", "größe 😀 ".repeat(200)).leak();
    let unbroken: &'static str = "😀".repeat(1000).leak();
    for (description, cut) in [(long, "Finds an order."), (unbroken, "😀")] {
        let (document, misfits) = written(vec![endpoint("find_order", description)], "openai");
        let short = document["tools"][0]["description"].as_str().unwrap();
        assert!(
            short.encode_utf16().count() <= 1024 && short.starts_with(cut),
            "{short}"
        );
        assert!(!short.contains('\u{fffd}'));
        assert!(
            misfits[0]
                .to_string()
                .contains("but OpenAI accepts at most 1024; the document has its first")
        );
    }
    let exact: &'static str = format!("{}.", "x".repeat(1023)).leak();
    assert_eq!(written(vec![endpoint("find_order", exact)], "openai").1, []);
}

#[test]
fn the_openapi_document_for_gpt_actions_keeps_within_its_limits() {
    let details: &'static str = format!("Finds an order. {}", "Use it when one asks. ".repeat(40)).leak();
    let about: &'static str = "Some words. ".repeat(90).leak();
    let post = Endpoint {
        path: "/post",
        key: Some(InputKey {
            inputs: &["about"],
            decode: |_| Ok(()),
        }),
        inputs: Vec::leak(vec![<String as JsonInput>::INPUT.named("about", about)]),
        ..endpoint("post_order", details)
    };
    let get = Endpoint {
        method: Method::Get,
        effect: Effect::ReadOnly,
        path: "/get",
        inputs: Vec::leak(vec![<String as SearchInput>::INPUT.named("about", about)]),
        ..endpoint("get_order", details)
    };
    let unkeyed = Endpoint {
        path: "/unkeyed",
        ..endpoint("unkeyed", "Rings a bell.")
    };
    let (document, misfits) = written(vec![post, get, unkeyed], "gpt-actions");
    let [get, post] = [&document["paths"]["/get"]["get"], &document["paths"]["/post"]["post"]];
    for operation in [get, post] {
        let description = operation["description"].as_str().unwrap();
        assert!(
            (200..=300).contains(&description.len()) && description.ends_with("asks."),
            "{description}"
        );
    }
    let body = &post["requestBody"]["content"]["application/json"]["schema"]["properties"]["about"];
    for input in [&get["parameters"][0], body] {
        let description = input["description"].as_str().unwrap();
        assert!((600..=700).contains(&description.len()), "{description}");
    }
    assert_eq!(get["x-openai-isConsequential"], false);
    assert_eq!(post["x-openai-isConsequential"], true);
    assert_eq!(post["parameters"], json!([]));
    // An endpoint without `key(…)` has a list of its own, which the reader does not get either.
    assert_eq!(document["paths"]["/unkeyed"]["post"].get("security"), None);
    assert!(document.get("security").is_none() && document["components"].get("securitySchemes").is_none());
    let said: Vec<String> = misfits.iter().map(Misfit::to_string).collect();
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(
        said.iter()
            .any(|one| one.starts_with("get_order: input about: The description has "))
    );
    assert!(
        said.iter()
            .any(|one| one.starts_with("GPT Actions sends no headers of its own"))
    );
}

#[test]
fn every_reader_takes_an_app_without_endpoints() {
    for reader in &READERS {
        let none = model(Vec::new());
        let (text, misfits) = document(&none, reader).unwrap();
        assert_eq!(misfits.len(), usize::from(!reader.sends_headers), "{misfits:?}");
        if reader.sends_headers {
            assert_eq!(text, reader.format.write(&none).unwrap(), "{}", reader.name);
        }
    }
}

#[test]
fn schemas_without_named_types_are_published_too() {
    let schema = || json_schema!({ "type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX });
    for name in ["gemini", "copilot"] {
        let (about, _) = fitted(schema, name);
        let published = json!({ "type": "integer", "minimum": 0, "description": "What the customer says." });
        assert_eq!(about, published, "{name}");
    }
}

fn findings(endpoints: Vec<Endpoint>, name: &str) -> Vec<String> {
    let of = For {
        reader: reader(name),
        handler_timeout: Duration::from_secs(60),
    };
    let found = lint::findings(&model(endpoints), Some(of)).unwrap();
    let of_reader = found.iter().filter(|finding| finding.lint.name == "unfit_for_reader");
    of_reader.map(ToString::to_string).collect()
}

#[test]
fn lint_says_what_to_write_for_a_reader() {
    let found = findings(vec![one_input(SCHEMAS[1])], "openai");
    assert_eq!(found.len(), 1, "{found:?}");
    let lines: Vec<&str> = found[0].lines().collect();
    assert_eq!(
        lines[0],
        "warning[unfit_for_reader]: find_order: input about[][]: The value has one of several forms (`oneOf`), which OpenAI does not accept"
    );
    assert!(
        lines[1].starts_with("  at ") && lines[2].starts_with("  better: Give each form"),
        "{lines:?}"
    );
    let found = findings(vec![one_input(SCHEMAS[3])], "copilot");
    assert_eq!(found.len(), 2, "{found:?}");
    let twice = || json_schema!({ "allOf": [{ "$ref": "#/$defs/A" }], "type": "array", "prefixItems": [true], "$defs": { "A": { "oneOf": tagged(), "anyOf": tagged() } } });
    assert_eq!(findings(vec![one_input(twice)], "gemini").len(), 2);
    let allowed = Endpoint {
        allowed: &["unfit_for_reader"],
        ..one_input(SCHEMAS[1])
    };
    assert_eq!(findings(vec![allowed], "openai"), Vec::<String>::new());
}

#[test]
fn lint_compares_the_time_of_handlers_with_the_time_that_a_reader_waits() {
    let of = |seconds: Option<u64>| Endpoint {
        timeout: seconds.map(Duration::from_secs),
        ..endpoint("find_order", GOOD)
    };
    for (seconds, name, words) in [
        (
            Some(46),
            "gpt-actions",
            Some("The handler may run for 46s, but GPT Actions waits for only 45s"),
        ),
        (Some(45), "gpt-actions", None),
        (
            None,
            "gpt-actions",
            Some("Handlers of endpoints without a `timeout` may run for 1m, but GPT Actions waits for only 45s"),
        ),
        (None, "copilot", None),
        (Some(121), "copilot", Some("Copilot Studio waits for only 2m")),
        (Some(301), "anthropic", Some("Claude waits for only 5m")),
        (Some(9000), "openai", None),
    ] {
        let found = findings(vec![of(seconds)], name);
        let timed: Vec<&String> = found.iter().filter(|one| one.contains("waits for")).collect();
        assert_eq!(timed.len(), usize::from(words.is_some()), "{name}: {found:?}");
        if let Some(words) = words {
            assert!(timed[0].contains(words), "{timed:?}");
        }
    }
}
