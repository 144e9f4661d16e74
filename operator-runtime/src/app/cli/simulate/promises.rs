//! The promises of a receiver as a table, and how each is judged from what was answered. A pure file.

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests;

use serde_json::Value;

use super::attempt::{Exchange, Lost};
use super::counting::{self, Numbers};
use super::exercise::{Control, Seen, Sent, Unsent};
use super::request::{Spelling, Wrong, shown};
use crate::protocol::method::Method;

/// A server refuses other inputs under a used key with one of these statuses.
const KEY_REUSED: [u16; 3] = [400, 409, 422];

/// A promise, and how one endpoint is judged; `None` if the promise is not about such an endpoint.
pub(super) struct Promise {
    pub(super) text: &'static str,
    /// What a server has to do that breaks the promise.
    pub(super) advice: &'static str,
    pub(super) judge: fn(&Seen) -> Option<Verdict<'_>>,
}

/// What was seen of a promise at one endpoint.
#[derive(Debug)]
pub(super) enum Verdict<'s> {
    Kept(String),
    /// The reason why the answers do not show whether the promise holds.
    NotShown(String),
    Broken {
        what: String,
        evidence: Vec<&'s Exchange>,
    },
}

/// Every promise, in the order of the table.
pub(super) const PROMISES: [Promise; 15] = [
    Promise {
        text: "a correct call is answered",
        advice: "Check the signing key, and the URL that is signed: the answer says more.",
        judge: |seen| Some(answered(seen)),
    },
    Promise {
        text: "a retry after the answer gets the same answer",
        advice: "Store the whole answer under the idempotency key before you send it, and send the stored bytes to each retry.",
        judge: |seen| seen.changes.then(|| replayed(seen)),
    },
    Promise {
        text: "of duplicates sent at once, one acts",
        advice: "Claim the idempotency key in one atomic step before you act; a duplicate waits for the answer, or gets 409 with `Retry-After`.",
        judge: |seen| seen.changes.then(|| acted_once(seen)),
    },
    Promise {
        text: "a caller that hangs up and retries acts once",
        advice: "Claim the idempotency key before you act, and finish the operation even if its caller has gone.",
        judge: |seen| seen.changes.then(|| survived(seen)),
    },
    Promise {
        text: "other inputs under a used key are refused",
        advice: "Store a hash of the request with the idempotency key, and answer 422 if a later request differs.",
        judge: |seen| seen.changes.then(|| reuse_refused(seen)),
    },
    Promise {
        text: "a stale timestamp is refused",
        advice: "Answer 401 if the timestamp is more than 30 s behind your clock.",
        judge: |seen| Some(refused(seen, Wrong::Stale)),
    },
    Promise {
        text: "a timestamp from the future is refused",
        advice: "Answer 401 if the timestamp is more than 30 s ahead of your clock: such a call could be replayed for longer.",
        judge: |seen| Some(refused(seen, Wrong::Future)),
    },
    Promise {
        text: "a call without a signature is refused",
        advice: "Answer 401 to a call without `X-Signature`.",
        judge: |seen| Some(refused(seen, Wrong::Unsigned)),
    },
    Promise {
        text: "a signature with another key is refused",
        advice: "Compute the signature with your own key, and compare all of it.",
        judge: |seen| Some(refused(seen, Wrong::OtherKey)),
    },
    Promise {
        text: "another endpoint's signature is refused",
        advice: "Verify the signature over the published URL of the endpoint that is called.",
        judge: |seen| Some(refused(seen, Wrong::OtherEndpoint)),
    },
    Promise {
        text: "inputs changed after signing are refused",
        advice: "Verify the signature over exactly the body, or the decoded parameters, that the handler reads.",
        judge: |seen| Some(refused(seen, Wrong::Changed)),
    },
    Promise {
        text: "a payload that can be split in two ways is refused",
        advice: "Refuse an idempotency key with a colon: the same signature is valid for the key without its end, with another timestamp and content.",
        judge: |seen| Some(refused(seen, Wrong::Split)),
    },
    Promise {
        text: "a refused request does not act",
        advice: "Verify a request completely before you act.",
        judge: |seen| seen.changes.then(|| refused_without_effect(seen)),
    },
    Promise {
        text: "parameters in another order are accepted",
        advice: "Decode the parameters, and verify the signature over their JSON with sorted keys, not over the query.",
        judge: |seen| (seen.method == Method::Get).then(|| accepted(seen, &[Spelling::Reversed])),
    },
    Promise {
        text: "parameters in another encoding are accepted",
        advice: "Decode the parameters, and verify the signature over their JSON with sorted keys, not over the query.",
        judge: |seen| {
            let spellings = [Spelling::EscapedLower, Spelling::EscapedUpper];
            (seen.method == Method::Get).then(|| accepted(seen, &spellings))
        },
    },
];

