//! A TLS session as a stream of bytes: rustls over a TCP socket.
//!
//! Socket reads go through one large buffer per thread, so an upload takes few system calls and an idle connection
//! holds no buffer. Writes are encrypted and sent at once; what the socket does not take waits in rustls' queue, which
//! is bounded, and pushes back.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const SCRATCH_BYTES: usize = 64 * 1024;
/// How long and how much a peer that was refused may still send before the socket is dropped.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// A finished handshake's stream. Reads and writes are plaintext.
pub struct TlsStream {
    io: TcpStream,
    tls: ServerConnection,
    /// Ciphertext that was read from the socket but that rustls had no room for.
    unfed: Vec<u8>,
    end_of_socket: bool,
}

impl TlsStream {
    pub(super) fn new(io: TcpStream, tls: ServerConnection, unfed: Vec<u8>) -> Self {
        Self { io, tls, unfed, end_of_socket: false }
    }

    pub(super) fn tls(&self) -> &ServerConnection {
        &self.tls
    }

    /// Copies decrypted bytes into `buf`. `None`: there are none.
    fn take_plaintext(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 {
            match self.tls.reader().read(buf.initialize_unfilled()) {
                // close_notify: the peer has said that nothing more comes.
                Ok(0) => return Some(Ok(())),
                Ok(bytes) => buf.advance(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Some(Err(error)),
            }
        }
        (buf.filled().len() > before).then_some(Ok(()))
    }

    /// Hands what was read from the socket to rustls, as far as it has room for the plaintext.
    fn feed(&mut self, mut ciphertext: &[u8]) -> io::Result<()> {
        while !ciphertext.is_empty() {
            match self.tls.read_tls(&mut ciphertext) {
                Ok(_) => {}
                // rustls holds as much plaintext as it may: the rest waits until that is taken.
                Err(_) => break,
            }
            let processed = self.tls.process_new_packets();
            if let Err(error) = processed {
                // The alert that explains it is in the queue.
                let _ = self.send_queued();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        self.unfed.extend_from_slice(ciphertext);
        Ok(())
    }

    fn feed_leftovers(&mut self) -> io::Result<()> {
        let leftovers = std::mem::take(&mut self.unfed);
        self.feed(&leftovers)
    }

    /// Reads once from the socket, at most as much as the caller has room for.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_read_ready(cx))?;
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let limit = room.clamp(4096, SCRATCH_BYTES);
                let bytes = self.io.try_read(&mut scratch[..limit])?;
                // Leftovers were fed before more was read, so nothing is overtaken.
                self.feed(&scratch[..bytes]).map(|()| bytes)
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    /// Sends queued ciphertext until the socket is full or the queue is empty.
    fn send_queued(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Socket(&self.io)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn poll_send_queued(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.send_queued()? {
            ready!(self.io.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if let Some(taken) = this.take_plaintext(buf) {
                return Poll::Ready(taken);
            }
            if !this.unfed.is_empty() {
                this.feed_leftovers()?;
                continue;
            }
            if this.end_of_socket {
                // No close_notify: whether a body is whole is for its framing to say.
                return Poll::Ready(Ok(()));
            }
            match ready!(this.poll_fill(cx, buf.remaining()))? {
                0 => this.end_of_socket = true,
                _ if this.tls.wants_write() => drop(this.send_queued()?),
                _ => {}
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.tls.wants_write() {
            ready!(self.poll_send_queued(cx))?;
        }
        let bytes = self.tls.writer().write(buf)?;
        self.send_queued()?;
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_queued(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // rustls queues close_notify once, however often it is told.
        self.tls.send_close_notify();
        ready!(self.poll_send_queued(cx))?;
        Poll::Ready(shut_down(&self.io))
    }
}

/// The socket as rustls writes to it.
pub(super) struct Socket<'a>(pub(super) &'a TcpStream);

impl Write for Socket<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads once from `io` into this thread's buffer and shows the bytes to `look`.
pub(super) async fn read_some<T>(io: &TcpStream, limit: usize, mut look: impl FnMut(&[u8]) -> T) -> io::Result<T> {
    loop {
        io.readable().await?;
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let limit = limit.clamp(1, SCRATCH_BYTES);
            io.try_read(&mut scratch[..limit]).map(|bytes| look(&scratch[..bytes]))
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Closes a refused peer's connection so that the alert arrives: a socket closed with unread bytes is reset, and the
/// reset overtakes what was sent.
pub(super) async fn linger(io: TcpStream) {
    if shut_down(&io).is_err() {
        return;
    }
    let drain = async {
        let mut left = LINGER_BYTES;
        while let Ok(bytes) = read_some(&io, left, <[u8]>::len).await {
            left = left.saturating_sub(bytes);
            if bytes == 0 || left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

fn shut_down(io: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(io).shutdown(Shutdown::Write)
}
