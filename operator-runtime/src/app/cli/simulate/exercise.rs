//! What a simulation does with one endpoint: the order of its operations, and everything that was answered.

use std::time::Duration;

use super::attempt::{Exchange, Lost, Sender};
use super::counting::Numbers;
use super::request::{Operation, Request, Spelling, Wrong, new_key};
use crate::protocol::method::Method;

/// How many callers send the same operation at the same moment.
const AT_ONCE: usize = 4;
/// A caller that hangs up waits at most this long first.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The simulation's time ran out before the request was sent.
    Late,
    /// The request cannot be made with these inputs.
    Impossible(&'static str),
}

pub(super) type Sent = Result<Exchange, Unsent>;

/// Everything that was answered.
#[derive(Debug)]
pub(super) struct Seen {
    /// Whether a call of the endpoint changes something.
    pub(super) changes: bool,
    pub(super) method: Method,
    /// The first correct call.
    pub(super) plain: Exchange,
    /// The same call again, after the answer.
    pub(super) again: Sent,
    /// Other inputs under the key of the first call.
    pub(super) other_inputs: Sent,
    pub(super) refusals: Vec<(Wrong, Sent)>,
    pub(super) spelled: Vec<(Spelling, Sent)>,
    /// One operation, sent several times at the same moment.
    pub(super) duplicates: Vec<Exchange>,
    pub(super) hung_up: Option<HungUp>,
    /// An operation after the one whose caller hung up.
    pub(super) after: Sent,
    pub(super) control: Option<Control>,
    /// When the exercise began, in seconds since 1970-01-01 UTC.
    pub(super) now: u64,
}

/// An operation whose first caller hung up.
#[derive(Debug)]
pub(super) struct HungUp {
    /// The retry that was sent at once.
    pub(super) retry: Exchange,
    /// A second retry, after the first was answered.
    pub(super) later: Exchange,
}

/// Further operations, which show how often the endpoint acts if the numbers in the first answers do not.
#[derive(Debug)]
pub(super) struct Control {
    /// An operation right after [`Seen::after`], so that these two show the step of each number.
    pub(super) steady: Exchange,
    /// An operation after a retry of `steady`.
    pub(super) after_retry: Exchange,
    /// Two rounds, because what is seen only once may be the work of another caller. Empty if no number counts.
    pub(super) rounds: Vec<Round>,
}

impl Control {
    /// The operations between which the others are counted.
    pub(super) fn operations(&self) -> Vec<&Exchange> {
        let of_rounds = self.rounds.iter();
        let of_rounds = of_rounds.flat_map(|one| [&one.after_refusals, &one.after_duplicates, &one.after_hang_up]);
        [&self.steady, &self.after_retry].into_iter().chain(of_rounds).collect()
    }
}

/// Everything that could make an endpoint act too often, each between two operations that act once.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) after_refusals: Exchange,
    pub(super) duplicates: Vec<Exchange>,
    pub(super) after_duplicates: Exchange,
    pub(super) hung_up: HungUp,
    pub(super) after_hang_up: Exchange,
}

impl Seen {
    /// The numbers in an answer.
    pub(super) fn numbers(&self, exchange: &Exchange) -> Numbers {
        Numbers::of(exchange.body(), self.now)
    }

    /// Whether the answers of two operations differ, so that an operation that acts twice can be told from a replay.
    pub(super) fn is_telling(&self) -> bool {
        let hung_up = self.hung_up.iter().map(|hung_up| &hung_up.retry);
        let others = self.duplicates.iter().chain(hung_up);
        let mut done = others.filter(|exchange| exchange.is_done());
        done.any(|exchange| exchange.body() != self.plain.body())
    }

