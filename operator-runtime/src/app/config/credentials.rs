//! The credentials of every scheme: the builder methods, and the secrets in the settings or in the files that they name.

#[cfg(feature = "oauth")]
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Config;
use super::secret_file::{self, Contents, SecretFile};
use super::setting::{self, Given, SettingName};
#[cfg(feature = "oauth")]
use crate::app::issuer;
use crate::app::start_error::StartProblem;
use crate::protocol::api_keys::ApiKeys;
use crate::protocol::credentials::Credentials;
use crate::protocol::ed25519::VerifyingKeys;
#[cfg(feature = "oauth")]
use crate::protocol::oauth::{Expected, Issuer, METADATA};
#[cfg(feature = "oauth")]
use crate::protocol::public_url::{MCP, PublicUrl};
use crate::protocol::secrets::{self, SecretsError};
use crate::protocol::signature::Keys;

/// The files that credentials were read from.
pub(crate) type Files = Vec<String>;

impl Config {
    /// The secret that the agent signs with. The secret is used exactly as written, without one line end after it.
    /// Start-up refuses a secret that contains control characters or has quotes or spaces around it. `@FILE` reads the
    /// secret from a file, which must contain nothing else.
    #[must_use]
    pub fn signing_key(mut self, secret: impl Into<String>) -> Self {
        self.signing_key = Some(setting::SIGNING_KEY.by_method(secret.into()));
        self
    }

    /// Several signing keys: a list of `[tenant/]id=secret`, separated by commas, or `@FILE` to read them from a file
    /// with one key per line. Ids and tenants are 1 to 64 characters of `A-Z a-z 0-9 . _ -`. The rules for a secret are
    /// those of [`signing_key`](Self::signing_key).
    ///
    /// Start-up refuses a file that its group or everybody may write. If everybody may read the file, a warning is
    /// logged.
    #[must_use]
    pub fn signing_keys(mut self, keys: impl Into<String>) -> Self {
        self.signing_keys = Some(setting::SIGNING_KEYS.by_method(keys.into()));
        self
    }

    /// The public keys of callers that sign with Ed25519: a list of `[tenant/]id=KEY`, separated by commas, or `@FILE` to
    /// read them from a file with one key per line. A key is the base64 of its 32 bytes or of its SPKI, or `file:PATH` of
    /// a PEM.
    ///
    /// Such a caller sends the same headers and signs the same payload as one with a signing key. `X-Signature` then has
    /// 128 hexadecimal digits.
    #[must_use]
    pub fn verifying_keys(mut self, keys: impl Into<String>) -> Self {
        self.verifying_keys = Some(setting::VERIFYING_KEYS.by_method(keys.into()));
        self
    }

    /// The tokens of callers that do not sign: a list of `[tenant/]id=TOKEN`, separated by commas, or `@FILE` to read
    /// them from a file with one token per line. A caller sends its token as `Authorization: Bearer TOKEN` or as
    /// `X-API-Key: TOKEN`.
    ///
    /// With the feature `mcp`, clients with an API key may also call over MCP, at `/mcp`.
    #[must_use]
    pub fn api_keys(mut self, keys: impl Into<String>) -> Self {
        self.api_keys = Some(setting::API_KEYS.by_method(keys.into()));
        self
    }

    #[doc(hidden)]
    #[deprecated = "API keys are also accepted at the endpoints: write `api_keys`"]
    #[must_use]
    pub fn mcp_tokens(self, tokens: impl Into<String>) -> Self {
        self.api_keys(tokens)
    }

