//! Tests of the lints: each finds its mistake, and none reports a good description.

use std::time::Duration;

use schemars::{Schema, json_schema};

use super::findings;
use crate::endpoint::{Endpoint, EndpointLimits};
use crate::idempotency::effect::Effect;
use crate::input::{Input, JsonInput};
use crate::limit::{Counted, Limit};
use crate::manifest::model::Model;
use crate::manifest::served;
use crate::protocol::method::Method;
use crate::protocol::public_url::PublicUrl;

const GOOD: &str = "Lists a customer's latest orders, newest first. Use it when a customer asks where an order is.";

pub(in crate::manifest) fn endpoint(name: &'static str, description: &'static str) -> Endpoint {
    Endpoint {
        name,
        description,
        method: Method::Post,
        effect: Effect::AtMostOnce,
        inputs: &[],
        needs: &[],
        problems: &[],
        output: || json_schema!({ "type": "string" }),
        allowed: &[],
        ..served_parts()
    }
}

fn served_parts() -> Endpoint {
    let Endpoint {
        path,
        timeout,
        function,
        source,
        run,
        ..
    } = &served::ENDPOINT;
    Endpoint {
        name: "",
        description: "",
        deprecated: false,
        method: Method::Get,
        path,
        effect: Effect::ReadOnly,
        key: None,
        limits: None,
        timeout: *timeout,
        scope: None,
        tag: None,
        inputs: &[],
        needs: &[],
        output: Schema::default,
        problems: &[],
        function: *function,
        allowed: &[],
        source: *source,
        run: *run,
    }
}

fn public_url() -> PublicUrl {
    PublicUrl::parse("https://a.example").unwrap()
}

/// The names of the findings, each with its place.
fn found(endpoints: Vec<Endpoint>) -> Vec<String> {
    let endpoints: Vec<&'static Endpoint> = endpoints.into_iter().map(|one| &*Box::leak(Box::new(one))).collect();
    let found = findings(&Model::new(&endpoints, &public_url()), None).unwrap();
    found
        .iter()
        .map(|finding| format!("{} {}", finding.lint.name, finding.place))
        .collect()
}

#[test]
fn a_good_description_has_no_findings() {
    assert_eq!(found(vec![endpoint("recent_orders", GOOD)]), Vec::<String>::new());
}

#[test]
fn descriptions_must_say_what_is_done_and_when() {
    assert_eq!(
        found(vec![endpoint("recent_orders", "Recent orders.")]),
        [
            "short_description recent_orders",
            "repeated_name recent_orders",
            "no_occasion recent_orders"
        ]
    );
    const INPUTS: &[Input] = &[<String as JsonInput>::INPUT.named("order_id", "The ID of the order.")];
    let one = Endpoint {
        inputs: INPUTS,
        ..endpoint("recent_orders", GOOD)
    };
    assert_eq!(found(vec![one]), ["repeated_name recent_orders: input order_id"]);
}

#[test]
fn parts_of_inputs_and_outputs_need_a_description_phrases_and_a_time_zone() {
    let one = Endpoint {
        output: || {
            json_schema!({ "type": "object", "properties": {
                "status": { "type": "string", "description": "What it waits for.", "enum": ["AWAITING_PAYMENT", "SHIPPED"] },
                "placed_at": { "type": "string", "description": "When it was placed." },
                "paid_at": { "type": "string", "description": "When it was paid, in UTC." },
                "total": { "type": "integer" },
            }})
        },
        ..endpoint("recent_orders", GOOD)
    };
    assert_eq!(
        found(vec![one]),
        [
            "time_without_zone recent_orders: output placed_at",
            "raw_code recent_orders: output status",
            "undescribed_output recent_orders: output total",
        ]
    );
}

#[test]
fn tags_number_keyed_maps_and_times_of_day_are_checked_too() {
    let one = Endpoint {
        output: || {
            let form = |tag: &str| {
                json_schema!({ "type": "object", "properties": {
                    "status": { "type": "string", "const": tag },
                    "opens": { "type": "string", "format": "partial-time", "description": "When it opens." },
                }})
            };
            json_schema!({
                "type": "object",
                "patternProperties": { r"^\d+$": { "oneOf": [form("IN_STOCK"), form("SOLD_OUT")] } },
            })
        },
        ..endpoint("recent_orders", GOOD)
    };
    assert_eq!(
        found(vec![one]),
        [
            "time_without_zone recent_orders: output [].opens",
            "raw_code recent_orders: output [].status",
        ]
    );
}

