//! Requests of one connection, told now and then.

use std::net::SocketAddr;

use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::policy::trust::TrustDigest;
use crate::policy::verdict::Reason;

/// Longest text of a stranger's request that is kept, in characters.
const MAX_TEXT_CHARS: usize = 128;

/// How many requests came since the last note of the connection.
#[derive(Clone, Debug)]
pub struct RequestNote {
    pub at: Timestamp,
    pub peer: SocketAddr,
    /// The name that the client asked for in its handshake.
    pub server_name: Option<Hostname>,
    /// What the connection was judged against.
    pub trust: TrustDigest,
    /// What the connection's judgement came to.
    pub reason: Reason,
    pub requests: u64,
    /// Of the last request of a connection that comes from outside Cloudflare and is not verified; without its query.
    pub path: Option<String>,
    /// Likewise.
    pub user_agent: Option<String>,
}

/// A stranger's text, fit for a page, a log line and a terminal: short and of visible ASCII.
pub fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '\u{fffd}' };
    text.chars().take(MAX_TEXT_CHARS).map(shown).collect()
}