    /// The rounds of the control, if there are any.
    pub(super) fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.control.iter().flat_map(|control| &control.rounds)
    }

    /// The numbers of the first operation, the duplicates, the one whose caller hung up, and the one after it, if that was
    /// carried out. Between the first two, all wrong requests were sent.
    fn counted(&self) -> Option<Vec<Numbers>> {
        let (duplicate, hung_up) = (self.duplicates.first()?, self.hung_up.as_ref()?);
        let all = [&self.plain, duplicate, &hung_up.retry];
        let after = self.after.iter().filter(|exchange| exchange.is_done());
        let is_done = all.iter().all(|exchange| exchange.is_done());
        is_done.then(|| {
            all.into_iter()
                .chain(after)
                .map(|exchange| self.numbers(exchange))
                .collect()
        })
    }

    /// The number that changed by the same step over the counted operations, if nothing else was seen to act meanwhile.
    pub(super) fn even_count(&self) -> Option<String> {
        let refused = self.refusals.iter().all(|(_, sent)| match sent {
            Ok(exchange) => exchange.is_refused(),
            Err(_) => true,
        });
        let first = self.duplicates.first()?;
        let one_answer = self.duplicates.iter().all(|exchange| exchange.is_same(first));
        if refused && one_answer {
            Numbers::even(&self.counted()?)
        } else {
            None
        }
    }

    /// Whether some number changes from operation to operation, and a control has to show how.
    pub(super) fn needs_control(&self) -> bool {
        self.counted().is_some_and(|all| {
            let changes = all.windows(2).any(|pair| pair[0].steps_to(&pair[1]).next().is_some());
            changes && self.even_count().is_none()
        })
    }

    /// The numbers that change by the same step with each operation, and do not change with a retry: each with its step.
    /// A number that retries change too, such as one from a sequence in the database, counts attempts.
    pub(super) fn counters(&self, steady: &Exchange, after_retry: &Exchange) -> Vec<(String, i64)> {
        let Ok(first) = &self.after else {
            return Vec::new();
        };
        let [first, steady, last] = [first, steady, after_retry].map(|exchange| self.numbers(exchange));
        let steps = first.steps_to(&steady);
        let even = steps.filter(|(place, step)| steady.runs_until(&last, place, *step) == Some(1));
        even.map(|(place, step)| (place.to_owned(), step)).collect()
    }
}

/// Exercises one endpoint. `first` is its first operation. An endpoint that changes something acts four times; or up to
/// sixteen times, if its answers do not show how often it acted.
///
/// # Errors
/// If the operating system returns no random bytes for keys.
pub(super) fn exercise(sender: &Sender<'_>, first: Operation<'_>) -> Result<Seen, String> {
    let now = sender.now();
    let plain = sender.settle(|now| first.right(now));
    let changes = first.subject.changes;
    let mut seen = Seen {
        changes,
        method: first.subject.method,
        plain,
        again: Err(Unsent::Late),
        other_inputs: Err(Unsent::Late),
        refusals: Vec::new(),
        spelled: Vec::new(),
        duplicates: Vec::new(),
        hung_up: None,
        after: Err(Unsent::Late),
        control: None,
        now,
    };
    // A server that refuses every call shows nothing by refusing the wrong ones.
    if !matches!(seen.plain.status(), Some(200..=299 | 402 | 404..=499)) {
        return Ok(seen);
    }
    let acts = changes && seen.plain.is_done();
    if acts {
        seen.again = in_time(sender.settle(|now| first.right(now)));
        seen.other_inputs = once(sender, NO_OTHER_INPUTS, |now| first.with_other_inputs(now));
    }
    seen.refusals = refusals(sender, first)?;
    if first.subject.method == Method::Get {
        seen.spelled = spelled(sender, first);
    }
    if acts && !sender.is_over() {
        seen.duplicates = duplicates(sender, first)?;
    }
    if acts && !sender.is_over() {
        seen.hung_up = Some(hang_up(sender, first, seen.plain.took)?);
    }
    if acts && !sender.is_over() {
        seen.after = in_time(operation(sender, first)?);
    }
    if seen.needs_control() && !sender.is_over() {
        seen.control = Some(control(sender, first, &seen)?);
    }
    Ok(seen)
}

