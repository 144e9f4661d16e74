//! How connections go over the network: in the clear, or over TLS where the address says `sslmode=require`.

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::address::refused;
use crate::store::StoreError;

#[derive(Clone)]
pub(super) enum Way {
    Clear,
    /// The server's certificate is verified in each case, by the roots that the system trusts.
    #[cfg(feature = "postgres-tls")]
    Tls(tokio_postgres_rustls::MakeRustlsConnect),
}

impl Way {
    pub(super) fn of(config: &Config) -> Result<Self, StoreError> {
        // `prefer`, which is what an address without it means, would speak in the clear to whoever refuses TLS.
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
                "asks for TLS (sslmode=require), and this system trusts nobody's certificates: install them (`ca-certificates`), or name a file of them in SSL_CERT_FILE",
            ));
        }
        // Named, so that it does not depend on what else is linked.
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| StoreError::unavailable("Postgres", "be spoken to over TLS", source))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::Tls(tokio_postgres_rustls::MakeRustlsConnect::new(config)))
    }

    #[cfg(not(feature = "postgres-tls"))]
    fn over_tls() -> Result<Self, StoreError> {
        Err(refused(
            "asks for TLS (sslmode=require), and this program was built without it: turn it on with `operator-runtime = { features = [\"postgres-tls\"] }` in its Cargo.toml, or connect over a private network with `sslmode=disable`",
        ))
    }

    pub(super) async fn connect(&self, config: &Config) -> Result<Client, tokio_postgres::Error> {
        match self {
            Self::Clear => {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(drive(connection));
                Ok(client)
            }
            #[cfg(feature = "postgres-tls")]
            Self::Tls(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(drive(connection));
                Ok(client)
            }
        }
    }

    /// Asks for the end of the statement that runs on a connection; over another one, as Postgres wants it.
    pub(super) async fn cancel(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let token = client.cancel_token();
        match self {
            Self::Clear => token.cancel_query(NoTls).await,
            #[cfg(feature = "postgres-tls")]
            Self::Tls(tls) => token.cancel_query(tls.clone()).await,
        }
    }
}

async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
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
