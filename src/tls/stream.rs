//! A TLS session as a stream of bytes: rustls over a TCP socket.
//!
//! Socket reads go through one large buffer per thread, so an upload takes few system calls and an idle connection
//! holds no buffer. Writes are encrypted and sent at once; what the socket does not take waits in rustls' queue, which
//! is bounded, and pushes back.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, Write};
use std::mem;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const SCRATCH_BYTES: usize = 64 * 1024;
/// However little a reader asks for, a record's header and tag come on top.
const SMALLEST_READ: usize = 4 * 1024;
/// How long and how much a peer that was refused may still send before the socket is dropped.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// A finished handshake's stream. Reads and writes are plaintext.
pub struct TlsStream {
    io: TcpStream,
    /// On the heap: a stream passes through several futures, each of which would have room for it.
    tls: Box<ServerConnection>,
    /// Ciphertext that came with the end of the handshake.
    unfed: Vec<u8>,
    /// Decrypted bytes for which a reader had no room.
    plain: BytesMut,
    ended: bool,
}

impl TlsStream {
    pub(super) fn new(io: TcpStream, tls: ServerConnection, unfed: Vec<u8>) -> Self {
        Self { io, tls: Box::new(tls), unfed, plain: BytesMut::new(), ended: false }
    }

    pub(super) fn tls(&self) -> &ServerConnection {
        &self.tls
    }

    /// Appends what has arrived to `out`; 0 at the end. Reads once from the socket, about `room` bytes at most, and takes
    /// memory only for bytes that are there: a connection that waits holds none.
    pub fn poll_read_into(&mut self, cx: &mut Context<'_>, out: &mut BytesMut, room: usize) -> Poll<io::Result<usize>> {
        let before = out.len();
        if !self.plain.is_empty() {
            out.extend_from_slice(&mem::take(&mut self.plain));
        }
        let unfed = mem::take(&mut self.unfed);
        self.feed(&unfed, out)?;
        while out.len() == before && !self.ended {
            ready!(self.poll_fill(cx, out, room))?;
            if self.tls.wants_write() {
                self.send_queued()?;
            }
        }
        Poll::Ready(Ok(out.len() - before))
    }

    /// Reads once from the socket. A read that does not fill the buffer is known to be the last: no second one is made
    /// only to hear that there is nothing.
    fn poll_fill(&mut self, cx: &mut Context<'_>, out: &mut BytesMut, room: usize) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(&mut scratch[..room.clamp(SMALLEST_READ, SCRATCH_BYTES)]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            // The end without close_notify: whether a body is whole is for its framing to say.
            self.ended |= read.filled().is_empty();
            Poll::Ready(self.feed(read.filled(), out))
        })
    }

    /// Decrypts `ciphertext` into `out`.
    fn feed(&mut self, mut ciphertext: &[u8], out: &mut BytesMut) -> io::Result<()> {
        // The last step of the handshake may have decrypted more than the handshake.
        self.take_plaintext(out)?;
        out.reserve(ciphertext.len());
        while !ciphertext.is_empty() && !self.ended {
            self.tls.read_tls(&mut ciphertext)?;
            if let Err(error) = self.tls.process_new_packets() {
                // The alert that explains it is in the queue.
                let _ = self.send_queued();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            self.take_plaintext(out)?;
        }
        Ok(())
    }

    fn take_plaintext(&mut self, out: &mut BytesMut) -> io::Result<()> {
        let mut reader = self.tls.reader();
        loop {
            match reader.fill_buf() {
                // close_notify: the peer has said that nothing more comes, and rustls would take nothing more.
                Ok([]) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(record) => {
                    out.extend_from_slice(record);
                    let bytes = record.len();
                    reader.consume(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
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
        let mut plain = mem::take(&mut self.plain);
        if plain.is_empty() {
            ready!(self.poll_read_into(cx, &mut plain, buf.remaining()))?;
        }
        let bytes = plain.len().min(buf.remaining());
        buf.put_slice(&plain.split_to(bytes));
        if !plain.is_empty() {
            self.plain = plain;
        }
        Poll::Ready(Ok(()))
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
pub(super) async fn read_some<T>(io: &mut TcpStream, limit: usize, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut look = Some(look);
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(&mut scratch[..limit.clamp(1, SCRATCH_BYTES)]);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut read))?;
            let look = look.take().expect("a future is not polled after its end");
            Poll::Ready(Ok(look(read.filled())))
        })
    })
    .await
}

/// A refused peer's socket, on which the alert was sent.
#[derive(Debug)]
pub struct Farewell(TcpStream);

impl Farewell {
    /// Sends `record`. An alert fits into any socket's empty send buffer; if it does not, the peer goes without.
    pub(super) fn send(io: TcpStream, record: &[u8]) -> Option<Self> {
        let sent = Socket(&io).write_all(record);
        sent.is_ok().then_some(Self(io))
    }

    /// Closes the connection so that the alert arrives: a socket closed with unread bytes is reset, and the reset
    /// overtakes what was sent.
    pub async fn linger(self) {
        let Self(mut io) = self;
        if shut_down(&io).is_err() {
            return;
        }
        let drain = async {
            let mut left = LINGER_BYTES;
            while let Ok(bytes) = read_some(&mut io, left, <[u8]>::len).await {
                left = left.saturating_sub(bytes);
                if bytes == 0 || left == 0 {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, drain).await;
    }
}

fn shut_down(io: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(io).shutdown(Shutdown::Write)
}
