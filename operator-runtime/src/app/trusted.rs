//! The certificates that this program trusts when it calls other servers.

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
