//! Requests to backends that follow a script, over real sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::{LocalSet, spawn_local, yield_now};

use super::*;

mod failures;
mod h2c;
mod hyper;
mod messages;
mod reuse;
mod tls;

/// Ample: nothing here waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async { tokio::time::timeout(PATIENCE, test).await.expect("in time") }));
}

/// Lets the driver look at the sockets and every woken task run; what a peer did before is known afterwards.
async fn turns() {
    for _ in 0..32 {
        yield_now().await;
    }
}

struct Backend(TcpListener);

impl Backend {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> Address {
        Address::parse(&format!("http://{}", self.0.local_addr().unwrap())).unwrap()
    }

    fn client(&self) -> Client {
        client(UpstreamSpec::new("test", vec![self.address()]))
    }

    async fn accept(&self) -> Peer<TcpStream> {
        Peer(self.0.accept().await.unwrap().0)
    }
}

/// The backend's end of a connection.
struct Peer<S>(S);

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Peer<S> {
    /// Reads byte by byte until what was read ends so.
    async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            read.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, text: &str) -> String {
        let head = self.read_head().await;
        self.write(text).await;
        head
    }

    /// The proxy has closed the connection.
    async fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]).await, Ok(0) | Err(_))
    }
}

fn client(spec: UpstreamSpec) -> Client {
    Client::new(Arc::new(spec))
}

fn request(method: Method, body: LocalBody) -> Request<LocalBody> {
    Request::builder().method(method).uri("/a?b").header("host", "shop.example").body(body).unwrap()
}

fn get() -> Request<LocalBody> {
    request(Method::GET, LocalBody::Empty)
}

async fn text(response: Response<LocalBody>) -> Result<String, BodyFailure> {
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec()).unwrap())
}

/// A body that is fed from outside, without a known length.
#[derive(Clone, Default)]
struct Fed(Rc<RefCell<FedState>>);

#[derive(Default)]
struct FedState {
    frames: VecDeque<Option<Result<Frame<Bytes>, BodyFailure>>>,
    waker: Option<Waker>,
}

impl Fed {
    fn data(&self, text: &'static str) {
        self.push(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))));
    }

    fn trailers(&self) {
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("7"))]);
        self.push(Some(Ok(Frame::trailers(trailers))));
    }

    fn push(&self, frame: Option<Result<Frame<Bytes>, BodyFailure>>) {
        let mut state = self.0.borrow_mut();
        state.frames.push_back(frame);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn body(&self) -> LocalBody {
        LocalBody::stream(self.clone())
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let mut state = self.0.borrow_mut();
        match state.frames.pop_front() {
            Some(frame) => Poll::Ready(frame),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Is pending once before every frame.
struct Delayed(LocalBody, bool);

impl Delayed {
    fn body(body: LocalBody) -> LocalBody {
        LocalBody::stream(Self(body, false))
    }
}

impl Body for Delayed {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        self.1 = !self.1;
        if self.1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
