//! Reads the credentials of every scheme, from the settings or from the files that they name.

#[cfg(feature = "oauth")]
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Config;
use super::secret_file::{self, Contents, SecretFile};
use super::setting::{self, Given, SettingName};
#[cfg(feature = "oauth")]
use crate::app::issuer;
use crate::app::start_error::StartProblem;
#[cfg(feature = "tls")]
use crate::app::tls::{self, ServerTls, Unusable};
use crate::protocol::api_keys::ApiKeys;
#[cfg(feature = "tls")]
use crate::protocol::certificate::{Authorities, ClientList, Clients};
use crate::protocol::credentials::Credentials;
use crate::protocol::ed25519::VerifyingKeys;
#[cfg(feature = "oauth")]
use crate::protocol::oauth::{Expected, Issuer, METADATA};
#[cfg(feature = "oauth")]
use crate::protocol::public_url::PublicUrl;
use crate::protocol::secrets::SecretsError;
use crate::protocol::signature::Keys;

/// The files that credentials were read from.
pub(crate) type Files = Vec<String>;

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
            (Some(given), None) => read_secrets(given, Keys::single, Keys::single),
            (None, Some(given)) => read_secrets(given, Keys::parse, Keys::parse_lines),
        }
    }

    fn settle_verifying_keys(&self) -> Result<VerifyingKeys, Vec<StartProblem>> {
        let Some(given) = &self.verifying_keys else {
            return Ok(VerifyingKeys::default());
        };
        let read = |path: &str| key_file(given.setting, path);
        read_secrets(
            given,
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
        let checked = |place: &str, api_keys: ApiKeys| {
            keys.map_or(Ok(()), |keys| api_keys.check_against(place, keys))?;
            Ok(api_keys)
        };
        read_secrets(
            given,
            |place, list| checked(place, ApiKeys::parse(place, list)?),
            |place, lines| checked(place, ApiKeys::parse_lines(place, lines)?),
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
        match (&self.api_keys, &self.oauth_issuer) {
            (None, Some(issuer)) => issuer.setting,
            (given, _) => given
                .as_ref()
                .map_or(self.unset(setting::API_KEYS), |given| given.setting),
        }
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
        ];
        let lists = lists.into_iter().flatten();
        let lists = lists.filter_map(|given| given.value.strip_prefix('@'));
        let named = [&self.tls_cert, &self.tls_key, &self.client_ca].into_iter().flatten();
        let named = named.map(|given| given.value.as_str());
        let keys = self
            .verifying_keys
            .iter()
            .flat_map(|given| match given.value.strip_prefix('@') {
                None => key_files(&given.value),
                Some(path) => key_files(&secret_file::peek(path)),
            });
        lists.chain(named).map(str::to_owned).chain(keys).collect()
    }
}

impl Config {
    /// The clients of mutual TLS, if there are any.
    #[cfg(feature = "tls")]
    fn settle_clients(&self) -> Result<Option<Clients>, Vec<StartProblem>> {
        self.check_tls()?;
        let (Some(authorities), Some(clients)) = (&self.client_ca, &self.clients) else {
            return Ok(None);
        };
        let list = read_secrets(clients, ClientList::parse, ClientList::parse_lines)?;
        Ok(Some(Clients::new(list, self.authorities(authorities)?)))
    }

    /// Reports a setting of TLS that lacks another one, or the feature.
    fn check_tls(&self) -> Result<(), Vec<StartProblem>> {
        let needs = [
            (&self.tls_cert, &self.tls_key, setting::TLS_KEY),
            (&self.tls_key, &self.tls_cert, setting::TLS_CERT),
            (&self.clients, &self.client_ca, setting::CLIENT_CA),
            (&self.client_ca, &self.clients, setting::CLIENTS),
            (&self.client_ca, &self.tls_cert, setting::TLS_CERT),
        ];
        let lacking = needs.into_iter().filter_map(|(given, needed, names)| {
            let setting = given.as_ref().filter(|_| needed.is_none())?.setting;
            let needed = self.unset(names);
            let sentence = format!("{setting} is set, but {needed} is not: set both, or neither.");
            Some(StartProblem::of(setting, sentence))
        });
        let mut problems: Vec<StartProblem> = lacking.collect();
        if let (true, Some(setting)) = (self.is_hosted, self.tls_setting()) {
            let sentence = format!(
                "{setting} is set, but this app is served by another server: leave {setting} unset, and set TLS up in that server."
            );
            problems.push(StartProblem::of(setting, sentence));
        }
        if let (false, Some(given)) = (
            cfg!(feature = "tls"),
            self.tls_cert.as_ref().or(self.client_ca.as_ref()),
        ) {
            let setting = given.setting;
            let sentence = format!(
                "{setting} is set, but this program was built without TLS: turn it on with `operator-runtime = {{ features = [\"tls\"] }}` in its Cargo.toml, or leave {setting} unset."
            );
            problems.push(StartProblem::of(setting, sentence));
        }
        none_if_empty(problems)
    }

