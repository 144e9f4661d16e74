//! The most expensive known requests, and values nested as deeply as the JSON parser allows.

use serde_json::{Value, json};

/// A request and its description.
pub(crate) struct Worst {
    pub(crate) what: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) inputs: Value,
    /// A part of the text of the refusal.
    pub(crate) told: &'static str,
}

/// The length of a body just below a server's default limit, in bytes.
const BODY: usize = 1024 * 1024 - 64;

pub(crate) fn requests() -> Vec<Worst> {
    let worst = |what, endpoint, inputs, told| Worst {
        what,
        endpoint,
        inputs,
        told,
    };
    vec![
        worst(
            "a tag inside, at depth 9",
            "sum",
            json!({ "value": nested("sum", 9, json!({ "op": "Num", "value": "1" })) }),
            "must be a number, and \"1\" was given",
        ),
        worst(
            "a tag inside, at depth 60",
            "sum",
            json!({ "value": nested("sum", 60, json!({ "op": "Num", "value": "1" })) }),
            "must be a number, and \"1\" was given",
        ),
        worst(
            "a value for its type, at depth 5",
            "picky",
            json!({ "value": nested("picky", 5, json!({ "three": 1 })) }),
            "did not match any variant",
        ),
        worst(
            "a value for its type, at depth 60",
            "picky",
            json!({ "value": nested("picky", 60, json!({ "three": 1 })) }),
            "is nested too deeply for its size",
        ),
        worst(
            "an unknown field of nested lists",
            "picky",
            json!({ "value": { "three": 1, "a": many_times(&lists(100, json!(0)), BODY / 202) } }),
            "is nested too deeply for its size",
        ),
        worst(
            "an unknown field of nested lists, inside",
            "picky",
            json!({ "value": { "three": 2, "inner": { "three": 1, "a": many_times(&lists(100, json!(0)), BODY / 202) } } }),
            "is nested too deeply for its size",
        ),
        worst(
            "an unknown field of empty lists in lists, inside",
            "picky",
            json!({ "value": { "three": 2, "inner": { "three": 1, "a": many_times(&lists(2, json!([])), BODY / 7 - 10) } } }),
            "is nested too deeply for its size",
        ),
        worst(
            "an unknown field of short lists",
            "picky",
            json!({ "value": { "three": 1, "a": many_times(&json!([0]), BODY / 4 - 10) } }),
            "did not match any variant",
        ),
        worst(
            "a list of items of the wrong type",
            "many",
            json!({ "contacts": zeros(BODY / 2) }),
            "must be an object",
        ),
        worst(
            "a chain of 60",
            "many",
            json!({ "node": chain(60, &json!([zeros(50_000)])) }),
            "must be a whole number",
        ),
        worst(
            "a chain of 120",
            "many",
            json!({ "node": chain(120, &zeros(BODY / 2 - 5_000)) }),
            "must be a whole number",
        ),
        worst(
            "tags that are numbers",
            "open_ticket",
            ticket(&zeros(BODY / 2 - 200)),
            "must be text",
        ),
        worst(
            "maps, and a last item that is not a map",
            "many",
            json!({ "maps": ended(json!({ "": "" }), BODY / 8 - 10, json!(5)) }),
            "must be an object",
        ),
        worst(
            "the same map many times",
            "many",
            json!({ "sets": vec![json!({ "": 0 }); BODY / 7 - 10] }),
            "the same item twice",
        ),
        worst(
            "sets in sets",
            "many",
            json!({ "bag": bags(50, 256) }),
            "must be a whole number",
        ),
        worst(
            "escaped names",
            "many",
            json!({ "node": escaped_names(10, BODY / 70) }),
            "lacks `value`",
        ),
        worst(
            "lists of several forms, and a last item of none",
            "anything",
            json!({ "value": ended(json!([0]), BODY / 4 - 10, Value::Null) }),
            "null was given",
        ),
        worst(
            "a long field that a flattened enum does not know, at depth 120",
            "step",
            json!({ "value": nested("step", 120, json!({ "id": 1, "what": "First", "value": 1, "a": zeros(BODY / 2 - 3_000) })) }),
            "is nested too deeply for its size",
        ),
        worst(
            "folders in a flattened map, at depth 120",
            "folder",
            json!({ "value": nested("folder", 120, json!({ "id": 1, "a": many_folders(BODY / 19 - 500) })) }),
            "is nested too deeply for its size",
        ),
        worst(
            "a long field that the only form that is not null does not know, at depth 120",
            "queue",
            json!({ "value": nested("queue", 120, json!({ "value": 1, "rest": null, "a": zeros(BODY / 2 - 3_000) })) }),
            "is nested too deeply for its size",
        ),
        worst("unknown inputs", "many", names(BODY / 12), "There is no input"),
        worst(
            "unknown fields",
            "collections",
            json!({ "value": names(BODY / 12) }),
            "has no field",
        ),
    ]
}

