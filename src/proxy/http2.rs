//! HTTP/2 towards the client, with hyper's server (RFC 9113).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::frames::Watched;
use super::identity_headers;
use super::lifetime::{Lifetime, Phase};
use super::readers::{Reader, Readers};
use super::requests::Requests;
use crate::config::model::Limits;
use crate::http1::HeadError;
use crate::tls::stream::TlsStream;
use crate::upstream::{BodyFailure, LocalBody};

/// Flow-control windows: a stream may upload a megabyte ahead of its backend, a connection four.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What is buffered for a client that does not read.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// How long a connection that was told to go away may take.
const GOAWAY_LIMIT: Duration = Duration::from_secs(5);

/// Serves streams until either side closes, time is up or the connection is told to close.
pub async fn serve(stream: TlsStream, requests: Requests, lifetime: &Rc<Lifetime>, limits: &Limits) {
    let readers = Readers::new(limits.body_timeout);
    let connection = Rc::new(Streams {
        readers: readers.clone(),
        max_headers: limits.headers,
        requests,
        lifetime: Rc::clone(lifetime),
        running: Cell::new(0),
        limits: (limits.idle_verified, limits.idle_stranger, limits.body_timeout),
    });
    let service = {
        let connection = Rc::clone(&connection);
        service_fn(move |request| Rc::clone(&connection).answer(request))
    };
    let stream = Watched::new(stream, Rc::clone(lifetime), limits.header_timeout, limits.body_timeout);
    let mut serving = pin!(builder(limits, readers).serve_connection(TokioIo::new(stream), service));
    // The first request has the time of a head; a peer that only says hello is not kept.
    lifetime.enter(Phase::Head, Some(limits.header_timeout));
    let mut going_away = false;
    poll_fn(|cx| {
        lifetime.watch(cx);
        if !going_away && (lifetime.is_closing() || lifetime.is_overdue()) {
            going_away = true;
            serving.as_mut().graceful_shutdown();
            if connection.running.get() == 0 {
                lifetime.enter(Phase::Head, Some(GOAWAY_LIMIT));
            }
        } else if going_away && lifetime.is_overdue() {
            return Poll::Ready(());
        }
        serving.as_mut().poll(cx).map(drop)
    })
    .await;
}

fn builder(limits: &Limits, readers: Readers) -> Builder<Readers> {
    let mut builder = Builder::new(readers);
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.resets)
        .max_local_error_reset_streams(limits.resets)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .auto_date_header(false);
    builder
}

/// The streams of one connection.
struct Streams {
    readers: Readers,
    max_headers: usize,
    requests: Requests,
    lifetime: Rc<Lifetime>,
    running: Cell<usize>,
    /// Idle when verified, idle otherwise, a body's longest pause.
    limits: (Duration, Duration, Duration),
}

impl Streams {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Tracked>, BodyFailure> {
        let (running, reader) = (Running::new(&self), self.readers.current());
        let tracked = |body| {
            reader.gave();
            Tracked { body, reader, _running: running }
        };
        if request.headers().len() > self.max_headers {
            return Ok(self.requests.refuse(&HeadError::TooManyFields.into()).map(tracked));
        }
        let request = request.map(|body| match body.is_end_stream() {
            true => LocalBody::Empty,
            false => LocalBody::stream(Inbound { body, pause: None, limit: self.limits.2 }),
        });
        // On the heap at once: hyper moves a stream's future several times before it runs.
        let (response, keep_open) = Box::pin(self.requests.answer(request)).await;
        if !keep_open {
            self.lifetime.close();
        }
        Ok(response.map(tracked))
    }

    fn idle_limit(&self) -> Duration {
        if self.requests.is_verified() { self.limits.0 } else { self.limits.1 }
    }
}

/// A stream that is being answered. With the last one the connection becomes idle.
struct Running(Rc<Streams>);

impl Running {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.running.set(streams.running.get() + 1);
        streams.lifetime.enter(Phase::Busy, None);
        Self(Rc::clone(streams))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let left = self.0.running.get() - 1;
        self.0.running.set(left);
        if left == 0 {
            self.0.lifetime.enter(Phase::Idle, Some(self.0.idle_limit()));
        }
    }
}

/// An answer's body; the stream runs until it is dropped.
struct Tracked {
    body: LocalBody,
    reader: Rc<Reader>,
    _running: Running,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        self.reader.asked();
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.reader.gave();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body, whose trailers may not speak of identity and which may not pause for ever.
struct Inbound {
    body: Incoming,
    /// Runs while the client sends nothing.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    limit: Duration,
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let limit = this.limit;
            let pause = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            ready!(pause.as_mut().poll(cx));
            return Poll::Ready(Some(Err(BodyFailure::Downstream { reason: "body_timeout", source: None })));
        };
        this.pause = None;
        Poll::Ready(match frame {
            None => None,
            Some(Ok(frame)) => without_identity(frame).map(Ok),
            Some(Err(error)) => {
                Some(Err(BodyFailure::Downstream { reason: "client_closed", source: Some(Box::new(error)) }))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// `None` for trailers of which nothing is left: they end the body either way.
fn without_identity(frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Err(data) => Some(data),
        Ok(mut trailers) => {
            identity_headers::strip_trailers(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        }
    }
}
