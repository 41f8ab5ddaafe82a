//! A backend that says what it was told about the client.

use std::convert::Infallible;
use std::fmt::Write;
use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;

/// What of the request is worth showing.
const SHOWN: [&str; 4] = ["Host", "X-Forwarded-For", "X-Client-Verify", "Client-Cert"];
/// A whole certificate would fill the screen.
const SHOWN_CHARACTERS: usize = 40;

/// Listens on a free port of the loopback address until it is dropped.
pub struct Backend {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    /// Starts its thread.
    pub fn start() -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = Builder::new_current_thread();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("backend".into()).spawn(move || run(runtime, socket, stopped))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut builder: Builder, socket: TcpListener, stopped: oneshot::Receiver<()>) {
    // Without a runtime nothing is answered, and the proxy says so with every request.
    let Ok(runtime) = builder.enable_all().build_local(LocalOptions::default()) else { return };
    runtime.block_on(async {
        tokio::select! {
            _ = accept(socket) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(socket: TcpListener) -> io::Result<()> {
    let socket = tokio::net::TcpListener::from_std(socket)?;
    loop {
        let (stream, _) = socket.accept().await?;
        tokio::task::spawn_local(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(|request| ready(answer(&request)))),
        );
    }
}

fn answer(request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(describe(request.headers())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// `  X-Client-Verify  SUCCESS`, a line for each.
fn describe(headers: &HeaderMap) -> String {
    let mut text = String::from("The backend was told:\n");
    for name in SHOWN {
        let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        // Writing to a string cannot fail.
        let _ = match value {
            Some(value) => writeln!(text, "  {name:<16}  {}", shorten(&value)),
            None => writeln!(text, "  {name:<16}  (absent)"),
        };
    }
    text
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}… ({} characters)", &value[..end], value.chars().count()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backend_is_told_is_readable() {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("off.localhost"));
        headers.insert("client-cert", HeaderValue::from_str(&format!(":{}:", "A".repeat(98))).expect("visible"));
        let expected = format!(
            "The backend was told:\n  Host              off.localhost\n  X-Forwarded-For   (absent)\n  \
             X-Client-Verify   (absent)\n  Client-Cert       :{}… (100 characters)\n",
            "A".repeat(39)
        );
        assert_eq!(describe(&headers), expected);
    }
}
