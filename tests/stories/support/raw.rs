//! A client that sends whatever bytes the story likes, over TLS 1.3.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::backend::find;
use super::{PATIENCE, Shape, World};

/// One connection.
pub struct Raw {
    stream: StreamOwned<ClientConnection, TcpStream>,
    input: Vec<u8>,
}

/// An answer as it came, body decoded.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Trailer lines of a chunked body.
    pub trailers: String,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name))
            .map(|(_, value)| value)
    }
}

impl Raw {
    /// A stranger who speaks HTTP/1.1.
    pub fn stranger(world: &World, name: &str) -> Self {
        Self::open(world, name, world.client(name).config())
    }

    /// A client with our certificate that speaks HTTP/1.1.
    pub fn verified(world: &World, name: &str) -> Self {
        Self::open(world, name, world.client(name).presenting(Shape::P256).config())
    }

    pub fn open(world: &World, name: &str, config: ClientConfig) -> Self {
        Self::try_open(world, name, config).expect("a connection")
    }

    /// Refused connections are an error.
    pub fn try_open(world: &World, name: &str, config: ClientConfig) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a TLS session");
        let mut socket = TcpStream::connect(world.address())?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Self { stream: StreamOwned::new(tls, socket), input: Vec::new() })
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("an open connection");
    }

    /// An error if the proxy has closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(&request);
        match request.as_ref().starts_with(b"HEAD ") {
            true => self.answer_to_head(),
            false => self.answer(),
        }
    }

    /// Everything until the proxy closes, in whatever way.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok_and(|bytes| bytes > 0) {}
        std::mem::take(&mut self.input)
    }

    /// What of the bytes has come that are `wanted`; panics if they never do.
    pub fn wait_for(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = find(&self.input, wanted.as_bytes()) {
                let found: Vec<u8> = self.input.drain(..at + wanted.len()).collect();
                return String::from_utf8_lossy(&found).into_owned();
            }
            let read = self.fill();
            assert!(matches!(read, Ok(1..)), "{read:?} before {wanted:?}: {:?}", String::from_utf8_lossy(&self.input));
        }
    }

    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < length {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.input.drain(..length).collect())
    }

    /// One whole answer. Panics if it is cut short.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("a whole answer")
    }

    pub fn try_answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.answer_head()?;
        let length = answer.field("content-length").and_then(|length| length.parse().ok());
        let no_body = matches!(answer.status, 100..=199 | 204 | 304);
        answer.body = match length {
            _ if no_body => Vec::new(),
            Some(length) => self.exactly(length)?,
            None if answer.field("transfer-encoding") == Some("chunked") => {
                let (body, trailers) = self.chunks()?;
                answer.trailers = trailers;
                body
            }
            None => self.rest(),
        };
        Ok(answer)
    }

    /// The answer to HEAD ends with its head.
    pub fn answer_to_head(&mut self) -> Answer {
        self.answer_head().expect("a whole head")
    }

    pub fn answer_head(&mut self) -> io::Result<Answer> {
        while find(&self.input, b"\r\n\r\n").is_none() {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let end = find(&self.input, b"\r\n\r\n").expect("an end") + 4;
        let head = String::from_utf8(self.input.drain(..end).collect()).expect("a readable head");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        Ok(Answer { status, head, body: Vec::new(), trailers: String::new() })
    }

    fn chunks(&mut self) -> io::Result<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            if length == 0 {
                let mut trailers = String::new();
                loop {
                    match self.line()? {
                        line if line.is_empty() => return Ok((body, trailers)),
                        line => trailers.push_str(&format!("{line}\n")),
                    }
                }
            }
            body.extend(self.exactly(length)?);
            self.line()?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// How long reading and writing may block; for stories in which nothing comes.
    pub fn set_patience(&self, patience: std::time::Duration) {
        self.stream.sock.set_read_timeout(Some(patience)).expect("an open socket");
        self.stream.sock.set_write_timeout(Some(patience)).expect("an open socket");
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let bytes = match self.stream.read(&mut buffer) {
            // Closed without close_notify: closed all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        self.input.extend_from_slice(&buffer[..bytes]);
        Ok(bytes)
    }
}