    /// The OAuth issuer whose access tokens (RFC 9068) callers may send as `Authorization: Bearer …`, as its metadata
    /// names it, such as `https://login.example.com`. Needs the feature `oauth`.
    ///
    /// The issuer's keys are fetched at start-up, every ten minutes, and when a token names a key that is not known, but
    /// at most once a minute. A token needs the scope `operator:read` for an endpoint that only reads, and `operator:act`
    /// for one that changes something, unless the endpoint names a scope of its own.
    #[must_use]
    pub fn oauth_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.oauth_issuer = Some(setting::OAUTH_ISSUER.by_method(issuer.into()));
        self
    }

    /// The audience that access tokens must name in `aud`; the public URL unless set. The published URL of `/mcp` is
    /// accepted too, because MCP clients ask the issuer for a token for the URL that they use.
    #[must_use]
    pub fn oauth_audience(mut self, audience: impl Into<String>) -> Self {
        self.oauth_audience = Some(setting::OAUTH_AUDIENCE.by_method(audience.into()));
        self
    }

    /// The claim of an access token that names the tenant. A token without it is refused. Unless set, all clients of the
    /// issuer belong to the tenant `default`.
    #[must_use]
    pub fn oauth_tenant_claim(mut self, claim: impl Into<String>) -> Self {
        self.oauth_tenant_claim = Some(setting::OAUTH_TENANT_CLAIM.by_method(claim.into()));
        self
    }
}

impl Config {
    /// All credentials. The error names every problem.
    pub(crate) fn credentials(&self) -> Result<Credentials, Vec<StartProblem>> {
        let mut problems = Vec::new();
        if !self.has_credentials() {
            problems.push(self.no_credential());
        }
        let keys = if self.has_keys() {
            self.keys().map_err(|several| problems.extend(several)).ok()
        } else {
            Some(Keys::default())
        };
        let verifying_keys = self
            .settle_verifying_keys()
            .map_err(|several| problems.extend(several))
            .ok();
        let api_keys = self.settle_api_keys(keys.as_ref());
        let api_keys = api_keys.map_err(|several| problems.extend(several)).ok();
        let issuer = self.issuer().map_err(|several| problems.extend(several)).ok();
        #[cfg(feature = "tls")]
        let clients = self
            .settle_clients()
            .map_err(|several| problems.extend(several))
            .unwrap_or_default();
        #[cfg(not(feature = "tls"))]
        problems.extend(self.check_tls().err().into_iter().flatten());
        match (keys, verifying_keys, api_keys, issuer) {
            (Some(keys), Some(verifying_keys), Some(api_keys), Some(issuer)) if problems.is_empty() => {
                #[cfg(not(feature = "oauth"))]
                let () = issuer;
                Ok(Credentials {
                    keys,
                    verifying_keys,
                    api_keys,
                    #[cfg(feature = "oauth")]
                    issuer,
                    #[cfg(feature = "tls")]
                    clients,
                })
            }
            _ => Err(problems),
        }
    }

    /// Whether callers can be verified at all.
    fn has_credentials(&self) -> bool {
        let others = [
            &self.verifying_keys,
            &self.api_keys,
            &self.mcp_tokens,
            &self.oauth_issuer,
            &self.clients,
        ];
        self.has_keys() || others.into_iter().any(Option::is_some)
    }

    fn no_credential(&self) -> StartProblem {
        let setting = self.unset(setting::SIGNING_KEY);
        let sentence = format!(
            "There is no signing key: set {setting} to the secret that the agent signs with (`keygen` makes one). For callers that do not sign, set {} instead.",
            self.unset(setting::API_KEYS)
        );
        StartProblem::of(setting, sentence)
    }

    /// The signing keys. The first of them signs the calls of the command line.
    pub(crate) fn keys(&self) -> Result<Keys, Vec<StartProblem>> {
        match (&self.signing_key, &self.signing_keys) {
            (None, None) => Err(vec![self.no_credential()]),
            (Some(one), Some(several)) => Err(vec![StartProblem::of(
                several.setting,
                format!(
                    "{} and {} are both set: keep only the one that contains the agent's keys.",
                    one.setting, several.setting
                ),
            )]),
            (Some(given), None) => read_list(given, SecretFile::of(given), Keys::single, Keys::single),
            (None, Some(given)) => read_list(given, SecretFile::of(given), Keys::parse, Keys::parse_lines),
        }
    }

