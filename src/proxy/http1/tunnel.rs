//! After a 101: bytes both ways, until either side is done (RFC 9110, section 7.8).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::wire::Wire;
use crate::http1::encode::write_response_head;
use crate::http1::framing::Framing;
use crate::proxy::lifetime::{Lifetime, Phase};
use crate::proxy::requests::Requests;
use crate::tls::stream::TlsStream;
use crate::upstream::{LocalBody, UpgradedIo};

/// A connection about to become a tunnel.
pub(super) struct Tunnel {
    response: Response<LocalBody>,
    backend: UpgradedIo,
}

impl Tunnel {
    /// `response` is the backend's 101, with the protocol that it switched to.
    pub(super) fn new(response: Response<LocalBody>, backend: UpgradedIo) -> Self {
        Self { response, backend }
    }

    /// Sends the 101 and copies until either side is done, both are silent for `idle_limit`, or the host would not let
    /// this connection in any more: asked before every step, so that no byte passes after that.
    pub(super) async fn run(mut self, mut wire: Wire, requests: &Requests, idle_limit: Duration) {
        let lifetime = wire.lifetime();
        let (parts, _) = self.response.into_parts();
        let mut head = BytesMut::new();
        write_response_head(&mut head, parts.status, &parts.headers, Framing::None, Some("upgrade"));
        let mut client =
            Client { stream: &mut wire.stream, ahead: &mut wire.input, head, lifetime: &lifetime, idle_limit };
        client.lives();
        let mut copying = pin!(copy_bidirectional(&mut client, &mut self.backend));
        // However it ends, both sides are closed by being dropped.
        let _: io::Result<(u64, u64)> = poll_fn(|cx| match lifetime.poll_overdue(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending if !requests.are_admitted() => Poll::Ready(Err(io::ErrorKind::PermissionDenied.into())),
            Poll::Pending => copying.as_mut().poll(cx),
        })
        .await;
    }
}

/// The client's side: what it sent ahead is read first, the head is written first, and every byte counts as life.
struct Client<'a> {
    stream: &'a mut TlsStream,
    ahead: &'a mut BytesMut,
    head: BytesMut,
    lifetime: &'a Lifetime,
    idle_limit: Duration,
}

impl Client<'_> {
    fn lives(&self) {
        self.lifetime.enter(Phase::Stalled, Some(self.idle_limit));
    }
}

impl AsyncRead for Client<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // The backend may wait for the client and the client for the 101: it goes out before anything is awaited.
        if !this.head.is_empty() {
            ready!(this.poll_send_head(cx))?;
        }
        if !this.ahead.is_empty() {
            let bytes = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..bytes]);
            this.ahead.advance(bytes);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut *this.stream).poll_read(cx, buf);
        if read.is_ready() {
            this.lives();
        }
        read
    }
}

impl Client<'_> {
    fn poll_send_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.head.is_empty() {
            let bytes = ready!(Pin::new(&mut *self.stream).poll_write(cx, &self.head))?;
            self.head.advance(bytes);
        }
        Pin::new(&mut *self.stream).poll_flush(cx)
    }
}

impl AsyncWrite for Client<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_send_head(cx))?;
        let written = Pin::new(&mut *this.stream).poll_write(cx, bytes);
        if written.is_ready() {
            this.lives();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_send_head(cx))?;
        Pin::new(&mut *this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
