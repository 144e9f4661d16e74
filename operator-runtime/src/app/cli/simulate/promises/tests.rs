//! Judgements of answers that no test server gives.

use std::time::Duration;

use super::super::attempt::{Answer, Exchange, Lost};
use super::super::exercise::{Control, HungUp, Round, Seen, Unsent};
use super::super::request::{Request, Wrong};
use super::{PROMISES, Verdict};
use crate::protocol::method::Method;

const RETRY: &str = "a retry after the answer gets the same answer";
const DUPLICATES: &str = "of duplicates sent at once, one acts";
const HANG_UP: &str = "a caller that hangs up and retries acts once";
const OTHER: &str = "other inputs under a used key are refused";
const SPLIT: &str = "a payload that can be split in two ways is refused";
const NO_EFFECT: &str = "a refused request does not act";
const ANSWERED: &str = "a correct call is answered";

fn exchange(status: u16, body: &str) -> Exchange {
    Exchange {
        request: Request::unsigned("http://127.0.0.1:1", 1_800_000_000),
        answer: Ok(Answer {
            status,
            body: body.into(),
            retry_after: None,
        }),
        took: Duration::ZERO,
    }
}

fn id(id: u32) -> Exchange {
    exchange(200, &format!(r#"{{"id":{id}}}"#))
}

fn hung_up(retry: u32, later: u32) -> HungUp {
    HungUp {
        retry: id(retry),
        later: id(later),
    }
}

/// A control whose operations have these ids: two in a row; and for each round one after the wrong requests, one sent as
/// duplicates, one after these, one whose caller hung up, and the last.
fn control(steady: [u32; 2], rounds: [[u32; 5]; 2]) -> Option<Control> {
    let round = |[after_refusals, duplicate, after_duplicates, retry, after_hang_up]: [u32; 5]| Round {
        after_refusals: id(after_refusals),
        duplicates: vec![id(duplicate), id(duplicate)],
        after_duplicates: id(after_duplicates),
        hung_up: hung_up(retry, retry),
        after_hang_up: id(after_hang_up),
    };
    Some(Control {
        steady: id(steady[0]),
        after_retry: id(steady[1]),
        rounds: rounds.map(round).into(),
    })
}

/// What a server answers that keeps every promise. Its operations have the ids 1, 2, 3 and 4.
fn faultless() -> Seen {
    Seen {
        changes: true,
        method: Method::Post,
        plain: id(1),
        again: Ok(id(1)),
        other_inputs: Ok(exchange(422, "")),
        refusals: Wrong::ALL.map(|wrong| (wrong, Ok(exchange(401, "")))).into(),
        spelled: Vec::new(),
        duplicates: vec![id(2), id(2)],
        hung_up: Some(hung_up(3, 3)),
        after: Ok(id(4)),
        control: None,
        now: 1_800_000_000,
    }
}

/// The first word of the verdict on a promise.
fn verdict(seen: &Seen, promise: &str) -> &'static str {
    let promise = PROMISES.iter().find(|one| one.text == promise).unwrap();
    match (promise.judge)(seen) {
        None => "none",
        Some(Verdict::Kept(_)) => "kept",
        Some(Verdict::NotShown(_)) => "not shown",
        Some(Verdict::Broken { .. }) => "broken",
    }
}

#[test]
fn a_faultless_server_holds_every_promise_about_a_post() {
    let seen = faultless();
    let verdicts = PROMISES.iter().map(|promise| verdict(&seen, promise.text));
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts[..13], ["kept"; 13]);
    assert_eq!(verdicts[13..], ["none"; 2]);
}

