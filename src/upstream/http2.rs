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
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::balance::InFlight;
use super::body::{BodyFailure, LocalBody};
use super::client::Refusal;
use super::connect::Io;
use super::error::UpstreamError;
use super::spec::UpstreamSpec;

/// hyper's 64 KiB would cap a stream at one window per round trip.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// The connection to one address, if there is one.
#[derive(Default)]
pub(super) struct Http2 {
    // Held while dialling: requests that come together share one connection.
    sender: Mutex<Option<SendRequest<LocalBody>>>,
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
        // A connection may close between the look at it and the sending; a fresh one gets one chance.
        for fresh in [false, true] {
            let mut sender = match self.sender(spec, &connect).await {
                Ok(sender) => sender,
                Err(error) => return Err(unsent(error, request)),
            };
            if let Err(error) = sender.ready().await {
                if fresh {
                    return Err(unsent(UpstreamError::Http2(error), request));
                }
                continue;
            }
            let response = pin!(sender.try_send_request(request));
            match upload.deadline(response, spec.timeouts.response_head).await? {
                Ok(response) => return Ok(response.map(|body| local_body(body, in_flight))),
                Err(mut error) => match error.take_message() {
                    Some(back) if !fresh => request = back,
                    Some(back) => return Err(unsent(UpstreamError::Http2(error.into_error()), back)),
                    None => return Err(upload.explain(error.into_error()).into()),
                },
            }
        }
        Err(UpstreamError::Closed { source: None }.into())
    }

    async fn sender<F>(
        &self,
        spec: &UpstreamSpec,
        connect: impl Fn() -> F,
    ) -> Result<SendRequest<LocalBody>, UpstreamError>
    where
        F: Future<Output = Result<Io, UpstreamError>>,
    {
        let mut sender = self.sender.lock().await;
        if let Some(open) = sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(open.clone());
        }
        let io = connect().await?;
        let header_bytes = u32::try_from(spec.response_limits.bytes).unwrap_or(u32::MAX);
        let (open, connection) = http2::Builder::new(LocalExecutor)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(header_bytes)
            .handshake(TokioIo::new(io))
            .await
            .map_err(UpstreamError::Http2)?;
        // It ends when the sender is dropped or the backend closes; each request hears of an error by itself.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender.insert(open).clone())
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
        timeout: Duration,
    ) -> Result<T, UpstreamError> {
        let mut timer = pin!(sleep(timeout));
        poll_fn(|cx| {
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            while timer.as_mut().poll(cx).is_ready() {
                let now = Instant::now();
                let since = if self.waits_for_client.get() { now } else { self.last_progress.get() };
                if since + timeout <= now {
                    return Poll::Ready(Err(UpstreamError::ResponseTimeout));
                }
                timer.as_mut().reset(since + timeout);
            }
            Poll::Pending
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
