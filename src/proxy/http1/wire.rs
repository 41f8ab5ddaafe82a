//! The client's connection and what has been read from it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWrite;

use crate::config::model::Limits;
use crate::http1::body::BodyDecoder;
use crate::http1::framing::Framing;
use crate::http1::head::{RequestHead, parse_request};
use crate::http1::limits::HeadLimits;
use crate::http1::scan::HeadScanner;
use crate::proxy::error::RequestError;
use crate::proxy::lifetime::{Lifetime, Phase};
use crate::tls::stream::TlsStream;

/// Room for a usual head; a larger one grows it.
const HEAD_READ_BYTES: usize = 4 * 1024;
/// Room for a body: four TLS records, one system call.
const BODY_READ_BYTES: usize = 64 * 1024;
/// What a client may send ahead while its request is answered.
const PIPELINE_BYTES: usize = 16 * 1024;
/// How long a closing connection may take to say goodbye.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// One HTTP/1.1 connection.
pub(super) struct Wire {
    pub(super) stream: TlsStream,
    pub(super) input: BytesMut,
    lifetime: Rc<Lifetime>,
    limits: HeadLimits,
    header_timeout: Duration,
    body_timeout: Duration,
    decoder: BodyDecoder,
    /// Which body may be read: one that outlives its exchange would take what is another's.
    body: u64,
    /// Who waits for the body; its task may be another than the connection's.
    body_reader: Option<Waker>,
    /// The client waits for `100 Continue`, which is sent when its body is first asked for.
    expects_continue: bool,
}

/// Why no request came.
pub(super) enum NoHead {
    /// The peer closed, idled too long, or the connection was told to close between requests.
    End,
    /// What came is answered with this and nothing else is read.
    Refused(RequestError),
}

impl Wire {
    pub(super) fn new(stream: TlsStream, lifetime: Rc<Lifetime>, limits: &Limits) -> Self {
        let head_limits = HeadLimits { bytes: limits.header_bytes, headers: limits.headers };
        Self {
            stream,
            input: BytesMut::new(),
            lifetime,
            limits: head_limits,
            header_timeout: limits.header_timeout,
            body_timeout: limits.body_timeout,
            decoder: BodyDecoder::new(Framing::None, head_limits),
            body: 0,
            body_reader: None,
            expects_continue: false,
        }
    }

    pub(super) fn lifetime(&self) -> Rc<Lifetime> {
        Rc::clone(&self.lifetime)
    }

    /// The body's number, by which it is read.
    pub(super) fn begin_body(&mut self, framing: Framing, expects_continue: bool) -> u64 {
        self.end_body();
        self.decoder = BodyDecoder::new(framing, self.limits);
        self.expects_continue = expects_continue;
        self.body
    }

    /// The exchange is over: whoever still reads its body hears so and lets go of the wire.
    pub(super) fn end_body(&mut self) {
        self.body += 1;
        self.wake_body_reader();
    }

    /// Whether `body` is the one that is on the wire.
    pub(super) fn is_current(&self, body: u64) -> bool {
        self.body == body
    }

    /// The body's reader waits for the client, or no longer does.
    pub(super) fn set_body_reader(&mut self, reader: Option<&Waker>) {
        self.body_reader = reader.cloned();
    }

    /// Has the body's reader look at the time if the client has kept it waiting for too long.
    pub(super) fn mind_body_reader(&mut self) {
        if self.body_reader.is_some() && self.is_stalled_too_long() {
            self.wake_body_reader();
        }
    }

    fn wake_body_reader(&mut self) {
        if let Some(reader) = self.body_reader.take() {
            reader.wake();
        }
    }

    pub(super) fn decoder(&mut self) -> (&mut BodyDecoder, &mut BytesMut) {
        (&mut self.decoder, &mut self.input)
    }

    /// Whether the next bytes are another request's.
    pub(super) fn body_is_over(&mut self) -> bool {
        self.decoder.is_end()
    }

    /// Whether `100 Continue` is to be sent now; asked once.
    pub(super) fn take_expectation(&mut self) -> bool {
        std::mem::take(&mut self.expects_continue)
    }

    pub(super) fn poll_read_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read(cx, BODY_READ_BYTES)
    }

    /// Reads once into `input`; 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.stream.poll_read_into(cx, &mut self.input, room)
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Something was sent: the peer reads.
    pub(super) fn progressed(&self) {
        if self.lifetime.phase() == Phase::Stalled {
            self.lifetime.enter(Phase::Busy, None);
        }
    }

    /// Begins to count the time in which the peer does nothing, or says that it has lasted too long.
    pub(super) fn is_stalled_too_long(&self) -> bool {
        if self.lifetime.phase() != Phase::Stalled {
            self.lifetime.enter(Phase::Stalled, Some(self.body_timeout));
        }
        self.lifetime.is_overdue()
    }

    fn poll_head(&mut self, scanner: &mut HeadScanner, cx: &mut Context<'_>) -> Poll<Result<RequestHead, NoHead>> {
        loop {
            match parse_request(&mut self.input, &self.limits, scanner) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(NoHead::Refused(error.into()))),
            }
            if self.input.is_empty() {
                // An idle connection holds no buffer.
                self.input = BytesMut::new();
            } else if self.lifetime.phase() == Phase::Idle {
                self.lifetime.enter(Phase::Head, Some(self.header_timeout));
            }
            self.lifetime.watch(cx);
            if self.lifetime.is_overdue() || (self.lifetime.is_closing() && self.input.is_empty()) {
                return Poll::Ready(Err(self.out_of_time()));
            }
            match ready!(self.poll_read(cx, HEAD_READ_BYTES)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(NoHead::End)),
                Ok(_) => {}
            }
        }
    }

    fn out_of_time(&self) -> NoHead {
        match self.lifetime.phase() {
            Phase::Head => NoHead::Refused(RequestError::HeadTimeout),
            Phase::Idle | Phase::Busy | Phase::Stalled => NoHead::End,
        }
    }

    /// Ready when the client has closed. What it sends ahead is kept, up to a bound.
    ///
    /// While its body has not been read to the end, whoever reads that notices.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.is_end() {
            return Poll::Pending;
        }
        while self.input.len() < PIPELINE_BYTES {
            match ready!(self.poll_read(cx, HEAD_READ_BYTES)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }
}

/// Waits for the next request.
pub(super) async fn read_head(wire: &Rc<RefCell<Wire>>) -> Result<RequestHead, NoHead> {
    let mut scanner = HeadScanner::default();
    poll_fn(|cx| wire.borrow_mut().poll_head(&mut scanner, cx)).await
}

/// Runs `work`; `None` if the client leaves before it is done, so that nothing goes on for nobody.
pub(super) async fn unless_client_leaves<T>(wire: &Rc<RefCell<Wire>>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let mut wire = wire.borrow_mut();
        wire.mind_body_reader();
        wire.poll_left(cx).map(|()| None)
    })
    .await
}

/// Says goodbye: close_notify, then the socket, reading what is still on its way so that no reset overtakes the answer.
pub(super) async fn close(wire: &Rc<RefCell<Wire>>) {
    let goodbye = async {
        poll_fn(|cx| Pin::new(&mut wire.borrow_mut().stream).poll_shutdown(cx)).await?;
        loop {
            let read = poll_fn(|cx| {
                let mut wire = wire.borrow_mut();
                wire.input.clear();
                wire.poll_read(cx, PIPELINE_BYTES)
            });
            if read.await? == 0 {
                return io::Result::Ok(());
            }
        }
    };
    let _ = tokio::time::timeout(CLOSE_LIMIT, goodbye).await;
}
