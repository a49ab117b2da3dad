//! Who may connect: TLS 1.3, both sides with a certificate, each pinned by the SHA-256 of its public key (SPKI).
//!
//! There is no CA, so no chain, name or validity date is checked: the pin is the trust. What the verifiers do check is
//! that the key is pinned and (through the provider) that the peer signed this handshake with it.
//! Provider: aws-lc-rs. Its AES-128-GCM runs at 22.6 GB/s on 16 KiB records here (VAES-512) against 11.6 GB/s in ring,
//! for 20 s more of a clean build on two cores.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls13_signature, CryptoProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    DistinguishedName, Error, ServerConfig, ServerConnection, SignatureScheme,
};

use crate::record::{Opener, Sealer, HEADER};
use crate::sync::Hold;

pub const ALPN: &[u8] = b"argot/1";

/// SHA-256 of a certificate's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The same parser reads the key here and verifies the signature with it, so the two cannot disagree.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Result<Fingerprint, Error> {
    let parsed = webpki::EndEntityCert::try_from(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let digest = ::aws_lc_rs::digest::digest(
        &::aws_lc_rs::digest::SHA256,
        &parsed.subject_public_key_info(),
    );
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Ok(Fingerprint(bytes))
}

fn provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite, kx_group};
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        // Hybrid first: what is recorded today should not open to a quantum computer later.
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// Our certificate and key.
pub struct Identity {
    provider: Arc<CryptoProvider>,
    certified: Arc<SingleCertAndKey>,
    pub fingerprint: Fingerprint,
}

impl Identity {
    /// `certificate`: X.509 in DER; `key`: its private key, PKCS#8 in DER.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Identity, String> {
        let provider = Arc::new(provider());
        let certificate = CertificateDer::from(certificate.to_vec());
        let fingerprint = fingerprint(&certificate).map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        let certified =
            CertifiedKey::from_der(vec![certificate], key, &provider).map_err(|e| e.to_string())?;
        Ok(Identity {
            provider,
            certified: Arc::new(SingleCertAndKey::from(certified)),
            fingerprint,
        })
    }
}

type Accepts = Box<dyn Fn(Fingerprint) -> bool + Send + Sync>;

/// Accepts certificates by pin alone, and remembers the one that it refused.
struct Pins {
    accepts: Accepts,
    refused: Mutex<Option<Fingerprint>>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pins")
    }
}

impl Pins {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let found = fingerprint(certificate)?;
        if (self.accepts)(found) {
            return Ok(());
        }
        *self.refused.hold() = Some(found);
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }
}

fn no_tls12() -> Error {
    Error::General("TLS 1.2 is not offered".into())
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Pins {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A finished handshake: who the peer is, and a key for each direction.
pub struct Secured {
    pub fingerprint: Fingerprint,
    pub sealer: Sealer,
    pub opener: Opener,
}

pub struct Failure {
    pub message: String,
    /// The certificate that was refused here, when that was the reason.
    pub refused: Option<Fingerprint>,
}

/// Connect to a server that must have exactly this key.
pub fn connect(
    stream: &TcpStream,
    identity: &Identity,
    expected: Fingerprint,
    deadline: Instant,
) -> Result<Secured, Failure> {
    let pins = pins(identity, Box::new(move |found| found == expected));
    let connection = client(identity, pins.clone()).map(Connection::Client);
    run(connection, stream, deadline, &pins)
}

/// Serve a client that must have one of the keys that `accepts` knows.
pub fn accept(
    stream: &TcpStream,
    identity: &Identity,
    accepts: Accepts,
    deadline: Instant,
) -> Result<Secured, Failure> {
    let pins = pins(identity, accepts);
    let connection = server(identity, pins.clone()).map(Connection::Server);
    run(connection, stream, deadline, &pins)
}

fn pins(identity: &Identity, accepts: Accepts) -> Arc<Pins> {
    Arc::new(Pins {
        accepts,
        refused: Mutex::new(None),
        provider: identity.provider.clone(),
    })
}

/// A configuration for one connection, so that no ticket or session of one can be used in another.
fn client(identity: &Identity, pins: Arc<Pins>) -> Result<ClientConnection, Error> {
    let mut config = ClientConfig::builder_with_provider(identity.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pins)
        .with_client_cert_resolver(identity.certified.clone());
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.enable_secret_extraction = true;
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from("argot.invalid").map_err(|e| Error::General(e.to_string()))?;
    ClientConnection::new(Arc::new(config), name)
}

fn server(identity: &Identity, pins: Arc<Pins>) -> Result<ServerConnection, Error> {
    let mut config = ServerConfig::builder_with_provider(identity.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(pins)
        .with_cert_resolver(identity.certified.clone());
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    ServerConnection::new(Arc::new(config))
}

fn run(
    connection: Result<Connection, Error>,
    stream: &TcpStream,
    deadline: Instant,
    pins: &Pins,
) -> Result<Secured, Failure> {
    connection
        .map_err(|e| e.to_string())
        .and_then(|connection| handshake(connection, stream, deadline))
        .map_err(|message| Failure {
            message,
            refused: pins.refused.hold().take(),
        })
}

fn handshake(
    mut tls: Connection,
    stream: &TcpStream,
    deadline: Instant,
) -> Result<Secured, String> {
    let mut io = Io {
        stream,
        deadline,
        header: [0; HEADER],
        have: 0,
        left: 0,
    };
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut io).map_err(|e| describe(&e))?;
        }
        if !tls.is_handshaking() {
            break;
        }
        if tls.read_tls(&mut io).map_err(|e| describe(&e))? == 0 {
            return Err("the connection was closed during the TLS handshake".into());
        }
        if let Err(error) = tls.process_new_packets() {
            let _ = tls.write_tls(&mut io); // the alert; whether it arrives changes nothing
            return Err(format!("TLS: {error}"));
        }
    }
    if tls.alpn_protocol() != Some(ALPN) {
        return Err("TLS: the peer does not speak argot/1".into());
    }
    let certificate = tls.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or("TLS: the peer has no certificate")?;
    let fingerprint = fingerprint(certificate).map_err(|e| e.to_string())?;
    let secrets = tls.dangerous_extract_secrets().map_err(|e| e.to_string())?;
    Ok(Secured {
        fingerprint,
        sealer: Sealer::new(secrets.tx)?,
        opener: Opener::new(secrets.rx)?,
    })
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "the handshake took too long".into(),
        _ => error.to_string(),
    }
}

/// The socket with a deadline for the whole handshake, which never reads beyond the end of a record: what follows
/// the last record of the handshake is for the record layer that takes over.
struct Io<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
    header: [u8; HEADER],
    have: usize,
    left: usize,
}

impl Io<'_> {
    fn remaining(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Io<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.remaining()?)?;
        let limit = if self.left == 0 {
            HEADER - self.have
        } else {
            self.left
        };
        let limit = limit.min(out.len());
        let n = self.stream.read(&mut out[..limit])?;
        if self.left > 0 {
            self.left -= n;
        } else {
            self.header[self.have..self.have + n].copy_from_slice(&out[..n]);
            self.have += n;
            if self.have == HEADER {
                self.have = 0;
                self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
        }
        Ok(n)
    }
}

impl Write for Io<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.remaining()?)?;
        self.stream.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
