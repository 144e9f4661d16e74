//! TLS of `serve`: the builder methods, and the certificates and keys in the files that they name.

#[cfg(feature = "tls")]
use zeroize::Zeroizing;

use super::Config;
use super::credentials::none_if_empty;
#[cfg(feature = "tls")]
use super::credentials::read_list;
#[cfg(feature = "tls")]
use super::secret_file::SecretFile;
#[cfg(feature = "tls")]
use super::setting::Given;
use super::setting::{self, SettingName};
use crate::app::start_error::StartProblem;
#[cfg(feature = "tls")]
use crate::app::tls::{self, ServerTls, Unusable, UnusablePair};
#[cfg(feature = "tls")]
use crate::protocol::certificate::{Authorities, ClientList, Clients};

impl Config {
    /// The files of the certificate and of its private key, both in PEM, with which [`App::serve`](crate::App::serve)
    /// speaks https. Needs the feature `tls`. The certificates between the server's own and its authority follow in the
    /// same file. The command `dev` always speaks http, and an app that another server serves
    /// ([`App::host`](crate::App::host)) does not start with this setting.
    ///
    /// The files are read again within ten seconds after they have changed, and at once on SIGHUP. If they cannot be used,
    /// the old certificate stays in use, and the log says why.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.tls_cert = Some(setting::TLS_CERT.by_method(certificate.into()));
        self.tls_key = Some(setting::TLS_KEY.by_method(key.into()));
        self
    }

    /// Asks each caller for a client certificate. `authorities` is the file of the authorities that issue such
    /// certificates, in PEM. `clients` is a list of `[tenant/]id=NAME`, separated by commas, or `@FILE`; NAME is a DNS
    /// name or a URI in the certificate, or `sha256:` and the certificate's digest. Needs [`tls`](Self::tls).
    ///
    /// If there are other credentials, a call needs both, and its tenant and id are those of the other credential.
    #[must_use]
    pub fn clients(mut self, authorities: impl Into<String>, clients: impl Into<String>) -> Self {
        self.client_ca = Some(setting::CLIENT_CA.by_method(authorities.into()));
        self.clients = Some(setting::CLIENTS.by_method(clients.into()));
        self
    }

    /// The first setting of TLS that is given, if one is.
    pub(crate) fn tls_setting(&self) -> Option<SettingName> {
        let all = [&self.tls_cert, &self.tls_key, &self.client_ca, &self.clients];
        all.into_iter().flatten().map(|given| given.setting).next()
    }

    /// The settings without TLS, for calls that arrive without it.
    pub(super) fn without_tls(self) -> Self {
        Self {
            tls_cert: None,
            tls_key: None,
            client_ca: None,
            clients: None,
            ..self
        }
    }

    /// The clients of mutual TLS, if there are any.
    #[cfg(feature = "tls")]
    pub(super) fn settle_clients(&self) -> Result<Option<Clients>, Vec<StartProblem>> {
        self.check_tls()?;
        let (Some(authorities), Some(clients)) = (&self.client_ca, &self.clients) else {
            return Ok(None);
        };
        let list = read_list(
            clients,
            SecretFile::of_public(clients),
            ClientList::parse,
            ClientList::parse_lines,
        );
        match (list, self::authorities(authorities)) {
            (Ok(list), Ok(authorities)) => Ok(Some(Clients::new(list, authorities))),
            (list, authorities) => Err([list.err(), authorities.err()]
                .into_iter()
                .flatten()
                .flatten()
                .collect()),
        }
    }

    /// Reports a setting of TLS that lacks another one, or the feature.
    pub(super) fn check_tls(&self) -> Result<(), Vec<StartProblem>> {
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

    /// The server's certificate and key; `None` if `serve` speaks http. With `clients`, the server asks each client for a
    /// certificate.
    #[cfg(feature = "tls")]
    pub(crate) fn server_tls(&self, clients: Option<&Clients>) -> Result<Option<ServerTls>, Vec<StartProblem>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let chain = public_file(certificate)?;
        let private = SecretFile::of_path(&key.value, key.setting).read().checked()?;
        let server = tls::server(chain.as_bytes(), private.as_bytes(), clients);
        let server = server.map_err(|error| match error {
            UnusablePair::Certificate(why) => unusable(certificate, why),
            UnusablePair::Key(why) => unusable(key, why),
        })?;
        Ok(Some(server))
    }
}

/// The problem of a file that can be read but not used.
#[cfg(feature = "tls")]
fn unusable(given: &Given<String>, Unusable { why, cause }: Unusable) -> Vec<StartProblem> {
    let Given { value, setting } = given;
    let problem = StartProblem::of(*setting, format!("The file {value} ({setting}) {why}."));
    vec![match cause {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }]
}

#[cfg(feature = "tls")]
fn authorities(given: &Given<String>) -> Result<Authorities, Vec<StartProblem>> {
    let pem = public_file(given)?;
    tls::authorities(pem.as_bytes()).map_err(|why| unusable(given, why))
}

/// The text of a file that everybody may read.
#[cfg(feature = "tls")]
fn public_file(given: &Given<String>) -> Result<Zeroizing<String>, Vec<StartProblem>> {
    SecretFile::of_public_path(&given.value, given.setting).read().checked()
}