    #[cfg(feature = "tls")]
    fn authorities(&self, given: &Given<String>) -> Result<Authorities, Vec<StartProblem>> {
        let pem = pem_file(given, Is::Public)?;
        tls::authorities(pem.as_bytes()).map_err(|why| unusable(given, &why))
    }

    /// The server's certificate and key, and the question for a client's certificate; `None` if `serve` speaks http.
    #[cfg(feature = "tls")]
    pub(crate) fn server_tls(&self) -> Result<Option<ServerTls>, Vec<StartProblem>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let chain = pem_file(certificate, Is::Public)?;
        let private = pem_file(key, Is::Secret)?;
        let authorities = self
            .client_ca
            .as_ref()
            .map(|given| self.authorities(given))
            .transpose()?;
        let server = tls::server(chain.as_bytes(), private.as_bytes(), authorities);
        let server = server.map_err(|error| match error {
            Unusable::Certificate(why) => unusable(certificate, &why),
            Unusable::Key(why) => unusable(key, why),
        })?;
        Ok(Some(server))
    }
}

/// The problem of a file that can be read but not used. `why` is a clause.
#[cfg(feature = "tls")]
fn unusable(given: &Given<String>, why: &str) -> Vec<StartProblem> {
    let Given { value, setting } = given;
    vec![StartProblem::of(
        *setting,
        format!("The file {value} ({setting}) {why}."),
    )]
}

/// Whether everybody may read a file.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Public,
    Secret,
}

#[cfg(feature = "tls")]
fn pem_file(given: &Given<String>, is: Is) -> Result<Zeroizing<String>, Vec<StartProblem>> {
    let file = match is {
        Is::Public => SecretFile::of_public_key(&given.value, given.setting),
        Is::Secret => SecretFile::of_path(&given.value, given.setting),
    };
    let Contents { text, problems } = file.read();
    text.filter(|_| problems.is_empty()).ok_or(problems)
}

/// No problem and no issuer.
fn none_if_empty<T: Default>(problems: Vec<StartProblem>) -> Result<T, Vec<StartProblem>> {
    if problems.is_empty() {
        Ok(T::default())
    } else {
        Err(problems)
    }
}

/// The files that a list of verifying keys names.
fn key_files(list: &str) -> Vec<String> {
    let entries = list.split([',', '\n']);
    let named = entries.filter_map(|entry| entry.split_once("=file:"));
    named.map(|(_, path)| path.trim_end().to_owned()).collect()
}

/// The file of a verifying key. The error is a clause that follows the name of the key.
fn key_file(setting: SettingName, path: &str) -> Result<Zeroizing<String>, String> {
    let Contents { text, problems } = SecretFile::of_public_key(path, setting).read();
    match (text, problems.first()) {
        (Some(text), None) => Ok(text),
        (_, problem) => {
            let why = problem.map(StartProblem::to_string).unwrap_or_default();
            Err(format!("cannot be read. {}", why.trim_end_matches('.')))
        }
    }
}

/// Reads secrets from the setting, or from the file that the setting names.
fn read_secrets<T>(
    given: &Given<String>,
    parse: impl FnOnce(&str, &str) -> Result<T, SecretsError>,
    parse_file: impl FnOnce(&str, &str) -> Result<T, SecretsError>,
) -> Result<T, Vec<StartProblem>> {
    let setting = given.setting;
    let Some(file) = SecretFile::of(given) else {
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
