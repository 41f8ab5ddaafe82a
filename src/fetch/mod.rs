//! A small HTTP/1.1 client for the command line: one request, one bounded answer, one deadline. No redirects, no cookies.

mod endpoint;
mod error;
mod tls;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use endpoint::{Endpoint, EndpointError};
pub use error::FetchError;
pub use tls::{TlsFileError, TlsFiles};

use crate::secret::Secret;
use endpoint::Place;

/// From the name's resolution to the answer's last byte.
const DEADLINE: Duration = Duration::from_secs(30);
/// The report on a thousand hosts takes a few megabytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Asks one server. Every request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
    /// `Bearer …`, marked as not to be shown.
    authorization: Option<HeaderValue>,
    deadline: Duration,
    max_answer_bytes: usize,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// A client for `endpoint`. `tls` is looked at for `https://` alone; the token goes with every request.
    ///
    /// # Errors
    /// Files that cannot be used, a token that fits into no header.
    pub fn new(endpoint: Endpoint, tls: &TlsFiles, token: Option<&Secret>) -> Result<Self, FetchError> {
        let tls = match endpoint.place() {
            Place::Tls { .. } => Some(tls.load().map_err(FetchError::TlsFiles)?),
            Place::Tcp { .. } | Place::Unix(_) => None,
        };
        let authorization = token.map(bearer).transpose()?;
        Ok(Self { endpoint, tls, authorization, deadline: DEADLINE, max_answer_bytes: MAX_ANSWER_BYTES })
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_bounds(self, deadline: Duration, max_answer_bytes: usize) -> Self {
        Self { deadline, max_answer_bytes, ..self }
    }

    /// Whom it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `GET`; `path` begins with `/` and may have a query.
    ///
    /// # Errors
    /// There is no complete answer. An answer with any status is none.
    pub async fn get(&self, path: &str) -> Result<Answer, FetchError> {
        self.send(Method::GET, path, None).await
    }

    /// `POST` with a body of JSON.
    ///
    /// # Errors
    /// As of [`Client::get`].
    pub async fn post(&self, path: &str, json: Vec<u8>) -> Result<Answer, FetchError> {
        self.send(Method::POST, path, Some(json.into())).await
    }

    /// Any request, with a body of JSON or without one.
    ///
    /// # Errors
    /// As of [`Client::get`].
    pub async fn send(&self, method: Method, path: &str, json: Option<Bytes>) -> Result<Answer, FetchError> {
        let request = self.request(method, path, json)?;
        let late = |_| FetchError::Deadline { endpoint: self.endpoint.clone(), deadline: self.deadline };
        timeout(self.deadline, self.connect_and_send(request)).await.map_err(late)?
    }

    fn request(&self, method: Method, path: &str, json: Option<Bytes>) -> Result<Request<Full<Bytes>>, FetchError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint.base_path()))
            .header(HOST, self.endpoint.host())
            .header(USER_AGENT, concat!("originlock/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(json.unwrap_or_default()))
            .map_err(|source| FetchError::Request { endpoint: self.endpoint.clone(), source })
    }

    async fn connect_and_send(&self, request: Request<Full<Bytes>>) -> Result<Answer, FetchError> {
        let failed = |source| FetchError::Connect { endpoint: self.endpoint.clone(), source };
        match self.endpoint.place() {
            Place::Unix(path) => self.speak(UnixStream::connect(path).await.map_err(failed)?, request).await,
            Place::Tcp { host, port } => {
                self.speak(TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?, request).await
            }
            Place::Tls { host, port, at } => {
                let stream = match at {
                    Some(address) => TcpStream::connect(address).await,
                    None => TcpStream::connect((host.as_str(), *port)).await,
                };
                let stream = stream.map_err(failed)?;
                let failed = |source| FetchError::Tls { endpoint: self.endpoint.clone(), source };
                let name =
                    ServerName::try_from(host.clone()).map_err(|source| failed(std::io::Error::other(source)))?;
                let config = self.tls.clone().expect("a client for https:// has loaded its TLS files");
                self.speak(TlsConnector::from(config).connect(name, stream).await.map_err(failed)?, request).await
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, FetchError> {
        let failed = |source| FetchError::Http { endpoint: self.endpoint.clone(), source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let answer = async {
            let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            let body = Limited::new(body, self.max_answer_bytes).collect().await;
            let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(source) => failed(*source),
                Err(_) => FetchError::TooLarge { endpoint: self.endpoint.clone(), bytes: self.max_answer_bytes },
            })?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        // What goes wrong with the connection shows in the answer; its end may come before the answer is read.
        let driven = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answer = answer => answer,
            never = driven => never,
        }
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, FetchError> {
    const SCHEME: &[u8] = b"Bearer ";
    let mut value = Vec::with_capacity(SCHEME.len() + token.expose().len());
    value.extend_from_slice(SCHEME);
    value.extend_from_slice(token.expose());
    let value = Secret::new(value);
    let is_token = !token.expose().is_empty() && token.expose().iter().all(u8::is_ascii_graphic);
    let mut value = HeaderValue::from_bytes(value.expose()).ok().filter(|_| is_token).ok_or(FetchError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `text` as one segment of a path, or one value of a query (RFC 3986, section 2.3).
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => encoded.push(byte.into()),
            // Writing to a string cannot fail.
            false => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
