//! Simulates several servers on one store, one compare-and-swap at a time, and compares each step with the reference.

pub(super) mod call;
mod judgement;
mod transaction;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use self::call::{Asked, Call, Doing, Looked, Seen, Written, check_written, first, outcome};
use super::gate::{AddedTime, Gate};
use super::history::{Action, Fate, SERVERS, Who};
use super::reference::{self, Ending, Reference};
use crate::idempotency::admission;
use crate::idempotency::effect::Effect;
use crate::idempotency::machine::Settings;
use crate::idempotency::operations::Operations;
use crate::idempotency::outcome::HandlerOutcome;
use crate::idempotency::transacted::TransactionalHandler;
use crate::meter::CallMeter;
use crate::record::operation::OperationId;
use crate::store::Store;

const MAX_EXECUTION: Duration = Duration::from_secs(reference::MAX_EXECUTION);

/// A store under test, opened once for each server.
pub(super) trait World {
    fn stores(&self) -> [Arc<dyn Store>; SERVERS];

    /// Advances the store's clock; `None` if a test cannot set this clock.
    fn clock(&self) -> Option<&crate::clock::ManualClock>;

    /// The effects in transactions; `None` if the store has no transactions.
    fn effects(&self) -> Option<&dyn Effects>;
}

/// The effects of handlers in a store's transactions.
pub(super) trait Effects: Sync {
    /// Returns a handler that writes `effect`, and then ends.
    fn handler(&self, effect: String, outcome: HandlerOutcome) -> TransactionalHandler;

    /// The committed effects whose names have this prefix.
    fn happened(&self, prefix: &str) -> Vec<String>;
}

pub(super) struct Simulation<'w> {
    /// The runtime for the store's own work.
    stores: &'w Runtime,
    /// The runtime for the servers' timers, with paused time.
    time: Runtime,
    world: &'w dyn World,
    history: String,
    servers: Vec<(Operations, Arc<Gate>)>,
    calls: Vec<Call>,
    added: Arc<AddedTime>,
    reference: Reference,
    now: u64,
    answers: u32,
    effects: Vec<String>,
    seen: Seen,
    reached: Reached,
}

/// How often each event occurred. The test fails if the histories never reach an event.
pub(super) type Reached = BTreeMap<&'static str, u32>;

impl<'w> Simulation<'w> {
    pub(super) fn new(world: &'w dyn World, stores: &'w Runtime, history: String) -> Self {
        let time = Builder::new_current_thread().enable_time().start_paused(true).build();
        let added = Arc::new(AddedTime::default());
        let seconds = Duration::from_secs;
        let settings = Settings {
            ttl: seconds(reference::TTL),
            lease: seconds(reference::LEASE),
            renew_every: seconds(reference::RENEW_EVERY),
            wait: seconds(reference::WAIT),
            response_limit: reference::LONGEST_ANSWER,
        };
        let servers = world.stores().into_iter().map(|store| {
            let adds = world.clock().is_none().then(|| Arc::clone(&added));
            let gate = Arc::new(Gate::new(store, adds));
            (Operations::new(Arc::clone(&gate) as Arc<dyn Store>, settings), gate)
        });
        Self {
            stores,
            time: time.expect("a runtime"),
            world,
            history,
            servers: servers.collect(),
            calls: Vec::new(),
            added,
            reference: Reference::default(),
            now: 0,
            answers: 0,
            effects: Vec::new(),
            seen: Seen::default(),
            reached: Reached::new(),
        }
    }

    /// Removes all records of earlier histories.
    fn forget(&mut self) {
        if let Some(clock) = self.world.clock() {
            clock.advance(Duration::from_secs(2 * reference::TTL));
            while self
                .stores
                .block_on(self.servers[0].0.sweep())
                .expect("the store works")
                > 0
            {}
        }
    }

