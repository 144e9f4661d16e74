//! Named secrets, as the settings list them: `[tenant/]id=secret`.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// What the secrets of a list are, in the words of who set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SigningKey,
    #[cfg(feature = "mcp")]
    McpToken,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SigningKey => "signing key",
            #[cfg(feature = "mcp")]
            Self::McpToken => "MCP token",
        })
    }
}

/// One secret, and whose it is.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(super) name: KeyName,
    pub(super) text: Zeroizing<String>,
}

/// Whose key it is, and which. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyName(Arc<(String, String)>);

impl KeyName {
    pub(super) fn new(tenant: &str, id: &str) -> Self {
        Self(Arc::new((tenant.to_owned(), id.to_owned())))
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.0.0
    }

    pub(crate) fn id(&self) -> &str {
        &self.0.1
    }
}

/// Why a list cannot be used; no text of it holds a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SecretsError {
    #[error("A {0} is empty: give each its secret, as `[tenant/]id=secret` where there are several.")]
    Empty(Kind),
    #[error("There is no {0} in the list: write `[tenant/]id=secret`, with commas between.")]
    None(Kind),
    #[error("Entry {1} of the {0}s is not `[tenant/]id=secret`.")]
    Shape(Kind, usize),
    #[error("The {0}s hold {1} twice: give each an id of its own.")]
    Twice(Kind, String),
    #[error(
        "The {0}s {1} and {2} hold the same secret: give each its own, for the secret alone says which of them it was."
    )]
    SameSecret(Kind, String, String),
}

/// One secret, taken as it stands.
pub(super) fn single(kind: Kind, secret: &str) -> Result<Secret, SecretsError> {
    Secret::new(kind, KeyName::new("default", "default"), secret)
}

/// `[tenant/]id=secret` with commas between.
pub(super) fn parse(kind: Kind, list: &str) -> Result<Vec<Secret>, SecretsError> {
    from_entries(kind, list.split(',').map(str::trim))
}

/// One `[tenant/]id=secret` a line; blank lines and those that begin with `#` count for nothing.
pub(super) fn parse_lines(kind: Kind, lines: &str) -> Result<Vec<Secret>, SecretsError> {
    from_entries(kind, lines.lines().map(str::trim).filter(|line| !line.starts_with('#')))
}

fn from_entries<'e>(kind: Kind, entries: impl Iterator<Item = &'e str>) -> Result<Vec<Secret>, SecretsError> {
    let mut secrets: Vec<Secret> = Vec::new();
    for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
        let shape = || SecretsError::Shape(kind, index + 1);
        let (name, text) = entry.split_once('=').ok_or_else(shape)?;
        let (tenant, id) = name.split_once('/').unwrap_or(("default", name));
        if tenant.is_empty() || id.is_empty() {
            return Err(shape());
        }
        let secret = Secret::new(kind, KeyName::new(tenant, id), text)?;
        if secrets.iter().any(|other| other.name == secret.name) {
            return Err(SecretsError::Twice(kind, format!("{tenant}/{id}")));
        }
        if let Some(other) = secrets.iter().find(|other| other.text == secret.text) {
            let (one, other) = (format!("{:?}", other.name), format!("{:?}", secret.name));
            return Err(SecretsError::SameSecret(kind, one, other));
        }
        secrets.push(secret);
    }
    if secrets.is_empty() {
        return Err(SecretsError::None(kind));
    }
    Ok(secrets)
}

impl Secret {
    fn new(kind: Kind, name: KeyName, text: &str) -> Result<Self, SecretsError> {
        // Nothing but `=` is the end of a base64 text that stands there without an id.
        if text
            .trim_matches(|character: char| character == '=' || character.is_whitespace())
            .is_empty()
        {
            return Err(SecretsError::Empty(kind));
        }
        Ok(Self {
            name,
            text: Zeroizing::new(text.to_owned()),
        })
    }

    /// Whether it is short enough to be guessed.
    pub(super) fn is_weak(&self) -> bool {
        self.text.len() < 16
    }
}

/// Its name, never its text.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.tenant(), self.id())
    }
}
