//! A connection that stopped being HTTP (RFC 9110, section 7.8).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use http::header::{CONNECTION, UPGRADE};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::balance::InFlight;
use super::connect::Io;

/// Stands among the extensions of a 101 response; whoever answers the client takes the connection out.
#[derive(Clone, Debug)]
pub struct UpgradedUpstream(Arc<Mutex<Option<UpgradedIo>>>);

/// The bytes of an upgraded connection, those first that came with the response head.
#[derive(Debug)]
pub struct UpgradedIo {
    read: BytesMut,
    io: Io,
    _in_flight: Option<InFlight>,
}

impl UpgradedUpstream {
    pub(super) fn new(io: Io, read: BytesMut, in_flight: Option<InFlight>) -> Self {
        Self(Arc::new(Mutex::new(Some(UpgradedIo { read, io, _in_flight: in_flight }))))
    }

    /// `None` if it was taken before.
    pub fn take(&self) -> Option<UpgradedIo> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The protocols a request asks for; `None` unless `Connection` names `Upgrade` too.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Vec<Vec<u8>>> {
    let hop = tokens(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    (hop && headers.contains_key(UPGRADE)).then(|| tokens(headers, &UPGRADE).map(<[u8]>::to_ascii_lowercase).collect())
}

/// Whether an answer switches to exactly one of them.
pub(super) fn matches(wanted: &[Vec<u8>], headers: &HeaderMap) -> bool {
    let mut chosen = tokens(headers, &UPGRADE);
    match (chosen.next(), chosen.next()) {
        (Some(protocol), None) => wanted.contains(&protocol.to_ascii_lowercase()),
        _ => false,
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

impl AsyncRead for UpgradedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = buf.remaining().min(self.read.len());
        buf.put_slice(&self.read[..length]);
        self.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpgradedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
