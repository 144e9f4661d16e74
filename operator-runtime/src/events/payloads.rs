//! The payloads of the events that this version knows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use serde_json::value::RawValue;

use super::words::{ChannelType, ConversationStatus, Direction};
use crate::input::is_too_deep;

/// `conversation.setup`: a call is about to be dialled or picked up, or a message to be answered. The answer, a
/// [`Context`](super::Context), is what the agent knows when the conversation begins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ConversationSetup {
    /// How the conversation is held, and with whom.
    pub channel: Channel,
    /// Who begins the conversation: `inbound`, the customer, or `outbound`, the agent.
    #[schemars(with = "String", example = &"inbound")]
    pub direction: Direction,
}

/// How a conversation is held, and with whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Channel {
    /// The kind of conversation: `phone`, `chat_realtime` or `chat_async`; others may come.
    #[serde(rename = "type")]
    #[schemars(with = "String", example = &"phone")]
    pub kind: ChannelType,
    /// The number that is called, such as +493087654321.
    #[schemars(example = "+493087654321")]
    pub callee_no: Option<String>,
    /// The number of the caller, such as +493012345678.
    #[schemars(example = "+493012345678")]
    pub caller_no: Option<String>,
    /// Where the recording of the call will be.
    pub recording_url: Option<String>,
}

/// `conversation.ended`: a conversation has ended, or could not begin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ConversationEnded {
    /// How the conversation ended: `completed`, `failed`, `busy`, `no-answer` or `voicemail`; others may come.
    #[schemars(with = "String", example = &"completed")]
    pub status: ConversationStatus,
}

/// `conversation.custom_fields.updated`: custom fields of a conversation have changed. The sender does not say which
/// fields the payload has, so this type has all of them, including `type`.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[schemars(transparent)]
#[non_exhaustive]
pub struct CustomFieldsUpdated {
    /// The fields of the payload by name.
    pub fields: BTreeMap<String, Value>,
}

/// Finds a field that is nested too deeply before any field is decoded: all of them are kept, and values take far more memory
/// than their text.
impl<'de> Deserialize<'de> for CustomFieldsUpdated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
        if texts.values().any(|text| is_too_deep(text.get())) {
            return Err(D::Error::custom(
                "a field is nested too deeply, in more than 126 lists and objects",
            ));
        }
        let decoded = |(name, text): (String, Box<RawValue>)| Ok((name, serde_json::from_str(text.get())?));
        let fields: serde_json::Result<_> = texts.into_iter().map(decoded).collect();
        let fields = fields.map_err(D::Error::custom)?;
        Ok(Self { fields })
    }
}
