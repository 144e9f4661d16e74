//! Verifying keys: Ed25519 signatures (RFC 8032) of the same payload that signing keys sign. The caller has the private
//! keys, so a server that loses its settings loses no secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::envelope::Signed;
use super::payload;
use super::refusal::Refusal;
use super::secret_text::Words;
use super::secrets::{self, KeyName, Secret, SecretsError};

/// The length of a signature in hexadecimal digits.
pub(super) const DIGITS: usize = 128;
/// Verifying a signature with one key takes about as long as hashing this many bytes.
pub(super) const WORTH_OF_HASHING: usize = 64 * 1024;

/// The bytes before the key in a SubjectPublicKeyInfo of Ed25519 (RFC 8410 §4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// The words for a list of public keys.
const KEYS: Words = Words {
    value: "key",
    form: "`[tenant/]id=KEY`",
    instead_of_pem: "write each public key into a file of its own (`openssl pkey -pubout` prints one), and name the file as `[tenant/]id=file:PATH`",
};
/// What a key has to be.
const WRITE: &str = "write the public key: the base64 of its 32 bytes or of its SPKI, or `file:PATH` of a PEM (`openssl pkey -pubout` prints one)";

/// All accepted verifying keys.
#[derive(Clone, Default)]
pub(crate) struct VerifyingKeys(Vec<(KeyName, VerifyingKey)>);

/// Reads the file of a key. The error says why the file cannot be used.
pub(crate) type ReadFile<'r> = &'r dyn Fn(&str) -> Result<Zeroizing<String>, String>;

impl VerifyingKeys {
    /// Parses a comma-separated list of `[tenant/]id=KEY`.
    pub(crate) fn parse(place: &str, list: &str, read: ReadFile<'_>) -> Result<Self, SecretsError> {
        secrets::parse(KEYS, place, list, |key, earlier| accept(&key, earlier, read)).map(Self)
    }

    /// Parses lines of `[tenant/]id=KEY`.
    pub(crate) fn parse_lines(place: &str, lines: &str, read: ReadFile<'_>) -> Result<Self, SecretsError> {
        secrets::parse_lines(KEYS, place, lines, |key, earlier| accept(&key, earlier, read)).map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The name and the bytes of each key.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&KeyName, [u8; 32])> {
        self.0.iter().map(|(name, key)| (name, key.to_bytes()))
    }

    /// Returns the key that signed the content for this URL. All keys are tried.
    pub(super) fn verify(
        &self,
        url: &str,
        signed: &Signed<'_>,
        signature: &[u8; 64],
        content: &[u8],
    ) -> Result<KeyName, Refusal> {
        let mut payload = Vec::with_capacity(url.len() + content.len() + 300);
        payload.extend_from_slice(url.as_bytes());
        payload.push(b':');
        let (key, timestamp) = (signed.idempotency_key.as_bytes(), signed.timestamp_text.as_bytes());
        payload::after_url(key, timestamp, content, &mut |bytes| payload.extend_from_slice(bytes));
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        let mut signer = None;
        for (name, key) in &self.0 {
            // Strict: a signature has exactly one form, and no key of small order fits (RFC 8032 §8.4).
            if key.verify_strict(&payload, &signature).is_ok() {
                signer = Some(name.clone());
            }
        }
        signer.ok_or_else(|| Refusal::Signature {
            url: url.to_owned(),
            parameters: None,
            payload_length: payload.len(),
            payload_sha256: const_hex::encode(Sha256::digest(&payload)),
        })
    }
}

/// Reads a key that no earlier entry has, in any of its forms.
fn accept(
    Secret { name, text }: &Secret,
    earlier: &[(KeyName, VerifyingKey)],
    read: ReadFile<'_>,
) -> Result<(KeyName, VerifyingKey), String> {
    let key = parse(text, read).map_err(|problem| format!("the verifying key {name:?} {problem}."))?;
    match earlier.iter().find(|(_, other)| *other == key) {
        None => Ok((name.clone(), key)),
        Some((owner, _)) => Err(format!(
            "the verifying key {name:?} is also the key of {owner:?}: give each id a key of its own."
        )),
    }
}

/// Reads a key. The error is a clause without the key.
fn parse(text: &str, read: ReadFile<'_>) -> Result<VerifyingKey, String> {
    let bytes = match text.strip_prefix("file:") {
        Some(path) => of_pem(&read(path)?)?,
        None => of_base64(text)?,
    };
    let bytes: [u8; 32] = match bytes.as_slice() {
        key if key.len() == 32 => key.try_into().map_err(|_| WRITE.to_owned())?,
        spki if spki.starts_with(&SPKI) && spki.len() == SPKI.len() + 32 => {
            spki[SPKI.len()..].try_into().map_err(|_| WRITE.to_owned())?
        }
        private if is_pkcs8(private) => {
            return Err(format!("is a private key, which must stay with the caller: {WRITE}"));
        }
        other => {
            return Err(format!("has {} bytes and is not an Ed25519 key: {WRITE}", other.len()));
        }
    };
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| format!("is not a point of the curve: {WRITE}"))?;
    if key.is_weak() {
        return Err("has a small order, so that everybody could sign: make a new key pair".to_owned());
    }
    if key.to_edwards().compress().to_bytes() != bytes {
        return Err(format!("is not in its canonical form: {WRITE}"));
    }
    Ok(key)
}

/// Whether the bytes begin as a private key in PKCS#8 does (RFC 5958 §2): a sequence whose first parts are a version and
/// an algorithm. A public key has no version.
fn is_pkcs8(bytes: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = bytes else {
        return false;
    };
    // From 128 on, the first byte of a length says how many bytes of the length follow (X.690 §8.1.3).
    let more = usize::from(length.saturating_sub(0x80));
    matches!(rest.get(more..), Some([0x02, 0x01, 0x00 | 0x01, 0x30, ..]))
}

fn of_base64(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let decoded = STANDARD.decode(text.as_bytes());
    decoded
        .map(Zeroizing::new)
        .map_err(|_| format!("is not base64: {WRITE}"))
}

fn of_pem(pem: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    if pem.contains(secrets::PRIVATE_KEY) {
        return Err(format!(
            "is in a file with a private key, which must stay with the caller: {WRITE}"
        ));
    }
    let no_pem = || format!("is in a file that is not the PEM of a public key: {WRITE}");
    let (_, after) = pem.split_once(BEGIN).ok_or_else(no_pem)?;
    let (digits, rest) = after.split_once(END).ok_or_else(no_pem)?;
    if rest.contains(secrets::PEM) {
        return Err("is in a file with several keys: write each key into a file of its own".to_owned());
    }
    let digits: String = digits.split_ascii_whitespace().collect();
    let decoded = STANDARD.decode(digits).map_err(|_| no_pem())?;
    Ok(Zeroizing::new(decoded))
}

/// Shows the names of the keys.
impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}
