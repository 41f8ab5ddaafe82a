//! An HTTP/2 client on hyper.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::PATIENCE;
use super::client::Client;

/// An open HTTP/2 connection.
pub struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Empty<Bytes>>,
    driver: Option<JoinHandle<hyper::Result<()>>>,
    authority: String,
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Http2 {
    /// Connects as `client` would, with `h2` as the only protocol.
    pub fn connect(client: &Client) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = client.clone().alpn(&["h2"]).config();
        let name = ServerName::try_from(client.name().to_owned()).expect("a name");
        let address = client.address;
        let opened = in_time(&runtime, async {
            let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect(name, socket).await.map_err(|error| error.to_string())?;
            let io = TokioIo::new(stream);
            let opened = handshake(TokioExecutor::new(), io).await.map_err(|error| error.to_string())?;
            let (sender, connection) = opened;
            Ok::<_, String>((sender, tokio::spawn(connection)))
        });
        let (sender, driver) = opened?;
        Ok(Self { runtime, sender, driver: Some(driver), authority: client.name().to_owned() })
    }

    pub fn get(&mut self, path: &str) -> Result<Response, String> {
        let request = http::Request::get(format!("https://{}{path}", self.authority)).body(Empty::new());
        let request = request.expect("a request");
        let sender = &mut self.sender;
        in_time(&self.runtime, async {
            poll_fn(|cx| sender.poll_ready(cx)).await.map_err(|error| error.to_string())?;
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Response { status, body: String::from_utf8_lossy(&body).into_owned() })
        })
    }

    /// Waits until the server has ended the connection.
    pub fn wait_for_end(&mut self) {
        let driver = self.driver.take().expect("it ends once");
        // How it ends, with or without an error, is the server's business.
        let _ended = in_time(&self.runtime, driver);
    }
}

fn in_time<F: Future>(runtime: &Runtime, work: F) -> F::Output {
    runtime.block_on(async { timeout(PATIENCE, work).await.expect("in time") })
}