#[test]
fn currencies_and_countries_are_no_raw_codes() {
    let found_in = |codes: &'static str| {
        let output = match codes {
            "currencies" => || json_schema!({ "enum": ["EUR", "USD", "XOF", "ZWG"] }),
            "countries" => || json_schema!({ "oneOf": [{ "const": "DE" }, { "const": "DEU" }, { "const": "GB" }] }),
            "one currency" => || json_schema!({ "const": "CHF" }),
            "another code beside them" => || json_schema!({ "enum": ["EUR", "USD", "POINTS"] }),
            "no such currency" => || json_schema!({ "enum": ["EUX"] }),
            "a subdivision" => || json_schema!({ "enum": ["DE-BY"] }),
            _ => || json_schema!({ "enum": ["EUR_NET"] }),
        };
        let one = Endpoint {
            output,
            ..endpoint("recent_orders", GOOD)
        };
        found(vec![one])
    };
    for harmless in ["currencies", "countries", "one currency"] {
        assert_eq!(found_in(harmless), Vec::<String>::new(), "{harmless}");
    }
    for code in [
        "another code beside them",
        "no such currency",
        "a subdivision",
        "joined",
    ] {
        assert_eq!(found_in(code), ["raw_code recent_orders: output (whole)"], "{code}");
    }
}

#[test]
fn names_must_differ_and_name_an_action() {
    assert_eq!(
        found(vec![endpoint("find_order", GOOD), endpoint("find_orders", GOOD)]),
        ["similar_names find_order"]
    );
    assert_eq!(
        found(vec![endpoint("update_order", GOOD)]),
        ["resource_name update_order"]
    );
    let name = |number: usize| &*Box::leak(format!("task_{}", "abcdefg".repeat(number + 1)).into_boxed_str());
    let many = (0..41).map(|number| endpoint(name(number), GOOD)).collect();
    assert_eq!(found(many), ["too_many_endpoints the app"]);
}

#[test]
fn an_amount_that_is_paid_out_needs_a_limit_of_its_sum() {
    const INPUTS: &[Input] = &[
        <u32 as JsonInput>::INPUT.named("amount_cents", "How much to refund, in cents."),
        <u32 as JsonInput>::INPUT.named("reference", "The number on the receipt."),
    ];
    const SIGNED: &[Input] = &[<f64 as JsonInput>::INPUT.named("total", "How much to refund, in EUR.")];
    const CALLS: &[Limit] = &[limit(Counted::Calls)];
    const OTHER: &[Limit] = &[limit(Counted::Sum("reference"))];
    const SUM: &[Limit] = &[limit(Counted::Sum("amount_cents"))];
    let of = |inputs, limits: &'static [Limit]| Endpoint {
        inputs,
        limits: (!limits.is_empty()).then_some(EndpointLimits {
            limits,
            amounts: |_| Ok(Box::default()),
        }),
        ..endpoint("refund", GOOD)
    };
    let unlimited = ["unlimited_amount refund: input amount_cents"];
    assert_eq!(found(vec![of(INPUTS, &[])]), unlimited);
    assert_eq!(found(vec![of(INPUTS, CALLS)]), unlimited);
    assert_eq!(found(vec![of(INPUTS, OTHER)]), unlimited);
    assert_eq!(found(vec![of(INPUTS, SUM)]), Vec::<String>::new());
    // A limit cannot sum this type, so a limit of the calls is enough.
    assert_eq!(found(vec![of(SIGNED, &[])]), ["unlimited_amount refund: input total"]);
    assert_eq!(found(vec![of(SIGNED, CALLS)]), Vec::<String>::new());
    let read_only = Endpoint {
        effect: Effect::ReadOnly,
        ..of(INPUTS, &[])
    };
    assert_eq!(found(vec![read_only]), Vec::<String>::new());
    let allowed = Endpoint {
        allowed: &["unlimited_amount"],
        ..of(INPUTS, &[])
    };
    assert_eq!(found(vec![allowed]), Vec::<String>::new());
}

