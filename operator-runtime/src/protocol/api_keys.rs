//! API keys: tokens that a caller sends with each request, as a bearer token (RFC 6750) or as `X-API-Key`.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::caller::{Caller, Scheme};
use super::envelope::as_jwt;
use super::refusal::Refusal;
use super::secrets::{self, KeyName, Secret, SecretsError};
use super::signature::Keys;

/// The SHA-256 hashes of all accepted tokens. Hashes have the same length, as the comparison requires, and no token
/// stays in memory.
#[derive(Clone, Default)]
pub(crate) struct ApiKeys(Vec<ApiKey>);

#[derive(Clone)]
struct ApiKey {
    name: KeyName,
    digest: [u8; 32],
    is_weak: bool,
}

impl ApiKeys {
    /// Parses a comma-separated list of `[tenant/]id=token`.
    pub(crate) fn parse(place: &str, list: &str) -> Result<Self, SecretsError> {
        Self::of(place, secrets::parse(place, list)?)
    }

    /// Parses lines of `[tenant/]id=token`.
    pub(crate) fn parse_lines(place: &str, lines: &str) -> Result<Self, SecretsError> {
        Self::of(place, secrets::parse_lines(place, lines)?)
    }

    fn of(place: &str, tokens: Vec<Secret>) -> Result<Self, SecretsError> {
        let wrong = tokens.iter().filter_map(|token| {
            let name = &token.name;
            if as_jwt(token.text.as_bytes()).is_some() {
                return Some(format!(
                    "{place}: the API key {name:?} has the form of a JWT, which is never an API key: make one with `keygen`, or set OPERATOR_OAUTH_ISSUER to accept access tokens."
                ));
            }
            let is_sendable = token.text.bytes().all(|byte| byte.is_ascii_graphic());
            (!is_sendable).then(|| {
                format!(
                    "{place}: the API key {name:?} has characters that a header cannot carry: make one with `keygen`."
                )
            })
        });
        let wrong: Vec<String> = wrong.take(secrets::MOST_PROBLEMS).collect();
        if !wrong.is_empty() {
            return Err(SecretsError::of(wrong));
        }
        let digest = |token: Secret| ApiKey {
            is_weak: token.is_weak(),
            digest: Sha256::digest(token.text.as_bytes()).into(),
            name: token.name,
        };
        Ok(Self(tokens.into_iter().map(digest).collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name and the SHA-256 of each API key.
    pub(crate) fn digests(&self) -> impl Iterator<Item = (&KeyName, [u8; 32])> {
        self.0.iter().map(|key| (&key.name, key.digest))
    }

    /// The API keys that are short enough to be guessed.
    pub(crate) fn weak(&self) -> impl Iterator<Item = &KeyName> {
        self.0.iter().filter(|key| key.is_weak).map(|key| &key.name)
    }

    /// Refuses an API key that equals a signing key, because an API key is sent with each request, and a signing key
    /// must never be sent.
    pub(crate) fn check_against(&self, place: &str, keys: &Keys) -> Result<(), SecretsError> {
        let is_shared = |digest: &[u8; 32]| self.0.iter().any(|key| key.digest == *digest);
        match keys.digests().find(|(_, digest)| is_shared(digest)) {
            None => Ok(()),
            Some((key, _)) => Err(SecretsError::new(format!(
                "{place}: an API key equals the signing key {key:?}: use another API key (`keygen` makes one), because an API key is sent with each request and a signing key must never be sent."
            ))),
        }
    }

    /// Refuses a token that is also an API key of a caller.
    #[cfg(feature = "cli")]
    pub(crate) fn check_apart(&self, place: &str, callers: &Self) -> Result<(), SecretsError> {
        let is_shared = |digest: &[u8; 32]| self.0.iter().any(|token| token.digest == *digest);
        match callers.digests().find(|(_, digest)| is_shared(digest)) {
            None => Ok(()),
            Some((key, _)) => Err(SecretsError::new(format!(
                "{place}: a token equals the API key {key:?} of a caller: use another token (`keygen` makes one), because a caller must not settle operations."
            ))),
        }
    }

    /// Returns the holder of the token. Each token is compared completely, in constant time.
    pub(crate) fn holder(&self, token: &[u8]) -> Result<Caller, Refusal> {
        let given: [u8; 32] = Sha256::digest(token).into();
        let mut matching = u32::MAX;
        for (index, key) in (0_u32..).zip(&self.0) {
            let matches: Choice = key.digest.as_slice().ct_eq(&given);
            matching.conditional_assign(&index, matches);
        }
        let key = usize::try_from(matching).ok().and_then(|index| self.0.get(index));
        key.map(|key| Caller::of(Scheme::ApiKey, key.name.clone()))
            .ok_or(Refusal::UnknownApiKey)
    }
}

/// Shows the names of the API keys, never the keys.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|key| &key.name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::ApiKeys;
    use crate::protocol::signature::Keys;

    #[test]
    fn a_signing_key_or_a_jwt_is_refused_as_an_api_key_and_none_is_shown() {
        let keys = Keys::parse("the list", "a=hush, b=secret").unwrap();
        let parsed = ApiKeys::parse("the list", "c=hush").unwrap();
        let problem = parsed.check_against("the list", &keys).unwrap_err().to_string();
        assert!(problem.contains("default/a") && !problem.contains("hush"), "{problem}");
        assert!(
            ApiKeys::parse("the list", "c=hus")
                .unwrap()
                .check_against("the list", &keys)
                .is_ok()
        );
        let problem = ApiKeys::parse("the list", "hush").unwrap_err().to_string();
        assert!(
            problem.contains("Entry 1 of the list") && !problem.contains("hush"),
            "{problem}"
        );
        for jwt in ["eyJh.eyJp.c2ln", "a.b."] {
            let problem = ApiKeys::parse("the list", &format!("c={jwt}")).unwrap_err().to_string();
            assert!(
                problem.contains("has the form of a JWT") && !problem.contains(jwt),
                "{problem}"
            );
        }
        assert!(ApiKeys::parse("the list", "c=a.b.c+d").is_ok());
        let problem = ApiKeys::parse("the list", "c=hü").unwrap_err().to_string();
        assert!(problem.contains("a header cannot carry"), "{problem}");
        let shown = format!("{:?}", ApiKeys::parse_lines("the file", "# ours\nc=hush\n").unwrap());
        assert_eq!(shown, "[default/c]");
    }
}
