//! TLS of the server: the certificate and its key, the question for a client's certificate, and the encrypted stream.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};
use webpki::EndEntityCert;

use super::wrong_protocol::{self, Beginning};
use crate::protocol::certificate::{self, Authorities, Clients, PeerCertificates};

/// How a handshake ended: with the client's certificates, or with an error. Empty before it ends.
pub(super) type Handshake = Arc<OnceLock<io::Result<PeerCertificates>>>;

/// The server's certificate and key, ready for handshakes.
#[derive(Clone)]
pub(crate) struct ServerTls {
    config: Arc<ServerConfig>,
    /// The SHA-256 digest of the server's own certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub(super) digest: [u8; 32],
}

/// The authorities in a PEM, which issue the certificates of clients.
pub(super) fn authorities(pem: &[u8]) -> Result<Authorities, Unusable> {
    let mut roots = RootCertStore::empty();
    let mut digests = Vec::new();
    for authority in certificates(pem)? {
        digests.push(Sha256::digest(&authority).into());
        roots.add(authority).map_err(|error| {
            Unusable::because(
                format!("has a certificate that {}", certificate::unusable(&error)),
                error,
            )
        })?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier
        .build()
        .map_err(|error| Unusable::because(format!("cannot be used ({error})"), error))?;
    Ok(Authorities { verifier, digests })
}

/// The settings of TLS: the server's certificates and its private key as PEM, and the clients that are asked for a
/// certificate.
pub(super) fn server(chain: &[u8], key: &[u8], clients: Option<&Clients>) -> Result<ServerTls, UnusablePair> {
    let is_encrypted = key.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
    let chain = certificates(chain).map_err(UnusablePair::Certificate)?;
    let digest = chain.first().map(Sha256::digest).unwrap_or_default().into();
    // The error may contain the key, so it is not kept.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        let why = if is_encrypted {
            "is encrypted with a password: decrypt it, for example with `openssl pkey -in ENCRYPTED -out FILE`"
        } else {
            "has no private key in it: name a PEM that begins with `-----BEGIN PRIVATE KEY-----`"
        };
        UnusablePair::Key(why.into())
    })?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| UnusablePair::Certificate(Unusable::because(format!("cannot be used ({error})"), error)))?;
    let config = match clients {
        Some(clients) => config.with_client_cert_verifier(Arc::new(Asking(Arc::clone(clients.verifier())))),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let why = "is not the key of the certificate: name the files of one pair";
            UnusablePair::Key(Unusable::because(why, error))
        }
        rustls::Error::InvalidCertificate(_) => {
            UnusablePair::Certificate(Unusable::because(certificate::unusable(&error), error))
        }
        _ => {
            let why = "is of a kind that this server cannot use: make a key for ECDSA with P-256 or P-384, an Ed25519 key, or an RSA key of at least 2048 bits";
            UnusablePair::Key(Unusable::because(why, error))
        }
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    Ok(ServerTls { config, digest })
}

/// The file of the pair that cannot be used.
pub(super) enum UnusablePair {
    Certificate(Unusable),
    Key(Unusable),
}

/// Why a file cannot be used.
pub(super) struct Unusable {
    /// A clause about the file.
    pub(super) why: Cow<'static, str>,
    pub(super) cause: Option<Box<dyn Error + Send + Sync>>,
}

impl From<&'static str> for Unusable {
    fn from(why: &'static str) -> Self {
        Self {
            why: why.into(),
            cause: None,
        }
    }
}

impl Unusable {
    fn because(why: impl Into<Cow<'static, str>>, cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            why: why.into(),
            cause: Some(Box::new(cause)),
        }
    }
}

/// What the PEM of an encrypted key contains, in either of its two forms.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("has no certificate in it: name a PEM that begins with `-----BEGIN CERTIFICATE-----`".into()),
        // No error is kept as the cause: it may contain lines of the file, which may be a private key by mistake.
        Err(pem::Error::Base64Decode(_)) => Err(
            "has a part that is not valid base64, or an `-----END CERTIFICATE-----` that is not a line of its own: put it on its own line, or copy the file again"
                .into(),
        ),
        Err(_) => Err(
            "is not a PEM that can be read: name one in which `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----` are lines of their own"
                .into(),
        ),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Asks each client for a certificate. A client without a certificate is accepted, and so is any certificate whose private
