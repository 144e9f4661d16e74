//! The readers of `lint --for` and `manifest --for`: which descriptions each vendor's agent refuses or cuts. A new reader
//! is a row of [`READERS`]. Vendors change their rules without notice, so each row names where its facts were found,
//! and which of its rules are our own caution.

mod cut;
mod document;
mod shape;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests;
mod unite;

pub(crate) use document::document;

use std::fmt;
use std::time::Duration;

use super::Format;

/// What one vendor's agent accepts.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The value of `--for`.
    pub(crate) name: &'static str,
    /// The reader's name in sentences.
    pub(crate) title: &'static str,
    /// The format that the reader takes.
    pub(crate) format: Format,
    /// The longest name of a tool, in characters.
    longest_name: usize,
    /// The longest description of a tool, or the longest summary and description of an operation.
    longest_description: Option<usize>,
    /// The longest description of an input.
    longest_input: Option<usize>,
    /// The names that inputs may have.
    input_names: Option<InputNames>,
    most_tools: Option<usize>,
    /// How long the reader waits for an answer.
    pub(crate) most_wait: Option<Duration>,
    /// The forms of schemas that make the reader refuse a tool.
    refuses: &'static [Form],
    /// The keywords that the reader knows, if it refuses others.
    keywords: Option<&'static [&'static str]>,
    /// The formats of strings that the reader knows, if it refuses others.
    text_formats: Option<&'static [&'static str]>,
    /// Whether the reader sends headers other than `Authorization`.
    sends_headers: bool,
}

/// The names that inputs may have: at most 64 ASCII letters, digits and these characters.
#[derive(Debug)]
struct InputNames {
    others: &'static str,
    may_begin_with_digit: bool,
}

/// A form of a schema that some readers refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `$ref`. Types are inlined instead, unless they are recursive.
    Reference,
    OneOf,
    AnyOf,
    AllOf,
    /// A list of types, such as `["string", "null"]`.
    TypeList,
    Const,
    /// An `enum` with values that are not strings.
    NumberEnum,
    /// `prefixItems`.
    Tuple,
}

