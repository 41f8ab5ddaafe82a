//! Attempts that no TLS library makes: bytes written by hand, and the first bytes of the answer.

use rustls::AlertDescription;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Finding;
use super::caller::Protocol;
use super::conversation::{Conversation, token};
use super::judge::{self, Shown};
use super::run::Scene;
use super::wire::Wire;
use crate::alert::name as alert_name;
use crate::probe::ProbeError;

/// Record types (RFC 8446, section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const TLS12: (u8, u8) = (3, 3);
/// What servers with and without forward secrecy, with RSA and ECDSA keys, know from TLS 1.0 to 1.2; and one of TLS 1.3.
const SUITES: [u16; 15] = [
    0x1301, 0xc02f, 0xc02b, 0xc030, 0xc02c, 0xc013, 0xc014, 0xc009, 0xc00a, 0x009c, 0x009d, 0x002f, 0x0035, 0x000a,
    0x00ff,
];
const GROUPS: [u16; 3] = [X25519, 0x0017, 0x0018];
const X25519: u16 = 0x001d;
const SCHEMES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0201, 0x0203];

/// The first thing that a server says to a ClientHello.
enum Said {
    /// ServerHello, of this version.
    Hello(u8, u8),
    Alert(u8),
    Nothing,
    Else,
}

impl Scene<'_> {
    pub(super) async fn plain_http(&self) -> Result<Shown, ProbeError> {
        let socket = match self.socket().await {
            Ok(socket) => socket,
            Err(shown) => return Ok(shown),
        };
        let outcome = match Conversation::begin(Wire::plain(socket), Protocol::Http1).await {
            Ok(mut conversation) => conversation.ask(&self.question(self.target.name.as_str())).await,
            Err(outcome) => outcome,
        };
        Ok(judge::plain(&outcome, self.reference.as_ref()))
    }

    pub(super) async fn old_tls(&self, version: (u8, u8), spoken: &str) -> Result<Shown, ProbeError> {
        let hello = ClientHello { version, name: self.target.name.as_str(), modern: false };
        Ok(match self.say(&hello).await {
            Ok(Said::Hello(major, minor)) if (major, minor) == version => {
                (Finding::Hole, format!("the server speaks {spoken}"))
            }
            Ok(Said::Hello(..)) => (Finding::Holds, "the server goes on with another version".to_owned()),
            Ok(Said::Alert(alert)) => (Finding::Holds, refused(alert)),
            Ok(Said::Nothing) => (Finding::Holds, "cut off without an alert".to_owned()),
            Ok(Said::Else) => (Finding::Unclear, "what came back is no TLS".to_owned()),
            Err(shown) => shown,
        })
    }

    /// RFC 6066, section 3: an address is no server name. What a server that goes on answers then is another attempt.
    pub(super) async fn ip_sni(&self) -> Result<Shown, ProbeError> {
        let address = self.target.address.ip().to_string();
        let hello = ClientHello { version: TLS12, name: &address, modern: true };
        Ok(match self.say(&hello).await {
            Ok(Said::Alert(alert)) => (Finding::Holds, refused(alert)),
            Ok(Said::Nothing) => (Finding::Holds, "cut off without an alert".to_owned()),
            Ok(Said::Hello(..)) => {
                let detail = "the handshake goes on as for unknown names; unknown_sni and no_sni show with what end";
                (Finding::Skipped, detail.to_owned())
            }
            Ok(Said::Else) => (Finding::Unclear, "what came back is no TLS".to_owned()),
            Err(shown) => shown,
        })
    }

    async fn socket(&self) -> Result<TcpStream, Shown> {
        let lost =
            |error: std::io::Error| (Finding::Unclear, format!("the server cannot be reached any more: {error}"));
        TcpStream::connect(self.target.address).await.map_err(lost)
    }

    async fn say(&self, hello: &ClientHello<'_>) -> Result<Said, Shown> {
        let no_randomness = |_| (Finding::Unclear, "the system's randomness cannot be read".to_owned());
        // 32 digits serve for 32 random bytes: no key will be made of them.
        let random = token().map_err(no_randomness)?;
        let mut socket = self.socket().await?;
        // A server that hung up says nothing, and that is read next.
        let _ = socket.write_all(&hello.encode(random.as_bytes())).await;
        let mut bytes = Vec::new();
        // A record's head, and of a ServerHello its type, length and version.
        while bytes.len() < 11 && !matches!(bytes[..], [ALERT, _, _, _, _, _, _, ..]) {
            match socket.read_buf(&mut bytes).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        Ok(match bytes[..] {
            [] => Said::Nothing,
            [ALERT, _, _, _, _, _, alert, ..] => Said::Alert(alert),
            [HANDSHAKE, _, _, _, _, SERVER_HELLO, _, _, _, major, minor, ..] => Said::Hello(major, minor),
            _ => Said::Else,
        })
    }
}

fn refused(alert: u8) -> String {
    format!("refused with {}", alert_name(AlertDescription::from(alert)))
}

/// A first flight (RFC 5246, section 7.4.1.2; RFC 8446, section 4.1.2).
struct ClientHello<'a> {
    version: (u8, u8),
    name: &'a str,
    /// Offers TLS 1.3, too.
    modern: bool,
}

impl ClientHello<'_> {
    fn encode(&self, random: &[u8]) -> Vec<u8> {
        let (major, minor) = self.version;
        let mut extensions = [
            extension(0, &sized16(&[&[0], &sized16(self.name.as_bytes())[..]].concat())),
            extension(10, &sized16(&numbers(&GROUPS))),
            extension(11, &[1, 0]),
            extension(13, &sized16(&numbers(&SCHEMES))),
        ]
        .concat();
        if self.modern {
            extensions.extend(extension(43, &[4, 3, 4, 3, 3]));
            let share = [&X25519.to_be_bytes(), &sized16(random)[..]].concat();
            extensions.extend(extension(51, &sized16(&share)));
        }
        let body = [
            &[major, minor][..],
            random,
            // An empty session id.
            &[0],
            &sized16(&numbers(&SUITES)),
            // No compression.
            &[1, 0],
            &sized16(&extensions),
        ]
        .concat();
        // The length has three bytes, of which the first stays zero.
        let message = [&[CLIENT_HELLO, 0][..], &sized16(&body)].concat();
        // The record says the oldest version: some servers insist.
        [&[HANDSHAKE, 3, 1][..], &sized16(&message)].concat()
    }
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized16(content)].concat()
}

fn numbers(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// `content` behind its length in two bytes.
fn sized16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a ClientHello is short");
    [&length.to_be_bytes()[..], content].concat()
}
