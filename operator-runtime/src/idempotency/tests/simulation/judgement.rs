//! Compares each step of a call with the reference.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::gate::Request;
use super::super::reference::{self, Ending, Taken, Verdict};
use super::Simulation;
use super::call::{Asked, Call, Doing, Looked, Written, due_of, number, outcome};
use crate::idempotency::admission::Claim;
use crate::idempotency::doubtful::NotAdmitted;
use crate::idempotency::effect::Effect;
use crate::idempotency::machine::Finding;
use crate::idempotency::outcome::{Answer, HandlerOutcome, Recorded};
use crate::idempotency::settling::{NotSettled, Settled};
use crate::record::Settlement;
use crate::store::Swap;

impl Simulation<'_> {
    /// Checks that a compare-and-swap was expected, and records it in the reference.
    pub(super) fn judge(&mut self, call: &mut Call, request: &Request, answer: &Swap) {
        let is_written = matches!(answer, Swap::Swapped(_));
        match &mut call.doing {
            Doing::Asking { looked, taken, .. } => match answer {
                Swap::Swapped(_) => {
                    let decided = if request.expected.is_some() {
                        looked.at
                    } else {
                        self.now
                    };
                    let asked = call.asked;
                    let written = self
                        .reference
                        .take(asked.key, asked.body, asked.effect, decided, self.now);
                    *taken = Some(written);
                    if matches!(written, Taken::Run(_)) {
                        self.seen.ran(call.asked.key, decided);
                    }
                }
                Swap::Held { .. } | Swap::Gone => {
                    *looked = Looked {
                        at: self.now,
                        is_news: true,
                    }
                }
            },
            Doing::TakingBack { attempt, .. } => {
                let owns = attempt.is_some_and(|attempt| self.reference.owns(call.asked.key, attempt));
                assert_eq!(
                    is_written, owns,
                    "a claim is released if, and only if, its attempt still holds it"
                );
                if is_written {
                    self.reference.take_back(call.asked.key, self.now);
                }
            }
            Doing::Renewing { attempt, expected, .. } => {
                let owns = self.reference.owns(call.asked.key, *attempt);
                if is_written {
                    assert!(owns, "an attempt renewed its lease after it was taken over");
                    self.reference.renew(call.asked.key, self.now);
                }
                *expected = Written::of(is_written, owns, self.reference.expiry(call.asked.key) <= self.now);
            }
            Doing::Ending {
                attempt,
                ending,
                expected,
                ..
            } => {
                let owns = self.reference.owns(call.asked.key, *attempt);
                if is_written {
                    assert!(owns, "an attempt recorded its outcome after it was taken over");
                    self.reference
                        .end(call.asked.key, *ending, call.asked.effect, call.asked.answer, self.now);
                }
                *expected = Written::of(is_written, owns, self.reference.expiry(call.asked.key) <= self.now);
            }
            Doing::Running { .. } => panic!("a running handler asks nothing of the store"),
        }
    }

    /// Checks that a call which continues was expected to ask again, or to wait.
    pub(super) fn asks_on(&self, mut call: Call) -> Call {
        let Doing::Asking {
            looked, waits_since, ..
        } = &mut call.doing
        else {
            return call;
        };
        if std::mem::take(&mut looked.is_news) {
            let due = self
                .reference
                .ask(call.asked.key, call.asked.body, call.asked.effect, self.now);
            let writes = call.request.as_ref().is_some_and(|request| request.expected.is_some());
            match due {
                Verdict::Run { .. } | Verdict::GiveUp => {
                    let begins_again = call.request.is_some() && due == Verdict::Run { epoch: 1 };
                    assert!(writes || begins_again, "the call waits, but {due:?} was expected");
                }
                Verdict::Wait => {
                    assert!(!writes, "the call replaces an attempt that is alive");
                    waits_since.get_or_insert(self.now);
                }
                other => panic!("the call continues, but {other:?} was expected"),
            }
        }
        let waited = waits_since.map_or(0, |since| self.now - since);
        assert!(
            call.request.is_some() || waited < reference::WAIT,
            "a duplicate waits too long"
        );
        call
    }

    /// Checks that a request was expected to run, or to get this answer.
    pub(super) fn claimed(&mut self, mut call: Call, claim: Result<Claim, NotAdmitted>) -> Option<Call> {
        let Doing::Asking { waits_since, taken, .. } = call.doing else {
            return None;
        };
        let claim = match claim {
            Ok(claim) => claim,
            Err(NotAdmitted { claim, .. }) => {
                let attempt = match taken {
                    Some(Taken::Run(attempt)) => Some(attempt),
                    Some(Taken::GivenUp) | None => None,
                };
                assert!(
                    attempt.is_none() || claim.is_some(),
                    "a claim that the store holds is not released"
                );
                let work = claim?.take_back();
                call.doing = Doing::TakingBack {
                    work: Box::pin(work),
                    attempt,
                };
                return self.poll(call);
            }
        };
        if let Claim::Run(lease) = claim {
            let Some(Taken::Run(attempt)) = taken else {
                panic!("the request runs, but has written {taken:?}");
            };
            assert_eq!(lease.epoch(), self.reference.epoch(call.asked.key));
            self.reach(if lease.epoch() > 1 {
                "another attempt"
            } else {
                "first attempt"
            });
            call.doing = Doing::Running {
                lease,
                attempt,
                renewals: 0,
            };
            return Some(call);
        }
        if let Some(taken) = taken {
            assert_eq!(
                taken,
                Taken::GivenUp,
                "the request does not run, but has claimed the operation"
            );
            assert!(matches!(claim, Claim::Told(Recorded::OutcomeUnknown)), "told {claim:?}");
            self.reach("given up");
            return None;
        }
        let due = self
            .reference
            .ask(call.asked.key, call.asked.body, call.asked.effect, self.now);
        self.reach(match claim {
            Claim::Run(_) | Claim::Told(Recorded::Replayed(_)) => "replay",
            Claim::Told(Recorded::StillRunning) => "still running",
            Claim::Told(Recorded::KeyReused) => "mismatch",
            Claim::Told(Recorded::OutcomeUnknown) => "unknown",
            Claim::Told(Recorded::ResponseNotKept) => "not kept",
        });
        match claim {
            Claim::Told(Recorded::StillRunning) => {
                let waited = waits_since.map_or(0, |since| self.now - since);
                assert!(waited >= reference::WAIT, "a duplicate was sent away after {waited} s");
            }
            Claim::Told(Recorded::Replayed(response)) => {
                assert_eq!(
                    due,
                    Verdict::Replay {
                        answer: number(&response)
                    }
                );
                self.seen.replayed(call.asked.key, number(&response), self.now);
            }
            Claim::Told(Recorded::KeyReused) => assert_eq!(due, Verdict::Mismatch),
            Claim::Told(Recorded::OutcomeUnknown) => assert_eq!(due, Verdict::Unknown),
            Claim::Told(Recorded::ResponseNotKept) => assert_eq!(due, Verdict::TooLong),
            Claim::Run(_) => {}
        }
        None
    }

    pub(super) fn ended(&mut self, asked: Asked, ending: Ending, told: Option<Answer>) {
        let Some(told) = told else { return };
        let due = due_of(outcome(ending, asked.answer));
        assert_eq!(told, due);
        if ending == Ending::IsInDoubt {
            self.reach("in doubt");
        }
        let due = self.reference.ask(asked.key, asked.body, asked.effect, self.now);
        if due == (Verdict::Replay { answer: asked.answer }) {
            self.seen
                .kept(asked.key, asked.answer, self.reference.expiry(asked.key));
        }
    }

    /// Settles a record as a person would, with no other write between reading and settling. The histories of servers
    /// cover writes in between.
    pub(super) fn settle(&mut self, key: u8, effect: Effect, is_done: bool) {
        let (operations, gate) = self.servers[0].clone();
        let listed = self
            .stores
            .block_on(gate.listed(self.id(key)))
            .expect("the store works");
        let Some(listed) = listed else {
            assert!(!self.reference.settle(key, effect, None, self.now), "nothing is held");
            return;
        };
        self.answers += 1;
        let answer = self.answers;
        let (finding, answer) = match outcome(Ending::Done, answer) {
            HandlerOutcome::Finished { response, .. } if is_done => (Finding::Done(response), Some(answer)),
            _ => (Finding::NotDone, None),
        };
        let settlement = Arc::new(Settlement {
            by: "a person".to_owned(),
            at: std::time::UNIX_EPOCH + std::time::Duration::from_secs(self.now),
        });
        let mut settling = pin!(operations.settle(listed, effect, &finding, &settlement, None));
        let mut context = Context::from_waker(Waker::noop());
        let settled = loop {
            if let Poll::Ready(settled) = settling.as_mut().poll(&mut context) {
                break settled;
            }
            let request = gate.take_request().expect("it asks the store");
            let answer = self.stores.block_on(gate.carry_out(&request)).expect("the store works");
            request.answer(Ok(answer));
        };
        let is_again = !is_done && self.reference.may_settle_again(key, effect, self.now);
        let due = self.reference.settle(key, effect, answer, self.now);
        match settled {
            Ok(Settled::Before(_)) => {
                assert!(is_again, "settled again, although no person had released it");
                self.reach("settled again");
            }
            Ok(Settled::Now) => {
                assert!(due, "settled, although there was nothing to settle");
                self.reach("settled");
                if let Some(answer) = answer {
                    self.seen.kept(key, answer, self.reference.expiry(key));
                }
            }
            Err(NotSettled::Nothing(_)) => assert!(!due && !is_again, "not settled, although a person could"),
            Err(error) => panic!("{error}"),
        }
    }
}
