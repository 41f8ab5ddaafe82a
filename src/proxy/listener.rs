//! New connections, one listening socket per worker: the kernel spreads them, and no lock is shared.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use super::connection;
use super::worker::Worker;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 4096;
/// How long to wait after the process ran out of file descriptors: others have to close first.
const PAUSE: Duration = Duration::from_millis(100);
/// A peer that vanished without a FIN is noticed within two minutes, whatever is waited for: this silence, then as many
/// unanswered questions.
const SILENCE: Duration = Duration::from_secs(60);
const QUESTION_INTERVAL: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 4;

/// Binds one worker's socket to `address`, which other workers bind too.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` serves both families, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it.
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(QUESTION_INTERVAL).with_retries(QUESTIONS);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until it is dropped. Each connection lives on in a task of its own.
pub async fn accept(listener: TcpListener, worker: Rc<Worker>) {
    loop {
        let accepted = listener.accept().await;
        match accepted {
            Ok((socket, peer)) => admit(&worker, socket, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "new connections cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit(worker: &Rc<Worker>, socket: TcpStream, peer: SocketAddr) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let Some(admitted) = worker.shared.admission.admit(peer.ip()) else {
        return;
    };
    // Answers leave in as few segments as they were written in; waiting for more would only delay them.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        connection::run(&worker, socket, peer).await;
        drop(admitted);
    });
}

/// The peer was gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
