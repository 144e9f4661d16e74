//! The words of the sender. A word that this version does not know is kept as text.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $means:literal])* $variant:ident = $word:literal,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $means])* $variant,)*
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// The word as it is sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(word: &str) -> Result<Self, Infallible> {
                Ok(match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                let Ok(word) = word.parse();
                Ok(word)
            }
        }
    };
}

words! {
    /// How a conversation is held.
    ChannelType {
        /// A telephone call.
        Phone = "phone",
        /// A chat in which both sides answer at once.
        ChatRealtime = "chat_realtime",
        /// Messages that may be answered later.
        ChatAsync = "chat_async",
    }
}

words! {
    /// Who begins a conversation.
    Direction {
        /// The customer.
        Inbound = "inbound",
        /// The agent.
        Outbound = "outbound",
    }
}

words! {
    /// How a conversation ended.
    ConversationStatus {
        /// It was held to its end.
        Completed = "completed",
        /// It failed.
        Failed = "failed",
        /// The line was busy.
        Busy = "busy",
        /// Nobody answered.
        NoAnswer = "no-answer",
        /// An answering machine answered.
        Voicemail = "voicemail",
    }
}

#[cfg(test)]
mod tests {
    use super::ConversationStatus;

    #[test]
    fn a_word_is_read_as_it_is_written_whether_it_is_known_or_not() {
        for (word, status) in [
            ("no-answer", ConversationStatus::NoAnswer),
            ("no_answer", ConversationStatus::Other("no_answer".to_owned())),
            ("", ConversationStatus::Other(String::new())),
        ] {
            assert_eq!(word.parse(), Ok(status.clone()));
            assert_eq!(status.to_string(), word);
        }
    }
}
