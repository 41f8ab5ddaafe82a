//! Where the admin side listens: a TCP address, or a socket file that only its owner may open.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::rights::{Peer, TcpPeer};
use crate::tls::stream::TlsStream;

/// A bound admin listener. A socket file is removed when it is dropped.
#[derive(Debug)]
pub struct AdminListener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp { listener: TcpListener, address: SocketAddr },
    Unix { listener: UnixListener, file: SocketFile },
}

impl AdminListener {
    /// Listens on `address`. Needs a tokio runtime around it.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self(Kind::Tcp { listener, address }))
    }

    /// Listens on the socket file `path`, mode 0600. A stale socket is replaced; a live one, or another kind of file,
    /// is not. Needs a tokio runtime around it.
    pub fn unix(path: &Path) -> io::Result<Self> {
        refuse_taken(path)?;
        // A socket is born with the mode that the umask leaves it: be born where no one else can look, then move.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let nursery = parent.join(format!(".a{}", std::process::id()));
        let _ = fs::remove_dir_all(&nursery);
        DirBuilder::new().mode(0o700).create(&nursery)?;
        let bound = bind_in(&nursery, path);
        let _ = fs::remove_dir_all(&nursery);
        let listener = bound?;
        let file = SocketFile::new(path)?;
        Ok(Self(Kind::Unix { listener, file }))
    }

    /// The bound address with its real port; `None` for a socket file.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp { address, .. } => Some(*address),
            Kind::Unix { .. } => None,
        }
    }

    /// What to tell a person: `http://127.0.0.1:9090/` or `unix:/run/…`.
    pub fn url(&self, tls: bool) -> String {
        match &self.0 {
            Kind::Tcp { address, .. } if tls => format!("https://{address}/"),
            Kind::Tcp { address, .. } => format!("http://{address}/"),
            Kind::Unix { file, .. } => format!("unix:{}", file.path.display()),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp { listener, address: bound } => {
                let (stream, address) = listener.accept().await?;
                let loopback = bound.ip().is_loopback();
                let peer = Peer::Tcp(TcpPeer { address, loopback, tls: false, chain: None });
                Ok(Accepted { stream: Stream::Tcp(stream), peer })
            }
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok(Accepted { stream: Stream::Unix(stream), peer: Peer::Unix { uid } })
            }
        }
    }
}

fn bind_in(nursery: &Path, path: &Path) -> io::Result<UnixListener> {
    let born = nursery.join("s");
    let listener = UnixListener::bind(&born)?;
    fs::set_permissions(&born, Permissions::from_mode(0o600))?;
    fs::rename(&born, path)?;
    Ok(listener)
}

fn refuse_taken(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way"));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket")),
        Err(_) => Ok(()),
    }
}

/// Our socket in the file system, removed in the end unless another process has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// A connection and who is at its other end.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
}

/// An accepted connection of any kind.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
