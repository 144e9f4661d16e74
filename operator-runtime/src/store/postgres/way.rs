//! The transport of connections: unencrypted, or TLS if the address has `sslmode=require`.

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

use super::address::refused;
use crate::store::StoreError;

#[derive(Clone)]
pub(super) enum Way {
    Clear,
    /// TLS, where the server's certificate is always verified by the root certificates of the system.
    #[cfg(feature = "postgres-tls")]
    Tls(tokio_postgres_rustls::MakeRustlsConnect),
}

impl Way {
    pub(super) fn of(config: &Config) -> Result<Self, StoreError> {
        // `prefer`, the default of libpq, counts as unencrypted, because it falls back to that if the server refuses
        // TLS.
        if config.get_ssl_mode() == SslMode::Require {
            Self::over_tls()
        } else {
            Ok(Self::Clear)
        }
    }

    #[cfg(feature = "postgres-tls")]
    fn over_tls() -> Result<Self, StoreError> {
        use rustls::{ClientConfig, RootCertStore};

        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(refused(
                "asks for TLS (sslmode=require), but this system has no root certificates: install the package `ca-certificates`, or set SSL_CERT_FILE to a file of root certificates",
            ));
        }
        // Explicit, because the default provider depends on which other crates are linked.
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| StoreError::unavailable("Postgres", "be reached over TLS", source))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::Tls(tokio_postgres_rustls::MakeRustlsConnect::new(config)))
    }

    #[cfg(not(feature = "postgres-tls"))]
    fn over_tls() -> Result<Self, StoreError> {
        Err(refused(
            "asks for TLS (sslmode=require), but this program was built without TLS: turn it on with `operator-runtime = { features = [\"postgres-tls\"] }` in its Cargo.toml, or connect over a private network with `sslmode=disable`",
        ))
    }

    /// Opens a connection, which is closed when the era ends.
    pub(super) async fn connect(
        &self,
        config: &Config,
        era: &CancellationToken,
    ) -> Result<Client, tokio_postgres::Error> {
        match self {
            Self::Clear => {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(drive(connection, era.clone()));
                Ok(client)
            }
            #[cfg(feature = "postgres-tls")]
            Self::Tls(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(drive(connection, era.clone()));
                Ok(client)
            }
        }
    }

    /// Cancels the running statement of a connection. The cancellation goes over a second connection, as Postgres
    /// requires.
    pub(super) async fn cancel(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let token = client.cancel_token();
        match self {
            Self::Clear => token.cancel_query(NoTls).await,
            #[cfg(feature = "postgres-tls")]
            Self::Tls(tls) => token.cancel_query(tls.clone()).await,
        }
    }
}

async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>, era: CancellationToken) {
    if let Some(Err(error)) = era.run_until_cancelled(connection).await {
        tracing::debug!(%error, "a connection to Postgres ended");
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Clear => "Clear",
            #[cfg(feature = "postgres-tls")]
            Self::Tls(_) => "Tls",
        })
    }
}
