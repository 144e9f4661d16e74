//! TLS of the server: the certificate and its key, the question for a client's certificate, and the encrypted stream.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::protocol::certificate::PeerCertificates;

/// The certificates of a connection's client, once the handshake is over.
pub(super) type Presented = Arc<OnceLock<PeerCertificates>>;

/// The authorities in a PEM, which issue the certificates of clients. The error is a clause.
pub(super) fn authorities(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem)? {
        roots
            .add(authority)
            .map_err(|error| format!("has a certificate that cannot be read ({error})"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build().map_err(|error| format!("cannot be used ({error})"))?;
    Ok(verifier)
}

/// The settings of TLS: the server's certificates and its private key as PEM, and the authorities of clients. The error
/// is a sentence.
pub(super) fn config(
    chain: &[u8],
    key: &[u8],
    authorities: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, String> {
    let chain = certificates(chain).map_err(|why| format!("The certificate {why}."))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "The key is not the PEM of a private key: name the file that contains it.".to_owned())?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}."))?;
    let config = match authorities {
        Some(authorities) => config.with_client_cert_verifier(Arc::new(Asking(authorities))),
        None => config.with_no_client_auth(),
    };
    let mut config = config
        .with_single_cert(chain, key)
        .map_err(|error| format!("The certificate and the key do not belong together, or cannot be used: {error}."))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("has no certificate in it: name a PEM that begins with `-----BEGIN CERTIFICATE-----`".to_owned()),
        Err(error) => Err(format!("is not a PEM that can be read ({error})")),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Asks each client for a certificate and accepts any whose private key the client has, or none. The requests decide
/// about the certificate, because an answer can say what is wrong with it.
#[derive(Debug)]
struct Asking(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _own: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// An encrypted stream, which begins with the handshake.
pub(super) struct Encrypted {
    state: State,
    presented: Presented,
}

enum State {
    Handshake(Accept<TcpStream>),
    Open(TlsStream<TcpStream>),
    /// The handshake failed.
    Failed,
}

impl Encrypted {
    pub(super) fn new(config: Arc<ServerConfig>, stream: TcpStream, presented: Presented) -> Self {
        let state = State::Handshake(TlsAcceptor::from(config).accept(stream));
        Self { state, presented }
    }

    /// The TCP connection; `None` if the handshake is not over.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match &self.state {
            State::Open(stream) => Some(stream.get_ref().0),
            State::Handshake(_) | State::Failed => None,
        }
    }

    /// Waits until the handshake is over; `Some` only in the call in which it ends.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let State::Handshake(accept) = &mut self.state else {
            return Poll::Ready(Ok(false));
        };
        match ready!(Pin::new(accept).poll(context)) {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let _ = self.presented.set(PeerCertificates::new(chain));
                self.state = State::Open(stream);
                Poll::Ready(Ok(true))
            }
            Err(error) => {
                self.state = State::Failed;
                Poll::Ready(Err(error))
            }
        }
    }

    fn open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
        ready!(self.poll_handshake(context))?;
        Poll::Ready(match &mut self.state {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Handshake(_) | State::Failed => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.open(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.open(context))?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.open(context))?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.open(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_shutdown(context),
            State::Handshake(_) | State::Failed => Poll::Ready(Ok(())),
        }
    }
}
