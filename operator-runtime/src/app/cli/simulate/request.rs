//! The requests of a simulated caller: the correct one, and each kind of request that a server must refuse.

use std::fmt;

use super::inputs::Made;
use super::place::Reached;
use super::subjects::Subject;
use crate::app::cli::caller::{self, Inputs};
use crate::protocol::method::Method;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::signature::Keys;

/// How far a wrong timestamp is from now, in seconds: so far that a server whose clock differs from this machine's by up
/// to a minute has to refuse it too.
const FAR: u64 = 90;

/// The longest body that is printed, in characters.
const SHOWN: usize = 1000;

/// What is wrong with a request on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Stale,
    Future,
    Unsigned,
    OtherKey,
    OtherEndpoint,
    /// The inputs were changed after the request was signed.
    Changed,
    /// The idempotency key contains a colon, so that the payload is also that of another request.
    Split,
}

impl Wrong {
    pub(super) const ALL: [Self; 7] = [
        Self::Stale,
        Self::Future,
        Self::Unsigned,
        Self::OtherKey,
        Self::OtherEndpoint,
        Self::Changed,
        Self::Split,
    ];
}

/// Another way to write the same search parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Reversed,
    /// Every byte as `%xx`, with lower-case digits.
    EscapedLower,
    /// Every byte but the space as `%XX`, with upper-case digits; a space as `+`.
    EscapedUpper,
}

impl Spelling {
    pub(super) const ALL: [Self; 3] = [Self::Reversed, Self::EscapedLower, Self::EscapedUpper];

    /// The query; `None` if the parameters cannot be written differently.
    fn query(self, pairs: &[(String, String)]) -> Option<String> {
        let escape: fn(u8) -> String = match self {
            Self::Reversed => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.extend_pairs(pairs.iter().rev());
                return (pairs.len() > 1).then(|| query.finish());
            }
            Self::EscapedLower => |byte| format!("%{byte:02x}"),
            Self::EscapedUpper => |byte| match byte {
                b' ' => "+".to_owned(),
                other => format!("%{other:02X}"),
            },
        };
        let text = |text: &str| text.bytes().map(escape).collect::<String>();
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", text(name), text(value)))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

/// The keys of a simulation.
#[derive(Debug)]
pub(super) struct Signing {
    /// Keys, the first of which the server accepts.
    pub(super) keys: Keys,
    /// A key that the server does not know.
    pub(super) stranger: Keys,
}

/// One operation: an endpoint with inputs, under an idempotency key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'s> {
    pub(super) subject: &'s Subject,
    pub(super) reached: &'s Reached,
    pub(super) made: &'s Made,
    pub(super) signing: &'s Signing,
    pub(super) key: &'s str,
}

impl<'s> Operation<'s> {
    /// The correct request.
    pub(super) fn right(&self, now: u64) -> Request {
        self.signed(&self.outgoing(&self.made.inputs), self.key, now)
    }

    /// A correct request with other inputs; `None` if there are no other inputs.
    pub(super) fn with_other_inputs(&self, now: u64) -> Option<Request> {
        Some(self.signed(&self.outgoing(self.made.other.as_ref()?), self.key, now))
    }

    /// A wrong request; `None` if it needs other inputs and there are none.
    pub(super) fn wrong(&self, wrong: Wrong, now: u64) -> Option<Request> {
        let Signing { keys, stranger } = self.signing;
        let call = self.outgoing(&self.made.inputs);
        Some(match wrong {
            Wrong::Stale => self.signed(&call, self.key, now.saturating_sub(FAR)),
            Wrong::Future => self.signed(&call, self.key, now.saturating_add(FAR)),
            Wrong::Unsigned => self.request(&call, self.key, now, None),
            Wrong::OtherKey => self.request(&call, self.key, now, Some(call.sign(stranger, self.key, now))),
            Wrong::OtherEndpoint => {
                let mut foreign = call.clone();
                foreign.url.clone_from(&self.subject.foreign_url);
                self.request(&call, self.key, now, Some(foreign.sign(keys, self.key, now)))
            }
            Wrong::Changed => {
                let sent = self.outgoing(self.made.other.as_ref()?);
                self.request(&sent, self.key, now, Some(call.sign(keys, self.key, now)))
            }
            Wrong::Split => {
                // The same payload belongs to the key without its second half, and to a content that begins with the
                // timestamp.
                self.signed(&call, &format!("{}:{now}", self.key), now)
            }
        })
    }

