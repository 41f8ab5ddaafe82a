//! A request's body, read from the wire when the backend's side asks for it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::wire::Wire;
use crate::http1::body::Decoded;
use crate::proxy::identity_headers;
use crate::upstream::BodyFailure;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The body of the request that is being answered.
pub(super) struct InboundBody {
    wire: Rc<RefCell<Wire>>,
    number: u64,
}

impl InboundBody {
    /// `number` is what the wire began it with.
    pub(super) fn new(wire: Rc<RefCell<Wire>>, number: u64) -> Self {
        Self { wire, number }
    }

    fn poll_decode(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let mut wire = self.wire.borrow_mut();
        if !wire.is_current(self.number) {
            return Poll::Ready(Some(Err(cut_short())));
        }
        if wire.take_expectation() {
            // 25 bytes into a queue that a waiting client has not filled.
            ready!(wire.poll_write(cx, CONTINUE)).map_err(|error| broken("client_closed", error))?;
        }
        loop {
            let (decoder, input) = wire.decoder();
            match decoder.decode(input) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(mut trailers)) => {
                    identity_headers::strip_trailers(&mut trailers);
                    return Poll::Ready((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))));
                }
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::NeedMore) => {}
                Err(error) => return Poll::Ready(Some(Err(broken("bad_body", error)))),
            }
            match ready!(wire.poll_read_body(cx)) {
                Ok(0) => return Poll::Ready(Some(Err(cut_short()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(broken("client_closed", error)))),
            }
        }
    }
}

impl Body for InboundBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let polled = self.poll_decode(cx);
        let mut wire = self.wire.borrow_mut();
        if !wire.is_current(self.number) {
            return polled;
        }
        wire.set_body_reader(polled.is_pending().then(|| cx.waker()));
        match polled.is_ready() {
            true => wire.progressed(),
            false if wire.is_stalled_too_long() => return Poll::Ready(Some(Err(stalled()))),
            false => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let mut wire = self.wire.borrow_mut();
        wire.is_current(self.number) && wire.body_is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let mut wire = self.wire.borrow_mut();
        match wire.decoder().0.remaining().filter(|_| wire.is_current(self.number)) {
            Some(bytes) => SizeHint::with_exact(bytes),
            None => SizeHint::default(),
        }
    }
}

impl Drop for InboundBody {
    fn drop(&mut self) {
        // Whoever borrows the wire just now is about to look at its reader anyway.
        if let Ok(mut wire) = self.wire.try_borrow_mut()
            && wire.is_current(self.number)
        {
            wire.set_body_reader(None);
            wire.progressed();
        }
    }
}

fn broken(reason: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> BodyFailure {
    BodyFailure::Downstream { reason, source: Some(Box::new(error)) }
}

fn cut_short() -> BodyFailure {
    BodyFailure::Downstream { reason: "client_closed", source: None }
}

fn stalled() -> BodyFailure {
    BodyFailure::Downstream { reason: "body_timeout", source: None }
}