fn answered(seen: &Seen) -> Verdict<'_> {
    let plain = &seen.plain;
    match plain.status() {
        Some(status @ 200..=299) => Verdict::Kept(status.to_string()),
        Some(status @ (400 | 402 | 404..=499)) if status != 408 && status != 429 => Verdict::NotShown(format!(
            "the server declined these inputs with {status} ({})",
            detail(plain)
        )),
        _ if plain.answer == Err(Lost::Late) => late(),
        _ => broken(outcome(plain), vec![plain]),
    }
}

fn replayed(seen: &Seen) -> Verdict<'_> {
    let again = match with_answer(seen, &seen.again) {
        Ok(again) => again,
        Err(verdict) => return verdict,
    };
    if !again.is_same(&seen.plain) {
        broken("the retry got another answer".to_owned(), vec![&seen.plain, again])
    } else if seen.is_telling() {
        Verdict::Kept(format!("{}, the same {} bytes", outcome(again), again.body().len()))
    } else {
        not_telling()
    }
}

fn acted_once(seen: &Seen) -> Verdict<'_> {
    if let Some(verdict) = not_acting(seen) {
        return verdict;
    }
    if seen.duplicates.is_empty() {
        return late();
    }
    let done: Vec<&Exchange> = seen.duplicates.iter().filter(|one| one.is_done()).collect();
    if let Some(other) = done.iter().find(|one| !one.is_same(done[0])) {
        return broken(
            "two of the duplicates got different answers".to_owned(),
            vec![done[0], other],
        );
    }
    match seen.duplicates.iter().find(|one| !one.is_done()) {
        Some(other) if other.is_unfinished() || other.answer == Err(Lost::Late) => late(),
        Some(other) if !done.is_empty() => broken(
            format!("one of the duplicates ended with {}", outcome(other)),
            vec![done[0], other],
        ),
        Some(other) => not_done(other),
        None if seen.is_telling() => Verdict::Kept(format!("{} callers, one answer", seen.duplicates.len())),
        None => not_telling(),
    }
}

fn survived(seen: &Seen) -> Verdict<'_> {
    if let Some(verdict) = not_acting(seen) {
        return verdict;
    }
    let Some(hung_up) = &seen.hung_up else {
        return late();
    };
    let (retry, later) = (&hung_up.retry, &hung_up.later);
    if [retry, later].iter().any(|one| one.answer == Err(Lost::Late)) {
        return late();
    }
    if !retry.is_same(later) {
        return broken("two retries got different answers".to_owned(), vec![retry, later]);
    }
    if !retry.is_done() {
        return not_done(retry);
    }
    match seen.even_count() {
        Some(count) => return Verdict::Kept(count),
        None if seen.control.is_none() => return not_counted(),
        None => {}
    }
    let before: Vec<Numbers> = seen.duplicates.iter().map(|one| seen.numbers(one)).collect();
    let found = runs(seen, |control, place, step| {
        let last = Numbers::furthest(&before, place, step)?;
        let own = seen.numbers(retry);
        let next = seen.numbers(&control.steady[0]);
        if own.runs_until(&next, place, step) != Some(1) {
            return None;
        }
        let second = seen.numbers(&control.after_refusals);
        let second = second.runs_until(&seen.numbers(&control.hung_up.retry), place, step)?;
        Some([last.runs_until(&own, place, step)?, second])
    });
    match found {
        Some((place, [2..=i64::MAX, 2..=i64::MAX])) => broken(
            format!("the operation acted twice, as {} shows", counting::name(&place)),
            vec![retry],
        ),
        Some((place, [1, 1])) => Verdict::Kept(format!("{} counted one operation", counting::name(&place))),
        _ => not_counted(),
    }
}

