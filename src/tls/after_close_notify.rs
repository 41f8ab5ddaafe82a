//! What comes behind a close_notify is ignored (RFC 8446, section 6.1), and nobody is kept busy with it.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream as Socket};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::accept::Handshake;
use super::hello::ClientHello;
use super::policy_digest::PolicyDigest;
use super::server_config::{self, ServerCertificate, Shared};
use super::tickets::TicketKeys;
use crate::clock::{Clock, Timestamp};
use crate::pki::{LeafOptions, Purpose, Validity, self_signed};
use crate::policy::client_auth::ClientAuth;

/// More than rustls takes at once, and than one read does.
static TAIL: [u8; 1 << 16] = [0; 1 << 16];
/// A spinning thread cannot be waited for.
const PATIENCE: Duration = Duration::from_secs(20);

static NOW: LazyLock<Timestamp> = LazyLock::new(|| Clock::System.now());

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let options = LeafOptions {
        purpose: Purpose::Server,
        names: vec!["a.example".into()],
        ..LeafOptions::client("a.example", Validity::days(*NOW, 30))
    };
    let issued = self_signed(&options).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose()).expect("a key");
    let certificate = ServerCertificate::new(vec![issued.certificate_der.clone().into()], key).expect("a pair");
    let keys = Arc::new(TicketKeys::new(Clock::System).expect("randomness"));
    let shared = Shared::new(Clock::System, keys);
    let policy = PolicyDigest::of(&[], &ClientAuth::Off);
    let server = server_config::build(&shared, &certificate, &ClientAuth::Off, policy);
    let mut roots = RootCertStore::empty();
    roots.add(issued.certificate_der.into()).expect("a root");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Serves one connection on a thread of its own; what `serve` makes of it arrives in the channel.
fn serving<T: Send + 'static>(
    config: Arc<ServerConfig>,
    serve: impl AsyncFnOnce(Handshake) -> T + Send + 'static,
) -> (SocketAddr, std::sync::mpsc::Receiver<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (socket, _) = listener.accept().expect("a connection");
        socket.set_nonblocking(true).expect("a socket");
        let result = runtime.block_on(async {
            let socket = TcpStream::from_std(socket).expect("a socket");
            let deadline = tokio::time::Instant::now() + PATIENCE;
            let hello = ClientHello::read(socket, 64 * 1024, deadline).await.expect("a hello");
            serve(hello.accept(config, &ClientAuth::Off, &Clock::System, deadline).await).await
        });
        let _ = sender.send(result);
    });
    (address, receiver)
}

fn client(config: Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config, ServerName::try_from("a.example").expect("a name")).expect("a client")
}

#[test]
fn a_session_ends_with_close_notify_whatever_follows() {
    let (server, config) = configs();
    let (address, received) = serving(server, async |handshake| {
        let mut all = Vec::new();
        handshake.stream.expect("a session").read_to_end(&mut all).await.map(|_| all)
    });
    let mut socket = Socket::connect(address).expect("a server");
    let mut tls = client(config);
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).expect("a handshake");
    }
    tls.writer().write_all(b"last words").expect("room");
    tls.send_close_notify();
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight).expect("a Vec takes all");
    }
    flight.extend_from_slice(&TAIL);
    // The proxy may have closed before it has all.
    let _ = socket.write_all(&flight);
    let read = received.recv_timeout(PATIENCE).expect("an end");
    assert_eq!(read.expect("no error"), b"last words");
}

#[test]
fn a_session_that_ends_within_its_handshakes_last_flight_ends_too() {
    let (server, config) = configs();
    let (address, received) = serving(server, async |handshake| {
        let mut all = Vec::new();
        handshake.stream.expect("a session").read_to_end(&mut all).await.map(|_| all)
    });
    let mut socket = Socket::connect(address).expect("a server");
    let mut tls = client(config);
    tls.write_tls(&mut socket).expect("a hello");
    while tls.is_handshaking() {
        tls.read_tls(&mut socket).expect("an answer");
        tls.process_new_packets().expect("a good answer");
    }
    tls.writer().write_all(b"last words").expect("room");
    tls.send_close_notify();
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight).expect("a Vec takes all");
    }
    flight.extend_from_slice(&TAIL);
    // The proxy may have closed before it has all.
    let _ = socket.write_all(&flight);
    let read = received.recv_timeout(PATIENCE).expect("an end");
    assert_eq!(read.expect("no error"), b"last words");
}
