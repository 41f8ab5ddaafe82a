//! A TLS client that finds out whether a server lets it in, and asks for nothing; and all that an attacker would try.

mod any_server;
pub mod battery;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use socket2::{Domain, Protocol, Socket, Type};

use self::any_server::AnyServer;
use crate::alert::name as alert_name;
use crate::hostname::{HostPattern, Hostname};
use crate::pki::{Issued, PkiError};
use crate::secret::Secret;
use crate::x509::CertificateSummary;

/// Every server of HTTP has it.
const ALPN: &[u8] = b"http/1.1";
/// More than any handshake's answer takes; what a server says beyond that is not read.
const MAX_READS: usize = 64;
/// Asked for below a wildcard. It says in a log what it is.
const BELOW_A_WILDCARD: &str = "originlock-self-check";

/// A client certificate and its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A socket that has its own address already, so that this can be told to whoever is to know it.
#[derive(Debug)]
pub struct Probe {
    socket: Socket,
    local: SocketAddr,
}

/// What became of a handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probed {
    pub answer: Answer,
    /// `1.2` or `1.3`, when it got that far.
    pub tls_version: Option<&'static str>,
    /// The leaf that the server presented. Nobody checked whose it is.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Whether the server lets the client in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The handshake is complete on both sides.
    Admitted,
    /// This alert came instead; `None`: the server only hung up.
    Refused(Option<&'static str>),
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("no client certificate and key in PEM can be read")]
    Identity(#[source] rustls::pki_types::pem::Error),
    #[error("the client certificate cannot be used")]
    UnusableIdentity(#[source] rustls::Error),
    #[error("{address} cannot be reached")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("no answer within {} s", limit.as_secs())]
    Timeout { limit: Duration },
    #[error("the server does not speak TLS as it should")]
    Tls(#[source] rustls::Error),
    #[error(
        "{address} turned {name} away before it showed a certificate ({how}); is the name served there, and by TLS?"
    )]
    NotServed { address: SocketAddr, name: Hostname, how: String },
    #[error("no certificate to try with can be made")]
    Make(#[from] PkiError),
    #[error("the operating system has no room for it")]
    System(#[source] io::Error),
}

impl Identity {
    /// From PEM: the chain, leaf first, and the leaf's private key.
    pub fn from_pem(chain: &[u8], key: &Secret) -> Result<Self, ProbeError> {
        let chain =
            CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(ProbeError::Identity)?;
        if chain.is_empty() {
            return Err(ProbeError::Identity(rustls::pki_types::pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(ProbeError::Identity)?;
        Ok(Self { chain, key })
    }

    /// One that was just made.
    fn of(issued: &Issued) -> Result<Self, ProbeError> {
        Self::from_pem(issued.certificate_pem.as_bytes(), &issued.key_pem)
    }

    /// The name of the CA that issued the leaf, in DER; `None`: the leaf cannot be read.
    fn issuer(&self) -> Option<Vec<u8>> {
        Some(CertificateSummary::read(self.chain.first()?).fields?.issuer_der)
    }
}

impl Probe {
    /// A socket that will connect from `address`; the system chooses the port.
    pub fn from(address: IpAddr) -> io::Result<Self> {
        let address = SocketAddr::new(address, 0);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&address.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { socket, local })
    }

    /// A socket that will connect to `server` from wherever the system finds best.
    pub fn towards(server: SocketAddr) -> io::Result<Self> {
        let unspecified = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self::from(unspecified)
    }

    /// Where it connects from.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Connects to `server`, asks for `name`, and waits at most `limit` for the server's answer.
    ///
    /// Under TLS 1.3 a client is done before the server has judged its certificate. So the client says at once that it
    /// has nothing more to say (`close_notify`): a server that refuses answers with its alert, one that admits ends the
    /// session in turn. No request is made, and nothing reaches a backend.
    pub fn handshake(
        self,
        server: SocketAddr,
        name: &Hostname,
        identity: Option<&Identity>,
        limit: Duration,
    ) -> Result<Probed, ProbeError> {
        let deadline = Deadline { at: Instant::now() + limit, limit };
        let config = client_config(identity)?;
        let name = ServerName::try_from(name.as_str().to_owned()).expect("a hostname is a DNS name");
        let unreachable = |source| ProbeError::Connect { address: server, source };
        self.socket.connect_timeout(&server.into(), limit).map_err(unreachable)?;
        let mut socket = TcpStream::from(self.socket);
        socket.set_nodelay(true).map_err(unreachable)?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(ProbeError::Tls)?;
        let answer = converse(&mut socket, &mut tls, &deadline)?;
        Ok(Probed {
            answer,
            tls_version: match tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => Some("1.2"),
                Some(ProtocolVersion::TLSv1_3) => Some("1.3"),
                _ => None,
            },
            certificate: tls.peer_certificates().and_then(|chain| chain.first()).cloned(),
        })
    }
}

/// Where someone on this machine reaches what listens at `address`.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        // `[::]` takes IPv4 too, which is there even where IPv6 is switched off.
        true => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        false => address,
    }
}

/// A name to ask for that `pattern` takes in.
pub fn name_within(pattern: &HostPattern) -> Option<Hostname> {
    match pattern {
        HostPattern::Exact(name) => Some(name.clone()),
        HostPattern::Wildcard(parent) => Hostname::parse(&format!("{BELOW_A_WILDCARD}.{parent}")).ok(),
    }
}

struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// Waits for bytes until the deadline; 0 at the end.
    fn read(&self, socket: &mut TcpStream, bytes: &mut [u8]) -> Result<usize, ProbeError> {
        let timeout = || ProbeError::Timeout { limit: self.limit };
        let left = self.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or_else(timeout)?;
        // Fails for a zero duration only.
        let _ = socket.set_read_timeout(Some(left));
        match socket.read(bytes) {
            Ok(read) => Ok(read),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(timeout()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.read(socket, bytes),
            // Reset: the server hung up.
            Err(_) => Ok(0),
        }
    }
}

fn converse(socket: &mut TcpStream, tls: &mut ClientConnection, deadline: &Deadline) -> Result<Answer, ProbeError> {
    let mut bytes = [0; 16 * 1024];
    let mut said_all = false;
    for _ in 0..MAX_READS {
        if !tls.is_handshaking() && !said_all {
            tls.send_close_notify();
            said_all = true;
        }
        while tls.wants_write() {
            // A server that hung up has said why, and that is read next.
            if tls.write_tls(socket).and_then(|_| socket.flush()).is_err() {
                break;
            }
        }
        let read = deadline.read(socket, &mut bytes)?;
        if read == 0 {
            // Without a close_notify in turn there is no telling that the server was content.
            return Ok(Answer::Refused(None));
        }
        let mut rest = &bytes[..read];
        while !rest.is_empty() {
            tls.read_tls(&mut rest).expect("a slice can be read");
            match tls.process_new_packets() {
                Ok(state) if state.peer_has_closed() => return Ok(Answer::Admitted),
                Ok(_) => {}
                Err(rustls::Error::AlertReceived(alert)) => return Ok(Answer::Refused(Some(alert_name(alert)))),
                Err(error) => return Err(ProbeError::Tls(error)),
            }
        }
    }
    Err(ProbeError::Timeout { limit: deadline.limit })
}

fn client_config(identity: Option<&Identity>) -> Result<ClientConfig, ProbeError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the default suites serve the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer::new(provider)));
    let mut config = match identity {
        Some(Identity { chain, key }) => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(ProbeError::UnusableIdentity)?
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const LIMIT: Duration = Duration::from_secs(20);

    fn ask(server: SocketAddr, limit: Duration) -> Result<Probed, ProbeError> {
        let name = Hostname::parse("a.example").expect("a hostname");
        Probe::from(LOCALHOST).expect("a socket").handshake(server, &name, None, limit)
    }

    /// A server that answers every connection's first bytes with `answer` and hangs up.
    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind((LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(answer);
        });
        address
    }

    #[test]
    fn the_other_side_sees_the_address_that_was_told_before() {
        let listener = TcpListener::bind((LOCALHOST, 0)).expect("a port");
        let server = listener.local_addr().expect("an address");
        let probe = Probe::from(LOCALHOST).expect("a socket");
        let local = probe.local();
        let name = Hostname::parse("a.example").expect("a hostname");
        let asking = thread::spawn(move || probe.handshake(server, &name, None, LIMIT));
        let (socket, peer) = listener.accept().expect("a connection");
        drop(socket);
        assert_eq!(peer, local);
        assert_eq!(asking.join().expect("no panic").expect("an answer").answer, Answer::Refused(None));
    }

    #[test]
    fn what_listens_everywhere_is_reached_at_home() {
        for (address, reached) in [
            ("0.0.0.0:443", "127.0.0.1:443"),
            ("[::]:443", "127.0.0.1:443"),
            ("[::1]:443", "[::1]:443"),
            ("192.0.2.1:443", "192.0.2.1:443"),
        ] {
            assert_eq!(reachable(address.parse().expect("an address")).to_string(), reached);
        }
        let within =
            |pattern| name_within(&HostPattern::parse(pattern).expect("a pattern")).expect("a name").to_string();
        assert_eq!(within("a.example"), "a.example");
        assert_eq!(within("*.a.example"), "originlock-self-check.a.example");
    }

    #[test]
    fn what_is_no_tls_server_is_told() {
        let gone = TcpListener::bind((LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a port");
        assert!(matches!(ask(gone, LIMIT), Err(ProbeError::Connect { .. })));
        assert!(matches!(ask(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), LIMIT), Err(ProbeError::Tls(_))));
        let alert = ask(answering(&[21, 3, 3, 0, 2, 2, 112]), LIMIT).expect("an answer").answer;
        assert_eq!(alert, Answer::Refused(Some("unrecognized_name")));
        let silent = TcpListener::bind((LOCALHOST, 0)).expect("a port");
        let error = ask(silent.local_addr().expect("an address"), Duration::from_millis(50)).expect_err("silence");
        assert!(matches!(error, ProbeError::Timeout { .. }), "{error}");
    }
}
