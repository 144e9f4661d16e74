//! The certificates that this program trusts when it calls other servers, and why it does not trust one.

use std::sync::Arc;

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

/// Why a call of another server failed, as a clause. Of a certificate that is not accepted, the HTTP client says only what
/// `Debug` prints.
pub(super) fn why(error: &ureq::Error) -> String {
    let said = error.to_string();
    let Some((_, problem)) = said.split_once("invalid peer certificate: ") else {
        return said;
    };
    let clause = match problem {
        // A signature is bad if the issuer has the name of a known authority, but another key.
        "UnknownIssuer" | "BadSignature" => {
            "is not issued by an authority that this system trusts; if the authority is your own, set SSL_CERT_FILE to the file of its certificate"
        }
        problem if problem.contains("CaUsedAsEndEntity") => {
            "is the certificate of an authority; issue one to the server with `basicConstraints = CA:FALSE`"
        }
        problem if problem.contains("UnsupportedCertVersion") => {
            "is not of version 3; issue one with extensions, such as `subjectAltName`"
        }
        "BadEncoding" => "cannot be read as an X.509 certificate",
        problem if problem.starts_with("certificate ") => {
            return format!("its certificate is not accepted ({problem})");
        }
        _ => "is not valid; make a new one",
    };
    format!("its certificate {clause}")
}