/// A folder that contains many folders.
fn many_folders(count: usize) -> Value {
    let folders = (0..count).map(|index| (format!("n{index:06}"), leaf("folder")));
    let mut folders: serde_json::Map<_, _> = folders.collect();
    folders.insert("id".to_owned(), json!(2));
    folders.into()
}

fn zeros(count: usize) -> Value {
    many_times(&json!(0), count)
}

fn many_times(item: &Value, count: usize) -> Value {
    vec![item.clone(); count].into()
}

/// A value inside this many lists.
fn lists(depth: usize, innermost: Value) -> Value {
    (0..depth).fold(innermost, |inner, _| json!([inner]))
}

/// A list of valid values that ends with an invalid value.
fn ended(item: Value, count: usize, last: Value) -> Value {
    let mut items = vec![item; count];
    items.push(last);
    items.into()
}

fn names(count: usize) -> Value {
    (0..count)
        .map(|index| (format!("n{index:06}"), json!(0)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// An object whose fields have long names. JSON has to escape every character of the names.
fn escaped_names(count: usize, length: usize) -> Value {
    let names = (0..count).map(|index| (format!("{index}{}", "\u{1}".repeat(length)), json!(0)));
    names.collect::<serde_json::Map<_, _>>().into()
}

/// Nested sets that contain different empty sets. There is one invalid value at the greatest depth.
fn bags(depth: usize, width: usize) -> Value {
    let empty = |also: usize| json!({ "bags": [], "also": also % 256 });
    let bottom = json!({ "bags": (0..width).map(empty).collect::<Vec<_>>(), "also": "wrong" });
    (0..depth).fold(bottom, |inner, _| json!({ "bags": [inner, empty(1)], "also": 1 }))
}

fn ticket(tags: &Value) -> Value {
    json!({ "email": "ana@example.com", "subject": "A cup is broken", "body": "Again.", "priority": "low", "tags": tags })
}

/// A chain whose last value is invalid.
fn chain(depth: usize, wrong: &Value) -> Value {
    (0..depth).fold(json!({ "value": wrong }), |next, _| json!({ "value": 1, "next": next }))
}

/// The recursive types. A type has the name of its endpoint, or of its input of the endpoint `many`.
pub(crate) const RECURSIVE: &[&str] = &[
    "sum", "chain", "outer", "beside", "anything", "alike", "picky", "step", "folder", "queue", "tree", "node", "bag",
];

/// The endpoint that takes a recursive type.
pub(crate) fn endpoint_of(recursive: &str) -> &str {
    match recursive {
        "node" | "bag" => "many",
        other => other,
    }
}

/// The inputs of a call with this value of a recursive type.
pub(crate) fn inputs_of(recursive: &str, value: &Value) -> Value {
    match recursive {
        "node" | "bag" => json!({ recursive: value }),
        "tree" => json!({ "value": value, "others": [] }),
        _ => json!({ "value": value }),
    }
}

/// A valid value without nested values of the same type.
pub(crate) fn leaf(recursive: &str) -> Value {
    match recursive {
        "sum" => json!({ "op": "Num", "value": 1.5 }),
        "chain" => json!({ "kind": "End", "value": 1 }),
        "outer" => json!({ "Number": 1 }),
        "beside" => json!({ "is": "Number", "of": 1.5 }),
        "alike" | "picky" => json!({ "three": 2 }),
        "step" => json!({ "id": 1, "what": "First", "value": 2 }),
        "folder" => json!({ "id": 2 }),
        "queue" => json!({ "value": 2, "rest": null }),
        "tree" => json!({ "name": "", "branches": [] }),
        "node" => json!({ "value": 1 }),
        "bag" => json!({ "bags": [], "also": 1 }),
        _ => json!(1.5),
    }
}

/// Nests values of a recursive type in each other.
pub(crate) fn nested(recursive: &str, depth: usize, innermost: Value) -> Value {
    (0..depth).fold(innermost, |inner, level| match (recursive, level % 4) {
        ("sum", 0) => json!({ "op": "Add", "left": inner, "right": leaf("sum") }),
        ("sum", 1) => json!({ "op": "Sub", "left": leaf("sum"), "right": inner }),
        ("sum", 2) => json!({ "op": "Mul", "left": inner, "right": leaf("sum") }),
        ("sum", _) => json!({ "op": "Div", "left": leaf("sum"), "right": inner }),
        ("chain", 0) => json!({ "kind": "Link", "next": inner, "also": [] }),
        ("chain", _) => json!({ "kind": "Link", "also": [leaf("chain"), inner] }),
        ("outer", 0) => json!({ "Boxed": inner }),
        ("outer", 1) => json!({ "Listed": [leaf("outer"), inner] }),
        ("outer", 2) => json!({ "Mapped": { "a": inner, "b": leaf("outer") } }),
        ("outer", _) => json!({ "Both": { "left": inner, "right": leaf("outer") } }),
        ("beside", 0) => json!({ "is": "Not", "of": inner }),
        ("beside", 1) => json!({ "is": "All", "of": [leaf("beside"), inner] }),
        ("beside", _) => json!({ "is": "Named", "of": { "a": inner } }),
        ("alike" | "picky", 0) => json!({ "inner": inner, "one": 1 }),
        ("alike" | "picky", 1) => json!({ "inner": inner, "two": 2 }),
        ("alike" | "picky", _) => json!({ "inner": inner, "three": 4 }),
        ("step", _) => json!({ "id": 1, "what": "After", "step": inner }),
        ("folder", _) => json!({ "id": 2, "a": inner, "b": leaf("folder") }),
        ("queue", _) => json!({ "value": 2, "rest": inner }),
        ("tree", 0 | 2) => json!({ "name": "", "branches": [leaf("tree"), inner] }),
        ("tree", _) => json!({ "name": "", "branches": [], "neighbour": inner }),
        ("node", _) => json!({ "value": 1, "next": inner }),
        ("bag", _) => json!({ "bags": [inner, { "bags": [], "also": 2 }], "also": 1 }),
        (_, 0) => json!([inner, true]),
        (_, _) => json!({ "a": inner }),
    })
}

/// Makes a value larger: its first list becomes longer, or its first input is nested in itself.
pub(crate) fn grown(mut value: Value, change: u8, depth: usize) -> Value {
    let Some((_, first)) = value.as_object_mut().and_then(|inputs| inputs.iter_mut().next()) else {
        return value;
    };
    match (change, first) {
        (0, Value::Array(items)) => {
            let item = items.first().cloned().unwrap_or_default();
            let size = item.to_string().len() + 1;
            items.resize((100_000 / size).max(1), item);
        }
        (1, first) => {
            let inner = first.clone();
            put_deepest(first, &inner, depth);
        }
        _ => {}
    }
    value
}

/// Replaces the last part of `value` by `inner`, and repeats this `times` times within the inserted part.
fn put_deepest(value: &mut Value, inner: &Value, times: usize) {
    if times == 0 {
        return;
    }
    match value {
        Value::Array(items) if !items.is_empty() => items.last_mut(),
        Value::Object(fields) if !fields.is_empty() => fields.iter_mut().next_back().map(|(_, field)| field),
        other => {
            *other = inner.clone();
            return put_deepest_again(other, inner, times);
        }
    }
    .into_iter()
    .for_each(|part| put_deepest(part, inner, times));
}

fn put_deepest_again(value: &mut Value, inner: &Value, times: usize) {
    if inner.is_array() || inner.is_object() {
        put_deepest(value, inner, times - 1);
    }
}
