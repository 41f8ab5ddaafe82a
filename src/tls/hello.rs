//! The ClientHello, read before anything is decided.

use rustls::server::{Accepted, Acceptor};
use rustls::{AlertDescription, Error};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::alert;
use super::stream::{Farewell, read_some};
use crate::alert::name as alert_name;
use crate::hostname::Hostname;
use crate::policy::verdict::Reason;

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// A client that has said hello and waits.
pub struct ClientHello {
    pub(super) io: TcpStream,
    pub(super) accepted: Accepted,
    /// Bytes behind the hello.
    pub(super) unfed: Vec<u8>,
    server_name: Option<Hostname>,
}

/// A connection without a usable hello.
#[derive(Debug)]
pub struct NoHello {
    /// Why; `None` for a peer that never said a word (a port check).
    pub reason: Option<Reason>,
    /// The alert that was sent.
    pub alert: Option<&'static str>,
    /// What was wrong, in the TLS library's words.
    pub detail: Option<String>,
    /// What is left to do once the outcome is recorded.
    pub farewell: Option<Farewell>,
}

impl ClientHello {
    /// Reads up to `max_bytes` until the hello is whole, in however many pieces it comes, or until `deadline`.
    pub async fn read(mut io: TcpStream, max_bytes: usize, deadline: Instant) -> Result<Self, NoHello> {
        let mut acceptor = Acceptor::default();
        let mut received = 0;
        loop {
            let step = read_some(&mut io, max_bytes - received, |bytes| feed(&mut acceptor, bytes, &mut received));
            let Ok(step) = timeout_at(deadline, step).await else {
                return Err(NoHello::without_alert(received, Reason::HandshakeTimeout));
            };
            match step {
                Ok(Step::More) if received < max_bytes => {}
                Ok(Step::More) => {
                    return Err(refuse(io, Reason::TooLarge, AlertDescription::RecordOverflow));
                }
                Ok(Step::Whole(accepted, unfed)) => {
                    let server_name = accepted.client_hello().server_name().and_then(|name| Hostname::parse(name).ok());
                    return Ok(Self { io, accepted: *accepted, unfed, server_name });
                }
                Ok(Step::End) | Err(_) => return Err(NoHello::without_alert(received, Reason::ClientEof)),
                Ok(Step::NotTls) => return Err(NoHello::without_alert(received, Reason::NotTls)),
                Ok(Step::Broken(error, record)) => return Err(broken(io, error, &record)),
            }
        }
    }

    /// The name the client asked for (SNI, RFC 6066, section 3), if it is a hostname.
    pub fn server_name(&self) -> Option<&Hostname> {
        self.server_name.as_ref()
    }

    /// Turns the client away because no host is configured for what it asked: `unrecognized_name`.
    pub fn refuse_name(self, reason: Reason) -> NoHello {
        refuse(self.io, reason, AlertDescription::UnrecognisedName)
    }
}

impl NoHello {
    fn without_alert(received: usize, reason: Reason) -> Self {
        Self { reason: (received > 0).then_some(reason), alert: None, detail: None, farewell: None }
    }
}

enum Step {
    More,
    Whole(Box<Accepted>, Vec<u8>),
    End,
    NotTls,
    Broken(Error, Vec<u8>),
}

fn feed(acceptor: &mut Acceptor, mut bytes: &[u8], received: &mut usize) -> Step {
    match bytes.first() {
        None => return Step::End,
        Some(first) if *received == 0 && *first != HANDSHAKE_RECORD => {
            *received += bytes.len();
            return Step::NotTls;
        }
        Some(_) => *received += bytes.len(),
    }
    while !bytes.is_empty() {
        match acceptor.read_tls(&mut bytes) {
            // After a close_notify rustls takes nothing more.
            Ok(0) => return Step::End,
            Ok(_) => {}
            Err(error) => return Step::Broken(Error::General(error.to_string()), Vec::new()),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Step::Whole(Box::new(accepted), bytes.to_vec()),
            Err((error, mut alert)) => {
                let mut record = Vec::new();
                // Writing to a Vec does not fail.
                let _ = alert.write_all(&mut record);
                return Step::Broken(error, record);
            }
        }
    }
    Step::More
}

fn refuse(io: TcpStream, reason: Reason, alert: AlertDescription) -> NoHello {
    let farewell = Farewell::send(io, &alert::plain_record(alert));
    NoHello { reason: Some(reason), alert: Some(alert_name(alert)), detail: None, farewell }
}

fn broken(io: TcpStream, error: Error, record: &[u8]) -> NoHello {
    let alert = alert::in_plain_record(record).map(alert_name);
    let farewell = Farewell::send(io, record);
    NoHello { reason: Some(Reason::ProtocolError), alert, detail: Some(error.to_string()), farewell }
}
