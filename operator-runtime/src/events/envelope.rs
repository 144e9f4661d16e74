//! The envelope of an event: what every type of event has.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::input::deep::on_a_large_stack;
use crate::input::{refuse_unreadable, without_position};
use crate::problem::{Error, InputProblem};

/// An event without its payload. A handler borrows it as an argument of type `&Event`.
///
/// ```
/// use operator_runtime::events::{ConversationEnded, ConversationStatus, Event};
///
/// // In a test of a function that takes an event:
/// let body = r#"{ "id": "ev_1", "payload": { "type": "conversation.ended", "status": "busy" } }"#;
/// let event = Event::parse(body).unwrap();
/// assert_eq!((event.id.as_str(), event.event_type.as_str()), ("ev_1", "conversation.ended"));
/// let ended: ConversationEnded = event.payload().unwrap();
/// assert_eq!(ended.status, ConversationStatus::Busy);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Event {
    /// The event's id, `ev_…`: 1 to 255 visible ASCII characters. It is the same each time the event is delivered.
    pub id: String,
    /// The `type` of the payload, such as `conversation.setup`.
    pub event_type: String,
    /// When the event was created: a date and a time as RFC 3339 writes them.
    pub created_at: Option<String>,
    /// The agent and its version, `ca_…@v0`.
    pub agent_id: Option<String>,
    /// Whether the event is about a real conversation and not a test. False if the event does not say.
    pub livemode: bool,
    /// The conversation, `conv_…`.
    pub conversation_id: Option<String>,
    /// Whether the sender may still change this type of event. False if the event does not say.
    pub experimental: bool,
    /// The payload's JSON.
    payload: Bytes,
}

/// The body of an event as it arrives. The sender promises every field; only those that this program needs are required.
#[derive(Deserialize)]
#[serde(expecting = "one JSON object")]
struct Received<'b> {
    id: Option<String>,
    created_at: Option<String>,
    agent_id: Option<String>,
    livemode: Option<bool>,
    conversation_id: Option<String>,
    experimental: Option<bool>,
    #[serde(borrow)]
    payload: Option<&'b RawValue>,
}

/// The part of every payload that this program needs.
#[derive(Deserialize)]
#[serde(expecting = "one JSON object")]
struct Typed {
    r#type: Option<String>,
}

impl Event {
    /// Reads the body of an event.
    ///
    /// # Errors
    /// 400 if the body is not a JSON object, or has no valid `id` or `payload.type`.
    pub fn parse(body: impl Into<Bytes>) -> Result<Self, Error> {
        let body = body.into();
        let received: Received<'_> = read(&body, "").map_err(|(path, why)| unreadable(&path, &why))?;
        let id = received.id.ok_or_else(|| {
            let detail = "The event has no `id`: send the id that is the same each time the event is delivered.";
            Error::malformed(detail.to_owned())
        })?;
        if !(1..=255).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            let detail = format!(
                "The event's `id` has {} bytes: it must be 1 to 255 visible ASCII characters.",
                id.len()
            );
            return Err(Error::malformed(detail));
        }
        let payload = received.payload.map_or("null", RawValue::get);
        let typed: Typed = read(payload.as_bytes(), "payload").map_err(|(path, why)| unreadable(&path, &why))?;
        let event_type = typed.r#type.filter(|event_type| !event_type.is_empty());
        Ok(Self {
            id,
            event_type: event_type.ok_or_else(|| {
                Error::malformed("The event has no `payload.type`: send the type of the event there.".to_owned())
            })?,
            created_at: received.created_at,
            agent_id: received.agent_id,
            livemode: received.livemode.unwrap_or_default(),
            conversation_id: received.conversation_id,
            experimental: received.experimental.unwrap_or_default(),
            payload: body.slice_ref(payload.as_bytes()),
        })
    }

    /// Decodes the payload. The type `T` must not contain an untagged enum that contains itself: serde may try each of its
    /// variants again at each level, and so a nested payload could take very long.
    ///
    /// # Errors
    /// 400 if the payload does not fit the type; or if it is longer than 16 KiB and any part of it, also an unknown field,
    /// has a field twice, or contains a number that is too large for an `f64` or half of a surrogate pair.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if let Ok(text) = str::from_utf8(&self.payload) {
            refuse_unreadable("payload", text).map_err(|problem| Error::invalid_inputs(vec![problem], ""))?;
        }
        read(&self.payload, "payload").map_err(|(path, why)| {
            let detail = format!("`{path}` of the event `{}` cannot be read ({why}).", self.event_type);
            Error::invalid_inputs(vec![InputProblem { input: path, detail }], "")
        })
    }
}

/// Decodes the JSON of the value at the path `root`; the path of the body is empty. An error is the path of the value
/// that is wrong, and why.
fn read<'b, T: Deserialize<'b>>(json: &'b [u8], root: &str) -> Result<T, (String, String)> {
    let why = |error: &serde_json::Error| {
        let words = error.to_string();
        // A position inside a part of the body would be taken for a position in the body.
        if root.is_empty() {
            words
        } else {
            without_position(&words).to_owned()
        }
    };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = on_a_large_stack(json, || serde_path_to_error::deserialize(&mut reader));
    let value = value.map_err(|error| {
        let path = match (root, error.path().to_string().as_str()) {
            (root, "." | "?") => root.to_owned(),
            ("", path) => path.to_owned(),
            (root, path) => format!("{root}.{path}"),
        };
        (path.chars().take(80).collect(), why(error.inner()))
    })?;
    let end = reader.end().map_err(|error| (root.to_owned(), why(&error)));
    end.map(|()| value)
}

