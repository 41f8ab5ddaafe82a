//! A backend that plays what the story wrote and remembers every byte that it was sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use super::PATIENCE;

/// The backend. It lives as long as the process.
#[derive(Clone)]
pub struct Backend {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: Mutex<Vec<Connection>>,
    /// What all connections brought, in the order in which it came.
    log: Mutex<Vec<u8>>,
    changed: Condvar,
}

/// What one connection brought.
#[derive(Clone, Default, Debug)]
pub struct Connection {
    pub bytes: Vec<u8>,
    /// The proxy has closed it, or reset it.
    pub closed: bool,
}

impl Connection {
    /// Heads among the bytes, which have no bodies that look like one.
    pub fn requests(&self) -> usize {
        String::from_utf8_lossy(&self.bytes).matches(" HTTP/1.1\r\n").count()
    }
}

/// One connection, as a script plays it.
pub struct Conversation {
    socket: Box<dyn Socket>,
    /// The first connection is 0.
    pub number: usize,
    input: Vec<u8>,
    seen: Arc<Seen>,
}

pub trait Socket: Read + Write + Send {
    fn close_writing(&self);
}

impl Socket for TcpStream {
    fn close_writing(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Socket for UnixStream {
    fn close_writing(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// Any TLS session over TCP that a story opened.
impl Socket for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn close_writing(&self) {
        let _ = self.sock.shutdown(Shutdown::Write);
    }
}

type Script = Arc<dyn Fn(&mut Conversation) -> io::Result<()> + Send + Sync>;

impl Backend {
    /// Answers every whole request with this text.
    pub fn answering(answer: &'static str) -> Self {
        Self::scripted(move |peer| {
            while peer.request()?.is_some() {
                peer.send(answer)?;
            }
            Ok(())
        })
    }

    /// `200` with the body `ok`.
    pub fn ok() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    }

    /// Plays `script` on every connection; the connection closes with the script's end.
    pub fn scripted(script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::over(Ok, script)
    }

    /// The same over TLS.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let wrap = move |socket: TcpStream| {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).expect("a TLS session");
            Ok(rustls::StreamOwned::new(tls, socket))
        };
        Self::over(wrap, script)
    }

    /// The same on a Unix socket.
    pub fn unix(path: &Path, script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let backend = Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), seen: Arc::default() };
        let (seen, script): (_, Script) = (Arc::clone(&backend.seen), Arc::new(script));
        thread::spawn(move || listener.incoming().flatten().for_each(|socket| play(&seen, &script, socket)));
        backend
    }

    fn over<S: Socket + 'static>(
        wrap: impl Fn(TcpStream) -> io::Result<S> + Send + 'static,
        script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let backend = Self { address: listener.local_addr().expect("an address"), seen: Arc::default() };
        let (seen, script): (_, Script) = (Arc::clone(&backend.seen), Arc::new(script));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                socket.set_nodelay(true).expect("an open socket");
                play(&seen, &script, wrap(socket).expect("a stream"));
            }
        });
        backend
    }

    /// As the configuration names it.
    pub fn url(&self) -> String {
        format!("\"http://{}\"", self.address)
    }

    /// What every connection has brought so far.
    pub fn connections(&self) -> Vec<Connection> {
        self.seen.lock().clone()
    }

    /// All bytes of all connections in the order in which they came, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.log.lock().expect("a whole backend")).into_owned()
    }

    /// Waits until what has come is so.
    pub fn wait_until(&self, what: &str, state: impl Fn(&[Connection]) -> bool) {
        let connections = self.seen.lock();
        let waited = self.seen.changed.wait_timeout_while(connections, PATIENCE, |connections| !state(connections));
        let (connections, timeout) = waited.expect("a whole backend");
        let texts = connections
            .iter()
            .map(|connection| String::from_utf8_lossy(&connection.bytes[..connection.bytes.len().min(2000)]));
        assert!(!timeout.timed_out(), "never came about: {what}: {:?}", texts.collect::<Vec<_>>());
    }

    /// Waits until the bytes of some connection hold `text`.
    pub fn wait_for_text(&self, text: &str) {
        let holds = |connection: &Connection| String::from_utf8_lossy(&connection.bytes).contains(text);
        self.wait_until(text, |connections| connections.iter().any(holds));
    }

    /// Waits until the proxy has closed as many connections.
    pub fn wait_for_closed(&self, count: usize) {
        let closed = |connections: &[Connection]| connections.iter().filter(|connection| connection.closed).count();
        self.wait_until("closed by the proxy", |connections| closed(connections) >= count);
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().expect("a whole backend")
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Connection>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

fn play<S: Socket + 'static>(seen: &Arc<Seen>, script: &Script, socket: S) {
    let (seen, script) = (Arc::clone(seen), Arc::clone(script));
    let number = seen.lock().len();
    seen.change(|connections| connections.push(Connection::default()));
    thread::spawn(move || {
        let mut peer = Conversation { socket: Box::new(socket), number, input: Vec::new(), seen };
        // A connection that breaks off ends its script and nothing else.
        if script(&mut peer).is_err() {
            peer.seen.change(|connections| connections[number].closed = true);
        }
    });
}

impl Conversation {
    /// The head of one request, once all of it has come; `None` at the end of the connection.
    pub fn request(&mut self) -> io::Result<Option<String>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let lower = head.to_ascii_lowercase();
        match lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()) {
            Some(length) => drop(self.exactly(length)?),
            None if lower.contains("transfer-encoding: chunked") => self.skip_chunks()?,
            None => {}
        }
        Ok(Some(head))
    }

    /// A request's head, and nothing behind it.
    pub fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                let head: Vec<u8> = self.input.drain(..end + 4).collect();
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
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

    fn skip_chunks(&mut self) -> io::Result<()> {
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            if length == 0 {
                while !self.line()?.is_empty() {}
                return Ok(());
            }
            self.exactly(length)?;
            self.line()?;
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.write_all(bytes.as_ref())?;
        self.socket.flush()
    }

    /// Echoes until the other side is done, then says that it is done too.
    pub fn echo(&mut self) -> io::Result<()> {
        loop {
            let bytes = std::mem::take(&mut self.input);
            self.send(bytes)?;
            if self.fill()? == 0 {
                self.socket.close_writing();
                return Ok(());
            }
        }
    }

    /// Reads until the proxy closes.
    pub fn until_closed(&mut self) -> io::Result<()> {
        while self.fill()? > 0 {}
        Ok(())
    }

    /// Nothing more is sent; reading goes on.
    pub fn close_writing(&self) {
        self.socket.close_writing();
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let read = self.socket.read(&mut buffer);
        let bytes = *read.as_ref().unwrap_or(&0);
        self.input.extend_from_slice(&buffer[..bytes]);
        self.seen.log.lock().expect("a whole backend").extend_from_slice(&buffer[..bytes]);
        self.seen.change(|connections| {
            connections[self.number].bytes.extend_from_slice(&buffer[..bytes]);
            connections[self.number].closed |= bytes == 0;
        });
        read
    }
}

pub fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
