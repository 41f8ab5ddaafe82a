//! TLS towards whoever asks: the proxy's own handshake. What a client certificate is worth is judged with each request.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::listener::{Accepted, Stream};
use super::rights::{Peer, TcpPeer};
use crate::clock::Clock;
use crate::snapshot::admin::{AdminAccess, AdminTls};
use crate::tls::hello::ClientHello;

/// Longest time for a handshake: whoever asks here is near.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// All of a ClientHello.
const MAX_HELLO_BYTES: usize = 16 * 1024;

/// Shakes hands where `access` asks for TLS. `None`: it came to nothing.
pub(super) async fn secure(accepted: Accepted, access: &AdminAccess, clock: &Clock) -> Option<Accepted> {
    match (accepted, &access.tls) {
        (Accepted { stream: Stream::Tcp(io), peer: Peer::Tcp(peer) }, Some(tls)) => {
            shake_hands(io, peer, tls, clock).await
        }
        (accepted, _) => Some(accepted),
    }
}

async fn shake_hands(io: TcpStream, peer: TcpPeer, tls: &AdminTls, clock: &Clock) -> Option<Accepted> {
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let hello = match ClientHello::read(io, MAX_HELLO_BYTES, deadline).await {
        Ok(hello) => hello,
        Err(none) => {
            none.farewell?.linger().await;
            return None;
        }
    };
    let handshake = hello.accept(Arc::clone(&tls.config), &tls.client_auth, clock, deadline).await;
    if let Some(farewell) = handshake.farewell {
        farewell.linger().await;
        return None;
    }
    // Without proof of its key, a certificate is a text that anyone may have copied.
    let chain = handshake.judgement.filter(|_| handshake.proved).map(|judgement| Arc::clone(&judgement.chain));
    let peer = Peer::Tcp(TcpPeer { tls: true, chain, ..peer });
    Some(Accepted { stream: Stream::Tls(Box::new(handshake.stream?)), peer })
}
