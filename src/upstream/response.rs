//! The body of a backend's answer; polling it also drives what is left of the request.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::balance::InFlight;
use super::body::{BodyFailure, LocalBody};
use super::pool::{Connection, Pool};
use super::upload::{Upload, UploadError};
use crate::http1::{BodyDecoder, BodyError, Decoded, Framing, HeadLimits};

/// Reads one response body from its connection and gives the connection back if nothing speaks against it.
pub(super) struct ResponseBody {
    /// `None` once the body is over.
    exchange: Option<Exchange>,
    decoder: BodyDecoder,
}

/// A connection in use, and what is to happen with it.
pub(super) struct Exchange {
    pub(super) connection: Connection,
    pub(super) upload: Upload,
    pub(super) pool: Rc<Pool>,
    /// The backend allows another request.
    pub(super) keep_alive: bool,
    pub(super) in_flight: Option<InFlight>,
}

impl Exchange {
    /// The response is over. The connection lives on only if both sides agree where this exchange ended.
    fn finish(self) {
        if self.keep_alive && self.upload.is_done() && self.connection.buf.is_empty() {
            self.pool.put(self.connection);
        }
    }
}

/// The cheapest body that carries what the framing announces.
pub(super) fn body(mut exchange: Exchange, framing: Framing, limits: HeadLimits) -> LocalBody {
    let mut decoder = BodyDecoder::new(framing, limits);
    if decoder.is_end() {
        exchange.finish();
        return LocalBody::Empty;
    }
    if let Framing::Length(length) = framing
        && exchange.upload.is_done()
        && exchange.connection.buf.len() as u64 >= length
        && let Ok(Decoded::Data(data)) = decoder.decode(&mut exchange.connection.buf)
    {
        exchange.finish();
        return LocalBody::Full(data);
    }
    LocalBody::stream(ResponseBody { exchange: Some(exchange), decoder })
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let this = &mut *self;
        let Some(exchange) = &mut this.exchange else { return Poll::Ready(None) };
        let frame = ready!(poll_decode(exchange, &mut this.decoder, cx));
        if this.decoder.is_end() && !matches!(frame, Some(Err(_))) {
            // At once: a server that has seen the last byte need not poll again.
            if let Some(exchange) = this.exchange.take() {
                exchange.finish();
            }
        } else if !matches!(frame, Some(Ok(_))) {
            this.exchange = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.exchange, self.decoder.remaining()) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(left)) => SizeHint::with_exact(left),
            (Some(_), None) => SizeHint::default(),
        }
    }
}

fn poll_decode(
    exchange: &mut Exchange,
    decoder: &mut BodyDecoder,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
    let Exchange { connection, upload, .. } = exchange;
    loop {
        match upload.poll(&mut connection.io, cx) {
            Poll::Ready(Err(UploadError::Client(failure))) => return Poll::Ready(Some(Err(failure))),
            // The backend has answered without reading on; the answer still counts.
            Poll::Ready(Err(UploadError::Connection(_))) => upload.abandon(),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        match decoder.decode(&mut connection.buf) {
            Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(Decoded::End) => return Poll::Ready(None),
            Ok(Decoded::NeedMore) => {}
            Err(error) => return Poll::Ready(Some(Err(BodyFailure::upstream("bad_body", error)))),
        }
        match ready!(connection.poll_fill(cx)) {
            Ok(0) => {
                let end = decoder.on_eof().err();
                return Poll::Ready(end.map(|error: BodyError| Err(BodyFailure::upstream("truncated", error))));
            }
            Ok(_) => {}
            Err(error) => return Poll::Ready(Some(Err(BodyFailure::upstream("broken_connection", error)))),
        }
    }
}
