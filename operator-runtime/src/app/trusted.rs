//! The certificates that this program trusts when it calls other servers, and why it does not trust one.

use std::sync::Arc;

use rustls::CertificateError;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Trusts the authorities that this system trusts, or those in the file that `SSL_CERT_FILE` names, because a server may be
/// inside a company. A system that knows no authority, such as a small container, gets those that browsers trust.
pub(super) fn by_this_system() -> TlsConfig {
    let system = rustls_native_certs::load_native_certs().certs;
    let certificates = system
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned());
    let certificates: Vec<_> = certificates.collect();
    let roots = if certificates.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::Specific(Arc::new(certificates))
    };
    TlsConfig::builder().root_certs(roots).build()
}

/// Why a call of another server failed, as a clause.
pub(super) fn why(error: &ureq::Error) -> String {
    let Some(problem) = certificate_problem(error) else {
        return error.to_string();
    };
    let of_webpki = match problem {
        CertificateError::Other(cause) => cause.0.downcast_ref(),
        _ => None,
    };
    let clause = match (problem, of_webpki) {
        // A signature is bad if the issuer has the name of a known authority, but another key.
        (CertificateError::UnknownIssuer | CertificateError::BadSignature, _) => {
            "is not issued by an authority that this system trusts; if the authority is your own, set SSL_CERT_FILE to the file of its certificate"
        }
        (_, Some(webpki::Error::CaUsedAsEndEntity)) => {
            "is the certificate of an authority; issue one to the server with `basicConstraints = CA:FALSE`"
        }
        (_, Some(webpki::Error::UnsupportedCertVersion)) => {
            "is not of version 3; issue one with extensions, such as `subjectAltName`"
        }
        (CertificateError::BadEncoding, _) => "cannot be read as an X.509 certificate",
        (CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }, _) => {
            "is not for servers; issue one with `extendedKeyUsage = serverAuth`"
        }
        // `Display` writes these as sentences, and most others as `Debug`.
        (
            CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::NotValidForNameContext { .. },
            _,
        ) => return format!("its certificate is not accepted ({problem})"),
        _ => "is not valid; make a new one",
    };
    format!("its certificate {clause}")
}

fn certificate_problem(error: &ureq::Error) -> Option<&CertificateError> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref()?,
        _ => return None,
    };
    match error {
        rustls::Error::InvalidCertificate(problem) => Some(problem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_a_client_is_named_as_such() {
        let refused = rustls::Error::InvalidCertificate(CertificateError::InvalidPurpose);
        let clause = "its certificate is not for servers; issue one with `extendedKeyUsage = serverAuth`";
        assert_eq!(why(&ureq::Error::Rustls(refused.clone())), clause);
        assert_eq!(why(&std::io::Error::other(refused).into()), clause);
    }
}