/// key the client has: the certificate is checked with each request, because an answer can say what is wrong with it.
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
        unless_unreadable(certificate, self.0.verify_tls12_signature(message, certificate, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unless_unreadable(certificate, self.0.verify_tls13_signature(message, certificate, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Accepts the signature of a client whose certificate cannot be read, such as one of version 1: the certificate is read
/// again with each request, and `Clients` then refuses it, so that it vouches for nobody.
fn unless_unreadable(
    certificate: &CertificateDer<'_>,
    verified: Result<HandshakeSignatureValid, rustls::Error>,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    match EndEntityCert::try_from(certificate) {
        Ok(_) => verified,
        Err(_) => Ok(HandshakeSignatureValid::assertion()),
    }
}

/// The first byte of a connection that speaks TLS: the type of a record with a handshake message.
const HANDSHAKE: u8 = 0x16;
/// A request that arrives without TLS is read up to this size before it is refused. If a part of it stayed unread, the
/// kernel would discard the answer.
const LARGEST_FOREIGN: usize = 8 * 1024;

/// The first bytes of a connection that does not speak TLS.
#[derive(Debug)]
pub(super) struct NotTls(pub(super) Beginning);

impl fmt::Display for NotTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection does not begin with a TLS handshake")
    }
}

impl Error for NotTls {}

/// An encrypted stream, which begins with the handshake.
pub(super) struct Encrypted {
    state: State,
    handshake: Handshake,
}

enum State {
    /// Nothing has arrived. TLS allocates its memory for the connection only after this.
    Begun(TcpStream, Arc<ServerConfig>),
    Shaking(Accept<TcpStream>),
    Open(TlsStream<TcpStream>),
    /// The handshake failed.
    Failed,
}

impl Encrypted {
    pub(super) fn new(tls: &ServerTls, stream: TcpStream, handshake: Handshake) -> Self {
        let state = State::Begun(stream, Arc::clone(&tls.config));
        Self { state, handshake }
    }

    /// The TCP connection; `None` if the handshake failed.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match &self.state {
            State::Begun(stream, _) => Some(stream),
            State::Shaking(accept) => accept.get_ref(),
            State::Open(stream) => Some(stream.get_ref().0),
            State::Failed => None,
        }
    }

    /// Whether the handshake is over.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Waits until the handshake is over. `answer` makes the answer to an HTTP request that arrives without TLS. The
    /// returned error does not say why a handshake failed: hyper would lose the cause, so the cause is put into
    /// `Handshake`.
    pub(super) fn poll_handshake(
        &mut self,
        context: &mut Context<'_>,
        answer: impl FnOnce() -> Vec<u8>,
    ) -> Poll<io::Result<()>> {
        let (certificates, state) = match ready!(self.poll_stream(context, answer)) {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                (Ok(PeerCertificates::new(chain)), State::Open(stream))
            }
            Err(error) => (Err(error), State::Failed),
        };
        self.state = state;
        let _ = self.handshake.set(certificates);
        Poll::Ready(self.open().map(drop))
    }

    fn poll_stream(
        &mut self,
        context: &mut Context<'_>,
        answer: impl FnOnce() -> Vec<u8>,
    ) -> Poll<io::Result<TlsStream<TcpStream>>> {
        if let State::Begun(stream, config) = &self.state {
            let mut first = [0];
            ready!(stream.poll_peek(context, &mut ReadBuf::new(&mut first)))?;
            if first != [HANDSHAKE] {
                return Poll::Ready(Err(refuse(stream, answer)));
            }
            let acceptor = TlsAcceptor::from(Arc::clone(config));
            if let State::Begun(stream, _) = std::mem::replace(&mut self.state, State::Failed) {
                self.state = State::Shaking(acceptor.accept(stream));
            }
        }
        match &mut self.state {
            State::Shaking(accept) => Pin::new(accept).poll(context),
            State::Begun(..) | State::Open(_) | State::Failed => {
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    /// The stream, once the handshake is over.
    fn open(&mut self) -> io::Result<Pin<&mut TlsStream<TcpStream>>> {
        match &mut self.state {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Begun(..) | State::Shaking(_) | State::Failed => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// Reads what has arrived without TLS, and answers it if it is an HTTP request.
fn refuse(stream: &TcpStream, answer: impl FnOnce() -> Vec<u8>) -> io::Error {
    let mut bytes = vec![0; LARGEST_FOREIGN];
    let read = stream.try_read(&mut bytes).unwrap_or_default();
    let mut beginning = Beginning::default();
    let known = read.min(beginning.len());
    beginning[..known].copy_from_slice(&bytes[..known]);
    if wrong_protocol::is_http(beginning) {
        // A write error is ignored: it means that the caller has already disconnected.
        let _ = stream.try_write(&answer());
    }
    match read {
        // The caller has disconnected without sending anything, as a load balancer does when it checks the port.
        0 => io::ErrorKind::UnexpectedEof.into(),
        _ => io::Error::new(io::ErrorKind::InvalidData, NotTls(beginning)),
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.open()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Before the handshake is over, nothing has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()
            .map_or(Poll::Ready(Ok(())), |stream| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()
            .map_or(Poll::Ready(Ok(())), |stream| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use super::{Unusable, UnusablePair, authorities, server};

    /// Private keys that lost their line breaks. The errors of the PEM reader repeat such a line.
    const IN_ONE_LINE: [&[u8]; 2] = [
        b"-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2Vw\n",
        b"-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2Vw-----END PRIVATE KEY-----\n",
    ];

    #[test]
    fn no_error_about_a_file_contains_a_key() {
        let chain = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for key in IN_ONE_LINE {
            let of_pair = [server(key, key, None).err(), server(chain, key, None).err()];
            let of_pair = of_pair.map(|error| match error.expect("is refused") {
                UnusablePair::Certificate(why) | UnusablePair::Key(why) => why,
            });
            let of_authorities = authorities(key).err().expect("is refused");
            for Unusable { why, cause } in of_pair.into_iter().chain([of_authorities]) {
                let shown = format!("{why} {cause:?}");
                // `77, 67, 52, 67` is how `Debug` shows `MC4C` as bytes.
                assert!(!shown.contains("MC4C") && !shown.contains("77, 67, 52, 67"), "{shown}");
            }
        }
    }
}
