//! The payloads of the events that this version knows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::words::{ChannelType, ConversationStatus, Direction};

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
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[non_exhaustive]
pub struct CustomFieldsUpdated {
    /// The fields of the payload by name.
    pub fields: BTreeMap<String, Value>,
}