/// Every reader.
pub(crate) static READERS: [Reader; 5] = [
    // Names: "a maximum length of 64", platform.openai.com/docs/api-reference/chat/create (`function.name`).
    // Descriptions: "Expected a string with maximum length 1024", github.com/getsentry/sentry-mcp/issues/106. Some models
    // accept more (github.com/run-llama/llama_index/pull/18784), but the API does not say which.
    // Tools: "Expected an array with maximum length 128", github.com/zed-industries/zed/issues/32946.
    // "'oneOf' is not permitted", even if a tool is not strict: github.com/can1357/oh-my-pi/issues/920.
    // "'allOf' is not permitted": github.com/makenotion/notion-mcp-server/issues/102.
    // "array schema missing items" for `prefixItems`: github.com/AnswerDotAI/fastcore/issues/798.
    Reader {
        name: "openai",
        title: "OpenAI",
        format: Format::Mcp,
        longest_name: 64,
        longest_description: Some(1024),
        longest_input: None,
        input_names: None,
        most_tools: Some(128),
        most_wait: None,
        refuses: &[Form::OneOf, Form::AllOf, Form::Tuple],
        keywords: None,
        text_formats: None,
        sends_headers: true,
    },
    // Names: `^[a-zA-Z0-9_-]{1,64}$`, the API reference (`tools.name`), in apis.io/schemas/claude/claude-messages-tool.
    // Names of inputs: "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'",
    // github.com/anthropics/claude-code/issues/79418.
    // Time: 300 s in Claude.ai and Claude Desktop, claude.com/docs/connectors/building.
    Reader {
        name: "anthropic",
        title: "Claude",
        format: Format::Mcp,
        longest_name: 64,
        longest_description: None,
        longest_input: None,
        input_names: Some(InputNames {
            others: "_.-",
            may_begin_with_digit: true,
        }),
        most_tools: None,
        most_wait: Some(Duration::from_secs(300)),
        refuses: &[],
        keywords: None,
        text_formats: None,
        sends_headers: true,
    },
    // Names: "a maximum length of 63", ai.google.dev/api/caching#FunctionDeclaration. Vertex AI accepts 64.
    // Names of inputs: "must start with a letter or an underscore and must only contain chars a-z, A-Z, 0-9, or
    // underscores with a maximum length of 64", cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/FunctionDeclaration.
    // Tools: 128, cloud.google.com/vertex-ai/generative-ai/docs/model-reference/function-calling.
    // Keywords: ai.google.dev/api/caching#Schema; `type` is not a list, and there is no `const`, `oneOf` or `$ref`:
    // github.com/taylorwilsdon/google_workspace_mcp/issues/1099.
    // "enum: only allowed for STRING type": github.com/nanbingxyz/5ire/issues/218.
    // "only 'enum' and 'date-time' are supported for STRING type": github.com/enechange/collmbo/pull/195.
    Reader {
        name: "gemini",
        title: "Gemini",
        format: Format::Mcp,
        longest_name: 63,
        longest_description: None,
        longest_input: None,
        input_names: Some(InputNames {
            others: "_",
            may_begin_with_digit: false,
        }),
        most_tools: Some(128),
        most_wait: None,
        refuses: &[
            Form::Reference,
            Form::OneOf,
            Form::AllOf,
            Form::TypeList,
            Form::Const,
            Form::NumberEnum,
            Form::Tuple,
        ],
        keywords: Some(&[
            "anyOf",
            "description",
            "enum",
            "format",
            "items",
            "maxItems",
            "maxLength",
            "maxProperties",
            "maximum",
            "minItems",
            "minLength",
            "minProperties",
            "minimum",
            "pattern",
            "properties",
            "required",
            "title",
            "type",
        ]),
        text_formats: Some(&["date-time", "enum"]),
        sends_headers: true,
    },
    // Tools: 128, zuplo.com/learn/mcp/compatibility/clients/copilot-studio.
    // Schemas: "no reference types, single types only", "flatten anyOf/oneOf":
    // github.com/github/awesome-copilot, instructions/power-platform-mcp-development.instructions.md.
    // Time: "Tool call timeout: 120 seconds", learn.microsoft.com/microsoft-copilot-studio/agents-experience/runtime-limits.
    // No source was found for the limit of names, or for `allOf` and tuples: these rules are our own caution.
    Reader {
        name: "copilot",
        title: "Copilot Studio",
        format: Format::Mcp,
        longest_name: 64,
        longest_description: None,
        longest_input: None,
        input_names: None,
        most_tools: Some(128),
        most_wait: Some(Duration::from_secs(120)),
        refuses: &[
            Form::Reference,
            Form::OneOf,
            Form::AnyOf,
            Form::AllOf,
            Form::TypeList,
            Form::Tuple,
        ],
        keywords: None,
        text_formats: None,
        sends_headers: true,
    },
    // "300 characters max for each API endpoint description/summary", "700 characters max for each API parameter
    // description", "Requests timeout after 45 seconds", "Custom headers are not supported",
    // developers.openai.com/api/docs/actions/production, which also documents `x-openai-isConsequential`.
    // No source was found for the limit of names: it is our own caution.
    Reader {
        name: "gpt-actions",
        title: "GPT Actions",
        format: Format::OpenApi,
        longest_name: 64,
        longest_description: Some(300),
        longest_input: Some(700),
        input_names: None,
        most_tools: None,
        most_wait: Some(Duration::from_secs(45)),
        refuses: &[],
        keywords: None,
        text_formats: None,
        sends_headers: false,
    },
];

impl Reader {
    /// The reader with this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        READERS.iter().find(|reader| reader.name == name)
    }

    fn refuses(&self, form: Form) -> bool {
        self.refuses.contains(&form)
    }

    fn takes_input_name(&self, name: &str) -> bool {
        self.input_names.as_ref().is_none_or(|names| {
            let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || names.others.contains(letter);
            let begins_well = names.may_begin_with_digit || !name.starts_with(|letter: char| letter.is_ascii_digit());
            (1..=64).contains(&name.len()) && begins_well && name.chars().all(is_allowed)
        })
    }
}

/// One thing that a reader does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) place: Place,
    /// What the reader does not accept, as a sentence without a full stop.
    pub(crate) what: String,
    /// What to write instead, as a sentence.
    pub(crate) better: &'static str,
    /// What the document for the reader has instead, as a sentence without a full stop.
    pub(crate) instead: String,
}

/// The part of the description that a reader does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    App,
    /// A shared type of an OpenAPI document, or a part of it.
    Type(String),
    /// The name of an endpoint.
    Endpoint(&'static str),
    /// The name of an endpoint, and an input or a part of it.
    Input(&'static str, String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place, what, instead, ..
        } = self;
        match place {
            Place::App => write!(formatter, "{what}; {instead}."),
            Place::Type(name) => write!(formatter, "type {name}: {what}; {instead}."),
            Place::Endpoint(name) => write!(formatter, "{name}: {what}; {instead}."),
            Place::Input(name, input) => write!(formatter, "{name}: input {input}: {what}; {instead}."),
        }
    }
}
