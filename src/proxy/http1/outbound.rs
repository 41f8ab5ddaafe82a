//! An answer, written as it comes: the head together with what is there of the body, then the rest.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body::{Body, Frame};

use super::wire::Wire;
use crate::http1::encode::{write_chunk_end, write_chunk_header, write_last_chunk, write_response_head};
use crate::http1::framing::Framing;
use crate::proxy::lifetime::Phase;
use crate::upstream::{BodyFailure, LocalBody};

/// Data up to this size is copied behind what is already to be sent: one TLS record is cheaper than two.
const COPY_BYTES: usize = 16 * 1024;

/// What of the request decides about the shape of its answer.
pub(super) struct Answer {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
}

/// Writes `response` to its end. Says whether the connection may be used again.
pub(super) async fn write(wire: &Rc<RefCell<Wire>>, response: Response<LocalBody>, answer: Answer) -> io::Result<bool> {
    let (parts, body) = response.into_parts();
    let framing = framing(parts.status, &body, &answer);
    let keep_alive = answer.keep_alive && framing != Framing::UntilClose;
    let mut out = BytesMut::new();
    write_response_head(&mut out, parts.status, &parts.headers, framing, connection(keep_alive, answer.version));
    let body = if framing == Framing::None { LocalBody::Empty } else { body };
    let mut writer = Writer::new(out, body, framing);
    let lifetime = wire.borrow().lifetime();
    let written = poll_fn(|cx| {
        lifetime.watch(cx);
        writer.poll(wire, cx)
    })
    .await;
    lifetime.enter(Phase::Busy, None);
    written.map(|()| keep_alive)
}

/// An answer on its way out.
struct Writer {
    /// Head, chunk lines and small data, to be written first.
    out: BytesMut,
    /// Data too large to copy, to be written next.
    data: Bytes,
    body: LocalBody,
    framing: Framing,
    /// What stands in `data` is a chunk whose end has not been written.
    chunk_open: bool,
    body_over: bool,
    /// Why the body is over before its end.
    broken: Option<BodyFailure>,
}

impl Writer {
    fn new(out: BytesMut, body: LocalBody, framing: Framing) -> Self {
        let body_over = framing == Framing::None;
        Self { out, data: Bytes::new(), body, framing, chunk_open: false, body_over, broken: None }
    }

    /// The wire is borrowed for single steps only: polling the answer's body may read the request's from it.
    fn poll(&mut self, wire: &Rc<RefCell<Wire>>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let body_waits = self.poll_collect(cx);
            if self.has_output() {
                match self.poll_send(wire, cx) {
                    Poll::Ready(result) => result?,
                    Poll::Pending => return stalled(wire),
                }
                continue;
            }
            if wire.borrow_mut().poll_flush(cx)?.is_pending() {
                return stalled(wire);
            }
            if self.body_over {
                // The head is out: cutting the connection is the only way left to say that this is not all.
                return Poll::Ready(self.broken.take().map_or(Ok(()), |failure| Err(io::Error::other(failure))));
            }
            if body_waits {
                let mut wire = wire.borrow_mut();
                wire.mind_body_reader();
                return match wire.poll_left(cx).is_ready() {
                    true => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                    false => Poll::Pending,
                };
            }
        }
    }

    fn has_output(&self) -> bool {
        !self.out.is_empty() || !self.data.is_empty()
    }

    /// Takes from the body what is there, until it is worth a write. True: the body is waited for.
    fn poll_collect(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.body_over && self.data.is_empty() && self.out.len() < COPY_BYTES {
            if std::mem::take(&mut self.chunk_open) {
                write_chunk_end(&mut self.out);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(None) => self.end(None),
                Poll::Ready(Some(Ok(frame))) => self.take(frame),
                Poll::Ready(Some(Err(failure))) => {
                    self.body_over = true;
                    self.broken = Some(failure);
                }
            }
        }
        false
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => self.take_data(data),
            Err(frame) => self.end(frame.trailers_ref()),
        }
    }

    fn take_data(&mut self, data: Bytes) {
        let chunked = self.framing == Framing::Chunked;
        if chunked {
            write_chunk_header(&mut self.out, data.len());
        }
        if self.out.len() + data.len() > COPY_BYTES {
            self.data = data;
            self.chunk_open = chunked;
            return;
        }
        self.out.extend_from_slice(&data);
        if chunked {
            write_chunk_end(&mut self.out);
        }
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) {
        self.body_over = true;
        if self.framing == Framing::Chunked {
            write_last_chunk(&mut self.out, trailers);
        }
    }

    fn poll_send(&mut self, wire: &Rc<RefCell<Wire>>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = wire.borrow_mut();
        while self.has_output() {
            let bytes = if self.out.is_empty() { &self.data[..] } else { &self.out[..] };
            let written = ready!(wire.poll_write(cx, bytes))?;
            wire.progressed();
            match self.out.is_empty() {
                true => self.data.advance(written),
                false => self.out.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The client does not take what it is sent: that is borne for as long as a body may pause.
fn stalled(wire: &Rc<RefCell<Wire>>) -> Poll<io::Result<()>> {
    match wire.borrow().is_stalled_too_long() {
        true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        false => Poll::Pending,
    }
}

/// RFC 9112, section 6: no body where none is allowed, its length where known, chunks where the client knows them.
fn framing(status: StatusCode, body: &LocalBody, answer: &Answer) -> Framing {
    let bodiless = answer.method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    match (bodiless, body.size_hint().exact(), answer.version) {
        (true, ..) => Framing::None,
        (false, Some(length), _) => Framing::Length(length),
        (false, None, Version::HTTP_11) => Framing::Chunked,
        (false, None, _) => Framing::UntilClose,
    }
}

fn connection(keep_alive: bool, version: Version) -> Option<&'static str> {
    match (keep_alive, version) {
        (true, Version::HTTP_11) => None,
        (true, _) => Some("keep-alive"),
        (false, _) => Some("close"),
    }
}
