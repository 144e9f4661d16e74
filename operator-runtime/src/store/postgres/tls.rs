//! TLS: which root certificates are trusted, and whether the host name is checked.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::refused;
use super::way::Verified;
use crate::store::StoreError;

/// Connects to servers whose certificate is signed by a root from the given file or from the system.
pub(super) fn connector(verified: Verified, roots: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
    let roots = Arc::new(match roots {
        None | Some("system") => of_the_system()?,
        Some(file) => of_a_file(file)?,
    });
    let unusable = |source: Error| StoreError::unavailable("Postgres", "be reached over TLS", source);
    // Explicit, because the default provider depends on which other crates are linked.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let config = match verified {
        Verified::Name => config.with_root_certificates(roots),
        Verified::Authority => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let verifier =
                verifier.map_err(|error| refused(&format!("has a wrong value for `sslrootcert`: {error}")))?;
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn of_the_system() -> Result<RootCertStore, StoreError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(refused(
            "asks for TLS, but this system has no root certificates: install the package `ca-certificates`, set SSL_CERT_FILE to a file of root certificates, or name the file with `sslrootcert=FILE`",
        ));
    }
    Ok(roots)
}

fn of_a_file(file: &str) -> Result<RootCertStore, StoreError> {
    let unreadable = |why: &dyn std::fmt::Display| {
        refused(&format!(
            "has `sslrootcert={file}`, which cannot be used: {why}; give a PEM file of root certificates"
        ))
    };
    // Other errors may contain lines of the file, which may be a private key by mistake.
    let unread = |error: pem::Error| match error {
        pem::Error::Io(error) => unreadable(&error),
        _ => unreadable(&"it is not a PEM"),
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(unread)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(unread)?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"it contains no certificate"));
    }
    Ok(roots)
}

/// Verifies everything but the name, as `sslmode=verify-ca` asks.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        status: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The library checks the name last, so a name error means that all other checks succeeded.
        match self.0.verify_server_cert(certificate, others, name, status, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::of_a_file;

    #[test]
    fn the_error_about_a_file_does_not_contain_its_lines() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let key = "-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2Vw-----END PRIVATE KEY-----\n";
        std::fs::write(file.path(), key).expect("written");
        let path = file.path().to_str().expect("is text");
        let error = of_a_file(path).expect_err("is refused");
        let error = format!("{error} {error:?}");
        assert!(error.contains("it is not a PEM"), "{error}");
        // `77, 67, 52, 67` is how `Debug` shows `MC4C` as bytes.
        assert!(!error.contains("MC4C") && !error.contains("77, 67, 52, 67"), "{error}");
    }
}