#[test]
fn a_retry_with_another_answer_breaks_the_promise() {
    let mut seen = faultless();
    seen.again = Ok(id(4));
    assert_eq!(verdict(&seen, RETRY), "broken");
    seen.again = Ok(exchange(201, r#"{"id":1}"#));
    assert_eq!(verdict(&seen, RETRY), "broken", "another status");
}

#[test]
fn equal_answers_of_all_operations_show_nothing() {
    let done = || exchange(200, r#"{"sent":true}"#);
    let mut seen = faultless();
    (seen.plain, seen.again, seen.duplicates) = (done(), Ok(done()), vec![done(), done()]);
    seen.hung_up = Some(HungUp {
        retry: done(),
        later: done(),
    });
    seen.after = Ok(done());
    for promise in [RETRY, DUPLICATES, HANG_UP, NO_EFFECT] {
        assert_eq!(verdict(&seen, promise), "not shown", "{promise}");
    }
    assert_eq!(verdict(&seen, OTHER), "kept");
}

#[test]
fn duplicates_must_all_get_the_one_answer() {
    let mut seen = faultless();
    seen.duplicates = vec![id(2), id(3)];
    assert_eq!(verdict(&seen, DUPLICATES), "broken");
    // Without `Retry-After`, a caller does not ask again, so it never gets the answer.
    seen.duplicates = vec![id(2), exchange(409, "")];
    assert_eq!(verdict(&seen, DUPLICATES), "broken");
    seen.duplicates = vec![id(2), exchange(503, "")];
    assert_eq!(verdict(&seen, DUPLICATES), "not shown", "the time ran out");
    seen.duplicates = Vec::new();
    assert_eq!(verdict(&seen, DUPLICATES), "not shown");
}

#[test]
fn duplicates_with_one_answer_are_counted() {
    let mut seen = faultless();
    // Four duplicates acted, and the first answer was stored.
    (seen.hung_up, seen.after) = (Some(hung_up(6, 6)), Ok(id(8)));
    for promise in [DUPLICATES, HANG_UP, NO_EFFECT] {
        assert_eq!(verdict(&seen, promise), "not shown", "{promise}: the time ran out");
    }
    seen.control = control([9, 10], [[11, 12, 16, 17, 19], [20, 21, 25, 26, 28]]);
    assert_eq!(verdict(&seen, DUPLICATES), "broken");
    assert_eq!(verdict(&seen, HANG_UP), "broken");
    assert_eq!(verdict(&seen, NO_EFFECT), "kept");
    // The last answer was stored: the same counts.
    seen.control = control([9, 10], [[11, 15, 16, 18, 19], [20, 24, 25, 27, 28]]);
    assert_eq!(verdict(&seen, DUPLICATES), "broken");
    assert_eq!(verdict(&seen, HANG_UP), "broken");
    // Only the duplicates act too often.
    seen.control = control([9, 10], [[11, 12, 16, 17, 18], [19, 20, 24, 25, 26]]);
    assert_eq!(verdict(&seen, DUPLICATES), "broken");
    assert_eq!(verdict(&seen, HANG_UP), "kept");
    // In one round only, so that it may have been another caller.
    seen.control = control([9, 10], [[11, 12, 16, 17, 18], [19, 20, 21, 22, 23]]);
    assert_eq!(verdict(&seen, DUPLICATES), "not shown");
    // Two of the later duplicates got different answers.
    let last = seen.control.as_mut().unwrap().rounds.last_mut().unwrap();
    last.duplicates = vec![id(20), id(21)];
    assert_eq!(verdict(&seen, DUPLICATES), "broken");
}

#[test]
fn answers_without_a_number_that_counts_show_no_second_run() {
    let ticket = |ticket: &str| exchange(200, &format!(r#"{{"ticket":"{ticket}"}}"#));
    let mut seen = faultless();
    (seen.plain, seen.again) = (ticket("a"), Ok(ticket("a")));
    seen.duplicates = vec![ticket("b"), ticket("b")];
    seen.hung_up = Some(HungUp {
        retry: ticket("c"),
        later: ticket("c"),
    });
    seen.after = Ok(ticket("d"));
    assert_eq!(verdict(&seen, RETRY), "kept");
    for promise in [DUPLICATES, HANG_UP, NO_EFFECT] {
        assert_eq!(verdict(&seen, promise), "not shown", "{promise}");
    }
    // A number of which each attempt takes one, as from a sequence of Postgres, does not count operations.
    let mut seen = faultless();
    (seen.hung_up, seen.after) = (Some(hung_up(6, 6)), Ok(id(9)));
    seen.control = control([10, 12], [[13, 14, 18, 19, 22], [23, 24, 28, 29, 32]]);
    for promise in [DUPLICATES, HANG_UP, NO_EFFECT] {
        assert_eq!(verdict(&seen, promise), "not shown", "{promise}");
    }
    // The operation that would show whether the caller that hung up acted too was declined.
    let mut seen = faultless();
    seen.after = Ok(exchange(422, ""));
    assert_eq!(verdict(&seen, HANG_UP), "not shown");
    assert_eq!(verdict(&seen, DUPLICATES), "kept");
    seen.hung_up = Some(hung_up(6, 6));
    assert_eq!(verdict(&seen, DUPLICATES), "not shown");
}

#[test]
fn a_hang_up_that_acts_twice_must_show_twice() {
    let mut seen = faultless();
    seen.hung_up = Some(hung_up(3, 4));
    assert_eq!(verdict(&seen, HANG_UP), "broken", "two answers");
    // The caller that hung up acted too. Its own answer, or that of the retry, was stored.
    for stored in [3, 4] {
        (seen.hung_up, seen.after) = (Some(hung_up(stored, stored)), Ok(id(5)));
        seen.control = None;
        assert_eq!(verdict(&seen, HANG_UP), "not shown");
        let retries = [stored + 8, stored + 14];
        seen.control = control([6, 7], [[8, 9, 10, retries[0], 13], [14, 15, 16, retries[1], 19]]);
        assert_eq!(verdict(&seen, HANG_UP), "broken");
        assert_eq!(verdict(&seen, DUPLICATES), "kept");
        assert_eq!(verdict(&seen, NO_EFFECT), "kept");
        seen.control = control([6, 7], [[8, 9, 10, retries[0], 13], [14, 15, 16, 17, 18]]);
        assert_eq!(
            verdict(&seen, HANG_UP),
            "not shown",
            "another caller may have been at work"
        );
    }
    // The number goes on by two with each operation, so nothing acted twice.
    (seen.hung_up, seen.after) = (Some(hung_up(4, 4)), Ok(id(6)));
    seen.control = control([8, 10], [[12, 14, 16, 18, 20], [22, 24, 26, 28, 30]]);
    assert_eq!(verdict(&seen, HANG_UP), "kept");
}

#[test]
fn a_refused_request_that_acts_must_show_twice() {
    let mut seen = faultless();
    seen.duplicates = vec![id(3), id(3)];
    (seen.hung_up, seen.after) = (Some(hung_up(4, 4)), Ok(id(5)));
    seen.control = control([6, 7], [[9, 10, 11, 12, 13], [15, 16, 17, 18, 19]]);
    assert_eq!(verdict(&seen, NO_EFFECT), "broken");
    assert_eq!(verdict(&seen, DUPLICATES), "kept");
    assert_eq!(verdict(&seen, HANG_UP), "kept");
    seen.control = control([6, 7], [[9, 10, 11, 12, 13], [14, 15, 16, 17, 18]]);
    assert_eq!(verdict(&seen, NO_EFFECT), "not shown");
}

#[test]
fn only_some_statuses_refuse() {
    for (status, expected) in [
        (400, "kept"),
        (403, "kept"),
        (200, "broken"),
        (404, "broken"),
        (500, "broken"),
        (503, "not shown"),
    ] {
        let mut seen = faultless();
        let split = seen.refusals.iter_mut().find(|(wrong, _)| *wrong == Wrong::Split);
        split.unwrap().1 = Ok(exchange(status, ""));
        assert_eq!(verdict(&seen, SPLIT), expected, "{status}");
    }
    for (status, expected) in [(409, "kept"), (400, "kept"), (200, "broken"), (404, "not shown")] {
        let mut seen = faultless();
        seen.other_inputs = Ok(exchange(status, ""));
        assert_eq!(verdict(&seen, OTHER), expected, "{status}");
    }
    let mut seen = faultless();
    seen.other_inputs = Err(Unsent::Impossible("there are none"));
    assert_eq!(verdict(&seen, OTHER), "not shown");
}

#[test]
fn without_an_answer_to_the_correct_call_nothing_else_is_shown() {
    for (status, expected) in [
        (401, "broken"),
        (500, "broken"),
        (307, "broken"),
        (400, "not shown"),
        (404, "not shown"),
    ] {
        let mut seen = faultless();
        (seen.plain, seen.refusals) = (exchange(status, ""), Vec::new());
        assert_eq!(verdict(&seen, ANSWERED), expected, "{status}");
        for promise in [RETRY, DUPLICATES, HANG_UP, OTHER, SPLIT, NO_EFFECT] {
            assert_eq!(verdict(&seen, promise), "not shown", "{status}: {promise}");
        }
    }
    let mut seen = faultless();
    seen.plain.answer = Err(Lost::Failed("reset".to_owned()));
    assert_eq!(verdict(&seen, ANSWERED), "broken");
    seen.plain.answer = Err(Lost::Late);
    assert_eq!(verdict(&seen, ANSWERED), "not shown");
}
