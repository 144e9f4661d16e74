//! Who makes a call: the name of the credential, the scheme that it belongs to, and the scopes of the call.

use std::fmt;
#[cfg(feature = "oauth")]
use std::sync::Arc;

use super::refusal::Refusal;
use super::secrets::KeyName;

/// The scheme by which a call was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Hmac,
    Ed25519,
    ApiKey,
    #[cfg(feature = "oauth")]
    OAuth,
    #[cfg(feature = "tls")]
    Certificate,
    /// The person who started the process calls over its standard input.
    #[cfg(all(feature = "cli", feature = "mcp"))]
    Stdio,
}

impl Scheme {
    /// Whether the settings name each caller. An issuer's clients are known only to the issuer.
    pub(crate) fn is_configured(self) -> bool {
        #[cfg(feature = "oauth")]
        return self != Self::OAuth;
        #[cfg(not(feature = "oauth"))]
        true
    }

    /// Whether each request is signed.
    pub(crate) fn is_signature(self) -> bool {
        matches!(self, Self::Hmac | Self::Ed25519)
    }

    /// The scheme's name in the log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
            Self::ApiKey => "api-key",
            #[cfg(feature = "oauth")]
            Self::OAuth => "oauth",
            #[cfg(feature = "tls")]
            Self::Certificate => "mtls",
            #[cfg(all(feature = "cli", feature = "mcp"))]
            Self::Stdio => "stdio",
        }
    }
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scopes {
    /// Everything. Every credential except an access token allows this.
    All,
    /// The scopes of an access token, separated by spaces (RFC 6749 §3.3).
    #[cfg(feature = "oauth")]
    Only(Arc<str>),
}

impl Scopes {
    /// Whether they contain `scope`.
    #[cfg_attr(
        not(feature = "oauth"),
        expect(unused_variables, reason = "only access tokens have scopes")
    )]
    fn contain(&self, scope: &str) -> bool {
        match self {
            Self::All => true,
            #[cfg(feature = "oauth")]
            Self::Only(scopes) => scopes.split(' ').any(|own| own == scope),
        }
    }

    /// These scopes and one more. A client that asks the issuer for them loses none of those that it has.
    fn and(&self, more: &str) -> String {
        match self {
            #[cfg(feature = "oauth")]
            Self::Only(scopes) if scopes.len() <= MOST_SHOWN => {
                let own = scopes.split(' ').filter(|scope| is_scope(scope));
                own.chain([more]).collect::<Vec<_>>().join(" ")
            }
            _ => more.to_owned(),
        }
    }
}

/// The longest scopes of a token that `WWW-Authenticate` repeats, in bytes.
#[cfg(feature = "oauth")]
const MOST_SHOWN: usize = 1024;

/// Whether a text can be a scope (RFC 6749 §3.3), so that it can stand between quotes.
#[cfg(feature = "oauth")]
fn is_scope(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// The caller of a verified request. Only verification makes a `Caller`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    name: KeyName,
    scheme: Scheme,
    scopes: Scopes,
}

impl Caller {
    /// The holder of a credential that may do everything.
    pub(super) fn of(scheme: Scheme, name: KeyName) -> Self {
        let scopes = Scopes::All;
        Self { name, scheme, scopes }
    }

    /// The client of an access token with these scopes.
    #[cfg(feature = "oauth")]
    pub(super) fn of_token(name: KeyName, scopes: &str) -> Self {
        Self {
            name,
            scheme: Scheme::OAuth,
            scopes: Scopes::Only(scopes.into()),
        }
    }

    /// A caller that nothing has verified, for tests of what callers may do.
    #[cfg(test)]
    pub(crate) fn made_up(scheme: Scheme, id: &str) -> Self {
        Self::of(scheme, KeyName::new("default", id))
    }

    /// The tenant and the id of the credential.
    pub(crate) fn name(&self) -> &KeyName {
        &self.name
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the caller may do what needs `scope`.
    pub(crate) fn may(&self, scope: &str) -> bool {
        self.scopes.contain(scope)
    }

    /// Refuses a caller that may not do what needs `scope`.
    pub(crate) fn check(&self, scope: &'static str) -> Result<(), Refused> {
        if self.may(scope) {
            return Ok(());
        }
        let wanted = self.scopes.and(scope);
        Err(Refused::of(self.clone(), Refusal::Scope { lacking: scope, wanted }))
    }
}

/// A refused request, with its caller, so that the log can name a caller that is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) why: Refusal,
    /// `None` if nothing vouches for the caller. Boxed, so that results with a `Refused` are small.
    pub(crate) caller: Option<Box<Caller>>,
}

impl Refused {
    /// A request of a verified caller.
    pub(super) fn of(caller: Caller, why: Refusal) -> Self {
        let caller = Some(Box::new(caller));
        Self { why, caller }
    }
}

/// A request whose caller is not known.
impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self { why, caller: None }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(formatter)
    }
}
