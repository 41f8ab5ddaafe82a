//! One request and the head of its answer on one HTTP/1.1 connection.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Response, StatusCode};

use super::body::LocalBody;
use super::error::UpstreamError;
use super::patience::Patience;
use super::response::{self, Exchange};
use super::upgrade::{self, UpgradedUpstream};
use super::upload::UploadError;
use crate::http1::{HeadLimits, HeadScanner, ResponseHead, parse_response};

/// A backend may announce itself with 100 and 103, not for ever.
const INTERIM_RESPONSES: usize = 16;

/// What the answer has to be read against.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) upgrade: Option<Vec<Vec<u8>>>,
}

/// No byte of the request was written: it may be sent on another connection.
pub(super) enum ExchangeError {
    Untouched(Box<Exchange>),
    Failed(UpstreamError),
}

/// Sends the request and reads until the final response head; the upload may still go on after it.
pub(super) async fn run(
    mut exchange: Exchange,
    asked: &Asked,
    limits: HeadLimits,
    timeout: Option<Duration>,
) -> Result<Response<LocalBody>, ExchangeError> {
    let mut reader = HeadReader { asked, limits, scanner: HeadScanner::default(), interim: 0, broken: None };
    let mut patience = Patience::new(timeout);
    let head = poll_fn(|cx| {
        if let Poll::Ready(result) = reader.poll(&mut exchange, cx) {
            return Poll::Ready(result);
        }
        let late = patience.poll_exhausted(cx, || exchange.upload.waiting_since());
        late.map(|()| Err(Some(UpstreamError::ResponseTimeout)))
    })
    .await;
    match head {
        Ok(head) => finish(exchange, head, limits, asked).map_err(ExchangeError::Failed),
        Err(Some(error)) => Err(ExchangeError::Failed(error)),
        Err(None) => Err(ExchangeError::Untouched(Box::new(exchange))),
    }
}

struct HeadReader<'a> {
    asked: &'a Asked,
    limits: HeadLimits,
    scanner: HeadScanner,
    interim: usize,
    /// Why the rest of the request could not be written; an answer may have come before that.
    broken: Option<io::Error>,
}

impl HeadReader<'_> {
    /// An error of `None`: the connection is dead and not a byte was written.
    fn poll(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, Option<UpstreamError>>> {
        let Exchange { connection, upload, .. } = exchange;
        loop {
            match upload.poll(&mut connection.io, cx) {
                Poll::Ready(Err(UploadError::Client(failure))) => {
                    return Poll::Ready(Err(Some(UpstreamError::RequestBody(failure))));
                }
                Poll::Ready(Err(UploadError::Connection(_))) if !upload.is_touched() => return Poll::Ready(Err(None)),
                Poll::Ready(Err(UploadError::Connection(error))) => {
                    self.broken = Some(error);
                    upload.abandon();
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            let head = parse_response(&mut connection.buf, &self.limits, &mut self.scanner, &self.asked.method);
            match head.map_err(|error| Some(UpstreamError::BadResponse(error)))? {
                Some(head) if is_interim(head.parts.status) => {
                    self.interim += 1;
                    if self.interim > INTERIM_RESPONSES {
                        return Poll::Ready(Err(Some(UpstreamError::TooManyInterimResponses)));
                    }
                    continue;
                }
                Some(head) => return Poll::Ready(Ok(head)),
                None => {}
            }
            match std::task::ready!(connection.poll_fill(cx)) {
                Ok(0) if !connection.buf.is_empty() => return Poll::Ready(Err(Some(UpstreamError::TruncatedHead))),
                Ok(0) => return Poll::Ready(Err(Some(UpstreamError::Closed { source: self.broken.take() }))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Some(UpstreamError::Closed { source: Some(error) }))),
            }
        }
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn finish(
    mut exchange: Exchange,
    head: ResponseHead,
    limits: HeadLimits,
    asked: &Asked,
) -> Result<Response<LocalBody>, UpstreamError> {
    if head.parts.status != StatusCode::SWITCHING_PROTOCOLS {
        exchange.keep_alive = head.keep_alive;
        let body = response::body(exchange, head.framing, limits);
        return Ok(Response::from_parts(head.parts, body));
    }
    // Half a request body in the tunnel would reach the backend as the new protocol's bytes.
    let wanted = asked.upgrade.as_deref().filter(|_| head.upgrade && exchange.upload.is_done());
    if !wanted.is_some_and(|wanted| upgrade::matches(wanted, &head.parts.headers)) {
        return Err(UpstreamError::UnexpectedUpgrade);
    }
    let Exchange { connection, in_flight, .. } = exchange;
    let mut response = Response::from_parts(head.parts, LocalBody::Empty);
    response.extensions_mut().insert(UpgradedUpstream::new(connection.io, connection.buf, in_flight));
    Ok(response)
}