    /// A correct request whose search parameters are written in another way; `None` if there is no other way.
    pub(super) fn spelled(&self, spelling: Spelling, now: u64) -> Option<Request> {
        let Inputs::Parameters(pairs) = &self.made.inputs else {
            return None;
        };
        let mut call = self.outgoing(&self.made.inputs);
        call.query = spelling.query(pairs)?;
        Some(self.signed(&call, self.key, now))
    }

    /// The same operation under another key.
    pub(super) fn under<'k>(&self, key: &'k str) -> Operation<'k>
    where
        's: 'k,
    {
        Operation { key, ..*self }
    }

    fn outgoing(&self, inputs: &Inputs) -> Outgoing {
        inputs.outgoing(&self.subject.url)
    }

    /// The request with its own signature, by the key that the server accepts.
    fn signed(&self, call: &Outgoing, key: &str, timestamp: u64) -> Request {
        let signature = call.sign(&self.signing.keys, key, timestamp);
        self.request(call, key, timestamp, Some(signature))
    }

    fn request(&self, call: &Outgoing, key: &str, timestamp: u64, signature: Option<String>) -> Request {
        let mut headers = vec![
            ("X-Idempotency-Key", key.to_owned()),
            ("X-Timestamp", timestamp.to_string()),
        ];
        headers.extend(signature.map(|signature| ("X-Signature", signature)));
        if call.method == Method::Post {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        let target = call.target(&self.subject.path);
        Request {
            method: call.method,
            url: format!("{}{target}", self.subject.origin),
            address: format!("{}{target}", self.reached.origin),
            host: self.reached.host.clone(),
            headers,
            body: call.body.clone(),
        }
    }
}

/// A new idempotency key.
pub(super) fn new_key() -> Result<String, String> {
    caller::idempotency_key(None)
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    url: String,
    /// The URL to connect to, whose host may be an address instead of a name.
    pub(super) address: String,
    pub(super) host: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// The request as it is sent, without the headers that every client adds.
impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {value}")?;
        }
        if !self.body.is_empty() {
            writeln!(formatter, "{}", shown(self.body.as_bytes()))?;
        }
        Ok(())
    }
}

/// The text of a body on one line, cut if it is long. Control characters are replaced, because a terminal obeys them.
pub(super) fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut line: String = text
        .chars()
        .take(SHOWN)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
impl Request {
    /// A GET with the idempotency key `key`, which is not signed.
    pub(super) fn unsigned(url: &str, now: u64) -> Self {
        Self {
            method: Method::Get,
            url: url.to_owned(),
            address: url.to_owned(),
            host: "localhost".to_owned(),
            headers: vec![
                ("X-Idempotency-Key", "key".to_owned()),
                ("X-Timestamp", now.to_string()),
            ],
            body: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spelling;
    use crate::protocol::parameters::Parameters;

    #[test]
    fn every_spelling_decodes_to_the_same_parameters() {
        let pairs = [("email", "josé+1@example.com"), ("q", "a b&c=d/%2F")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for spelling in Spelling::ALL {
            let query = spelling.query(&pairs).unwrap();
            let (decoded, twice) = Parameters::decode(&query).unwrap();
            let decoded: Vec<_> = decoded.iter().collect();
            assert!(!twice);
            assert_eq!(
                decoded,
                [("email", "josé+1@example.com"), ("q", "a b&c=d/%2F")],
                "{query}"
            );
        }
        assert_eq!(Spelling::Reversed.query(&pairs[..1]), None);
        assert_eq!(Spelling::EscapedLower.query(&[]), None);
        let query = Spelling::EscapedUpper.query(&pairs[1..]).unwrap();
        assert_eq!(query, "%71=%61+%62%26%63%3D%64%2F%25%32%46");
    }
}
