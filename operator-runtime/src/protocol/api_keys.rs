//! API keys: tokens that a caller sends with each request, as a bearer token (RFC 6750) or as `X-API-Key`.

use std::collections::HashMap;
#[cfg(feature = "cli")]
use std::collections::HashSet;
use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::caller::{Caller, Scheme};
use super::envelope::as_jwt;
use super::refusal::Refusal;
use super::secrets::{self, KeyName, SECRETS, Secret, SecretsError};
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
    /// Parses a comma-separated list of `[tenant/]id=token`. A token that equals one of the signing keys is refused,
    /// because an API key is sent with each request, and a signing key must never be sent.
    pub(crate) fn parse(place: &str, list: &str, keys: &Keys) -> Result<Self, SecretsError> {
        secrets::parse(SECRETS, place, list, ApiKey::accept("API key", keys)).map(Self)
    }

    /// Parses lines of `[tenant/]id=token`, as `parse` does.
    pub(crate) fn parse_lines(place: &str, lines: &str, keys: &Keys) -> Result<Self, SecretsError> {
        secrets::parse_lines(SECRETS, place, lines, ApiKey::accept("API key", keys)).map(Self)
    }

    /// Parses the tokens of people, as `parse` does. A token that can be guessed is refused, and one that is an API key of
    /// a caller, because a caller must not settle operations.
    #[cfg(feature = "cli")]
    pub(crate) fn parse_of_people(place: &str, list: &str, keys: &Keys, callers: &Self) -> Result<Self, SecretsError> {
        secrets::parse(SECRETS, place, list, ApiKey::accept_of_a_person(keys, callers)).map(Self)
    }

    /// Parses lines of the tokens of people, as `parse_of_people` does.
    #[cfg(feature = "cli")]
    pub(crate) fn parse_lines_of_people(
        place: &str,
        lines: &str,
        keys: &Keys,
        callers: &Self,
    ) -> Result<Self, SecretsError> {
        secrets::parse_lines(SECRETS, place, lines, ApiKey::accept_of_a_person(keys, callers)).map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name and the SHA-256 of each API key.
    pub(crate) fn digests(&self) -> impl Iterator<Item = (&KeyName, [u8; 32])> {
        self.0.iter().map(|key| (&key.name, key.digest))
    }

    /// One of these tokens of people that is also a credential of a caller.
    #[cfg(feature = "cli")]
    pub(crate) fn one_of_a_caller(&self, keys: &Keys, callers: &Self) -> Option<&KeyName> {
        let all = keys.digests().chain(callers.digests());
        let of_callers: HashSet<[u8; 32]> = all.map(|(_, digest)| digest).collect();
        let mut shared = self.0.iter().filter(|token| of_callers.contains(&token.digest));
        shared.next().map(|token| &token.name)
    }

    /// The API keys that are short enough to be guessed.
    pub(crate) fn weak(&self) -> impl Iterator<Item = &KeyName> {
        self.0.iter().filter(|key| key.is_weak).map(|key| &key.name)
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

impl ApiKey {
    /// The check of each token in a list. `keys` are the signing keys, none of which may be a token.
    fn accept(noun: &'static str, keys: &Keys) -> impl FnMut(Secret, &[Self]) -> Result<Self, String> {
        let signing: HashMap<[u8; 32], &KeyName> = keys.digests().map(|(name, digest)| (digest, name)).collect();
        move |token, _| {
            let name = &token.name;
            if as_jwt(token.text.as_bytes()).is_some() {
                return Err(format!(
                    "the {noun} {name:?} has the form of a JWT, which is never an API key: make one with `keygen`, or set OPERATOR_OAUTH_ISSUER to accept access tokens."
                ));
            }
            if !token.text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "the {noun} {name:?} has characters that a header cannot carry: make one with `keygen`."
                ));
            }
            let digest = Sha256::digest(token.text.as_bytes()).into();
            if let Some(key) = signing.get(&digest) {
                return Err(format!(
                    "the {noun} {name:?} equals the signing key {key:?}: use another {noun} (`keygen` makes one), because the {noun} is sent with each request and a signing key must never be sent."
                ));
            }
            Ok(Self {
                is_weak: token.is_weak(),
                digest,
                name: token.name,
            })
        }
    }
}

#[cfg(feature = "cli")]
impl ApiKey {
    fn accept_of_a_person(keys: &Keys, callers: &ApiKeys) -> impl FnMut(Secret, &[Self]) -> Result<Self, String> {
        let mut accept = Self::accept("token", keys);
        let of_callers: HashMap<[u8; 32], &KeyName> = callers.digests().map(|(name, digest)| (digest, name)).collect();
        move |token, earlier| {
            let token = accept(token, earlier)?;
            let name = &token.name;
            if token.is_weak {
                return Err(format!(
                    "the token {name:?} has fewer than 16 characters, so it can be guessed: make one with `keygen`."
                ));
            }
            match of_callers.get(&token.digest) {
                None => Ok(token),
                Some(key) => Err(format!(
                    "the token {name:?} equals the API key {key:?} of a caller: use another token (`keygen` makes one), because a caller must not settle operations."
                )),
            }
        }
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
        let refused = |list: &str| ApiKeys::parse("the list", list, &keys).unwrap_err().to_string();
        let problems = refused("c=hush, d=secret");
        let expected = [("Entry 1", "default/a"), ("Entry 2", "default/b")];
        assert_eq!(problems.lines().count(), expected.len(), "{problems}");
        for (problem, (place, key)) in problems.lines().zip(expected) {
            assert!(problem.starts_with(place) && problem.contains(key), "{problem}");
            assert!(!problem.contains("hush"), "{problem}");
        }
        assert!(ApiKeys::parse("the list", "c=hus", &keys).is_ok());
        let problem = refused("hush");
        assert!(
            problem.contains("Entry 1 of the list") && !problem.contains("hush"),
            "{problem}"
        );
        for jwt in ["eyJh.eyJp.c2ln", "a.b."] {
            let problem = refused(&format!("c={jwt}"));
            assert!(
                problem.contains("has the form of a JWT") && !problem.contains(jwt),
                "{problem}"
            );
        }
        assert!(ApiKeys::parse("the list", "c=a.b.c+d", &keys).is_ok());
        let problem = refused("c=hü");
        assert!(problem.contains("a header cannot carry"), "{problem}");
        let parsed = ApiKeys::parse_lines("the file", "# ours\nc=hus\n", &keys);
        let shown = format!("{:?}", parsed.unwrap());
        assert_eq!(shown, "[default/c]");
    }
}
