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

/// Further operations, which show whether a number that did not change by the same step usually does.
#[derive(Debug)]
pub(super) struct Control {
    /// Two operations with nothing between them.
    pub(super) steady: [Exchange; 2],
    /// An operation after more wrong requests.
    pub(super) after_refusals: Exchange,
    pub(super) hung_up: HungUp,
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

    /// The numbers of three operations: the first, the duplicates, and the one whose caller hung up. Between the first
    /// two, all wrong requests were sent.
    pub(super) fn counted(&self) -> Option<[Numbers; 3]> {
        let (duplicate, hung_up) = (self.duplicates.first()?, self.hung_up.as_ref()?);
        let all = [&self.plain, duplicate, &hung_up.retry];
        let is_done = all.iter().all(|exchange| exchange.is_done());
        is_done.then(|| all.map(|exchange| self.numbers(exchange)))
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

    /// Whether some number changes from operation to operation, and a comparison has to show how.
    fn needs_control(&self) -> bool {
        self.counted().is_some_and(|[first, second, third]| {
            let changes = first.steps_to(&second).next().or(second.steps_to(&third).next());
            changes.is_some() && self.even_count().is_none()
        })
    }
}

/// Exercises one endpoint. `first` is its first operation. An endpoint that changes something acts three times; or up to
/// seven times, if its answers do not show how often it acted.
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
        let key = new_key()?;
        seen.duplicates = sender.settle_at_once(AT_ONCE, |now| first.under(&key).right(now));
    }
    if acts && !sender.is_over() {
        seen.hung_up = Some(hang_up(sender, first, seen.plain.took)?);
    }
    if seen.needs_control() && !sender.is_over() {
        seen.control = Some(control(sender, first, seen.plain.took)?);
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

fn control(sender: &Sender<'_>, first: Operation<'_>, usual: Duration) -> Result<Control, String> {
    let steady = [operation(sender, first)?, operation(sender, first)?];
    refusals(sender, first)?;
    Ok(Control {
        steady,
        after_refusals: operation(sender, first)?,
        hung_up: hang_up(sender, first, usual)?,
    })
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
