//! A gRPC-shaped backend: HTTP/2 with prior knowledge, hyper's server, an echo that streams and ends in trailers.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// The backend. It lives as long as the process.
pub struct Grpc {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<request::Parts>>>,
}

impl Grpc {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("an option");
        let grpc = Self { address: listener.local_addr().expect("an address"), seen: Arc::default() };
        let seen = Arc::clone(&grpc.seen);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((socket, _)) = listener.accept().await {
                    let seen = Arc::clone(&seen);
                    let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                    let serving =
                        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service);
                    tokio::spawn(serving);
                }
            });
        });
        grpc
    }

    /// The heads that arrived.
    pub fn seen(&self) -> Vec<request::Parts> {
        self.seen.lock().expect("a whole backend").clone()
    }
}

async fn answer(seen: Arc<Mutex<Vec<request::Parts>>>, request: Request<Incoming>) -> hyper::Result<Response<Echo>> {
    let (parts, body) = request.into_parts();
    seen.lock().expect("a whole backend").push(parts);
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(Echo { body, ended: false }).expect("a response"))
}

/// What comes goes back at once; behind the end stands the status.
struct Echo {
    body: Incoming,
    ended: bool,
}

impl Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => {
                self.ended = true;
                let status: HeaderMap =
                    [("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))].into_iter().collect();
                Poll::Ready(Some(Ok(Frame::trailers(status))))
            }
            frame => Poll::Ready(frame),
        }
    }
}
