//! The fake on a socket: a thread with a runtime of its own that ends with its handle.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use tokio_rustls::TlsAcceptor;

use super::answer::Answer;
use super::control;
use super::service::{Delivery, Received};
use super::state::State;

const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one drop.
const DROP_BYTES: usize = 16;
const BEFORE_THE_BREAK: Duration = Duration::from_millis(10);

/// The state, and a bell that rings when it may have changed.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The state, even after a story has panicked while it held it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ring(&self) {
        self.changed.notify_all();
    }

    /// Waits until `state` says so; whether it did in time.
    pub fn wait(&self, patience: Duration, state: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |current| !state(current));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// A listener on its thread.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address`, which has to be of the loopback network.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>, shared: Arc<Shared>) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the fake listens on loopback addresses alone"));
        }
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("cloudflare-fake".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, tls.map(TlsAcceptor::from), shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this runtime");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small answers in small pieces are the rule here.
        let _ = stream.set_nodelay(true);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(request, &shared).await }
    });
    // A connection that breaks off is the client's affair, or the fault that was asked for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error closes the connection without an answer.
async fn respond(request: Request<Incoming>, shared: &Shared) -> io::Result<Response<Pieces>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
    let received = Received {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    let delivery = match received.path.strip_prefix(control::PREFIX) {
        Some(verb) => {
            let verb = verb.to_owned();
            Delivery::Whole(control::answer(&mut shared.lock(), &received.method, &verb, &received.body))
        }
        None => shared.lock().receive(&received),
    };
    shared.ring();
    match delivery {
        Delivery::Whole(answer) => Ok(response(&answer, Pieces::whole(answer.body.clone()))),
        Delivery::Later(answer, duration) => {
            sleep(duration).await;
            Ok(response(&answer, Pieces::whole(answer.body.clone())))
        }
        Delivery::Cut(answer) => Ok(response(&answer, Pieces::half(&answer.body))),
        Delivery::Drip(answer, every) => Ok(response(&answer, Pieces::drops(&answer.body, every))),
        Delivery::Hang => std::future::pending::<io::Result<Response<Pieces>>>().await,
        Delivery::Close => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn response(answer: &Answer, body: Pieces) -> Response<Pieces> {
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-type", answer.content_type)
        .header("content-length", answer.body.len());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response.body(body).expect("an answer that HTTP can carry")
}

/// A body that comes as somebody wants it to.
struct Pieces {
    left: VecDeque<Bytes>,
    every: Duration,
    breaks_off: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pieces {
    fn whole(body: Bytes) -> Self {
        Self { left: VecDeque::from([body]), every: Duration::ZERO, breaks_off: false, pause: None }
    }

    fn half(body: &Bytes) -> Self {
        // What was written last goes out while nothing more is to be written.
        Self { breaks_off: true, every: BEFORE_THE_BREAK, ..Self::whole(body.slice(..body.len() / 2)) }
    }

    fn drops(body: &Bytes, every: Duration) -> Self {
        let left = body.chunks(DROP_BYTES).map(Bytes::copy_from_slice).collect();
        Self { left, every, breaks_off: false, pause: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        match self.left.pop_front() {
            Some(piece) => {
                if !self.every.is_zero() && (self.breaks_off || !self.left.is_empty()) {
                    self.pause = Some(Box::pin(sleep(self.every)));
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            None if self.breaks_off => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
