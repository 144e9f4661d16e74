//! The promises of a receiver as a table, and how each is judged from what was answered. A pure file.

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests;

use serde_json::Value;

use super::attempt::{Exchange, Lost};
use super::counting;
use super::exercise::{HungUp, Round, Seen, Sent, Unsent};
use super::request::{Spelling, Wrong, shown};
use crate::protocol::method::Method;

/// A server refuses other inputs under a used key with one of these statuses.
const KEY_REUSED: [u16; 3] = [400, 409, 422];

/// A promise, and how one endpoint is judged; `None` if the promise is not about such an endpoint.
pub(super) struct Promise {
    pub(super) text: &'static str,
    /// What a server that breaks the promise has to change.
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
    for duplicates in [&seen.duplicates]
        .into_iter()
        .chain(seen.rounds().map(|round| &round.duplicates))
    {
        let mut done = duplicates.iter().filter(|one| one.is_done());
        let first = done.next();
        if let Some((first, other)) = first.and_then(|first| Some((first, done.find(|one| !one.is_same(first))?))) {
            let what = "two of the duplicates got different answers".to_owned();
            return broken(what, vec![first, other]);
        }
    }
    let done = seen.duplicates.iter().find(|one| one.is_done());
    match seen.duplicates.iter().find(|one| !one.is_done()) {
        Some(other) if other.is_unfinished() || other.answer == Err(Lost::Late) => late(),
        Some(other) => match done {
            Some(done) => {
                let what = format!("one of the duplicates ended with {}", outcome(other));
                broken(what, vec![done, other])
            }
            None => not_done(other),
        },
        None if !seen.is_telling() => not_telling(),
        // All answers can be the same although each duplicate acted, if the server stores only the first answer.
        None => counted(seen, 1, |_, round| {
            let duplicate = round.duplicates.first();
            let shown = [&round.after_refusals].into_iter().chain(duplicate);
            shown.chain([&round.after_duplicates]).collect()
        }),
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
    // If the caller that hung up acted too, but its answer was stored, only the next operation shows it.
    match &seen.after {
        Err(unsent) => return not_sent(*unsent),
        Ok(after) if !after.is_done() => return no_further(after),
        Ok(_) => {}
    }
    let is_other = |one: &&HungUp| one.retry.is_done() && one.later.is_done() && !one.retry.is_same(&one.later);
    if let Some(HungUp { retry, later }) = seen.rounds().map(|round| &round.hung_up).find(is_other) {
        return broken("two retries got different answers".to_owned(), vec![retry, later]);
    }
    counted(seen, 1, |_, round| {
        vec![&round.after_duplicates, &round.hung_up.retry, &round.after_hang_up]
    })
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
    counted(seen, 0, |before, round| vec![before, &round.after_refusals])
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

/// Judges by the numbers in the answers whether an endpoint acted no more than `allowed` times between the first and the
/// last operation that `between` returns. Its arguments are a round of the control and the operation before this round.
fn counted<'s>(seen: &'s Seen, allowed: i64, between: fn(&'s Exchange, &'s Round) -> Vec<&'s Exchange>) -> Verdict<'s> {
    if let Some(count) = seen.even_count() {
        return Verdict::Kept(count);
    }
    let control = match (&seen.after, &seen.control) {
        (Err(unsent), _) => return not_sent(*unsent),
        (Ok(after), _) if !after.is_done() => return no_further(after),
        (Ok(_), None) if seen.needs_control() => return late(),
        (Ok(_), None) => return not_counted(),
        (Ok(_), Some(control)) => control,
    };
    if let Some(undone) = control.operations().into_iter().find(|one| !one.is_done()) {
        return no_further(undone);
    }
    let [first, second] = control.rounds.as_slice() else {
        return not_counted();
    };
    let rounds = [
        between(&control.after_retry, first),
        between(&first.after_hang_up, second),
    ];
    let counters = seen.counters(&control.steady, &control.after_retry);
    let mut counts = counters.iter().filter_map(|(place, step)| {
        let mut acted = [0; 2];
        for (acted, exchanges) in acted.iter_mut().zip(&rounds) {
            let (before, after) = (seen.numbers(exchanges.first()?), seen.numbers(exchanges.last()?));
            // The last step is that of the operation after it.
            *acted = before.runs_until(&after, place, *step)? - 1;
        }
        Some((place, acted))
    });
    let Some((place, acted)) = counts.next() else {
        return not_counted();
    };
    let (name, [least, most]) = (counting::name(place), [acted[0].min(acted[1]), acted[0].max(acted[1])]);
    if counts.any(|(_, other)| other != acted) {
        not_counted()
    } else if least > allowed {
        let [exchanges, _] = rounds;
        broken(
            format!("{name} counted {least} operations instead of {allowed}"),
            exchanges,
        )
    } else if least == allowed && most == allowed {
        let counted = if allowed == 0 { "no operation" } else { "one operation" };
        Verdict::Kept(format!("{name} counted {counted}"))
    } else {
        Verdict::NotShown(format!(
            "{name} counted {} and {} operations in two rounds, so another caller may have been at work",
            acted[0], acted[1]
        ))
    }
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
    Verdict::NotShown(
        "no number in the answers increases by one with each operation, so a second run could not be noticed"
            .to_owned(),
    )
}

/// The verdict if one of the operations by which the others are counted was not carried out.
fn no_further(exchange: &Exchange) -> Verdict<'_> {
    if exchange.answer == Err(Lost::Late) {
        return late();
    }
    Verdict::NotShown(format!(
        "the operation that would have counted the others was answered with {}",
        outcome(exchange)
    ))
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
