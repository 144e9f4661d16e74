//! OAuth: access tokens of one issuer (RFC 9068), verified with the keys that the issuer publishes (RFC 7517).

mod claims;
mod jws;
mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderMap;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use self::jws::Token;
pub(crate) use self::keys::IssuerKeys;
use super::caller::Caller;
use super::envelope::bearer_jwt;
use super::refusal::Refusal;
use crate::clock::timer_now;

/// The pause between two fetches of the issuer's keys, so that tokens with made-up key ids cause no more of them.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest that a call waits for a fetch.
pub(crate) const LONGEST_FETCH: Duration = Duration::from_secs(5);

/// Why a bearer token that is not a JWT is refused: a clause that follows "The access token".
pub(super) const NO_JWT: &str =
    "is not a JWT: let the issuer make access tokens by RFC 9068, and send the token as the issuer made it";

/// The path of the document that describes this server to clients (RFC 9728 §3.1).
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// A fetch of the issuer's keys. The error is a sentence.
pub(crate) type Fetching = std::pin::Pin<Box<dyn Future<Output = Result<IssuerKeys, String>> + Send>>;

/// What a token has to say to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The issuer's identifier, which is a URL.
    pub(crate) issuer: String,
    /// This server, as the issuer names it.
    pub(crate) audience: String,
    /// The URL of the MCP server, which is an audience too: an MCP client asks for a token for the URL that it uses.
    pub(crate) mcp_url: String,
    /// The URL at which this server describes itself to clients (RFC 9728).
    pub(crate) metadata: String,
    /// The claim that names the tenant. Without it, every caller belongs to the tenant `default`.
    pub(crate) tenant_claim: Option<String>,
}

/// The issuer whose access tokens are accepted, and its keys.
pub(crate) struct Issuer {
    expected: Expected,
    keys: ArcSwap<Option<IssuerKeys>>,
    fetch: Box<dyn Fn() -> Fetching + Send + Sync>,
    /// When the last fetch began. A fetch holds the lock, so that calls that need the same keys wait for it.
    fetched: Arc<Mutex<Option<Instant>>>,
}

impl Issuer {
    pub(crate) fn new(expected: Expected, fetch: impl Fn() -> Fetching + Send + Sync + 'static) -> Self {
        Self {
            expected,
            keys: ArcSwap::default(),
            fetch: Box::new(fetch),
            fetched: Arc::default(),
        }
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Verifies a token with the keys that are known. `now` is in seconds since 1970-01-01 UTC.
    pub(super) fn verify(&self, token: &str, now: u64) -> Result<Caller, Refusal> {
        let keys = self.keys.load();
        let Some(keys) = keys.as_ref() else {
            return Err(Refusal::NoIssuer);
        };
        let token = Token::parse(token).map_err(Refusal::AccessToken)?;
        let claims = token.verified(keys).map_err(Refusal::AccessToken)?;
        claims::caller(&claims, &self.expected, now).map_err(Refusal::AccessToken)
    }

    /// Whether the request's token names a key that is not known, and the keys may be fetched now.
    pub(crate) fn is_worth_a_fetch(&self, headers: &HeaderMap) -> bool {
        let Some(token) = bearer_jwt(headers).and_then(|token| Token::parse(token).ok()) else {
            return false;
        };
        let is_known = self
            .keys
            .load()
            .as_ref()
            .as_ref()
            .is_some_and(|keys| token.key(keys).is_some());
        // If the lock is taken, a fetch is under way.
        !is_known && self.fetched.try_lock().map_or(true, |fetched| is_due(*fetched))
    }

    /// Fetches the issuer's keys, at most once a minute. If that fails, the known keys stay in use.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let mut fetched = Arc::clone(&self.fetched).lock_owned().await;
        if !is_due(*fetched) {
            return;
        }
        *fetched = Some(timer_now());
        let issuer = Arc::clone(self);
        // A task of its own, so that a caller that hangs up does not end the fetch: nobody may begin another one for a
        // minute.
        let fetching = tokio::spawn(async move {
            issuer.replace_keys().await;
            drop(fetched);
        });
        // A task that has panicked has logged that, and the known keys stay in use.
        let _ = fetching.await;
    }

    async fn replace_keys(&self) {
        let issuer = &self.expected.issuer;
        let why = match timeout(LONGEST_FETCH, (self.fetch)()).await {
            Ok(Ok(keys)) => {
                self.keys.store(Arc::new(Some(keys)));
                return;
            }
            Ok(Err(why)) => why,
            Err(_) => format!("It did not answer within {} s.", LONGEST_FETCH.as_secs()),
        };
        let consequence = match **self.keys.load() {
            Some(_) => "the known keys stay in use",
            None => "no access token can be checked until this succeeds",
        };
        tracing::warn!("the keys of the issuer {issuer} could not be fetched; {consequence}. {why}");
    }
}

fn is_due(fetched: Option<Instant>) -> bool {
    fetched.is_none_or(|at| at.elapsed() >= PAUSE)
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Issuer").field(&self.expected).finish()
    }
}

#[cfg(test)]
mod tests;
