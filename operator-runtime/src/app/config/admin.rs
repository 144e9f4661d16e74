//! The admin page: where it listens, and the tokens of the people who may use it.

use std::net::SocketAddr;
#[cfg(feature = "cli")]
use std::sync::Arc;

#[cfg(feature = "cli")]
use arc_swap::ArcSwap;

#[cfg(feature = "cli")]
use super::credentials::{none_if_empty, read_list};
#[cfg(feature = "cli")]
use super::secret_file::SecretFile;
#[cfg(feature = "cli")]
use super::settled;
use super::{Address, Config, setting};
#[cfg(feature = "cli")]
use crate::app::Given;
use crate::app::start_error::StartProblem;
#[cfg(feature = "cli")]
use crate::protocol::api_keys::ApiKeys;
#[cfg(feature = "cli")]
use crate::protocol::credentials::Credentials;

/// The admin page that is to be served.
#[cfg(feature = "cli")]
pub(crate) struct AdminSettings {
    pub(crate) listen: Given<SocketAddr>,
    /// The tokens in use, which are replaced when their file changes.
    pub(crate) tokens: Arc<ArcSwap<ApiKeys>>,
}

impl Config {
    /// The loopback address and port, such as `([127, 0, 0, 1], 9465)`, of the page on which people look operations up
    /// and settle them. Unless set, there is no such page. Needs [`admin_tokens`](Self::admin_tokens) and the feature
    /// `cli`.
    #[must_use]
    pub fn admin(mut self, address: impl Into<SocketAddr>) -> Self {
        self.admin = Some(setting::ADMIN.by_method(Address::Known(address.into())));
        self
    }

    /// The tokens with which people sign in to the admin page: a list of `[tenant/]id=TOKEN`, separated by commas, or
    /// `@FILE` to read them from a file with one token per line. A token has at least 16 characters, and must not be a
    /// credential of a caller. The operations of all tenants are shown, whatever the tenant of the token is.
    #[must_use]
    pub fn admin_tokens(mut self, tokens: impl Into<String>) -> Self {
        self.admin_tokens = Some(setting::ADMIN_TOKENS.by_method(tokens.into()));
        self
    }

    #[cfg(not(feature = "cli"))]
    pub(super) fn settle_admin(&self) -> Result<(), Vec<StartProblem>> {
        let address = self.admin.as_ref().map(|given| given.setting);
        let Some(setting) = address.or(self.admin_tokens.as_ref().map(|given| given.setting)) else {
            return Ok(());
        };
        let sentence = format!(
            "{setting} is set, but this program was built without the admin page: turn it on with `operator-runtime = {{ features = [\"cli\"] }}` in its Cargo.toml, or leave {setting} unset."
        );
        Err(vec![StartProblem::of(setting, sentence)])
    }

    /// The admin page, if there is one. `credentials` are those of the callers.
    #[cfg(feature = "cli")]
    pub(super) fn settle_admin(
        &self,
        credentials: Option<&Credentials>,
    ) -> Result<Option<AdminSettings>, Vec<StartProblem>> {
        let (Some(address), Some(_)) = (&self.admin, &self.admin_tokens) else {
            return none_if_empty(self.half_an_admin().into_iter().collect());
        };
        let listen = settled::address(address, "127.0.0.1:9465").map_err(|problem| vec![problem]);
        let listen = listen.and_then(|listen| is_of_this_machine(listen).map_err(|problem| vec![problem]));
        match (listen, self.read_admin_tokens(credentials)) {
            (Ok(listen), Ok(tokens)) => Ok(Some(AdminSettings {
                listen,
                tokens: Arc::new(ArcSwap::from_pointee(tokens)),
            })),
            (listen, tokens) => Err([listen.err(), tokens.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// The problem of an address without tokens, or of tokens without an address.
    #[cfg(feature = "cli")]
    fn half_an_admin(&self) -> Option<StartProblem> {
        if let Some(Given { setting, .. }) = self.admin {
            let tokens = self.unset(setting::ADMIN_TOKENS);
            let sentence = format!(
                "{setting} is set, but no token is: set {tokens} to a list of `id=TOKEN` (`keygen` makes a token), or leave {setting} unset."
            );
            return Some(StartProblem::of(setting, sentence));
        }
        let setting = self.admin_tokens.as_ref()?.setting;
        let address = self.unset(setting::ADMIN);
        let sentence = format!(
            "{setting} is set, but the address of the admin page is not: set {address}, such as 127.0.0.1:9465, or leave {setting} unset."
        );
        Some(StartProblem::of(setting, sentence))
    }

    /// The tokens, which are read again when their file changes.
    #[cfg(feature = "cli")]
    pub(crate) fn read_admin_tokens(&self, credentials: Option<&Credentials>) -> Result<ApiKeys, Vec<StartProblem>> {
        let Some(given) = &self.admin_tokens else {
            return Ok(ApiKeys::default());
        };
        let none = Credentials::default();
        let Credentials { keys, api_keys, .. } = credentials.unwrap_or(&none);
        read_list(
            given,
            SecretFile::of(given),
            |place, list| ApiKeys::parse_of_people(place, list, keys, api_keys),
            |place, lines| ApiKeys::parse_lines_of_people(place, lines, keys, api_keys),
        )
    }
}

/// Whoever reaches the page may try tokens, and the page speaks http, so it is only on this machine.
#[cfg(feature = "cli")]
fn is_of_this_machine(listen: Given<SocketAddr>) -> Result<Given<SocketAddr>, StartProblem> {
    if listen.value.ip().is_loopback() {
        return Ok(listen);
    }
    let Given { value, setting } = listen;
    let sentence = format!(
        "{setting} is {value}, but the admin page listens only on a loopback address, because it speaks http: set {setting} to an address such as 127.0.0.1:9465, and reach it from elsewhere with `ssh -L 9465:127.0.0.1:9465`."
    );
    Err(StartProblem::of(setting, sentence))
}