fn reuse_refused(seen: &Seen) -> Verdict<'_> {
    let other = match with_answer(seen, &seen.other_inputs) {
        Ok(other) => other,
        Err(verdict) => return verdict,
    };
    match other.status() {
        Some(status) if KEY_REUSED.contains(&status) => Verdict::Kept(status.to_string()),
        Some(_) if other.is_same(&seen.plain) => broken(
            "the other inputs got the answer of the first".to_owned(),
            vec![&seen.plain, other],
        ),
        Some(200..=299) => broken(
            "the server acted on the other inputs".to_owned(),
            vec![&seen.plain, other],
        ),
        _ => Verdict::NotShown(format!("the answer was {}", outcome(other))),
    }
}

fn refused(seen: &Seen, wrong: Wrong) -> Verdict<'_> {
    let sent = seen.refusals.iter().find(|(one, _)| *one == wrong);
    let exchange = match sent {
        Some((_, Ok(exchange))) => exchange,
        Some((_, Err(unsent))) => return not_sent(*unsent),
        None => return not_answered(seen),
    };
    match exchange.status() {
        Some(status) if exchange.is_refused() => Verdict::Kept(status.to_string()),
        Some(429 | 503) | None => Verdict::NotShown(format!("the answer was {}", outcome(exchange))),
        Some(_) => broken(format!("it was answered with {}", outcome(exchange)), vec![exchange]),
    }
}

fn refused_without_effect(seen: &Seen) -> Verdict<'_> {
    if let Some(verdict) = not_acting(seen) {
        return verdict;
    }
    let mut verdicts = Wrong::ALL.iter().map(|wrong| refused(seen, *wrong));
    if verdicts.any(|verdict| matches!(verdict, Verdict::Broken { .. })) {
        return Verdict::NotShown("not every wrong request was refused".to_owned());
    }
    if let Some(count) = seen.even_count() {
        return Verdict::Kept(count);
    }
    let Some([first, second, _]) = seen.counted() else {
        return not_counted();
    };
    let found = runs(seen, |control, place, step| {
        let [_, before] = control.steady.each_ref().map(|one| seen.numbers(one));
        let after = seen.numbers(&control.after_refusals);
        Some([
            first.runs_until(&second, place, step)?,
            before.runs_until(&after, place, step)?,
        ])
    });
    match found {
        Some((place, [2..=i64::MAX, 2..=i64::MAX])) if matches!(acted_once(seen), Verdict::Kept(_)) => broken(
            format!(
                "{} counted more than one operation while only wrong requests were sent",
                counting::name(&place)
            ),
            seen.duplicates.first().into_iter().chain([&seen.plain]).collect(),
        ),
        Some((place, [1, 1])) => Verdict::Kept(format!("{} counted no further operation", counting::name(&place))),
        _ => not_counted(),
    }
}