    pub(super) fn run(mut self, history: &[Action]) -> Reached {
        self.forget();
        for action in history {
            self.act(*action);
        }
        if let Some(effects) = self.world.effects() {
            let happened = effects.happened(&format!("{}/", self.history));
            assert_eq!(happened, self.effects, "effects in the store, and expected effects");
        }
        self.reached
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Call {
                server,
                key,
                body,
                effect,
            } => self.call(server, key, body, effect),
            Action::GoOn { who, fate } => self.with_call(who, |simulation, call| simulation.go_on(call, fate)),
            Action::Renew { who } => self.with_call(who, Self::renew),
            Action::End { who, ending } => self.with_call(who, |simulation, call| simulation.end(call, ending)),
            Action::Transact {
                server,
                key,
                body,
                ending,
                fate,
            } => self.transact(server, key, body, ending, fate),
            Action::TransactTwice {
                servers,
                key,
                bodies,
                endings,
            } => self.transact_twice(servers, key, bodies, endings),
            Action::Settle { key, effect, is_done } => self.settle(key, effect, is_done),
            Action::Crash { server } => self.calls.retain(|call| call.server != server),
            Action::Pass { seconds } => self.pass(seconds),
            Action::Sweep { server } => self.sweep(server),
        }
    }

    /// Removes a call from its server, and puts it back if the call has not ended.
    fn with_call(&mut self, who: Who, act: impl FnOnce(&mut Self, Call) -> Option<Call>) {
        let is_meant = |call: &Call| call.server == who.server && call.asked.key == who.key;
        let numbers: Vec<_> = (0..self.calls.len())
            .filter(|number| is_meant(&self.calls[*number]))
            .collect();
        let Some(&number) = numbers.get(who.place) else { return };
        let call = self.calls.remove(number);
        if let Some(call) = act(self, call) {
            self.calls.insert(number, call);
        }
    }

    fn call(&mut self, server: usize, key: u8, body: u8, effect: Effect) {
        let operations = self.servers[server].0.clone();
        let (id, first) = (self.id(key), first(key, body));
        let work = Box::pin(async move {
            let asked = admission::Asked {
                id,
                first: &first,
                effect,
                max_execution: MAX_EXECUTION,
                longest_wait: Duration::MAX,
                meter: &CallMeter::of("refund_order"),
                draft: &None,
            };
            operations.admit(&asked).await
        });
        self.answers += 1;
        let call = Call {
            server,
            asked: Asked {
                key,
                body,
                effect,
                answer: self.answers,
            },
            doing: Doing::Asking {
                work,
                looked: Looked::default(),
                waits_since: None,
                taken: None,
            },
            request: None,
        };
        let call = self.poll(call);
        self.calls.extend(call);
    }

    fn go_on(&mut self, mut call: Call, fate: Fate) -> Option<Call> {
        let Some(request) = call.request.take() else {
            return self.poll(call);
        };
        if fate == Fate::NotReached {
            self.unanswered(&mut call);
            request.answer(Err(Gate::unreachable()));
            return self.poll(call);
        }
        let gate = Arc::clone(&self.servers[call.server].1);
        let answer = self.stores.block_on(gate.carry_out(&request)).expect("the store works");
        self.judge(&mut call, &request, &answer);
        match fate {
            Fate::Answered | Fate::NotReached => request.answer(Ok(answer)),
            Fate::AnswerLost => {
                self.unanswered(&mut call);
                request.answer(Err(Gate::unconfirmed(&answer)));
            }
            Fate::CrashAfter => {
                let server = call.server;
                self.calls.retain(|call| call.server != server);
                return None;
            }
        }
        self.poll(call)
    }

    fn unanswered(&self, call: &mut Call) {
        if let Doing::Renewing { expected, .. } | Doing::Ending { expected, .. } = &mut call.doing {
            *expected = Some(Written::Unanswered);
        }
    }

    /// Runs a call until it asks the store, waits, or ends.
    fn poll(&mut self, mut call: Call) -> Option<Call> {
        let entered = self.time.enter();
        let mut context = Context::from_waker(Waker::noop());
        let doing = match call.doing {
            Doing::Asking {
                mut work,
                looked,
                waits_since,
                taken,
            } => {
                let polled = work.as_mut().poll(&mut context);
                drop(entered);
                call.request = self.servers[call.server].1.take_request();
                call.doing = Doing::Asking {
                    work,
                    looked,
                    waits_since,
                    taken,
                };
                return match polled {
                    Poll::Ready(claim) => self.claimed(call, claim),
                    Poll::Pending => Some(self.asks_on(call)),
                };
            }
            Doing::TakingBack { mut work, attempt } => match work.as_mut().poll(&mut context) {
                Poll::Pending => Doing::TakingBack { work, attempt },
                Poll::Ready(()) => {
                    drop(entered);
                    let is_held = attempt.is_some_and(|attempt| self.reference.owns(call.asked.key, attempt));
                    self.reach(if is_held { "left to run out" } else { "taken back" });
                    return None;
                }
            },
            Doing::Renewing {
                mut work,
                attempt,
                renewals,
                expected,
            } => match work.as_mut().poll(&mut context) {
                Poll::Pending => Doing::Renewing {
                    work,
                    attempt,
                    renewals,
                    expected,
                },
                Poll::Ready((lease, renewed)) => {
                    let renewals = renewals + u64::from(expected == Some(Written::Yes));
                    check_written(expected, renewed.as_ref().err());
                    Doing::Running {
                        lease,
                        attempt,
                        renewals,
                    }
                }
            },
            Doing::Ending {
                mut work,
                attempt,
                ending,
                expected,
            } => match work.as_mut().poll(&mut context) {
                Poll::Pending => Doing::Ending {
                    work,
                    attempt,
                    ending,
                    expected,
                },
                Poll::Ready(ended) => {
                    check_written(expected, ended.as_ref().err());
                    drop(entered);
                    self.reach(if ended.is_ok() {
                        "recorded"
                    } else {
                        "fenced or unanswered"
                    });
                    self.ended(call.asked, ending, ended.ok());
                    return None;
                }
            },
            running @ Doing::Running { .. } => running,
        };
        drop(entered);
        call.request = self.servers[call.server].1.take_request();
        Some(Call { doing, ..call })
    }

    fn renew(&mut self, call: Call) -> Option<Call> {
        let Doing::Running {
            mut lease,
            attempt,
            renewals,
        } = call.doing
        else {
            return Some(call);
        };
        let work = Box::pin(async move {
            let renewed = lease.renew().await;
            (lease, renewed)
        });
        let doing = Doing::Renewing {
            work,
            attempt,
            renewals,
            expected: None,
        };
        let call = self.poll(Call { doing, ..call })?;
        assert_eq!(
            call.request.is_some(),
            Reference::may_renew(renewals),
            "after {renewals} renewals"
        );
        Some(call)
    }

    fn end(&mut self, call: Call, ending: Ending) -> Option<Call> {
        let Doing::Running { mut lease, attempt, .. } = call.doing else {
            return Some(call);
        };
        lease.handler_began = true;
        let work = Box::pin(lease.complete(outcome(ending, call.asked.answer)));
        let doing = Doing::Ending {
            work,
            attempt,
            ending,
            expected: None,
        };
        self.poll(Call { doing, ..call })
    }

    fn pass(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.now += seconds;
        self.added.advance(by);
        if let Some(clock) = self.world.clock() {
            clock.advance(by);
        }
        self.time.block_on(tokio::time::advance(by));
    }

    /// Does nothing if the store's clock cannot be set, because then no record expires during a test.
    fn sweep(&mut self, server: usize) {
        if self.world.clock().is_some() {
            self.stores
                .block_on(self.servers[server].0.sweep())
                .expect("the store works");
            self.reference.sweep(self.now);
        }
    }

    fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    fn id(&self, key: u8) -> OperationId {
        OperationId::new(&self.history, &key.to_string())
    }
}