const NO_OTHER_INPUTS: &str = "the schema allows no other inputs that could be made";

/// Sends every kind of wrong request, each under a key of its own.
fn refusals(sender: &Sender<'_>, first: Operation<'_>) -> Result<Vec<(Wrong, Sent)>, String> {
    let send = |wrong| {
        let key = new_key()?;
        let operation = first.under(&key);
        Ok((wrong, once(sender, NO_OTHER_INPUTS, |now| operation.wrong(wrong, now))))
    };
    Wrong::ALL.into_iter().map(send).collect()
}

/// Sends a GET with its parameters written in every other way.
fn spelled(sender: &Sender<'_>, first: Operation<'_>) -> Vec<(Spelling, Sent)> {
    let send = |spelling| {
        let why = match spelling {
            Spelling::Reversed => "there are fewer than two parameters",
            Spelling::EscapedLower | Spelling::EscapedUpper => "there are no parameters",
        };
        (spelling, once(sender, why, |now| first.spelled(spelling, now)))
    };
    Spelling::ALL.into_iter().map(send).collect()
}

fn control(sender: &Sender<'_>, first: Operation<'_>, seen: &Seen) -> Result<Control, String> {
    let key = new_key()?;
    let steady = sender.settle(|now| first.under(&key).right(now));
    sender.settle(|now| first.under(&key).right(now));
    let after_retry = operation(sender, first)?;
    let rounds = if seen.counters(&steady, &after_retry).is_empty() {
        Vec::new()
    } else {
        let usual = seen.plain.took;
        vec![round(sender, first, usual)?, round(sender, first, usual)?]
    };
    Ok(Control {
        steady,
        after_retry,
        rounds,
    })
}

fn round(sender: &Sender<'_>, first: Operation<'_>, usual: Duration) -> Result<Round, String> {
    refusals(sender, first)?;
    Ok(Round {
        after_refusals: operation(sender, first)?,
        duplicates: duplicates(sender, first)?,
        after_duplicates: operation(sender, first)?,
        hung_up: hang_up(sender, first, usual)?,
        after_hang_up: operation(sender, first)?,
    })
}

/// One more operation, which several callers send at the same moment.
fn duplicates(sender: &Sender<'_>, first: Operation<'_>) -> Result<Vec<Exchange>, String> {
    let key = new_key()?;
    Ok(sender.settle_at_once(AT_ONCE, |now| first.under(&key).right(now)))
}

/// One more operation.
fn operation(sender: &Sender<'_>, first: Operation<'_>) -> Result<Exchange, String> {
    let key = new_key()?;
    Ok(sender.settle(|now| first.under(&key).right(now)))
}

/// One more operation, whose caller hangs up in the middle and tries again at once.
fn hang_up(sender: &Sender<'_>, first: Operation<'_>, usual: Duration) -> Result<HungUp, String> {
    let key = new_key()?;
    let operation = first.under(&key);
    let patience = (usual / 2).clamp(Duration::from_millis(1), LONGEST_WAIT);
    // Even if this caller got the answer in time, its retry has to get the same one.
    sender.hang_up(operation.right(sender.now()), patience);
    let retry = sender.settle(|now| operation.right(now));
    let later = sender.settle(|now| operation.right(now));
    Ok(HungUp { retry, later })
}

/// Presents a request that may be impossible.
fn once(sender: &Sender<'_>, why: &'static str, write: impl Fn(u64) -> Option<Request>) -> Sent {
    match write(sender.now()) {
        None => Err(Unsent::Impossible(why)),
        Some(first) => in_time(sender.present(|now| write(now).unwrap_or_else(|| first.clone()))),
    }
}

fn in_time(exchange: Exchange) -> Sent {
    match exchange.answer {
        Err(Lost::Late) => Err(Unsent::Late),
        Ok(_) | Err(Lost::Failed(_)) => Ok(exchange),
    }
}
