//! The fields of each event, for documents, forms and samples.

use serde_json::json;

use super::payloads::{ConversationEnded, ConversationSetup, CustomFieldsUpdated};
use crate::input::{Input, JsonInput};

/// The number of fields of an envelope.
const FIELDS: usize = 7;

/// The fields of `conversation.setup`.
pub static CONVERSATION_SETUP: [Input; FIELDS] = with(<ConversationSetup as JsonInput>::INPUT);
/// The fields of `conversation.ended`.
pub static CONVERSATION_ENDED: [Input; FIELDS] = with(<ConversationEnded as JsonInput>::INPUT);
/// The fields of `conversation.custom_fields.updated`.
pub static CUSTOM_FIELDS_UPDATED: [Input; FIELDS] = with(<CustomFieldsUpdated as JsonInput>::INPUT);
/// The fields of an event of another type. Nothing is known about its payload.
pub static CUSTOM: [Input; FIELDS] = with(<CustomFieldsUpdated as JsonInput>::INPUT);

/// The fields of an envelope with this payload.
const fn with(payload: Input) -> [Input; FIELDS] {
    [
        <String as JsonInput>::INPUT
            .named("id", "The id of the event, the same each time the event is delivered.")
            .example(|| json!("ev_0001")),
        <Option<String> as JsonInput>::INPUT
            .named("created_at", "When the event was created, in RFC 3339.")
            .example(|| json!("2026-11-17T20:30:00Z")),
        <Option<String> as JsonInput>::INPUT
            .named("agent_id", "The agent and its version.")
            .example(|| json!("ca_0001@v0")),
        <bool as JsonInput>::INPUT
            .named("livemode", "Whether the event is about a real conversation.")
            .default(|| json!(false)),
        <Option<String> as JsonInput>::INPUT
            .named("conversation_id", "The conversation.")
            .example(|| json!("conv_0001")),
        <bool as JsonInput>::INPUT
            .named("experimental", "Whether this type of event may still change.")
            .default(|| json!(false)),
        payload.named("payload", "What has happened, with the type of the event."),
    ]
}
