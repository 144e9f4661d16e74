//! The transport of connections: unencrypted, or TLS if the address asks for it by `sslmode`.

use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

#[cfg(not(feature = "postgres-tls"))]
use super::address::refused;
use crate::store::StoreError;

#[derive(Clone)]
pub(super) enum Way {
    Clear,
    /// TLS, where the server's certificate is always verified.
    #[cfg(feature = "postgres-tls")]
    Tls(tokio_postgres_rustls::MakeRustlsConnect),
}

/// Which parts of the server's certificate are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    /// Only the signature of a trusted authority.
    Authority,
    /// The signature, and that the certificate is valid for the name of the host.
    Name,
}

impl Way {
    /// A transport without encryption, or TLS with the root certificates from a file or from the system.
    pub(super) fn of(verified: Option<Verified>, roots: Option<&str>) -> Result<Self, StoreError> {
        match verified {
            None => Ok(Self::Clear),
            Some(verified) => Self::over_tls(verified, roots),
        }
    }

    #[cfg(feature = "postgres-tls")]
    fn over_tls(verified: Verified, roots: Option<&str>) -> Result<Self, StoreError> {
        super::tls::connector(verified, roots).map(Self::Tls)
    }

    #[cfg(not(feature = "postgres-tls"))]
    fn over_tls(_: Verified, _: Option<&str>) -> Result<Self, StoreError> {
        Err(refused(
            "asks for TLS (`sslmode`), but this program was built without TLS: turn it on with `operator-runtime = { features = [\"postgres-tls\"] }` in its Cargo.toml, or connect over a private network with `sslmode=disable`",
        ))
    }

    /// Opens a connection. It is closed when `era` is cancelled.
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
