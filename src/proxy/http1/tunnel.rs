//! After a 101: bytes both ways, until either side is done (RFC 9110, section 7.8).

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::Next;
use super::wire::Wire;
use crate::http1::encode::write_response_head;
use crate::http1::framing::Framing;
use crate::proxy::lifetime::{Lifetime, Phase};
use crate::tls::stream::TlsStream;
use crate::upstream::{LocalBody, UpgradedIo};

/// Sends the 101 and becomes the tunnel that it opened.
pub(super) async fn run(
    wire: &Rc<RefCell<Wire>>,
    response: Response<LocalBody>,
    mut backend: UpgradedIo,
    idle_limit: Duration,
) -> Next {
    let lifetime = wire.borrow().lifetime();
    let (parts, _) = response.into_parts();
    let mut head = BytesMut::new();
    write_response_head(&mut head, parts.status, &parts.headers, Framing::None, Some("upgrade"));
    let mut wire = wire.borrow_mut();
    let wire = &mut *wire;
    let mut client = Client { stream: &mut wire.stream, ahead: &mut wire.input, head, lifetime: &lifetime, idle_limit };
    let ended = std::future::poll_fn({
        let mut copying = Box::pin(copy_bidirectional(&mut client, &mut backend));
        let lifetime = Rc::clone(&lifetime);
        move |cx| match lifetime.poll_overdue(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => copying.as_mut().poll(cx),
        }
    });
    // However it ends, both sides are closed by being dropped.
    let _: io::Result<(u64, u64)> = ended.await;
    Next::Gone
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