fn unreadable(path: &str, why: &str) -> Error {
    let what = if path.is_empty() {
        "The body".to_owned()
    } else {
        format!("`{path}`")
    };
    Error::malformed(format!(
        "{what} cannot be read ({why}): send an event as one JSON object with the fields `id` and `payload`."
    ))
}

/// Shows no payload, which may be long and say much about a person.
impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("conversation_id", &self.conversation_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::Event;
    use crate::events::CustomFieldsUpdated;

    fn refusal(body: &str) -> String {
        let error = Event::parse(body.to_owned()).unwrap_err();
        assert_eq!(error.status(), 400, "{body:.80}");
        error.detail().to_owned()
    }

    #[test]
    fn an_envelope_needs_an_id_and_a_type_and_nothing_else() {
        let event = Event::parse(r#"{"payload":{"type":"a.b","x":[1]},"id":"ev_1","new":{}}"#).unwrap();
        assert_eq!((event.id.as_str(), event.event_type.as_str()), ("ev_1", "a.b"));
        assert!(!event.livemode && event.conversation_id.is_none());
        assert_eq!(event.payload::<Value>().unwrap()["x"], serde_json::json!([1]));
        assert!(refusal(r#"{"payload":{"type":"a"}}"#).starts_with("The event has no `id`"));
        for (id, length) in [
            ("".to_owned(), 0),
            ("a b".to_owned(), 3),
            ("é".to_owned(), 2),
            ("a".repeat(10_000), 10_000),
        ] {
            let said = refusal(&format!(r#"{{"id":"{id}","payload":{{"type":"a"}}}}"#));
            assert!(said.contains(&format!("has {length} bytes")), "{said}");
        }
        for untyped in [
            r#"{"id":"1"}"#,
            r#"{"id":"1","payload":null}"#,
            r#"{"id":"1","payload":7}"#,
        ] {
            let said = refusal(untyped);
            assert!(said.starts_with("`payload` cannot be read"), "{said}");
            assert!(said.contains("expected one JSON object)"), "{said}");
        }
        for untyped in [r#"{"id":"1","payload":{}}"#, r#"{"id":"1","payload":{"type":""}}"#] {
            assert!(
                refusal(untyped).starts_with("The event has no `payload.type`"),
                "{untyped}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(refusal("").starts_with("The body cannot be read"));
        assert!(refusal("[]").contains("expected one JSON object at line 1"));
        assert!(refusal(r#"{"id":"1","payload":{"type":"a"}}x"#).starts_with("The body cannot be read"));
        assert!(refusal(r#"{"id":"1","livemode":"yes"}"#).starts_with("`livemode` cannot be read"));
        assert!(refusal(r#"{"id":"1","payload":{"type":5}}"#).starts_with("`payload.type` cannot be read"));
        assert!(refusal(r#"{"id":"1","id":"2"}"#).contains("duplicate field `id`"));
    }

    #[test]
    fn unknown_fields_may_be_many_and_deep() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let body = format!(r#"{{"id":"1","new":{deep},"payload":{{"new":{deep},"type":"a"}}}}"#);
        let event = Event::parse(body).unwrap();
        assert!(event.payload::<CustomFieldsUpdated>().is_err());
        let many: String = (0..100_000).map(|number| format!(r#""{number}":1,"#)).collect();
        assert!(Event::parse(format!(r#"{{{many}"id":"1","payload":{{{many}"type":"a"}}}}"#)).is_ok());
    }

    /// A long payload that cannot be read is refused before any part of it is decoded. If it is only nested too deeply, the
    /// type decides.
    #[test]
    fn an_unreadable_end_of_a_long_payload_takes_memory_in_proportion_to_its_text() {
        let maps = r#"{"":0},"#.repeat(1_000_000 / 7);
        for (end, expected) in [
            ("1e400", "contains a number that is too large"),
            (r#""\ud800""#, "contains half of a surrogate pair"),
            (r#"{"a":1,"a":2}"#, "with the field `a` twice"),
            (
                &format!("{}0{},1e400", "[".repeat(200), "]".repeat(200)),
                "contains a number that is too large",
            ),
        ] {
            let body = format!(r#"{{"id":"1","payload":{{"type":"a","maps":[{maps}{end}]}}}}"#);
            let length = body.len() as u64;
            let event = Event::parse(body).unwrap();
            let allocated = allocation_counter::measure(|| {
                let error = event.payload::<CustomFieldsUpdated>().unwrap_err();
                assert_eq!(error.status(), 400);
                assert!(error.detail().contains(expected), "{}", error.detail());
            });
            assert!(allocated.bytes_max < 32 * length, "{} bytes", allocated.bytes_max);
        }
    }
}
