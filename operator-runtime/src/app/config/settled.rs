//! What settings come to once they are checked, or a sentence for each that does not hold.

use std::net::SocketAddr;

use super::secret_file::SecretFile;
use super::{Config, Limits};
use crate::app::public_url;
#[cfg(feature = "mcp")]
use crate::protocol::bearer::Tokens;
use crate::protocol::secrets::SecretsError;
use crate::protocol::signature::Keys;

/// Settings that hold.
pub(crate) struct Settled {
    pub(crate) keys: Keys,
    pub(crate) public_url: String,
    pub(crate) base_path: String,
    pub(crate) listen: SocketAddr,
    pub(crate) limits: Limits,
    pub(crate) serves_manifest: bool,
    pub(crate) counts_records: bool,
    /// Who may call over MCP; `/mcp` is there where they are.
    #[cfg(feature = "mcp")]
    pub(crate) mcp_tokens: Option<Tokens>,
}

impl Config {
    /// Checks everything; each problem is one sentence.
    pub(crate) fn settle(&self, problems: &mut Vec<String>) -> Option<Settled> {
        problems.extend(self.unreadable());
        let keys = self.keys().map_err(|error| problems.extend(error.into_problems()));
        let url = public_url::settle(self.public_url.as_deref()).map_err(|problem| problems.push(problem));
        let listen = self.settle_listen().map_err(|problem| problems.push(problem));
        let serves_manifest = self.settle_manifest().map_err(|problem| problems.push(problem));
        #[cfg(feature = "mcp")]
        let mcp_tokens = self
            .settle_mcp_tokens(keys.as_ref().ok())
            .map_err(|error| problems.extend(error.into_problems()));
        #[cfg(not(feature = "mcp"))]
        problems.extend(
            self.mcp_tokens
                .as_ref()
                .map(|_| format!("OPERATOR_MCP_TOKENS is set, and {}", crate::app::WITHOUT_MCP)),
        );
        problems.extend(self.limits.problems());
        let of_operations = self.operations.problems();
        problems.extend(
            of_operations
                .iter()
                .map(|problem| format!("In `Config::operations`: {problem}")),
        );
        let (public_url, base_path) = url.ok()?;
        Some(Settled {
            keys: keys.ok()?,
            public_url,
            base_path,
            listen: listen.ok()?,
            limits: self.limits,
            serves_manifest: serves_manifest.ok()?,
            counts_records: self.count_records || self.metrics.is_some(),
            #[cfg(feature = "mcp")]
            mcp_tokens: mcp_tokens.ok()?,
        })
    }

    fn settle_listen(&self) -> Result<SocketAddr, String> {
        self.listen.parse().map_err(|_| {
            format!(
                "`{}` is no address to listen on: OPERATOR_LISTEN takes an IP address and a port, such as 127.0.0.1:8080.",
                self.listen
            )
        })
    }

    /// The public URL, if there is one.
    #[cfg(feature = "cli")]
    pub(crate) fn settle_public_url(&self) -> Result<Option<String>, String> {
        let Some(url) = &self.public_url else {
            return Ok(None);
        };
        let (url, _base_path) = public_url::check(url, public_url::SETTING)?;
        Ok(Some(url))
    }

    /// Where `dev` serves, if nothing else is set.
    #[cfg(feature = "cli")]
    pub(crate) fn url_of_this_machine(&self) -> Result<String, String> {
        let listen = self.settle_listen()?;
        Ok(format!("http://{listen}"))
    }

    /// A sentence for each environment variable that holds no text, and so was not taken.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = String> {
        let names = self.unreadable.iter();
        names.map(|name| format!("The value of {name} is not UTF-8, so it cannot be used: set it anew."))
    }

    pub(crate) fn keys(&self) -> Result<Keys, SecretsError> {
        let problem = |text: &str| SecretsError::new(text.to_owned());
        match (&self.signing_key, &self.signing_keys) {
            (None, None) => Err(problem(
                "There is no signing key: set OPERATOR_SIGNING_KEY to the secret that the agent signs with (`keygen` makes one).",
            )),
            (Some(_), Some(_)) => Err(problem(
                "OPERATOR_SIGNING_KEY and OPERATOR_SIGNING_KEYS are both set: keep the one that holds the agent's keys.",
            )),
            (Some(secret), None) => Keys::single("OPERATOR_SIGNING_KEY", secret),
            (None, Some(list)) => match SecretFile::of(list, "OPERATOR_SIGNING_KEYS") {
                None => Keys::parse("OPERATOR_SIGNING_KEYS", list),
                Some(file) => Keys::parse_lines(&file.place(), &file.read()?),
            },
        }
    }

    #[cfg(feature = "mcp")]
    fn settle_mcp_tokens(&self, keys: Option<&Keys>) -> Result<Option<Tokens>, SecretsError> {
        let Some(list) = &self.mcp_tokens else {
            return Ok(None);
        };
        let tokens = match SecretFile::of(list, "OPERATOR_MCP_TOKENS") {
            None => Tokens::parse("OPERATOR_MCP_TOKENS", list, keys),
            Some(file) => Tokens::parse_lines(&file.place(), &file.read()?, keys),
        };
        tokens.map(Some)
    }

    fn settle_manifest(&self) -> Result<bool, String> {
        let text = self.serve_manifest.as_deref().unwrap_or("false");
        text.parse()
            .map_err(|_| format!("`{text}` is neither true nor false: OPERATOR_SERVE_MANIFEST is one of them."))
    }

    /// Where Prometheus scrapes, if it does.
    pub(crate) fn settle_metrics(&self) -> Result<Option<SocketAddr>, String> {
        let Some(text) = &self.metrics else {
            return Ok(None);
        };
        if !cfg!(feature = "prometheus") {
            return Err(
                "OPERATOR_METRICS is set, and this program was built without the exporter for Prometheus: turn it on with `operator-runtime = { features = [\"prometheus\"] }` in its Cargo.toml, or leave OPERATOR_METRICS unset."
                    .to_owned(),
            );
        }
        text.parse().map(Some).map_err(|_| {
            format!(
                "`{text}` is no address to listen on: OPERATOR_METRICS takes an IP address and a port, such as 127.0.0.1:9464."
            )
        })
    }
}
