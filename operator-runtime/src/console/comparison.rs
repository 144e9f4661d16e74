//! Checks the signature of a pasted request and, if it is wrong, finds out which signed part differs.
//!
//! A signature does not reveal what was signed. So a part is reported as different only with a proof: either the
//! payload that the caller says it signed, or a payload with a common mistake, gives exactly this signature.

use serde::{Deserialize, Serialize};

use super::mistakes::{Mistake, Part, Parts};
use super::request::Request;
pub(crate) use super::request::Server;
use crate::protocol::signature::SecretReading;

/// The texts that a person pasted into the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// A curl command, or the request as it was sent.
    request: String,
    /// The payload that the caller signed, if the caller printed the payload; otherwise empty.
    payload: String,
}

/// The result of the check, for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    verdict: Verdict,
    /// Sentences for the person who looks for the mistake.
    summary: String,
    /// Why the request is refused whatever its signature: its timestamp is too old or too far in the future.
    stale: Option<String>,
    parts: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// The signature is valid.
    Holds,
    /// A part certainly differs.
    Differs,
    /// Nobody can tell which part differs.
    Unknown,
    /// The request is refused before its signature is checked.
    Refused,
}

/// One row of the result: a signed part, or the signing key.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    part: &'static str,
    /// What the caller signed, if it is known.
    signed: Option<String>,
    /// What this server signs; in the row of the signing key, the ids of the accepted keys.
    expected: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Same,
    Differs,
    Unknown,
}

impl Question {
    /// Compares the request with what this server signs.
    pub(crate) fn answer(&self, server: &Server<'_>) -> Comparison {
        let request = match Request::read(&self.request, server) {
            Ok(request) => request,
            Err(sentence) => return Comparison::new(Verdict::Refused, sentence, Vec::new()),
        };
        // A line break at the end may belong to the payload or come from pasting, so both readings are tried.
        let trimmed = self.payload.trim_end_matches(['\r', '\n']);
        let payload = (!trimmed.is_empty()).then_some(trimmed);
        let comparison = holds(&request, server)
            .or_else(|| proved_by_payload(&request, &self.payload, server))
            .or_else(|| payload.and_then(|payload| proved_by_payload(&request, payload, server)))
            .or_else(|| proved_by_mistake(&request, server))
            .or_else(|| payload.map(|payload| suspected_of_payload(&request, payload, server)))
            .unwrap_or_else(|| unknown(&request, server));
        Comparison {
            stale: request.stale,
            ..comparison
        }
    }
}

impl Comparison {
    fn new(verdict: Verdict, summary: String, parts: Vec<Row>) -> Self {
        Self {
            verdict,
            summary,
            stale: None,
            parts,
        }
    }
}

/// The result if the signature is right.
fn holds(request: &Request, server: &Server<'_>) -> Option<Comparison> {
    let payload = request.right.joined(":");
    let signer = server.keys.signer_of(payload.as_bytes(), &request.signature);
    let (key, SecretReading::AsItStands) = signer? else {
        return None;
    };
    let summary = match request.stale {
        None => "The signature is valid: this server accepts the request.",
        Some(_) => "The signature is valid; only the timestamp is refused.",
    };
    let mut rows = rows(&request.right, Some(&request.right));
    rows.push(key_row(server, Some(key.id().to_owned()), State::Same));
    Some(Comparison::new(Verdict::Holds, summary.to_owned(), rows))
}

/// The result if the caller's payload gives this signature. That proves that this payload was signed.
fn proved_by_payload(request: &Request, payload: &str, server: &Server<'_>) -> Option<Comparison> {
    let (key, reading) = server.keys.signer_of(payload.as_bytes(), &request.signature)?;
    let mut rows = rows(&request.right, split(payload, &request.right).as_ref());
    rows.push(key_row(server, Some(key.id().to_owned()), state_of(reading)));
    let which = differing(&rows);
    let mut summary = match which.as_str() {
        // The parts were not joined by colons, or the payload cannot be split into parts.
        "" => "The payload was signed with a right key, but the payload is not URL, idempotency key, timestamp and content joined by colons.".to_owned(),
        which => format!("The payload gives this signature, so this payload was signed. What differs: {which}."),
    };
    summary.extend(sentence_of(reading));
    Some(Comparison::new(Verdict::Differs, summary, rows))
}

