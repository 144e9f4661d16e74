//! Signing keys: HMAC-SHA256, rotation, HMAC states prepared for each endpoint, and comparison in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq as _};
#[cfg(feature = "cli")]
use zeroize::Zeroizing;

use super::envelope::Signed;
use super::payload;
#[cfg(feature = "cli")]
use super::randomness::{self, NoRandomBytes};
use super::refusal::Refusal;
pub(crate) use super::secrets::KeyName;
use super::secrets::{self, SECRETS, Secret, SecretsError};

type State = Hmac<Sha256>;

/// All accepted keys, in order. The first key signs.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<Secret>);

impl Keys {
    /// A single secret. It is used exactly as given, except that one line ending at its end is removed. Messages name
    /// `place` as the source of the secret.
    pub(crate) fn single(place: &str, secret: &str) -> Result<Self, SecretsError> {
        secrets::single(place, secret).map(|key| Self(vec![key]))
    }

    /// Parses a comma-separated list of `[tenant/]id=secret`.
    pub(crate) fn parse(place: &str, list: &str) -> Result<Self, SecretsError> {
        secrets::parse(SECRETS, place, list, |key, _| Ok(key)).map(Self)
    }

    /// Parses lines of `[tenant/]id=secret`. Blank lines and lines that begin with `#` are ignored.
    pub(crate) fn parse_lines(place: &str, lines: &str) -> Result<Self, SecretsError> {
        secrets::parse_lines(SECRETS, place, lines, |key, _| Ok(key)).map(Self)
    }

    /// The name of each key and the SHA-256 of its secret.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&KeyName, [u8; 32])> {
        let digest = |key: &Secret| Sha256::digest(key.text.as_bytes()).into();
        self.0.iter().map(move |key| (&key.name, digest(key)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that are short enough to be guessed.
    pub(crate) fn weak(&self) -> impl Iterator<Item = &KeyName> {
        self.0.iter().filter(|key| key.is_weak()).map(|key| &key.name)
    }

    /// Prepares the keys for one endpoint. The HMAC states have already processed the key block and `URL ":"`, so that
    /// calls need not do that.
    pub(crate) fn bind(&self, url: &str) -> BoundKeys {
        let states = self.0.iter().filter_map(|key| {
            let mut state = state_of(key)?;
            state.update(url.as_bytes());
            state.update(b":");
            Some((key.name.clone(), state))
        });
        BoundKeys {
            url: url.into(),
            states: states.collect(),
        }
    }

    /// The key that signs, which is the first key.
    #[cfg(feature = "cli")]
    pub(crate) fn signing(&self) -> Option<&KeyName> {
        self.0.first().map(|key| &key.name)
    }

    /// How many keys there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The ids of all keys.
    #[cfg(feature = "cli")]
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.name.id())
    }

    /// Finds the key whose secret made this signature of exactly these bytes, and how the signer read the secret. The
    /// result helps people to find a mistake. It never decides about a call.
    #[cfg(feature = "cli")]
    pub(crate) fn signer_of(&self, payload: &[u8], signature: &[u8; 32]) -> Option<(&KeyName, SecretReading)> {
        let signs = |secret: &[u8]| {
            let mut state = State::new_from_slice(secret).ok()?;
            state.update(payload);
            bool::from(state.finalize().into_bytes().as_slice().ct_eq(signature)).then_some(())
        };
        self.0.iter().find_map(|key| {
            let secret = key.text.as_str();
            let with_newline = Zeroizing::new(format!("{secret}\n"));
            let reading = signs(secret.as_bytes())
                .map(|()| SecretReading::AsItStands)
                .or_else(|| signs(with_newline.as_bytes()).map(|()| SecretReading::WithNewline))
                .or_else(|| signs(&decode_hex(secret)?).map(|()| SecretReading::DecodedHex))?;
            Some((&key.name, reading))
        })
    }

    /// Signs with the first key, as a caller does. The signature is in lower-case hexadecimal.
    pub(crate) fn sign(&self, url: &str, idempotency_key: &str, timestamp: u64, content: &[u8]) -> String {
        let mut state = self.0.first().and_then(state_of);
        let timestamp = timestamp.to_string();
        let mut sink = |bytes: &[u8]| state.iter_mut().for_each(|state| state.update(bytes));
        sink(url.as_bytes());
        sink(b":");
        payload::after_url(idempotency_key.as_bytes(), timestamp.as_bytes(), content, &mut sink);
        state
            .map(|state| const_hex::encode(state.finalize().into_bytes()))
            .unwrap_or_default()
    }
}

