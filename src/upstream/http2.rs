//! HTTP/2 with prior knowledge to a backend (RFC 9113, section 3.3): one connection per worker and address.

use std::cell::Cell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::balance::InFlight;
use super::body::{BodyFailure, LocalBody};
use super::client::Refusal;
use super::connect::Io;
use super::error::UpstreamError;
use super::patience::Patience;
use super::spec::UpstreamSpec;

/// hyper's 64 KiB would cap a stream at one window per round trip.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// nginx ends a connection after 1000 (`keepalive_requests`) and drops the streams it had not yet looked at. Leaving
/// before that loses none: what is in flight ends on the old connection.
const REQUESTS_PER_CONNECTION: u32 = 900;

/// All requests share the connection: one that vanished without a FIN must be noticed.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection to one address, if there is one.
#[derive(Default)]
pub(super) struct Http2 {
    // Held while dialling: requests that come together share one connection.
    open: Mutex<Option<Open>>,
    dialled: Cell<u64>,
    /// Since the last dial.
    requests: Cell<u32>,
}

#[derive(Clone)]
struct Open {
    sender: SendRequest<LocalBody>,
    /// Tells it from those before and after.
    number: u64,
}

impl Http2 {
    pub(super) async fn ask<F>(
        &self,
        spec: &UpstreamSpec,
        request: Request<LocalBody>,
        in_flight: Option<InFlight>,
        connect: impl Fn() -> F,
    ) -> Result<Response<LocalBody>, Refusal>
    where
        F: Future<Output = Result<Io, UpstreamError>>,
    {
        let upload = Rc::new(UploadState::new());
        let mut request = into_http2(request, &upload)?;
        // A connection may close between the look at it and the sending; another one gets one chance.
        let mut last_chance = false;
        loop {
            let Open { mut sender, number } = match self.open(spec, &connect).await {
                Ok(open) => open,
                Err(error) => return Err(unsent(error, request)),
            };
            let error = match sender.ready().await {
                Err(error) => error,
                Ok(()) => {
                    let response = pin!(sender.try_send_request(request));
                    let mut error = match upload.deadline(response, spec.timeouts.response_head).await? {
                        Ok(response) => return Ok(response.map(|body| local_body(body, in_flight))),
                        Err(error) => error,
                    };
                    request = match error.take_message() {
                        Some(back) => back,
                        None => return Err(upload.explain(error.into_error()).into()),
                    };
                    error.into_error()
                }
            };
            // It may go on with earlier streams after a GOAWAY without being closed, but takes no new ones.
            self.forget(number).await;
            if last_chance {
                return Err(unsent(UpstreamError::Http2(error), request));
            }
            last_chance = true;
        }
    }

    async fn open<F>(&self, spec: &UpstreamSpec, connect: impl Fn() -> F) -> Result<Open, UpstreamError>
    where
        F: Future<Output = Result<Io, UpstreamError>>,
    {
        let mut slot = self.open.lock().await;
        let in_use = |open: &&Open| !open.sender.is_closed() && self.requests.get() < REQUESTS_PER_CONNECTION;
        if let Some(open) = slot.as_ref().filter(in_use) {
            self.requests.set(self.requests.get() + 1);
            return Ok(open.clone());
        }
        let io = connect().await?;
        let header_bytes = u32::try_from(spec.response_limits.bytes).unwrap_or(u32::MAX);
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(header_bytes)
            .handshake(TokioIo::new(io))
            .await
            .map_err(UpstreamError::Http2)?;
        // It ends when the sender is dropped or the backend closes; each request hears of an error by itself.
        tokio::task::spawn_local(async move { drop(connection.await) });
        self.dialled.set(self.dialled.get() + 1);
        self.requests.set(1);
        Ok(slot.insert(Open { sender, number: self.dialled.get() }).clone())
    }

    async fn forget(&self, number: u64) {
        self.open.lock().await.take_if(|open| open.number == number);
    }
}

/// Requests and their bodies stay on this thread.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// How the upload stands, told by the body while hyper drives it.
struct UploadState {
    waits_for_client: Cell<bool>,
    last_progress: Cell<Instant>,
    failure: Cell<Option<BodyFailure>>,
}

impl UploadState {
    fn new() -> Self {
        Self { waits_for_client: Cell::new(false), last_progress: Cell::new(Instant::now()), failure: Cell::new(None) }
    }

    /// Waits for a response as long as the backend has not kept us waiting for `timeout`; a slow client may.
    async fn deadline<T>(
        &self,
        mut response: Pin<&mut impl Future<Output = T>>,
        timeout: Option<Duration>,
    ) -> Result<T, UpstreamError> {
        let mut patience = Patience::new(timeout);
        poll_fn(|cx| {
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            let since = || (!self.waits_for_client.get()).then(|| self.last_progress.get());
            patience.poll_exhausted(cx, since).map(|()| Err(UpstreamError::ResponseTimeout))
        })
        .await
    }

    fn explain(&self, error: hyper::Error) -> UpstreamError {
        match self.failure.take() {
            Some(failure) => UpstreamError::RequestBody(failure),
            None => UpstreamError::Http2(error),
        }
    }
}

/// A request body that tells its [`UploadState`].
struct Watched {
    body: LocalBody,
    state: Rc<UploadState>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.state.waits_for_client.set(frame.is_pending());
        self.state.last_progress.set(Instant::now());
        match frame {
            // hyper wraps what it is given beyond recognition; the cause is kept here, the stream is reset.
            Poll::Ready(Some(Err(failure))) => {
                let reason = failure.reason();
                self.state.failure.set(Some(failure));
                Poll::Ready(Some(Err(BodyFailure::Downstream { reason, source: None })))
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// `Host` becomes `:authority`.
fn into_http2(request: Request<LocalBody>, upload: &Rc<UploadState>) -> Result<Request<LocalBody>, UpstreamError> {
    let (mut parts, body) = request.into_parts();
    let host = parts.headers.remove(HOST).ok_or(UpstreamError::BadHost)?;
    let mut uri = Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(Authority::from_maybe_shared(host).map_err(|_| UpstreamError::BadHost)?);
    uri.path_and_query = Some(parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    parts.uri = Uri::from_parts(uri).map_err(|_| UpstreamError::BadHost)?;
    parts.version = Version::HTTP_2;
    let body = match body {
        LocalBody::Stream(_) => LocalBody::stream(Watched { body, state: upload.clone() }),
        LocalBody::Empty | LocalBody::Full(_) => body,
    };
    Ok(Request::from_parts(parts, body))
}

/// Puts `Host` back, so that the request can go to another address as it came.
fn unsent(error: UpstreamError, mut request: Request<LocalBody>) -> Refusal {
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    Refusal { error, unsent: Some(Box::new(request)) }
}

fn local_body(incoming: Incoming, in_flight: Option<InFlight>) -> LocalBody {
    if incoming.is_end_stream() {
        return LocalBody::Empty;
    }
    LocalBody::stream(Answer { incoming, _in_flight: in_flight })
}

/// A response body whose errors are ours.
struct Answer {
    incoming: Incoming,
    _in_flight: Option<InFlight>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let frame = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|error: hyper::Error| broken(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn broken(error: hyper::Error) -> BodyFailure {
    let source: Box<dyn Error + Send + Sync> = Box::new(error);
    BodyFailure::Upstream { reason: "broken_stream", source: Some(source) }
}