    fn settle_verifying_keys(&self) -> Result<VerifyingKeys, Vec<StartProblem>> {
        let Some(given) = &self.verifying_keys else {
            return Ok(VerifyingKeys::default());
        };
        let read = |path: &str| key_file(given.setting, path);
        read_list(
            given,
            SecretFile::of_public(given),
            |place, list| VerifyingKeys::parse(place, list, &read),
            |place, lines| VerifyingKeys::parse_lines(place, lines, &read),
        )
    }

    fn settle_api_keys(&self, keys: Option<&Keys>) -> Result<ApiKeys, Vec<StartProblem>> {
        if let (Some(now), Some(earlier)) = (&self.api_keys, &self.mcp_tokens) {
            let (now, earlier) = (now.setting, earlier.setting);
            let sentence = format!("{earlier} is the earlier name of {now}, and both are set: keep only {now}.");
            return Err(vec![StartProblem::of(earlier, sentence)]);
        }
        let Some(given) = self.given_api_keys() else {
            return Ok(ApiKeys::default());
        };
        #[cfg(not(feature = "mcp"))]
        if let Some(Given { setting, .. }) = self.mcp_tokens {
            let sentence = format!("{setting} is set, and {}", crate::app::WITHOUT_MCP);
            return Err(vec![StartProblem::of(setting, sentence)]);
        }
        let none = Keys::default();
        let keys = keys.unwrap_or(&none);
        read_list(
            given,
            SecretFile::of(given),
            |place, list| ApiKeys::parse(place, list, keys),
            |place, lines| ApiKeys::parse_lines(place, lines, keys),
        )
    }

    #[cfg(feature = "oauth")]
    fn issuer(&self) -> Result<Option<Arc<Issuer>>, Vec<StartProblem>> {
        let Some(Given { value, setting }) = &self.oauth_issuer else {
            return none_if_empty(self.without_issuer().collect());
        };
        let problem = |why: &str| {
            let sentence = format!(
                "The issuer `{value}` {why}: {setting} takes the issuer's URL as its metadata names it, such as https://login.example.com."
            );
            vec![StartProblem::of(*setting, sentence)]
        };
        if value.contains(['?', '#']) {
            return Err(problem("has a query or a fragment"));
        }
        if let Err(why) = PublicUrl::parse(value) {
            return Err(problem(&why.to_string()));
        }
        // Without a public URL the app does not start, and another problem says so.
        let url = self.settle_public_url().ok().flatten();
        let audience = self.oauth_audience.as_ref().map(|audience| audience.value.clone());
        let expected = Expected {
            audience: audience
                .or_else(|| url.as_ref().map(PublicUrl::to_string))
                .unwrap_or_default(),
            mcp_url: url.as_ref().map(|url| url.published(MCP)).unwrap_or_default(),
            metadata: url.map(|url| url.published(METADATA)).unwrap_or_default(),
            issuer: value.clone(),
            tenant_claim: self.oauth_tenant_claim.as_ref().map(|claim| claim.value.clone()),
        };
        let fetch = issuer::fetching(value);
        Ok(Some(Arc::new(Issuer::new(expected, fetch))))
    }

    #[cfg(not(feature = "oauth"))]
    fn issuer(&self) -> Result<(), Vec<StartProblem>> {
        let Some(Given { setting, .. }) = &self.oauth_issuer else {
            return none_if_empty(self.without_issuer().collect());
        };
        let sentence = format!(
            "{setting} is set, but this program was built without OAuth: turn it on with `operator-runtime = {{ features = [\"oauth\"] }}` in its Cargo.toml, or leave {setting} unset."
        );
        Err(vec![StartProblem::of(*setting, sentence)])
    }

    /// Settings that have no effect without an issuer.
    fn without_issuer(&self) -> impl Iterator<Item = StartProblem> {
        let given = [&self.oauth_audience, &self.oauth_tenant_claim].into_iter().flatten();
        given.map(|given| {
            let (setting, issuer) = (given.setting, self.unset(setting::OAUTH_ISSUER));
            let sentence = format!("{setting} is set, but no issuer is: set {issuer} too, or leave {setting} unset.");
            StartProblem::of(setting, sentence)
        })
    }

