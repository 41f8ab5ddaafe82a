//! A connection to a backend: resolved, connected, and verified where it is TLS.

use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{Address, Protocol, Target};
use super::error::UpstreamError;
use super::spec::UpstreamSpec;

/// A backend that vanished without a FIN would otherwise hold a streamed response for ever.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// The bytes of a connection to a backend.
#[derive(Debug)]
pub enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Opens connections for one worker's part of an upstream.
pub(super) struct Connector {
    tls: Option<TlsConnector>,
    server_name: Option<String>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(spec: &UpstreamSpec) -> Self {
        let tls = spec.tls.as_ref().map(|config| {
            let mut config = rustls::ClientConfig::clone(config);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Self { tls, server_name: spec.tls_server_name.clone(), timeout: spec.timeouts.connect }
    }

    pub(super) async fn connect(&self, address: &Address) -> Result<Io, UpstreamError> {
        let late = |_| UpstreamError::ConnectTimeout { address: address.clone() };
        timeout(self.timeout, self.dial(address)).await.map_err(late)?
    }

    async fn dial(&self, address: &Address) -> Result<Io, UpstreamError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::TimedOut => UpstreamError::ConnectTimeout { address: address.clone() },
            _ => UpstreamError::Connect { address: address.clone(), source },
        };
        match (&address.target, address.protocol) {
            (Target::Unix(path), _) => Ok(Io::Unix(unix(path).await.map_err(failed)?)),
            (Target::Tcp { host, port }, Protocol::Http | Protocol::H2c) => {
                Ok(Io::Tcp(tcp(host, *port, self.timeout).await.map_err(failed)?))
            }
            (Target::Tcp { host, port }, Protocol::Https) => {
                let stream = tcp(host, *port, self.timeout).await.map_err(failed)?;
                let failed = |source| UpstreamError::Tls { address: address.clone(), source };
                Ok(Io::Tls(Box::new(self.handshake(stream, host).await.map_err(failed)?)))
            }
        }
    }

    async fn handshake(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let connector = self.tls.as_ref().ok_or_else(|| io::Error::other("no roots are configured"))?;
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        connector.connect(name, stream).await
    }
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// Tries every address of a name in turn; each gets its share of the time left, so a silent one does not use up all.
async fn tcp(host: &str, port: u16, budget: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + budget;
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let share =
            deadline.saturating_duration_since(Instant::now()) / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE))?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

macro_rules! on_each {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io.get_mut() {
            Io::Tcp($stream) => $call,
            Io::Unix($stream) => $call,
            Io::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        on_each!(self, stream => Pin::new(stream).poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_each!(self, stream => Pin::new(stream).poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
