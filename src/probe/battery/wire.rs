//! A connection that remembers how it ended: HTTP above it only sees that something went wrong.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::alert::name as alert_name;

/// A connection to the server.
pub(super) struct Wire {
    stream: Stream,
    end: End,
}

/// How a connection ended; shared with whoever asks above HTTP.
#[derive(Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<Fate>>>);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// No connection came about.
    Unreachable(String),
    /// This alert came.
    Alert(&'static str),
    /// The server hung up.
    CutOff,
    /// What came is no TLS, or breaks its rules.
    NotTls(String),
}

enum Stream {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
}

impl Wire {
    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), end: End::default() }
    }

    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), end: End::default() }
    }

    /// Where its end will be told.
    pub(super) fn end(&self) -> End {
        self.end.clone()
    }
}

impl End {
    /// How the connection ended, if it has.
    pub(super) fn fate(&self) -> Option<Fate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first word counts: what follows a refusal is its consequence.
    fn tell(&self, fate: Fate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fate);
    }
}

impl Fate {
    /// What an error of the connection means.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(alert_name(*alert)),
            Some(error) => Self::NotTls(error.to_string()),
            None => Self::CutOff,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (this, before) = (self.get_mut(), buffer.filled().len());
        let polled = match &mut this.stream {
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        match &polled {
            Poll::Ready(Err(error)) => this.end.tell(Fate::of(error)),
            Poll::Ready(Ok(())) if buffer.filled().len() == before => this.end.tell(Fate::CutOff),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        polled
    }
}

/// A server that turns a client away may have hung up before the request is written; why it did is read next. So
/// what cannot be written is no error here.
impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        polled.map(|written| Ok(written.unwrap_or(bytes.len())))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
        };
        polled.map(|_| Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        polled.map(|_| Ok(()))
    }
}
