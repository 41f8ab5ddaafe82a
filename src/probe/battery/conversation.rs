//! HTTP with the server: one request after the other on a connection, and what each came to.

use std::time::Duration;

use aws_lc_rs::rand;
use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use super::caller::Protocol;
use super::essentials::chain;
use super::wire::{End, Fate, Wire};

/// Enough to tell two pages apart; an endless one is cut off here.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// A field that no proxy knows: a backend that repeats it has seen the request.
const MARKER: HeaderName = HeaderName::from_static("x-probe-marker");

/// A connection that requests are made on.
pub(super) struct Conversation {
    sender: Sender,
    end: End,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    /// As `Host` or `:authority`.
    pub host: &'a str,
    pub path: &'a str,
    pub fields: Vec<(&'static str, String)>,
    /// How long the body of an answer is waited for whose status is known.
    pub patience: Duration,
}

/// What a request came to.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Answered(Answer),
    /// Turned away below HTTP.
    Refused(Refusal),
    /// What it came to cannot be told, and why.
    Lost(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub location: Option<String>,
    /// Its first part.
    pub body: Bytes,
    /// All of the body was read.
    pub whole: bool,
    /// The body repeats a field of this very request.
    pub echoes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Alert(&'static str),
    CutOff,
    /// The server took the connection and gave the request back.
    Reset,
    /// HTTP/2 was asked for and not agreed on.
    NoHttp2,
}

impl Conversation {
    /// Begins to speak `protocol` on `wire`.
    pub(super) async fn begin(wire: Wire, protocol: Protocol) -> Result<Self, Outcome> {
        let (end, io) = (wire.end(), TokioIo::new(wire));
        let failed = |error: hyper::Error| outcome_of(&error, &end);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
                // What goes wrong with the connection shows in the answer.
                tokio::spawn(async { drop(connection.await) });
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
                tokio::spawn(async { drop(connection.await) });
                Sender::Http2(sender)
            }
        };
        Ok(Self { sender, end })
    }

    /// Makes a request.
    pub(super) async fn ask(&mut self, question: &Question<'_>) -> Outcome {
        let Ok(marker) = token() else { return Outcome::Lost("the system's randomness cannot be read".to_owned()) };
        let answer = match &mut self.sender {
            Sender::Http1(sender) => match question.request(question.path, &marker) {
                Ok(mut request) => {
                    request.headers_mut().insert(HOST, host_value(question.host));
                    sender.send_request(request).await
                }
                Err(error) => return Outcome::Lost(chain(&error)),
            },
            Sender::Http2(sender) => {
                match question.request(&format!("https://{}{}", question.host, question.path), &marker) {
                    Ok(request) => sender.send_request(request).await,
                    Err(error) => return Outcome::Lost(chain(&error)),
                }
            }
        };
        match answer {
            Ok(answer) => Outcome::Answered(Answer::read(answer, &marker, question.patience).await),
            Err(error) => outcome_of(&error, &self.end),
        }
    }
}

impl Question<'_> {
    fn request(&self, uri: &str, marker: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
        let mut request = Request::get(uri)
            .header(USER_AGENT, concat!("originlock-probe/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*")
            .header(MARKER, marker);
        for (name, value) in &self.fields {
            request = request.header(*name, value);
        }
        request.body(Empty::new())
    }
}

fn host_value(host: &str) -> http::HeaderValue {
    http::HeaderValue::from_str(host).expect("a hostname is a header's value")
}

impl Answer {
    async fn read(answer: Response<Incoming>, marker: &str, patience: Duration) -> Self {
        let (head, mut body) = answer.into_parts();
        let mut bytes = Vec::new();
        let all = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                let Ok(data) = frame.into_data() else { continue };
                let room = MAX_BODY_BYTES.saturating_sub(bytes.len());
                bytes.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return false;
                }
            }
            true
        };
        let whole = timeout(patience, all).await.unwrap_or(false);
        Self {
            status: head.status.as_u16(),
            location: head.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            echoes: contains(&bytes, marker),
            body: bytes.into(),
            whole,
        }
    }

    /// Whether the body holds `text`.
    pub(super) fn says(&self, text: &str) -> bool {
        contains(&self.body, text)
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

/// What an error of HTTP means, with what is known of the connection below.
fn outcome_of(error: &hyper::Error, end: &End) -> Outcome {
    let text = chain(error);
    match end.fate() {
        Some(fate) => fate.into(),
        // What `h2` says of a frame of the server's, not of a mistake in it.
        None if text.contains("stream error received") || text.contains("connection error received") => {
            Outcome::Refused(Refusal::Reset)
        }
        None => Outcome::Lost(format!("what came back is no HTTP: {text}")),
    }
}

impl From<Fate> for Outcome {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Alert(alert) => Self::Refused(Refusal::Alert(alert)),
            Fate::CutOff => Self::Refused(Refusal::CutOff),
            Fate::Unreachable(why) => Self::Lost(format!("the server cannot be reached any more: {why}")),
            Fate::NotTls(why) => Self::Lost(format!("the server does not speak TLS as it should: {why}")),
        }
    }
}

/// 32 hexadecimal digits that nobody guesses.
pub(super) fn token() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
