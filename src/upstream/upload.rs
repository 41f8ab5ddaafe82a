//! A request on its way to the backend.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, TE};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::body::{BodyFailure, LocalBody};
use super::connect::Io;
use crate::http1::{Framing, encode};

/// Content up to this size is copied behind its head or chunk line, so that both leave in one write.
const COPY_BELOW: usize = 16 * 1024;

/// A request that is being written; it knows no connection until it is polled with one.
pub(super) struct Upload {
    /// To be written first.
    out: BytesMut,
    /// To be written behind `out`.
    data: Bytes,
    body: LocalBody,
    framing: Framing,
    /// Content that the `Content-Length` still promises.
    left: u64,
    phase: Phase,
    touched: bool,
    waits_for_client: bool,
    last_progress: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Body,
    /// All is in `out` and `data`.
    LastBytes,
    Done,
    /// The backend reads no further, or the connection broke.
    Abandoned,
}

/// Why the rest of a request cannot be sent.
pub(super) enum UploadError {
    Client(BodyFailure),
    Connection(io::Error),
}

impl Upload {
    pub(super) fn new(request: Request<LocalBody>) -> Self {
        let (mut parts, body) = request.into_parts();
        let framing = framing(&parts.method, &body);
        if parts.headers.contains_key(TE) {
            // It speaks of this connection alone (RFC 9110, section 10.1.4).
            parts.headers.append(CONNECTION, HeaderValue::from_static("te"));
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut out = BytesMut::new();
        encode::write_request_head(&mut out, &parts.method, target, &parts.headers, framing);
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        let phase = if matches!(framing, Framing::None | Framing::Length(0)) && body.is_end_stream() {
            Phase::LastBytes
        } else {
            Phase::Body
        };
        let last_progress = Instant::now();
        Self {
            out,
            data: Bytes::new(),
            body,
            framing,
            left,
            phase,
            touched: false,
            waits_for_client: false,
            last_progress,
        }
    }

    /// Writes what can be written; ready when the request is sent.
    pub(super) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            if matches!(self.phase, Phase::Done | Phase::Abandoned) {
                return Poll::Ready(Ok(()));
            }
            self.waits_for_client = self.phase == Phase::Body
                && self.data.is_empty()
                && self.out.len() < COPY_BELOW
                && match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(frame) => {
                        self.take(frame).map_err(UploadError::Client)?;
                        continue;
                    }
                    Poll::Pending => true,
                };
            if self.out.is_empty() && self.data.is_empty() {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(UploadError::Connection)?;
                if self.phase == Phase::Body {
                    return Poll::Pending;
                }
                self.phase = Phase::Done;
                self.body = LocalBody::Empty;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_write(io, cx)).map_err(UploadError::Connection)?;
        }
    }

    /// Sends nothing more.
    pub(super) fn abandon(&mut self) {
        self.phase = Phase::Abandoned;
        self.body = LocalBody::Empty;
    }

    /// The backend was sent all it was promised.
    pub(super) fn is_done(&self) -> bool {
        // The end of a client's stream may come behind its last byte; the backend has counted by then.
        let promise_kept = matches!(self.framing, Framing::Length(_)) && self.left == 0;
        let nothing_to_write = self.out.is_empty() && self.data.is_empty();
        self.phase == Phase::Done || (self.phase == Phase::Body && promise_kept && nothing_to_write && self.touched)
    }

    /// A byte was handed to a connection, so no other may be tried.
    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    /// Since when the backend keeps us waiting; `None` while the client does.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        (!self.waits_for_client || self.phase != Phase::Body).then_some(self.last_progress)
    }

    fn poll_write(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = Pin::new(io);
        let written = ready!(match (self.out.is_empty(), self.data.is_empty()) {
            (false, true) => io.poll_write(cx, &self.out),
            (true, _) => io.poll_write(cx, &self.data),
            (false, false) => io.poll_write_vectored(cx, &[IoSlice::new(&self.out), IoSlice::new(&self.data)]),
        })?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let head = written.min(self.out.len());
        self.out.advance(head);
        self.data.advance(written - head);
        if self.data.is_empty() && self.framing == Framing::Chunked && written > head {
            encode::write_chunk_end(&mut self.out);
        }
        self.touched = true;
        self.last_progress = Instant::now();
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, frame: Option<Result<Frame<Bytes>, BodyFailure>>) -> Result<(), BodyFailure> {
        match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(data)) => self.take_data(data),
            Some(Err(frame)) => self.end(frame.into_trailers().ok().as_ref()),
            None => self.end(None),
        }
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), BodyFailure> {
        if data.is_empty() {
            return Ok(());
        }
        match self.framing {
            Framing::Chunked => encode::write_chunk_header(&mut self.out, data.len()),
            // More than was promised would be read as the next request.
            _ => self.left = self.left.checked_sub(data.len() as u64).ok_or_else(|| wrong_length("too_long"))?,
        }
        if data.len() >= COPY_BELOW {
            self.data = data;
            return Ok(());
        }
        self.out.extend_from_slice(&data);
        if self.framing == Framing::Chunked {
            encode::write_chunk_end(&mut self.out);
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), BodyFailure> {
        if self.left != 0 {
            return Err(wrong_length("too_short"));
        }
        if self.framing == Framing::Chunked {
            encode::write_last_chunk(&mut self.out, trailers);
        }
        self.phase = Phase::LastBytes;
        Ok(())
    }
}

fn wrong_length(reason: &'static str) -> BodyFailure {
    BodyFailure::Downstream { reason, source: None }
}

fn framing(method: &Method, body: &LocalBody) -> Framing {
    let expects_body = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    match (body.is_end_stream(), body.size_hint().exact()) {
        // RFC 9110, section 8.6: without it some servers answer 411 or wait for a body.
        (true, _) if expects_body => Framing::Length(0),
        (true, _) => Framing::None,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Chunked,
    }
}