const fn limit(counted: Counted) -> Limit {
    Limit {
        counted,
        max: 10_000,
        per: &[],
        window: Duration::from_secs(3600),
    }
}

#[test]
fn recursive_types_and_tuples_are_visited_once() {
    let one = Endpoint {
        output: || {
            let reply = json_schema!({ "$ref": "#/$defs/Reply" });
            let reply = json_schema!({ "type": "object", "properties": {
                "by": { "type": "string" }, "paid_at": { "type": "string", "description": "When." },
                "replies": { "type": "array", "description": "The next.", "items": reply },
            }});
            json_schema!({
                "type": "array",
                "prefixItems": [
                    { "$ref": "#/$defs/Reply" },
                    { "oneOf": [
                        { "type": "object", "properties": { "total": { "type": "integer" } } },
                        { "type": "object", "properties": { "total": { "type": "integer" } } },
                    ] },
                ],
                "$defs": { "Reply": reply },
            })
        },
        ..endpoint("recent_orders", GOOD)
    };
    assert_eq!(
        found(vec![one]),
        [
            "undescribed_output recent_orders: output [0].by",
            "time_without_zone recent_orders: output [0].paid_at",
            "undescribed_output recent_orders: output [1].total",
        ]
    );
}

fn a_filter() -> Schema {
    json_schema!({ "type": "object", "properties": {
        "word": { "type": "string" },
        "period": { "type": "object", "description": "When.", "properties": { "days": { "type": "integer" } } },
    }})
}

const FLATTENED: Input = Input {
    flatten: Some(|| "Filter".into()),
    schema: a_filter,
    ..<String as JsonInput>::INPUT.named("filter", "")
};

#[test]
fn fields_of_a_flattened_input_are_checked_and_can_be_allowed() {
    const INPUTS: &[Input] = &[FLATTENED];
    const ALLOWED: &[Input] = &[FLATTENED.allowed(&["undescribed_input"])];
    let of = |inputs| Endpoint {
        inputs,
        ..endpoint("recent_orders", GOOD)
    };
    assert_eq!(
        found(vec![of(INPUTS)]),
        [
            "undescribed_input recent_orders: input period.days",
            "undescribed_input recent_orders: input word"
        ]
    );
    assert_eq!(found(vec![of(ALLOWED)]), Vec::<String>::new());
}

#[test]
fn an_allow_on_either_of_two_similar_names_is_enough() {
    for allowed in ["find_order", "find_orders"] {
        let endpoints = ["find_order", "find_orders"].map(|name| Endpoint {
            allowed: if name == allowed { &["similar_names"] } else { &[] },
            ..endpoint(name, GOOD)
        });
        assert_eq!(found(endpoints.into()), Vec::<String>::new(), "{allowed}");
    }
}

#[test]
fn the_summary_is_the_first_sentence_however_the_lines_break() {
    let summary = |description: &'static str| {
        let one: &'static Endpoint = Box::leak(Box::new(endpoint("recent_orders", description)));
        Model::new(&[one], &public_url()).endpoints.remove(0).summary()
    };
    assert_eq!(
        summary("Lists a customer's latest\norders. Newest first."),
        "Lists a customer's latest orders"
    );
    assert_eq!(
        summary("Lists orders, e.g. by day.\n\nUse it."),
        "Lists orders, e.g. by day"
    );
    assert_eq!(summary("Lists orders\n\nUse it."), "Lists orders");
    assert_eq!(summary("Rounds to 2.5 cents. Use it."), "Rounds to 2.5 cents");
}

#[test]
fn an_allowed_finding_is_not_reported() {
    let allowed = Endpoint {
        allowed: &["resource_name"],
        ..endpoint("update_order", GOOD)
    };
    assert_eq!(found(vec![allowed]), Vec::<String>::new());
    const INPUTS: &[Input] = &[<String as JsonInput>::INPUT
        .named("order_id", "The ID of the order.")
        .allowed(&["repeated_name"])];
    let input = Endpoint {
        inputs: INPUTS,
        ..endpoint("recent_orders", GOOD)
    };
    assert_eq!(found(vec![input]), Vec::<String>::new());
}
