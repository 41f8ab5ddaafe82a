//! A TLS client that can be told to misbehave, and tells what became of it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup,
    SignatureScheme, StreamOwned,
};

use super::PATIENCE;
use super::certificates::{Credential, Shape, pki};

/// The one version that a client offers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Version {
    Tls12,
    Tls13,
}

impl Version {
    pub const BOTH: [Self; 2] = [Self::Tls12, Self::Tls13];

    /// As in the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// How a client behaves. Clones share certificate and sessions.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    /// What is asked for in the SNI and in `Host`.
    name: String,
    /// The address to connect from; `None`: as the system likes.
    source: Option<IpAddr>,
    sni: bool,
    version: Option<Version>,
    credential: Arc<Presented>,
    sessions: Arc<Sessions>,
    alpn: Vec<Vec<u8>>,
    /// The most bytes that are sent at once.
    piece: usize,
}

/// A client that was not let in, as it sees it.
#[derive(Debug)]
pub struct Refused {
    /// The alert it got, by its RFC name.
    pub alert: Option<String>,
    pub error: String,
}

impl Client {
    /// A well-behaved client without a certificate, of HTTP/1.1, that remembers no session.
    pub fn new(address: SocketAddr, name: &str) -> Self {
        Self {
            address,
            name: name.to_owned(),
            source: None,
            sni: true,
            version: None,
            credential: Arc::default(),
            sessions: Arc::default(),
            alpn: vec![b"http/1.1".to_vec()],
            piece: usize::MAX,
        }
    }

    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Presents a certificate of `shape`.
    pub fn presenting(self, shape: Shape) -> Self {
        self.credential(&pki().credential(shape))
    }

    pub fn credential(mut self, credential: &Credential) -> Self {
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(credential.key.clone_key());
        let pair = CertifiedKey::new(credential.chain.clone(), key.expect("a key that can sign"));
        self.credential = Arc::new(Presented(Some(Arc::new(pair))));
        self
    }

    /// Keeps sessions, and offers them whatever server name they were got under.
    pub fn remembering(mut self) -> Self {
        self.sessions = Arc::new(Sessions { enabled: true, ..Sessions::default() });
        self
    }

    /// Connects from another address of this machine: all of 127.0.0.0/8 is.
    pub fn from(mut self, source: &str) -> Self {
        self.source = Some(source.parse().expect("an address"));
        self
    }

    /// Asks for another name, with the same certificate and sessions.
    pub fn asking_for(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    pub fn without_sni(mut self) -> Self {
        self.sni = false;
        self
    }

    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Sends at most `bytes` at once.
    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece = bytes;
        self
    }

    /// Goes through the handshake. Under TLS 1.3 a client is done before the server has judged its certificate: only
    /// an answer proves that it was let in.
    pub fn connect(&self) -> Result<Connection, Refused> {
        let domain = socket2::Domain::for_address(self.address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of this machine");
        }
        socket.connect(&self.address.into()).expect("the listener is there");
        self.connect_over(socket.into())
    }

