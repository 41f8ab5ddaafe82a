//! One connection of an edge to the origin, kept open as Cloudflare keeps them.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use originlock::x509::Fingerprint;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::super::state::State;
use super::presents::{Level, Presents, presents};
use super::{Centre, Page, VISITOR, Visit, Ways, tls};

/// How an edge goes to the origin for one hostname.
#[derive(Clone, Debug)]
pub struct Way {
    from: IpAddr,
    hostname: String,
    presents: Presents,
}

/// An open connection.
#[derive(Debug)]
pub struct Kept {
    pub way: Way,
    sender: Sender,
    /// How many it has carried.
    pub requests: usize,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The TLS alert of the origin, such as `CertificateRequired`.
    pub alert: Option<String>,
    pub error: String,
    /// Whether the connection ended before anything of an answer came.
    pub before_any_answer: bool,
}

impl Way {
    pub(super) fn find(state: &State, centre: Centre, hostname: &str, turn: usize) -> Self {
        let presents = presents(state, hostname, state.now().before(centre.behind), turn);
        let from = if presents.level == Level::Direct { VISITOR } else { centre.address };
        Self { from, hostname: hostname.to_owned(), presents }
    }

    pub(super) fn visit(&self, outcome: Result<Page, Refused>, is_fresh: bool) -> Visit {
        let credential = self.presents.credential.as_ref();
        Visit {
            from: self.from,
            level: self.presents.level,
            presented: credential.map(|credential| Fingerprint::of(&credential.certificate)),
            is_fresh,
            outcome,
        }
    }
}

impl Kept {
    pub(super) async fn open(ways: &Ways, way: Way) -> Result<Self, Refused> {
        let sender = match way.presents.level {
            Level::Elsewhere => return Err(Refused::because("no record leads to this origin")),
            Level::Plain => {
                let origin =
                    ways.plain_origin.ok_or_else(|| Refused::because("the origin does not listen without TLS"))?;
                Sender::http1(connect(way.from, origin).await?).await?
            }
            Level::Hostname | Level::Zone | Level::Global | Level::Nothing | Level::Direct => {
                let name = ways.asks_for.as_ref().unwrap_or(&way.hostname);
                let name = ServerName::try_from(name.clone()).map_err(|error| Refused::of(&error))?;
                let config = tls::config(ways, &way.presents).map_err(|error| Refused::of(&error))?;
                let stream = connect(way.from, ways.origin).await?;
                let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
                let stream = stream.map_err(|error| Refused::of(&error))?;
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Sender::http2(stream).await?,
                    Some(_) | None => Sender::http1(stream).await?,
                }
            }
        };
        Ok(Self { way, sender, requests: 0 })
    }

    /// Whether another request may be sent.
    pub(super) fn is_usable(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    pub(super) async fn get(&mut self, ways: &Ways, hostname: &str, path: &str) -> Result<Page, Refused> {
        self.requests += 1;
        let name = ways.asks_for.as_deref().unwrap_or(hostname);
        let scheme = if self.way.presents.level == Level::Plain { "http" } else { "https" };
        let mut request = Request::builder().method("GET");
        request = match &self.sender {
            Sender::Http1(_) => request.uri(path).header("host", name),
            Sender::Http2(_) => request.uri(format!("https://{name}{path}")),
        };
        if self.way.presents.level != Level::Direct {
            request = request
                .header("cf-connecting-ip", "203.0.113.7")
                .header("x-forwarded-for", "203.0.113.7")
                .header("x-forwarded-proto", scheme)
                .header("cf-ray", format!("{:016x}-FAKE", self.requests))
                .header("cf-visitor", format!("{{\"scheme\":\"{scheme}\"}}"));
        }
        let request = request.body(Empty::new()).map_err(|error| Refused::of(&error))?;
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(|error| Refused::early(&error))?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let answer = answer.map_err(|error| Refused::early(&error))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| Refused::of(&error))?.to_bytes();
        Ok(Page { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Sender {
    async fn http1(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Refused> {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| Refused::of(&error))?;
        // What goes wrong with the connection shows in the answers.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::Http1(sender))
    }

    async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Refused> {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| Refused::of(&error))?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::Http2(sender))
    }
}

async fn connect(from: IpAddr, to: SocketAddr) -> Result<TcpStream, Refused> {
    let open = async {
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if from.is_ipv4() == to.is_ipv4() {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        io::Result::Ok(stream)
    };
    open.await.map_err(|error| Refused::of(&error))
}

impl Refused {
    pub(super) fn late() -> Self {
        Self::because("no answer in time")
    }

    fn because(error: &str) -> Self {
        Self { alert: None, error: error.to_owned(), before_any_answer: false }
    }

    fn early(error: &(dyn Error + 'static)) -> Self {
        Self { before_any_answer: true, ..Self::of(error) }
    }

    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut texts = vec![error.to_string()];
        let mut alert = alert(error);
        let mut cause = error.source();
        while let Some(inner) = cause {
            texts.push(inner.to_string());
            alert = alert.or_else(|| self::alert(inner));
            cause = inner.source();
        }
        texts.dedup();
        // HTTP/2 keeps the text of what went wrong below it, and nothing else.
        let alert = alert.or_else(|| {
            let (_, name) = texts.iter().find_map(|text| text.split_once("received fatal alert: "))?;
            Some(name.to_owned())
        });
        Self { alert, error: texts.join(": "), before_any_answer: false }
    }
}

/// The origin's alert, if that is what this error is or carries.
fn alert(error: &(dyn Error + 'static)) -> Option<String> {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let tls = match carried {
        Some(inner) => inner.downcast_ref::<rustls::Error>(),
        None => error.downcast_ref::<rustls::Error>(),
    };
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => Some(format!("{alert:?}")),
        _ => None,
    }
}