    /// The API keys, under the present or the earlier name of the setting.
    fn given_api_keys(&self) -> Option<&Given<String>> {
        self.api_keys.as_ref().or(self.mcp_tokens.as_ref())
    }

    /// The name of the setting because of which `/mcp` is served.
    #[cfg(feature = "mcp")]
    pub(crate) fn tokens_setting(&self) -> SettingName {
        let given = self.given_api_keys().or(self.oauth_issuer.as_ref());
        self.setting_of(given, setting::API_KEYS)
    }

    /// The files that contain credentials, which are read again when they change.
    pub(crate) fn credential_files(&self) -> Files {
        let lists = [
            &self.signing_key,
            &self.signing_keys,
            &self.verifying_keys,
            &self.api_keys,
            &self.mcp_tokens,
            &self.clients,
            &self.admin_tokens,
        ];
        let lists = lists.into_iter().flatten();
        let lists = lists.filter_map(|given| given.value.strip_prefix('@'));
        let named = [&self.tls_cert, &self.tls_key, &self.client_ca].into_iter().flatten();
        let named = named.map(|given| given.value.as_str());
        let keys = self
            .verifying_keys
            .iter()
            .flat_map(|given| match given.value.strip_prefix('@') {
                None => key_files(secrets::entries(&given.value)),
                Some(path) => key_files(secrets::entries_of_lines(&secret_file::peek(path))),
            });
        lists.chain(named).map(str::to_owned).chain(keys).collect()
    }
}

/// The default, such as no issuer, unless there is a problem.
pub(super) fn none_if_empty<T: Default>(problems: Vec<StartProblem>) -> Result<T, Vec<StartProblem>> {
    if problems.is_empty() {
        Ok(T::default())
    } else {
        Err(problems)
    }
}

/// The files that the entries of a list of verifying keys name.
fn key_files<'e>(entries: impl Iterator<Item = (usize, &'e str)>) -> Vec<String> {
    let named = entries.filter_map(|(_, entry)| entry.split_once('=')?.1.strip_prefix("file:"));
    named.map(str::to_owned).collect()
}

/// The file of a verifying key. The error is a clause that follows the name of the key.
fn key_file(setting: SettingName, path: &str) -> Result<Zeroizing<String>, String> {
    let text = SecretFile::of_public_path(path, setting).read().checked();
    text.map_err(|problems| {
        let why = problems.first().map(StartProblem::to_string).unwrap_or_default();
        format!("cannot be read. {}", why.trim_end_matches('.'))
    })
}

/// Reads a list from the setting, or from the file that the setting names: [`SecretFile::of`] the setting, or
/// [`SecretFile::of_public`] if everybody may read the list.
pub(super) fn read_list<T>(
    given: &Given<String>,
    file: Option<SecretFile<'_>>,
    parse: impl FnOnce(&str, &str) -> Result<T, SecretsError>,
    parse_file: impl FnOnce(&str, &str) -> Result<T, SecretsError>,
) -> Result<T, Vec<StartProblem>> {
    let setting = given.setting;
    let Some(file) = file else {
        return parse(&setting.to_string(), &given.value).map_err(|error| problems_of(setting, error));
    };
    let Contents { text, mut problems } = file.read();
    match text.map(|text| parse_file(&file.place(), &text)) {
        Some(Ok(secrets)) if problems.is_empty() => return Ok(secrets),
        Some(Err(error)) => problems.extend(problems_of(setting, error)),
        Some(Ok(_)) | None => {}
    }
    Err(problems)
}

fn problems_of(setting: SettingName, error: SecretsError) -> Vec<StartProblem> {
    let sentences = error.into_problems().into_iter();
    sentences.map(|sentence| StartProblem::of(setting, sentence)).collect()
}