    /// Goes through the handshake over a connection that is already open.
    pub fn connect_over(&self, socket: TcpStream) -> Result<Connection, Refused> {
        socket.set_nodelay(true).expect("an option");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        let name = ServerName::try_from(self.name.clone()).expect("a name");
        let offered = self.sessions.offered();
        let tls = ClientConnection::new(Arc::new(self.config()), name).expect("a connection");
        let mut stream = StreamOwned::new(tls, Wire { socket, piece: self.piece });
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(Refused::from)?;
        }
        let offered_session = self.sessions.offered() > offered;
        Ok(Connection { stream, offered_session, host: self.name.clone(), buffer: Vec::new() })
    }

    /// Connects and asks for `/`.
    pub fn get(&self) -> Result<(Connection, Answer), Refused> {
        let mut connection = self.connect()?;
        let answer = connection.get("/")?;
        Ok((connection, answer))
    }

    /// Connects, and is refused with `alert`.
    pub fn expect_refused(&self, alert: &str) {
        match self.get() {
            Ok((_, answer)) => panic!("let in instead of refused with {alert}: {answer:?}"),
            Err(refused) => assert_eq!(refused.alert.as_deref(), Some(alert), "{}", refused.error),
        }
    }

    /// The rustls configuration, for other protocols than HTTP/1.1.
    pub fn config(&self) -> ClientConfig {
        let versions = match self.version {
            None => rustls::ALL_VERSIONS.to_vec(),
            Some(Version::Tls12) => vec![&rustls::version::TLS12],
            Some(Version::Tls13) => vec![&rustls::version::TLS13],
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .expect("the provider serves both versions")
            .dangerous()
            .with_custom_certificate_verifier(any_server())
            .with_client_cert_resolver(Arc::clone(&self.credential) as Arc<dyn ResolvesClientCert>);
        config.resumption = match self.sessions.enabled {
            true => Resumption::store(Arc::clone(&self.sessions) as Arc<dyn ClientSessionStore>),
            false => Resumption::disabled(),
        };
        config.enable_sni = self.sni;
        config.alpn_protocols.clone_from(&self.alpn);
        config
    }

    /// The name asked for.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A TLS connection that speaks HTTP/1.1.
pub struct Connection {
    pub stream: StreamOwned<ClientConnection, Wire>,
    /// Whether the client offered a session for resumption.
    pub offered_session: bool,
    host: String,
    buffer: Vec<u8>,
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and header fields.
    pub head: String,
    pub body: String,
}

impl Connection {
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The certificate that the server presented.
    pub fn server_certificate(&self) -> &CertificateDer<'static> {
        &self.stream.conn.peer_certificates().expect("a server certificate")[0]
    }

    pub fn get(&mut self, path: &str) -> Result<Answer, Refused> {
        let host = self.host.clone();
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        self.answer()
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    /// Reads one response with a Content-Length.
    pub fn answer(&mut self) -> Result<Answer, Refused> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).expect("a head in ASCII");
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.buffer.len() < length {
            self.read_more()?;
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).expect("a text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Ok(Answer { status, head, body })
    }

    /// Waits until the server closes; whether it did so without sending anything more.
    pub fn ends(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_))
    }

    fn read_more(&mut self) -> Result<(), Refused> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes)? {
            0 => Err(Refused { alert: None, error: "the server closed".into() }),
            read => {
                self.buffer.extend_from_slice(&bytes[..read]);
                Ok(())
            }
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// A field of the request as the echoing backend received it.
    pub fn backend_saw(&self, name: &str) -> Option<&str> {
        header(&self.body, name)
    }
}

/// A field of a head, by its name in lower case.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then_some(value)
    })
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let alert = match tls {
            Some(rustls::Error::AlertReceived(alert)) => Some(alert_name(*alert)),
            _ => None,
        };
        Self { alert, error: error.to_string() }
    }
}

/// A socket that sends in pieces.
#[derive(Debug)]
pub struct Wire {
    pub socket: TcpStream,
    piece: usize,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(&bytes[..bytes.len().min(self.piece)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Presents one certificate, whether or not its key fits.
#[derive(Default, Debug)]
struct Presented(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Presented {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// Sessions of whatever server, each TLS 1.3 ticket offered once.
#[derive(Default, Debug)]
struct Sessions {
    enabled: bool,
    kept: Mutex<Kept>,
}

#[derive(Default, Debug)]
struct Kept {
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
    offered: usize,
}

impl Sessions {
    fn offered(&self) -> usize {
        self.kept.lock().expect("sessions").offered
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.kept.lock().expect("sessions").tls12 = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let mut kept = self.kept.lock().expect("sessions");
        let session = kept.tls12.clone();
        kept.offered += usize::from(session.is_some());
        session
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept.lock().expect("sessions").tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.kept.lock().expect("sessions").tls13.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut kept = self.kept.lock().expect("sessions");
        let ticket = kept.tls13.pop_back();
        kept.offered += usize::from(ticket.is_some());
        ticket
    }
}

/// Checks that the server holds the key of the certificate it presents, and not whose it is: stories ask for names
/// that no certificate has. The stories with curl verify it all.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

/// One for all clients: rustls resumes a session only under the verifier that it was begun with.
fn any_server() -> Arc<dyn ServerCertVerifier> {
    static ANY: OnceLock<Arc<AnyServer>> = OnceLock::new();
    Arc::clone(ANY.get_or_init(|| Arc::new(AnyServer(provider())))) as Arc<dyn ServerCertVerifier>
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `UnknownCA` → `unknown_ca`, as RFC 8446 writes it.
fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => return "unknown_ca".to_owned(),
        AlertDescription::UnrecognisedName => return "unrecognized_name".to_owned(),
        _ => {}
    }
    let mut name = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
