//! One handshake's outcome: everything that log, metric and ledger say about it comes from here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::policy::trust::TrustDigest;
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::x509::CertificateSummary;

/// What one accepted connection that spoke came to, whether its handshake finished or not.
#[derive(Clone, Debug)]
pub struct HandshakeOutcome {
    /// When the outcome stood.
    pub at: Timestamp,
    /// The peer's address, the real one if a PROXY header told it.
    pub peer: SocketAddr,
    /// The name the client asked for, if it was one.
    pub server_name: Option<Hostname>,
    /// The configured host that was chosen: the first of its names. `None` when none was.
    pub host: Option<Arc<str>>,
    /// The host's mode. `None` when no host was chosen.
    pub mode: Option<Mode>,
    /// What the certificate was judged against. `None` when no host was chosen and where its mode is `off`.
    pub trust: Option<TrustDigest>,
    /// What is made of the certificate; `Absent` where none was asked for.
    pub verdict: Verdict,
    /// The verdict's reason, or why there is no verdict.
    pub reason: Reason,
    /// What was done.
    pub decision: Decision,
    /// Whether `enforce` would have refused what was admitted.
    pub would_refuse: bool,
    /// Whether the client proved possession of the certificate's key (in this handshake or the resumed one).
    pub proved: bool,
    /// The CA (subject) or the pin that the trust matched.
    pub matched: Option<Arc<str>>,
    /// The presented leaf, as far as it could be read.
    pub certificate: Option<Arc<CertificateSummary>>,
    /// Number of certificates presented.
    pub chain_length: usize,
    /// `1.2` or `1.3`, when it got that far.
    pub tls_version: Option<&'static str>,
    /// IANA name of the cipher suite.
    pub cipher: Option<&'static str>,
    /// IANA name of the key exchange group.
    pub group: Option<&'static str>,
    /// `h2` or `http/1.1`.
    pub alpn: Option<&'static str>,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// From accepting the connection to the outcome.
    pub duration: Duration,
    /// The TLS alert we sent, by its RFC 8446 name.
    pub alert: Option<&'static str>,
    /// What the TLS library or the peer's alert said, for protocol errors. Our words, never the peer's bytes.
    pub detail: Option<String>,
    /// Whether this process connected to itself: told, never counted.
    pub own: bool,
}

impl HandshakeOutcome {
    /// Whether a verdict on the certificate stood at the end, and not a handshake that broke off.
    pub fn is_judged(&self) -> bool {
        self.reason == self.verdict.reason()
    }
}
