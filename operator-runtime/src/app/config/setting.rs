//! The names of settings. A start-up problem uses the name by which the person gave the setting.

use std::fmt;

/// The name by which a setting was given: its builder method or its environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SettingName {
    /// A builder method that was called, such as `Config::public_url` or `App::state`.
    Method(&'static str),
    /// An environment variable that is set, such as `OPERATOR_PUBLIC_URL`.
    Variable(&'static str),
    /// The setting is not given. The environment variable and the builder method can both set it.
    Unset {
        /// The environment variable.
        variable: &'static str,
        /// The builder method.
        method: &'static str,
    },
}

impl fmt::Display for SettingName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => write!(formatter, "`{method}`"),
            Self::Variable(variable) => formatter.write_str(variable),
            Self::Unset { variable, method } => write!(formatter, "{variable} or `{method}`"),
        }
    }
}

/// The two names of a setting of [`Config`](super::Config).
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(crate) method: &'static str,
    pub(crate) variable: &'static str,
}

pub(crate) const SIGNING_KEY: Names = names("Config::signing_key", "OPERATOR_SIGNING_KEY");
pub(crate) const SIGNING_KEYS: Names = names("Config::signing_keys", "OPERATOR_SIGNING_KEYS");
pub(crate) const PUBLIC_URL: Names = names("Config::public_url", "OPERATOR_PUBLIC_URL");
pub(crate) const LISTEN: Names = names("Config::listen", "OPERATOR_LISTEN");
pub(crate) const STORE: Names = names("Config::store", "OPERATOR_STORE");
pub(crate) const SERVE_MANIFEST: Names = names("Config::serve_manifest", "OPERATOR_SERVE_MANIFEST");
pub(crate) const STOP_DELAY: Names = names("Config::stop_delay", "OPERATOR_STOP_DELAY");
pub(crate) const RATE: Names = names("Config::rate", "OPERATOR_RATE");
pub(crate) const METRICS: Names = names("Config::metrics", "OPERATOR_METRICS");
pub(crate) const ADMIN: Names = names("Config::admin", "OPERATOR_ADMIN");
pub(crate) const ADMIN_TOKENS: Names = names("Config::admin_tokens", "OPERATOR_ADMIN_TOKENS");
pub(crate) const AUDIT: Names = names("Config::audit", "OPERATOR_AUDIT");
pub(crate) const VERIFYING_KEYS: Names = names("Config::verifying_keys", "OPERATOR_VERIFYING_KEYS");
pub(crate) const API_KEYS: Names = names("Config::api_keys", "OPERATOR_API_KEYS");
pub(crate) const OAUTH_ISSUER: Names = names("Config::oauth_issuer", "OPERATOR_OAUTH_ISSUER");
pub(crate) const OAUTH_AUDIENCE: Names = names("Config::oauth_audience", "OPERATOR_OAUTH_AUDIENCE");
pub(crate) const OAUTH_TENANT_CLAIM: Names = names("Config::oauth_tenant_claim", "OPERATOR_OAUTH_TENANT_CLAIM");
pub(crate) const TLS_CERT: Names = names("Config::tls", "OPERATOR_TLS_CERT");
pub(crate) const TLS_KEY: Names = names("Config::tls", "OPERATOR_TLS_KEY");
pub(crate) const CLIENT_CA: Names = names("Config::clients", "OPERATOR_CLIENT_CA");
pub(crate) const CLIENTS: Names = names("Config::clients", "OPERATOR_CLIENTS");
/// The earlier name of [`API_KEYS`], which is still read.
pub(crate) const MCP_TOKENS: Names = names("Config::api_keys", "OPERATOR_MCP_TOKENS");

const fn names(method: &'static str, variable: &'static str) -> Names {
    Names { method, variable }
}

impl Names {
    pub(super) fn by_method<T>(self, value: T) -> Given<T> {
        let setting = SettingName::Method(self.method);
        Given { value, setting }
    }

    pub(super) fn by_variable<T>(self, value: T) -> Given<T> {
        let setting = SettingName::Variable(self.variable);
        Given { value, setting }
    }
}

/// A value and the name of the setting that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) setting: SettingName,
}

impl<T> Given<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        Given {
            value: change(self.value),
            setting: self.setting,
        }
    }
}