/// The result if one common mistake, or two together, give this signature.
fn proved_by_mistake(request: &Request, server: &Server<'_>) -> Option<Comparison> {
    let right = &request.right;
    let try_out = |mistakes: &[&Mistake], joint: &str| {
        let signed = right.with(mistakes);
        let (key, reading) = server
            .keys
            .signer_of(signed.joined(joint).as_bytes(), &request.signature)?;
        let mut rows = rows(right, Some(&signed));
        rows.push(key_row(server, Some(key.id().to_owned()), state_of(reading)));
        let mut summary = String::new();
        if !mistakes.is_empty() {
            let how: Vec<&str> = mistakes.iter().map(|mistake| mistake.how).collect();
            let which = differing(&rows);
            summary = format!("What differs: {which}. The request was signed {}.", how.join(", and "));
        }
        if joint != ":" {
            summary += " The parts were not joined by colons.";
        }
        summary.extend(sentence_of(reading));
        Some(Comparison::new(Verdict::Differs, summary.trim_start().to_owned(), rows))
    };
    let all = &request.mistakes;
    let single = || all.iter().find_map(|one| try_out(&[one], ":"));
    let joints = || ["", "\n", ".", "|"].iter().find_map(|joint| try_out(&[], joint));
    let pair = |first: &Mistake| {
        let others = all.iter().filter(|second| second.part > first.part);
        others.into_iter().find_map(|second| try_out(&[first, second], ":"))
    };
    try_out(&[], ":")
        .or_else(single)
        .or_else(joints)
        .or_else(|| all.iter().find_map(pair))
}

/// The result if the caller's payload does not give this signature. Either the payload or the signing key is wrong, and
/// nobody can tell which of the two.
fn suspected_of_payload(request: &Request, payload: &str, server: &Server<'_>) -> Comparison {
    let mut rows = rows(&request.right, split(payload, &request.right).as_ref());
    rows.push(key_row(server, None, State::Unknown));
    if payload == request.right.joined(":") {
        let summary = "The payload is exactly what this server signs, but none of this server's keys produces the request's signature from it. If the caller signed this payload, it used a different key.";
        return Comparison::new(Verdict::Unknown, summary.to_owned(), rows);
    }
    let which = differing(&rows);
    let named = if which.is_empty() {
        "how its parts are joined".to_owned()
    } else {
        which
    };
    let summary = format!(
        "The payload differs from what this server signs, in: {named}. Also, no key of this server produces the request's signature from this payload. So either the signing key is different too, or the caller signed another payload."
    );
    Comparison::new(Verdict::Unknown, summary, rows)
}

fn unknown(request: &Request, server: &Server<'_>) -> Comparison {
    let mut rows = rows(&request.right, None);
    rows.push(key_row(server, None, State::Unknown));
    let summary = format!(
        "The signature is not valid, and a signature does not reveal what was signed. None of {} common mistakes explains this signature, alone or in pairs. Have the caller print the payload that it signs, and paste that payload below; if each part is as shown here, the signing key differs.",
        request.mistakes.len()
    );
    Comparison::new(Verdict::Unknown, summary, rows)
}

fn rows(right: &Parts, signed: Option<&Parts>) -> Vec<Row> {
    let name = |part: Part| match part {
        Part::Url => "URL",
        Part::IdempotencyKey => "X-Idempotency-Key",
        Part::Timestamp => "X-Timestamp",
        Part::Content => "content",
    };
    let row = |part: Part| {
        let (expected, signed) = (part.of(right), signed.map(|signed| part.of(signed)));
        Row {
            part: name(part),
            signed: signed.map(str::to_owned),
            expected: expected.to_owned(),
            state: match signed {
                None => State::Unknown,
                Some(signed) if signed == expected => State::Same,
                Some(_) => State::Differs,
            },
        }
    };
    Part::ALL.map(row).into()
}

