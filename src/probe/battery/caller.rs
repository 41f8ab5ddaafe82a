//! A TLS client as one attempt wants it: which certificate, which versions, which protocol, which sessions.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, SignatureScheme, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::sessions::Sessions;
use super::wire::{Fate, Wire};
use crate::hostname::Hostname;
use crate::probe::any_server::AnyServer;
use crate::probe::{Identity, ProbeError};

const ALL: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
const ONLY_TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
const ONLY_TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// A client. Its connections share sessions and, at any one time, a certificate.
pub(super) struct Caller {
    config: Arc<ClientConfig>,
    presenter: Arc<Presenter>,
    server: Arc<AnyServer>,
    protocol: Protocol,
}

/// How it speaks.
#[derive(Clone, Default)]
pub(super) struct Speech {
    pub versions: Versions,
    pub protocol: Protocol,
    /// Where sessions are kept and taken from; `None`: nothing is resumed.
    pub sessions: Option<Arc<Sessions>>,
    /// Asks for no name.
    pub anonymous: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Versions {
    #[default]
    All,
    Tls12,
    Tls13,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Protocol {
    #[default]
    Http1,
    Http2,
}

/// What the handshake agreed on.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub version: &'static str,
    pub resumed: bool,
    pub http2: bool,
}

impl Caller {
    /// One that presents `who`, whatever CA the server asks for.
    pub(super) fn new(who: Option<&Identity>, speech: &Speech) -> Result<Self, ProbeError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let server = Arc::new(AnyServer::new(Arc::clone(&provider)));
        let presenter = Arc::new(Presenter::new(who, &provider)?);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(speech.versions.list())
            .expect("the default suites serve both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&server) as _)
            .with_client_cert_resolver(Arc::clone(&presenter) as _);
        config.resumption = match &speech.sessions {
            Some(sessions) => Resumption::store(Arc::clone(sessions) as _),
            None => Resumption::disabled(),
        };
        config.alpn_protocols = match speech.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        config.enable_sni = !speech.anonymous;
        Ok(Self { config: Arc::new(config), presenter, server, protocol: speech.protocol })
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Presents no certificate from now on.
    pub(super) fn forget_certificate(&self) {
        *lock(&self.presenter.key) = None;
    }

    /// The leaf that the server showed last.
    pub(super) fn shown(&self) -> Option<CertificateDer<'static>> {
        self.server.shown()
    }

    /// The names (DER) of the CAs that the server said it accepts; `None`: it asked for no certificate.
    pub(super) fn asked_for(&self) -> Option<Vec<Vec<u8>>> {
        lock(&self.presenter.asked).clone()
    }

    /// Connects to `server` and makes a handshake for `name`.
    ///
    /// Under TLS 1.3 it is complete before the server has judged the certificate.
    pub(super) async fn connect(&self, server: SocketAddr, name: &Hostname) -> Result<(Wire, Agreed), Fate> {
        let socket = TcpStream::connect(server).await.map_err(|error| Fate::Unreachable(error.to_string()))?;
        // Fails for a socket that is gone, which the handshake shows.
        let _ = socket.set_nodelay(true);
        let name = ServerName::try_from(name.as_str().to_owned()).expect("a hostname is a DNS name");
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, socket).await.map_err(|error: io::Error| Fate::of(&error))?;
        let session = stream.get_ref().1;
        let agreed = Agreed {
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "1.2",
                _ => "1.3",
            },
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            http2: session.alpn_protocol() == Some(b"h2"),
        };
        Ok((Wire::tls(stream), agreed))
    }
}

impl Versions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::All => ALL,
            Self::Tls12 => ONLY_TLS12,
            Self::Tls13 => ONLY_TLS13,
        }
    }

    /// As people write it.
    pub(super) fn spoken(self) -> &'static str {
        match self {
            Self::All => "TLS 1.2 or 1.3",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// Presents one certificate, or none, and remembers that it was asked.
#[derive(Debug)]
struct Presenter {
    key: Mutex<Option<Arc<CertifiedKey>>>,
    asked: Mutex<Option<Vec<Vec<u8>>>>,
}

impl Presenter {
    fn new(who: Option<&Identity>, provider: &CryptoProvider) -> Result<Self, ProbeError> {
        let certified = |identity: &Identity| {
            CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), provider)
                .map(Arc::new)
                .map_err(ProbeError::UnusableIdentity)
        };
        Ok(Self { key: Mutex::new(who.map(certified).transpose()?), asked: Mutex::default() })
    }
}

impl ResolvesClientCert for Presenter {
    fn resolve(&self, names: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *lock(&self.asked) = Some(names.iter().map(|name| name.to_vec()).collect());
        lock(&self.key).clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What it guards is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