/// How a caller read a secret. Only `AsItStands` is right.
#[cfg(feature = "cli")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretReading {
    AsItStands,
    /// The caller signs with the secret and with the newline at the end of the secret's file.
    WithNewline,
    /// The caller signs with the bytes that the hexadecimal digits after the prefix stand for.
    DecodedHex,
}

/// The HMAC state after the key block. It is always `Some`, because HMAC accepts a key of any length (RFC 2104 §2).
fn state_of(key: &Secret) -> Option<State> {
    State::new_from_slice(key.text.as_bytes()).ok()
}

#[cfg(feature = "cli")]
const SECRET_PREFIX: &str = "op_sk_";

/// A new secret: 32 random bytes in hexadecimal, after a prefix that secret scanners recognise.
#[cfg(feature = "cli")]
pub(crate) fn generate_secret() -> Result<String, NoRandomBytes> {
    let mut bytes = Zeroizing::new([0; 32]);
    randomness::fill(&mut *bytes)?;
    Ok(format!("{SECRET_PREFIX}{}", const_hex::encode(*bytes)))
}

/// The bytes of the hexadecimal digits after the prefix; `None` if the secret is not hexadecimal.
#[cfg(feature = "cli")]
fn decode_hex(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
    let bytes = const_hex::decode(digits).ok()?;
    (!bytes.is_empty()).then(|| Zeroizing::new(bytes))
}

/// All keys, prepared for one endpoint.
pub(crate) struct BoundKeys {
    url: Box<str>,
    states: Vec<(KeyName, State)>,
}

impl BoundKeys {
    /// Returns the key that made the signature of the content. All keys are tried, and each signature is compared
    /// completely, in constant time.
    pub(super) fn verify(&self, signed: &Signed<'_>, signature: &[u8; 32], content: &[u8]) -> Result<KeyName, Refusal> {
        let mut matching = u32::MAX;
        for (index, (_, state)) in (0_u32..).zip(&self.states) {
            let mut state = state.clone();
            feed(signed, content, &mut |bytes| state.update(bytes));
            let matches = same(&state.finalize().into_bytes().into(), signature);
            matching.conditional_assign(&index, matches);
        }
        let key = usize::try_from(matching).ok().and_then(|index| self.states.get(index));
        key.map(|(name, _)| name.clone())
            .ok_or_else(|| self.mismatch(signed, content))
    }

    fn mismatch(&self, signed: &Signed<'_>, content: &[u8]) -> Refusal {
        let mut digest = Sha256::new();
        let mut length = 0;
        let mut sink = |bytes: &[u8]| {
            length += bytes.len();
            digest.update(bytes);
        };
        sink(self.url.as_bytes());
        sink(b":");
        feed(signed, content, &mut sink);
        Refusal::Signature {
            url: self.url.to_string(),
            parameters: None,
            payload_length: length,
            payload_sha256: const_hex::encode(digest.finalize()),
        }
    }
}

/// Compares in constant time, by 64-bit words. A comparison by bytes would take as long as hashing one block.
fn same(left: &[u8; 32], right: &[u8; 32]) -> Choice {
    let pairs = left.as_chunks().0.iter().zip(right.as_chunks().0);
    pairs.fold(Choice::from(1), |all, (left, right)| {
        all & u64::from_ne_bytes(*left).ct_eq(&u64::from_ne_bytes(*right))
    })
}

fn feed(signed: &Signed<'_>, content: &[u8], sink: &mut impl FnMut(&[u8])) {
    let key = signed.idempotency_key.as_bytes();
    payload::after_url(key, signed.timestamp_text.as_bytes(), content, sink);
}

/// The signed content of a GET with these parameters, which must have no duplicate names.
pub(crate) fn content_of_parameters(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    sorted.sort_unstable();
    // This cannot fail, because the encoder prints ASCII only.
    String::from_utf8(super::python_json::encode(sorted.into_iter())).unwrap_or_default()
}

/// Shows the names of the keys, never the secrets.
impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.0).finish()
    }
}