fn key_row(server: &Server<'_>, signed: Option<String>, state: State) -> Row {
    Row {
        part: "signing key",
        signed,
        expected: server.keys.ids().collect::<Vec<_>>().join(" or "),
        state,
    }
}

/// The names of the parts that differ, joined by "and".
fn differing(rows: &[Row]) -> String {
    let names = rows
        .iter()
        .filter(|row| row.state == State::Differs)
        .map(|row| row.part);
    names.collect::<Vec<_>>().join(" and ")
}

fn state_of(reading: SecretReading) -> State {
    match reading {
        SecretReading::AsItStands => State::Same,
        SecretReading::WithNewline | SecretReading::DecodedHex => State::Differs,
    }
}

fn sentence_of(reading: SecretReading) -> Option<&'static str> {
    match reading {
        SecretReading::AsItStands => None,
        SecretReading::WithNewline => {
            Some(" The signing key was used with a line break at its end: remove it before signing.")
        }
        SecretReading::DecodedHex => {
            Some(" The signing key was decoded from hexadecimal: use the key's whole text, unchanged.")
        }
    }
}

/// Splits a payload into its parts. URL and content may contain colons, so there are several ways to split. The best
/// one has the right idempotency key, the right timestamp, or both; otherwise, the first one whose timestamp is at
/// least nine digits.
fn split(payload: &str, right: &Parts) -> Option<Parts> {
    let colons: Vec<usize> = payload.match_indices(':').map(|(at, _)| at).collect();
    let between = |start: usize, end: usize| &payload[start + 1..end];
    let looks_like_time = |text: &str| text.len() >= 9 && text.bytes().all(|digit| digit.is_ascii_digit());
    let likeness = |at: &&[usize]| {
        let (key, timestamp) = (between(at[0], at[1]), between(at[1], at[2]));
        u8::from(key == right.idempotency_key) * 2
            + u8::from(timestamp == right.timestamp) * 2
            + u8::from(looks_like_time(timestamp))
    };
    // The order is reversed, because `max_by_key` returns the last of equal candidates and the first is wanted. Only
    // the chosen candidate is copied, because a payload of colons only has many candidates.
    let at = colons.windows(3).rev().max_by_key(likeness)?;
    (likeness(&at) > 0).then(|| Parts {
        url: payload[..at[0]].to_owned(),
        idempotency_key: between(at[0], at[1]).to_owned(),
        timestamp: between(at[1], at[2]).to_owned(),
        content: payload[at[2] + 1..].to_owned(),
    })
}

/// Reads a text as a pasted request and as a pasted payload.
#[cfg(fuzzing)]
pub(crate) fn read_pasted(text: &str) {
    let [url, idempotency_key, timestamp, content] =
        ["https://a.example", "k-1", "1700000000", "{}"].map(str::to_owned);
    let right = Parts {
        url,
        idempotency_key,
        timestamp,
        content,
    };
    drop(super::pasted::Pasted::read(text));
    drop(split(text, &right));
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use crate::protocol::signature::{Keys, SecretReading};

    #[test]
    fn a_signer_is_found_for_each_reading_of_its_secret() {
        let keys = Keys::parse("the test", "old=op_sk_0a, new=op_sk_00ff").unwrap();
        let signed_with = |secret: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            mac.update(b"payload");
            let signature = mac.finalize().into_bytes().into();
            let found = keys.signer_of(b"payload", &signature);
            found.map(|(key, reading)| (key.id().to_owned(), reading))
        };
        let new = |reading| Some(("new".to_owned(), reading));
        assert_eq!(signed_with(b"op_sk_00ff"), new(SecretReading::AsItStands));
        assert_eq!(signed_with(b"op_sk_00ff\n"), new(SecretReading::WithNewline));
        assert_eq!(signed_with(&[0x00, 0xff]), new(SecretReading::DecodedHex));
        assert_eq!(signed_with(b"00ff"), None);
    }
}
