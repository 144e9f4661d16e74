//! Counts the calls of each credential, and refuses those that exceed its rate. Only verified calls are counted, so
//! nobody else can use up a credential's rate.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock as Timer;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use http::HeaderMap;

use super::prepared::PreparedEndpoint;
use super::rate::Rate;
use super::reply::Reply;
use crate::clock::Clock;
use crate::problem::{Error, Kind};
use crate::protocol::caller::{Caller, Scheme};
use crate::protocol::request_id;
use crate::protocol::secrets::KeyName;

/// The largest number of OAuth clients that are counted separately, about 4 MB. Anybody may register clients at some
/// issuers, so further clients share one rate until one of these has not called for as long as its rate takes to refill.
const MOST_CLIENTS: usize = 10_000;

/// The limits of endpoints and of MCP.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    endpoints: Option<Arc<Limiter>>,
    /// The same limiter, if a rate is set.
    #[cfg(feature = "mcp")]
    mcp: Option<Arc<Limiter>>,
}

impl Rates {
    /// If no rate is set, only MCP has a limit.
    pub(super) fn new(rate: Option<Rate>, clock: &Arc<dyn Clock>) -> Self {
        let endpoints = rate.and_then(|rate| Limiter::new(rate, clock));
        Self {
            #[cfg(feature = "mcp")]
            mcp: match rate {
                Some(_) => endpoints.clone(),
                None => Limiter::new(Rate::OF_MCP, clock),
            },
            endpoints,
        }
    }

    /// Counts a call of a verified caller to an endpoint.
    pub(super) fn count(&self, caller: &Caller, endpoint: &PreparedEndpoint, headers: &HeaderMap) -> Result<(), Reply> {
        count(self.endpoints.as_deref(), caller, Some(endpoint), headers).map_err(|over| Reply::from_error(&over))
    }

    /// Counts a message over MCP. `endpoint` is that of the tool that the message calls, if it calls one.
    #[cfg(feature = "mcp")]
    pub(crate) fn count_over_mcp(
        &self,
        caller: &Caller,
        endpoint: Option<&PreparedEndpoint>,
        headers: &HeaderMap,
    ) -> Result<(), Error> {
        count(self.mcp.as_deref(), caller, endpoint, headers)
    }
}

/// The calls of each credential, in this process.
struct Limiter {
    rate: Rate,
    limiter: RateLimiter<Credential, States, Time, NoOpMiddleware<Duration>>,
    /// The second in which states were last forgotten.
    tidied: AtomicU64,
}

type Credential = (Scheme, KeyName);

impl Limiter {
    /// `None` if the rate is unlimited.
    fn new(rate: Rate, clock: &Arc<dyn Clock>) -> Option<Arc<Self>> {
        let limiter = RateLimiter::new(rate.quota()?, States::default(), Time(Arc::clone(clock)));
        Some(Arc::new(Self {
            rate,
            limiter,
            tidied: AtomicU64::new(0),
        }))
    }

    /// Counts one call of a verified caller. If the caller is over its rate, the call is not counted, and the error is the
    /// number of whole seconds after which the caller may call again, at least 1.
    fn count(&self, caller: &Caller) -> Result<(), u32> {
        let now = self.limiter.clock().now();
        let second = now.as_secs();
        // At most once a second, because all states are visited while other calls wait.
        if self.limiter.len() >= MOST_CLIENTS && self.tidied.swap(second, Ordering::Relaxed) != second {
            self.limiter.retain_recent();
        }
        let credential = (caller.scheme(), caller.name().clone());
        self.limiter.check_key(&credential).map_err(|refused| {
            // Rounded up, because a call that comes earlier is refused again.
            let seconds = refused.wait_time_from(now).as_nanos().div_ceil(1_000_000_000).max(1);
            u32::try_from(seconds).unwrap_or(u32::MAX)
        })
    }
}

/// Counts a call, and logs its refusal if the caller is over its rate.
fn count(
    limiter: Option<&Limiter>,
    caller: &Caller,
    endpoint: Option<&PreparedEndpoint>,
    headers: &HeaderMap,
) -> Result<(), Error> {
    let Some(limiter) = limiter else {
        return Ok(());
    };
    let Err(seconds) = limiter.count(caller) else {
        return Ok(());
    };
    let (rate, kind) = (limiter.rate, Kind::OverRate(seconds));
    let outcome = kind.row().outcome;
    if let Some(endpoint) = endpoint {
        endpoint.meter.call(outcome);
    }
    tracing::warn!(
        endpoint = endpoint.map(|endpoint| endpoint.endpoint.name),
        tenant = caller.name().tenant(),
        key_id = caller.name().id(),
        scheme = caller.scheme().word(),
        outcome = outcome.word(),
        retry_after_s = seconds,
        request_id = request_id::of(headers),
        "refused: the credential has sent more than {rate} (OPERATOR_RATE)"
    );
    let detail = format!(
        "This server takes at most {rate} from each caller, and has not started this call. Send the call again."
    );
    Err(Error::new(kind, detail))
}

