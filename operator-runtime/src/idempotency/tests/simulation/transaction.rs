//! Transactional requests: compares their answers and effects with the reference.

use std::sync::Arc;

use super::super::history::CommitFate;
use super::super::reference::{self, Ending, Reference, Verdict};
use super::call::{due_of, first, number, outcome};
use super::{MAX_EXECUTION, Simulation};
use crate::idempotency::outcome::{Answer, Recorded};
use crate::idempotency::transacted::{Transacted, TransactionAsked};
use crate::store::StoreError;

/// One transactional request.
#[derive(Clone, Copy)]
struct Asked {
    key: u8,
    body: u8,
    ending: Ending,
    /// The number in the handler's answer.
    answer: u32,
}

type Told = Result<Transacted, StoreError>;

impl Simulation<'_> {
    pub(super) fn transact(&mut self, server: usize, key: u8, body: u8, ending: Ending, fate: CommitFate) {
        if self.world.effects().is_none() {
            return;
        }
        let asked = self.asked(key, body, ending);
        self.servers[server].1.set_commit(fate);
        let told = self.stores.block_on(self.transacting(server, asked));
        let due = if fate.arrives() {
            self.reference.transact(key, body, ending, asked.answer, self.now)
        } else {
            self.reference
                .ask(key, body, crate::idempotency::effect::Effect::Transactional, self.now)
        };
        let runs = matches!(due, Verdict::Run { .. });
        let is_to_commit = runs && is_kept(ending);
        if fate.is_crash() && is_to_commit {
            self.reach("crash in a transaction");
            self.seen.ran(key, self.now);
            self.calls.retain(|call| call.server != server);
        } else if fate == CommitFate::NotReached && is_to_commit {
            self.reach("lost commit");
            self.seen.ran(key, self.now);
            assert!(told.is_err(), "the commit was lost, but the caller was told {told:?}");
        } else if fate == CommitFate::AnswerLostForGood && is_to_commit {
            self.reach("unknown commit");
            self.seen.ran(key, self.now);
            assert!(matches!(told, Ok(Transacted::CommitUnknown)), "told {told:?}");
        } else {
            self.told(asked, due, told.expect("the store works"));
        }
        if fate.arrives() && runs && ending == Ending::Done {
            self.effects.push(self.effect(asked));
        }
    }

    /// Does nothing if the store's clock cannot be set, because `AddedTime` cannot follow two simultaneous writes.
    pub(super) fn transact_twice(&mut self, servers: [usize; 2], key: u8, bodies: [u8; 2], endings: [Ending; 2]) {
        if self.world.effects().is_none() || self.world.clock().is_none() {
            return;
        }
        let asked = [0, 1].map(|which| self.asked(key, bodies[which], endings[which]));
        let [one, other] = [0, 1].map(|which| self.transacting(servers[which], asked[which]));
        let (one, other) = self.stores.block_on(async { tokio::join!(one, other) });
        let mut told = [one, other].map(|told| Some(told.expect("the store works")));
        // Either request may have been first. So one of the two orders must explain both answers.
        let is_first = |first: usize| {
            let mut reference = self.reference.clone();
            [first, 1 - first].into_iter().all(|which| {
                let due = transact(&mut reference, asked[which], self.now);
                told[which].as_ref().is_some_and(|told| fits(told, due))
            })
        };
        let first = [0, 1].into_iter().find(|first| is_first(*first));
        let first = first.unwrap_or_else(|| panic!("neither order of the two requests explains the answers {told:?}"));
        self.reach("two at once");
        for which in [first, 1 - first] {
            let due = transact(&mut self.reference, asked[which], self.now);
            let told = told[which].take().expect("each is told once");
            self.told(asked[which], due, told);
            if matches!(due, Verdict::Run { .. }) && endings[which] == Ending::Done {
                self.effects.push(self.effect(asked[which]));
            }
        }
    }

    fn asked(&mut self, key: u8, body: u8, ending: Ending) -> Asked {
        self.answers += 1;
        Asked {
            key,
            body,
            ending,
            answer: self.answers,
        }
    }

    fn effect(&self, asked: Asked) -> String {
        format!("{}/{:06}", self.history, asked.answer)
    }

    fn transacting(&self, server: usize, asked: Asked) -> impl Future<Output = Told> + use<> {
        let effects = self.world.effects().expect("it has some");
        let handler = effects.handler(self.effect(asked), outcome(asked.ending, asked.answer));
        let operations = self.servers[server].0.clone();
        let (id, first) = (self.id(asked.key), first(asked.key, asked.body));
        let asked = TransactionAsked {
            id,
            first,
            max_execution: MAX_EXECUTION,
            draft: None,
        };
        // The handler can be taken, because no transaction of a history runs twice.
        let mut handler = Some(handler);
        async move {
            let handler = || handler.take().expect("it runs once");
            operations
                .transact(asked, &Arc::default(), Ok(Vec::new()), handler)
                .await
        }
    }

    fn told(&mut self, asked: Asked, due: Verdict, told: Transacted) {
        assert!(fits(&told, due), "told {told:?}, but {due:?} was expected");
        match told {
            Transacted::Ran(told) => {
                self.seen.ran(asked.key, self.now);
                self.reach("transaction");
                let due = match asked.ending {
                    Ending::TooLong => Answer::TooLong {
                        limit: reference::LONGEST_ANSWER,
                    },
                    // The transaction is rolled back, which ends the doubt.
                    Ending::IsInDoubt => Answer::Failed,
                    ending => due_of(outcome(ending, asked.answer)),
                };
                assert_eq!(told, due);
                if is_kept(asked.ending) {
                    self.seen
                        .kept(asked.key, asked.answer, self.reference.expiry(asked.key));
                }
            }
            Transacted::Told(Recorded::Replayed(response)) => {
                self.reach("replay of a transaction");
                self.seen.replayed(asked.key, number(&response), self.now);
            }
            Transacted::Told(_) | Transacted::CommitUnknown => {}
        }
    }
}

fn is_kept(ending: Ending) -> bool {
    matches!(ending, Ending::Done | Ending::Refused)
}

fn transact(reference: &mut Reference, asked: Asked, now: u64) -> Verdict {
    reference.transact(asked.key, asked.body, asked.ending, asked.answer, now)
}

/// Whether the answer `told` is allowed if the reference expects `due`.
fn fits(told: &Transacted, due: Verdict) -> bool {
    match told {
        Transacted::Ran(_) => matches!(due, Verdict::Run { .. }),
        Transacted::Told(Recorded::Replayed(response)) => {
            due == Verdict::Replay {
                answer: number(response),
            }
        }
        Transacted::Told(Recorded::StillRunning) => due == Verdict::Wait,
        Transacted::Told(Recorded::KeyReused) => due == Verdict::Mismatch,
        // The caller is told that the outcome is unknown. The transaction is rolled back, so the record does not say
        // so.
        Transacted::Told(Recorded::OutcomeUnknown) => due == Verdict::Unknown,
        Transacted::Told(Recorded::ResponseNotKept) => due == Verdict::TooLong,
        Transacted::CommitUnknown => false,
    }
}