fn accepted<'s>(seen: &'s Seen, spellings: &[Spelling]) -> Verdict<'s> {
    let mut accepted = 0;
    for (_, sent) in seen.spelled.iter().filter(|(one, _)| spellings.contains(one)) {
        match sent {
            Err(unsent) => return not_sent(*unsent),
            Ok(exchange) if exchange.status() == seen.plain.status() => accepted += 1,
            Ok(exchange) => {
                return match exchange.status() {
                    Some(429 | 500..) | None => Verdict::NotShown(format!("the answer was {}", outcome(exchange))),
                    Some(_) => broken(format!("it was answered with {}", outcome(exchange)), vec![exchange]),
                };
            }
        }
    }
    if accepted == 0 {
        return not_answered(seen);
    }
    Verdict::Kept(outcome(&seen.plain))
}

/// Finds a number that goes on evenly in the control, and how often it went on in the two places that `count` compares.
/// `None` if there is no control, or if the numbers do not agree.
fn runs(seen: &Seen, count: impl Fn(&Control, &str, i64) -> Option<[i64; 2]>) -> Option<(String, [i64; 2])> {
    let control = seen.control.as_ref()?;
    let [one, next] = control.steady.each_ref().map(|exchange| seen.numbers(exchange));
    let steps = one.steps_to(&next);
    let mut found = steps.filter_map(|(place, step)| Some((place.to_owned(), count(control, place, step)?)));
    let first = found.next()?;
    found.all(|(_, other)| other == first.1).then_some(first)
}

/// The answer to a request about the first operation; a verdict if there is none.
fn with_answer<'s>(seen: &'s Seen, sent: &'s Sent) -> Result<&'s Exchange, Verdict<'s>> {
    match (not_acting(seen), sent) {
        (Some(verdict), _) => Err(verdict),
        (None, Err(unsent)) => Err(not_sent(*unsent)),
        (None, Ok(exchange)) => Ok(exchange),
    }
}

/// The verdict if the first call was not carried out.
fn not_acting(seen: &Seen) -> Option<Verdict<'_>> {
    (!seen.plain.is_done()).then(|| not_answered(seen))
}

fn not_answered(seen: &Seen) -> Verdict<'_> {
    match answered(seen) {
        Verdict::NotShown(why) => Verdict::NotShown(why),
        Verdict::Kept(_) | Verdict::Broken { .. } => {
            Verdict::NotShown("the correct call was not carried out".to_owned())
        }
    }
}

fn not_telling<'s>() -> Verdict<'s> {
    Verdict::NotShown("the answers of two operations are the same, so a second run would look the same".to_owned())
}

fn not_counted<'s>() -> Verdict<'s> {
    Verdict::NotShown("no number in the answers counts the operations, so a second run would not be seen".to_owned())
}

fn not_done(exchange: &Exchange) -> Verdict<'_> {
    Verdict::NotShown(format!(
        "this operation was answered with {}, so it did not act",
        outcome(exchange)
    ))
}

fn not_sent<'s>(unsent: Unsent) -> Verdict<'s> {
    match unsent {
        Unsent::Late => late(),
        Unsent::Impossible(why) => Verdict::NotShown(why.to_owned()),
    }
}

fn late<'s>() -> Verdict<'s> {
    Verdict::NotShown("the time ran out: give more with `--duration`".to_owned())
}

fn broken(what: String, evidence: Vec<&Exchange>) -> Verdict<'_> {
    Verdict::Broken { what, evidence }
}

/// What an answer says: the sentence of a problem document, or the body.
fn detail(exchange: &Exchange) -> String {
    let document = serde_json::from_slice::<Value>(exchange.body()).unwrap_or_default();
    match document["detail"].as_str() {
        Some(sentence) => shown(sentence.as_bytes()),
        None => shown(exchange.body()),
    }
}

/// The status, or why there is no answer.
pub(super) fn outcome(exchange: &Exchange) -> String {
    match &exchange.answer {
        Ok(answer) => answer.status.to_string(),
        Err(Lost::Late) => "no answer in time".to_owned(),
        Err(Lost::Failed(why)) => format!("no answer ({})", why.trim_end_matches('.')),
    }
}