impl fmt::Debug for Limiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Limiter").field(&self.rate).finish()
    }
}

/// The monotonic time, which does not jump when the wall clock is set.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl Timer for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

/// The state of each credential. governor's own stores have no limit of their size.
#[derive(Debug, Default)]
struct States(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// There is one state for each credential in the settings.
    configured: HashMap<Credential, Nanos>,
    clients: HashMap<Credential, Nanos>,
    /// The state of the clients for which there is no room.
    others: Option<Nanos>,
}

impl States {
    /// A poisoned lock is still valid, because nothing that can panic runs while it is held.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for States {
    type Key = Credential;

    fn measure_and_replace<T, F, E>(&self, credential: &Credential, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.known();
        let Known {
            configured,
            clients,
            others,
        } = &mut *known;
        let is_configured = credential.0.is_configured();
        let states = if is_configured { configured } else { clients };
        if let Some(state) = states.get_mut(credential) {
            let (outcome, next) = measure(Some(*state))?;
            *state = next;
            return Ok(outcome);
        }
        if !is_configured && states.len() >= MOST_CLIENTS {
            let (outcome, next) = measure(*others)?;
            *others = Some(next);
            return Ok(outcome);
        }
        let (outcome, next) = measure(None)?;
        states.insert(credential.clone(), next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Credential> for States {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut known = self.known();
        known.configured.retain(|_, state| *state > drop_below);
        known.clients.retain(|_, state| *state > drop_below);
    }

    /// Without the configured credentials, whose number the settings bound.
    fn len(&self) -> usize {
        self.known().clients.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Limiter;
    use crate::clock::{Clock, ManualClock};
    use crate::pipeline::rate::Rate;
    use crate::protocol::caller::{Caller, Scheme};

    fn limiter(rate: Rate) -> (Arc<Limiter>, Arc<ManualClock>) {
        let manual = Arc::new(ManualClock::at(Duration::from_secs(1_700_000_000)));
        let clock: Arc<dyn Clock> = manual.clone();
        (Limiter::new(rate, &clock).unwrap(), manual)
    }

    #[test]
    fn a_flood_of_one_credential_gets_its_rate_and_waits_for_whole_seconds() {
        let (limiter, clock) = limiter(Rate::per_second(100));
        let passed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    let caller = Caller::made_up(Scheme::Hmac, "one");
                    for _ in 0..50 {
                        match limiter.count(&caller) {
                            Ok(()) => _ = passed.fetch_add(1, Ordering::Relaxed),
                            Err(seconds) => assert_eq!(seconds, 1),
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 100);
        assert_eq!(limiter.count(&Caller::made_up(Scheme::ApiKey, "one")), Ok(()));
        clock.advance(Duration::from_millis(25));
        let again = [(); 3].map(|()| limiter.count(&Caller::made_up(Scheme::Hmac, "one")));
        assert_eq!(again, [Ok(()), Ok(()), Err(1)]);
    }

    #[test]
    fn the_seconds_to_wait_are_enough() {
        let (limiter, clock) = limiter(Rate::per_hour(7));
        let caller = Caller::made_up(Scheme::Ed25519, "one");
        for _ in 0..7 {
            assert_eq!(limiter.count(&caller), Ok(()));
        }
        for _ in 0..5 {
            let seconds = limiter.count(&caller).unwrap_err();
            clock.advance(Duration::from_secs(u64::from(seconds)) - Duration::from_secs(1));
            assert_eq!(limiter.count(&caller), Err(1));
            clock.advance(Duration::from_secs(1));
            assert_eq!(limiter.count(&caller), Ok(()));
        }
    }

    #[cfg(feature = "oauth")]
    #[test]
    fn a_storm_of_clients_uses_bounded_memory_and_touches_no_configured_credential() {
        use super::MOST_CLIENTS;
        let (limiter, clock) = limiter(Rate::per_second(2));
        clock.advance(Duration::from_secs(5));
        let client = |number: usize| Caller::made_up(Scheme::OAuth, &format!("client {number}"));
        for number in 0..MOST_CLIENTS {
            assert_eq!(limiter.count(&client(number)), Ok(()));
        }
        let more = MOST_CLIENTS..3 * MOST_CLIENTS;
        let passed = more.filter(|number| limiter.count(&client(*number)).is_ok());
        assert_eq!(passed.count(), 2, "these clients share one rate");
        assert_eq!(limiter.limiter.len(), MOST_CLIENTS);
        for known in [client(0), client(1), Caller::made_up(Scheme::Hmac, "client 0")] {
            assert_eq!(limiter.count(&known), Ok(()));
        }
        // When the first clients have not called for a while, there is room again.
        clock.advance(Duration::from_secs(3));
        for number in [5 * MOST_CLIENTS, 6 * MOST_CLIENTS] {
            let again = [(); 3].map(|()| limiter.count(&client(number)));
            assert_eq!(again, [Ok(()), Ok(()), Err(1)], "{number} has its own rate");
        }
        assert_eq!(limiter.limiter.len(), 2);
    }
}
